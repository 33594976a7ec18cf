"""The calls in progress: one poll for all, endings settled, calls without an ending given up."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from types import SimpleNamespace

import pytest

from airflow_provider_voice.models import Call, CallStatus
from airflow_provider_voice.outreach.attempt_outcomes import AttemptOutcomes
from airflow_provider_voice.outreach.call_polls import CallPolls
from airflow_provider_voice.outreach.redial import RedialRules


def call(number: int, status: CallStatus = CallStatus.IN_PROGRESS) -> Call:
    return Call(id=f"call_{number}", vendor="talkover", status=status, vendor_status=str(status))


@pytest.fixture
def polls(book):
    book.load(3)
    ledger, asked = book.ledger(), []
    outcomes = AttemptOutcomes(ledger)
    outcomes.placed([(attempt, call(number)) for number, attempt in enumerate(book.intend(ledger, 3))])
    calls = {f"call_{number}": call(number) for number in range(3)}

    def get_calls(refs):
        asked.append([ref.id for ref in refs])
        return calls

    hook = SimpleNamespace(get_calls=get_calls, vendor=SimpleNamespace(http=SimpleNamespace(clock_offset=None)))
    with ThreadPoolExecutor(1) as reader:
        made = CallPolls(
            hook, ledger, outcomes, book.record, reader,
            rules=RedialRules.of(max_attempts=2), interval=30, call_timeout=timedelta(hours=1),
        )  # fmt: skip
        made.book, made.calls, made.asked = book, calls, asked
        made._asking = SimpleNamespace(is_due=lambda: True)
        yield made


def follow(polls: CallPolls) -> bool:
    """Begin a poll, and settle its endings."""
    polls.follow()
    if polls.under_way is not None:
        polls.under_way.result(60)
    return polls.follow()


def test_one_poll_settles_the_calls_that_ended(polls) -> None:
    polls.calls["call_0"] = call(0, CallStatus.COMPLETED)
    polls.calls["call_1"] = call(1, CallStatus.BUSY)
    assert follow(polls)
    assert polls.asked == [["call_0", "call_1", "call_2"]]
    states = [polls.book.contact(f"c{number}").state for number in range(3)]
    assert states == ["reached", "redial", "in_call"]
    assert polls.book.contact("c1").due_at == polls.book.now + timedelta(minutes=15)


def test_polls_keep_their_interval(polls) -> None:
    assert not follow(polls)
    assert not follow(polls)
    assert len(polls.asked) == 1
    polls.book.wait(30)
    follow(polls)
    assert len(polls.asked) == 2


def test_calls_over_another_connection_are_given_up_in_the_end(polls) -> None:
    elsewhere = polls.book.ledger()
    elsewhere.voice_conn_id = "voice_other"
    made = CallPolls(
        polls._hook, elsewhere, AttemptOutcomes(elsewhere), polls.book.record, polls._reader,
        rules=RedialRules(), interval=30, call_timeout=timedelta(hours=1),
    )  # fmt: skip
    assert not made.follow()
    assert polls.book.contact("c0").state == "in_call"
    polls.book.wait(3601)
    made._asking = SimpleNamespace(is_due=lambda: True)
    made.follow()
    assert polls.book.contact("c0").state == "unknown"
    assert "another voice connection" in polls.book.attempt("c0").evidence


def test_a_call_that_never_shows_an_ending_is_unknown(polls) -> None:
    polls.book.wait(3601)
    follow(polls)
    assert polls.book.contact("c0").state == "unknown"
    assert "its ending did not show" in polls.book.attempt("c0").evidence
