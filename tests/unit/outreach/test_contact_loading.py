"""Loading a source into the ledger; on each database in ``tests/integration/outreach``."""

from __future__ import annotations

import pytest

from airflow_provider_voice.exceptions import InvalidRequest
from airflow_provider_voice.models import Call, CallStatus
from airflow_provider_voice.outreach.attempt_outcomes import AttemptOutcomes
from airflow_provider_voice.outreach.contact_loading import ContactLoader
from airflow_provider_voice.outreach.contacts import Columns, contacts_of
from airflow_provider_voice.outreach.redial import RedialRules
from airflow_provider_voice.outreach.states import ContactState, NextState
from tests.unit.outreach.conftest import NUMBERS


def load(book, rows, check=None):
    book.record.begin("run")
    return ContactLoader(book.database, book.name).load(contacts_of(rows, Columns()), check)


def row(key: str, index: int) -> dict[str, str]:
    return {"contact_id": key, "to": NUMBERS[index]}


def test_every_row_has_a_contact_and_is_counted(book) -> None:
    counts = load(book, [row("a", 0), row("b", 0), row("a", 1), {"contact_id": "bad", "to": "x"}])
    assert (counts.rows, counts.rejected, counts.merged) == (4, 2, 1)
    assert [book.contact(key).state for key in ("a", "b", "a#2", "bad")] == [
        "pending",
        "merged",
        "rejected",
        "rejected",
    ]
    assert sum(book.record.counts()[state] for state in ("pending", "merged", "rejected")) == 4


def test_a_check_that_refuses_lets_nobody_be_called(book) -> None:
    def refuse(counts) -> None:
        raise InvalidRequest("no")

    with pytest.raises(InvalidRequest):
        load(book, [row("a", 0)], refuse)
    assert book.ledger().claim_due(1) == []
    load(book, [row("a", 0)])
    assert [item.key for item in book.ledger().claim_due(1)] == ["a"]


def test_the_same_source_again_changes_nothing(book) -> None:
    rows = [row("a", 0), row("b", 0), row("c", 1)]
    load(book, rows)
    before = [book.contact(key)[:15] for key in "abc"]
    load(book, rows)
    assert [book.contact(key)[:15] for key in "abc"] == before


def fail_as(book, status: str, count: int = 9) -> list[str]:
    """Call everybody who is due; every call ends as ``status``. Return the keys."""
    ledger = book.ledger()
    outcomes, keys = AttemptOutcomes(ledger), []
    for attempt in book.intend(ledger, count):
        call = Call(
            id=f"call-{attempt.id}", vendor="talkover", status=CallStatus.QUEUED, vendor_status="", to=attempt.to
        )
        outcomes.placed([(attempt, call)])
        counted = ledger.attempts_counted([attempt.key])[attempt.key]
        step = RedialRules().after_ending(CallStatus(status), counted, book.now)
        outcomes.ended([(attempt, status, book.now, step)])
        keys.append(attempt.key)
    return sorted(keys)


def test_who_leaves_and_comes_back_is_not_redialed_sooner(book) -> None:
    load(book, [row("a", 0), row("b", 1)])
    fail_as(book, "voicemail")
    book.wait(60)
    load(book, [row("b", 1)])
    load(book, [row("a", 0), row("b", 1)])
    assert fail_as(book, "voicemail") == []
    book.wait(24 * 3600)
    assert fail_as(book, "voicemail") == ["a", "b"]


@pytest.mark.parametrize("between", [[], [{"contact_id": "q", "to": NUMBERS[5]}]])
def test_a_number_under_another_key_is_not_redialed_sooner(book, between) -> None:
    load(book, [row("a", 0)])
    fail_as(book, "voicemail")
    if between:
        load(book, between)
    load(book, [row("z", 0)])
    assert fail_as(book, "voicemail") == []
    assert book.contact("z").attempts == 1


def test_a_number_that_its_contact_gave_up_is_not_redialed_sooner_nor_more_often(book) -> None:
    load(book, [row("a", 0)])
    fail_as(book, "voicemail")
    load(book, [row("a", 1)])
    load(book, [row("a", 1), row("b", 0), row("c", 2)])
    assert fail_as(book, "voicemail") == ["c"]
    assert (book.contact("b").attempts, book.contact("c").attempts) == (1, 1)


