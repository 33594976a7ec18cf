"""Creates without an outcome: searched for, found, given up; a ledger that does not answer is no search."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from airflow_provider_voice.exceptions import LedgerFailed, VendorUnavailable
from airflow_provider_voice.models import Call, CallStatus
from airflow_provider_voice.outreach import lost_calls
from airflow_provider_voice.outreach.attempt_outcomes import AttemptOutcomes
from airflow_provider_voice.outreach.ledger import Ledger
from airflow_provider_voice.outreach.lost_calls import LostCalls
from airflow_provider_voice.outreach.schema import attempts

CALL = Call(id="call_1", vendor="talkover", status=CallStatus.QUEUED, vendor_status="queued")


class Hook:
    """A hook whose vendor nobody asks."""

    class vendor:  # noqa: N801 - as the hook names it
        keeps_tags = False

        @staticmethod
        def now():
            raise VendorUnavailable("The vendor does not answer.")


@pytest.fixture
def lost(book, monkeypatch):
    monkeypatch.setattr(lost_calls, "SEARCH_DELAYS", (0.0, 0.0))
    book.load(1)
    ledger = book.ledger()
    (attempt,) = book.intend(ledger)
    with ThreadPoolExecutor(1) as reader:
        made = LostCalls(Hook(), ledger, reader)
        made.book, made.outcomes, made.attempt = book, AttemptOutcomes(ledger), attempt
        yield made


def search(lost: LostCalls) -> None:
    """Let one search begin and end."""
    lost.search()
    if lost.under_way is not None:
        lost.under_way.result(60)


def found(monkeypatch, *answers: Call | None) -> None:
    given = iter(answers)
    monkeypatch.setattr(lost_calls, "clock_offset", lambda vendor: lost_calls.timedelta(0))
    monkeypatch.setattr(lost_calls, "find_call", lambda *args, **more: next(given))


def test_a_call_that_is_found_is_stored(lost, monkeypatch) -> None:
    found(monkeypatch, None, CALL)
    lost.add(lost.attempt, "reset")
    for _ in range(3):
        search(lost)
    assert lost.has_unstored
    lost.store(lost.outcomes)
    assert (lost.book.contact().state, lost.attempts) == ("in_call", [])


def test_a_call_that_is_not_found_is_unknown_with_the_evidence(lost) -> None:
    lost.add(lost.attempt, "the connection was reset")
    for _ in range(3):
        search(lost)
    lost.store(lost.outcomes)
    evidence = lost.book.attempt().evidence
    assert lost.book.contact().state == "unknown"
    for words in ("the connection was reset", "The vendor does not answer", "searched 2 time(s)", lost.attempt.id):
        assert words in evidence
    assert lost.attempt.to not in evidence


@pytest.mark.parametrize("other", [{"state": "intent"}, {"state": "unknown"}, {"state": "placed", "call_id": "call_1"}])
def test_a_call_that_may_be_another_campaigns_is_not_adopted(lost, monkeypatch, other) -> None:
    row = {"attempt_id": "other", "campaign": "autumn", "contact_key": "x", "attempt": 1, "source": "outreach",
           "to_number": lost.attempt.to, "voice_conn_id": "voice_default", "intended_at": lost.book.now, **other}  # fmt: skip
    lost.book.database.transact(lambda connection: connection.execute(attempts.insert().values(**row)))
    found(monkeypatch, CALL, CALL)
    lost.add(lost.attempt, "reset")
    for _ in range(3):
        search(lost)
    lost.store(lost.outcomes)
    assert lost.book.contact().state == "unknown"
    assert "call_1 may be that of another attempt" in lost.book.attempt().evidence


def test_a_ledger_that_does_not_answer_is_no_search(lost, monkeypatch) -> None:
    def gone(number):
        raise LedgerFailed("gone")

    lost.add(lost.attempt, "reset")
    monkeypatch.setattr(lost._ledger, "now_and_calls_to", gone)
    for _ in range(9):
        with pytest.raises(LedgerFailed):
            lost.search()
    assert lost.attempts == [lost.attempt]
    assert lost.under_way is None
    monkeypatch.undo()
    found(monkeypatch, CALL)
    search(lost)
    lost.search()
    lost.store(lost.outcomes)
    assert lost.book.contact().state == "in_call"


def test_nobody_is_called_before_what_another_worker_left_is_settled(lost, monkeypatch) -> None:
    found(monkeypatch, CALL)
    other = LostCalls(Hook(), lost.book.ledger(), lost._reader)
    other.take_over()
    assert other.block_calls
    assert other.attempts == []  # its lease has not ended
    lost.book.wait(61)
    other.take_over()
    assert [attempt.id for attempt in other.attempts] == [lost.attempt.id]
    search(other)
    other.search()
    other.store(lost.outcomes)
    other.take_over()
    assert not other.block_calls


def test_an_attempt_over_another_connection_is_left_to_a_run_over_that_one(book, lost, monkeypatch) -> None:
    monkeypatch.setattr(lost_calls, "find_call", lambda *args, **more: pytest.fail("the wrong list is searched"))
    book.wait(3600)
    other = LostCalls(Hook(), Ledger(book.database, book.name, "another_conn"), lost._reader)
    other.take_over()
    assert other.block_calls
    other.search()
    other.store(AttemptOutcomes(other._ledger))
    assert not other.block_calls
    assert book.contact().state == "unknown"
    assert "'voice_default'" in book.attempt().evidence
    # That run searches for it, and adopts its call.
    book.wait(3600)
    found(monkeypatch, CALL)
    own = LostCalls(Hook(), book.ledger(), lost._reader)
    monkeypatch.setattr(own._ledger, "may_be_of_another", lambda attempt, call_id: False)
    own.take_over()
    own.search()
    own.under_way.result(60)
    own.search()
    own.store(AttemptOutcomes(own._ledger))
    assert book.contact().state == "in_call"