def test_who_waits_and_gets_a_number_that_was_called_waits_for_its_redial(book) -> None:
    load(book, [row("a", 0)])
    fail_as(book, "voicemail")
    load(book, [row("b", 1)])
    load(book, [row("b", 0)])
    assert fail_as(book, "voicemail") == []
    book.wait(24 * 3600)
    assert fail_as(book, "voicemail") == ["b"]
    assert book.contact("b").attempts == 2


def test_a_second_row_of_a_called_contact_is_not_redialed_sooner_at_its_number(book) -> None:
    load(book, [row("a", 0), row("b", 1)])
    fail_as(book, "voicemail", 1)
    fail_as(book, "completed")
    assert (book.contact("a").state, book.contact("b").state) == ("redial", "reached")
    load(book, [row("b", 0), row("b", 0)])
    assert fail_as(book, "voicemail") == []


def test_who_was_merged_takes_over_attempts_and_time_of_the_one_that_left(book) -> None:
    load(book, [row("a", 0), row("z", 0)])
    (attempt,) = book.intend(book.ledger())
    load(book, [row("z", 0)])
    outcomes = AttemptOutcomes(book.ledger())
    call = Call(id="call", vendor="talkover", status=CallStatus.QUEUED, vendor_status="", to=attempt.to)
    outcomes.placed([(attempt, call)])
    step = RedialRules().after_ending(CallStatus.NO_ANSWER, 1, book.now)
    outcomes.ended([(attempt, "no_answer", book.now, step)])
    book.record.sweep(None)
    load(book, [row("z", 0)])
    assert (book.contact("z").state, book.contact("z").attempts) == ("pending", 1)
    assert fail_as(book, "no_answer") == []


def test_two_contacts_that_swap_their_numbers_are_both_called(book) -> None:
    load(book, [row("a", 0), row("b", 1)])
    load(book, [row("a", 1), row("b", 0)])
    assert [(book.contact(key).state, book.contact(key).to_number) for key in "ab"] == [
        ("pending", NUMBERS[1]),
        ("pending", NUMBERS[0]),
    ]


@pytest.mark.parametrize("now", [NUMBERS[2], "nonsense"])
def test_a_number_that_its_holder_gives_up_is_called_once(book, now) -> None:
    load(book, [row("a", 0)])
    load(book, [{"contact_id": "a", "to": now}, row("b", 0), row("c", 0)])
    assert (book.contact("b").state, book.contact("c").state) == ("pending", "merged")
    assert book.contact("c").merged_into == "b"


def test_a_key_that_is_a_number_is_masked_in_reasons(book) -> None:
    load(book, [row(NUMBERS[0], 0), row(NUMBERS[0], 1), row("z", 0)])
    for key in (f"{NUMBERS[0]}#2", "z"):
        assert NUMBERS[0][1:] not in book.contact(key).reason


def test_a_key_that_looks_like_that_of_a_second_row_breaks_nothing(book) -> None:
    counts = load(book, [row("a", 0), row("a", 1), row("a#2", 2), row("a", 3)])
    assert (counts.rows, counts.rejected) == (4, 3)
    assert book.record.counts()["contacts"] == 4


def test_a_changed_row_is_not_called_before_the_load_is_whole(book) -> None:
    def refuse(counts) -> None:
        raise InvalidRequest("no")

    load(book, [row("a", 0), row("b", 1)])
    with pytest.raises(InvalidRequest):
        load(book, [row("a", 2), row("b", 1)], refuse)
    assert [item.key for item in book.ledger().claim_due(9)] == ["b"]


def test_a_plan_lets_nobody_be_called_and_cancels_nobody(book) -> None:
    load(book, [row("a", 0), row("b", 1)])
    loader = ContactLoader(book.database, book.name)
    loader.load(contacts_of([row("a", 0), row("c", 2)], Columns()), is_plan=True)
    assert [item.key for item in book.ledger().claim_due(9)] == ["a", "b"]
    load(book, [row("a", 0), row("c", 2)])
    assert [item.key for item in book.ledger().claim_due(9)] == ["c"]


def test_who_is_not_loaded_yet_does_not_expire(book) -> None:
    load(book, [row("a", 0)])
    ContactLoader(book.database, book.name).load(contacts_of([row("c", 2)], Columns()), is_plan=True)
    book.record.sweep(book.now)
    assert (book.contact("a").state, book.contact("c").state) == ("expired", "pending")


def test_a_row_that_changes_during_a_call_counts_for_the_redial_once_its_load_is_whole(book) -> None:
    def refuse(counts) -> None:
        raise InvalidRequest("no")

    load(book, [row("a", 0) | {"time_zone": "America/New_York", "name": "Ann"}])
    ledger = book.ledger()
    (attempt,) = book.intend(ledger)
    outcomes = AttemptOutcomes(ledger)
    call = Call(id="call", vendor="talkover", status=CallStatus.QUEUED, vendor_status="", to=attempt.to)
    outcomes.placed([(attempt, call)])
    moved = [row("a", 0) | {"time_zone": "America/Los_Angeles", "name": "Anna"}]
    with pytest.raises(InvalidRequest):
        load(book, moved, refuse)
    assert (book.contact("a").state, book.record.outlook().open) == ("in_call", 1)
    outcomes.ended([(attempt, "busy", book.now, RedialRules().after_ending(CallStatus.BUSY, 1, book.now))])
    book.wait(3600)
    assert book.ledger().claim_due(1) == []
    load(book, moved)
    (claimed,) = book.ledger().claim_due(1)
    assert (claimed.time_zone, claimed.variables, claimed.attempts) == ("America/Los_Angeles", {"name": "Anna"}, 1)


def test_a_number_that_changes_during_a_call_waits_for_the_next_load(book) -> None:
    load(book, [row("a", 0)])
    book.intend(book.ledger())
    load(book, [row("a", 3)])
    assert (book.contact("a").state, book.contact("a").to_number) == ("dialing", NUMBERS[0])


@pytest.mark.parametrize("now", [[], [row("a", 3)], [{"contact_id": "a", "to": "nonsense"}]])
def test_a_number_that_leaves_the_source_during_its_call_is_not_redialed(book, now) -> None:
    load(book, [row("a", 0), row("b", 1)])
    ledger = book.ledger()
    attempts = book.intend(ledger, 2)
    load(book, now)
    step = NextState(ContactState.REDIAL, "not called: held back", book.now)
    AttemptOutcomes(ledger).refused([(attempt, step) for attempt in attempts])
    assert ledger.claim_due(9) == []
    book.record.sweep(None)
    assert (book.contact("a").state, book.contact("b").state) == ("canceled", "canceled")
    load(book, [row("a", 3)])
    assert [item.to for item in ledger.claim_due(9)] == [NUMBERS[3]]


def test_a_person_s_decision_about_a_number_that_left_the_source_calls_nobody(book) -> None:
    load(book, [row("a", 0)])
    ledger = book.ledger()
    AttemptOutcomes(ledger).unknown([(attempt, "nobody can tell") for attempt in book.intend(ledger)])
    load(book, [row("a", 3)])
    book.wait(900)
    book.record.resolve("a", rang=False)
    assert ledger.claim_due(9) == []
    load(book, [row("a", 3)])
    assert [item.to for item in ledger.claim_due(9)] == [NUMBERS[3]]


def test_who_takes_over_a_number_keeps_what_it_has_from_an_earlier_one(book) -> None:
    load(book, [row("a", 0), row("b", 1)])
    assert fail_as(book, "busy") == ["a", "b"]
    due_at = book.contact("b").due_at
    load(book, [row("a", 2), row("b", 2)])  # both have a new number, which one of them holds
    assert [book.contact(key).state for key in "ab"] == ["redial", "merged"]
    load(book, [row("b", 2)])
    assert (book.contact("b").state, book.contact("b").attempts) == ("redial", 1)
    assert book.contact("b").due_at == due_at
