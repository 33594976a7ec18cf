"""Outcomes of attempts: stored once, in whatever order they come."""

from __future__ import annotations

import pytest

from airflow_provider_voice.models import Call, CallStatus
from airflow_provider_voice.outreach.attempt_outcomes import AttemptOutcomes
from airflow_provider_voice.outreach.states import ContactState, NextState

CALL = Call(id="call_1", vendor="talkover", status=CallStatus.QUEUED, vendor_status="queued")
REACHED = NextState(ContactState.REACHED, "the call ended as completed")


@pytest.fixture
def case(book):
    book.load(1)
    ledger = book.ledger()
    (attempt,) = book.intend(ledger)
    return book, AttemptOutcomes(ledger), attempt


def test_a_placed_call_that_ended(case) -> None:
    book, outcomes, attempt = case
    outcomes.placed([(attempt, CALL)])
    assert (book.contact().state, book.attempt().call_id, book.attempt().placed_at) == ("in_call", "call_1", book.now)
    for _ in range(2):
        outcomes.ended([(attempt, "completed", None, REACHED)])
        assert (book.contact().state, book.attempt().state) == ("reached", "ended")
        assert (book.attempt().status, book.contact().attempts) == ("completed", 1)


def test_a_refused_attempt_does_not_count_however_often_it_is_stored(case) -> None:
    book, outcomes, attempt = case
    for _ in range(2):
        outcomes.refused([(attempt, NextState(ContactState.PENDING, "busy line", book.now))])
        assert (book.contact().attempts, book.contact().state, book.attempt().state) == (0, "pending", "refused")


def test_a_call_that_shows_after_it_was_given_up_is_adopted(case) -> None:
    book, outcomes, attempt = case
    outcomes.unknown([(attempt, "nobody knows")])
    assert (book.contact().state, book.attempt().evidence) == ("unknown", "nobody knows")
    outcomes.placed([(attempt, CALL)])
    assert (book.contact().state, book.attempt().evidence) == ("in_call", None)


def test_a_call_without_an_ending_is_unknown(case) -> None:
    book, outcomes, attempt = case
    outcomes.placed([(attempt, CALL)])
    outcomes.vanished([(attempt, "its ending did not show" + "!" * 2000)])
    assert (book.contact().state, len(book.contact().reason), len(book.attempt().evidence)) == ("unknown", 500, 1000)


def test_an_outcome_of_an_earlier_attempt_leaves_the_contact_alone(case) -> None:
    book, outcomes, attempt = case
    outcomes.refused([(attempt, NextState(ContactState.REDIAL, "", book.now))])
    (second,) = book.intend(book.ledger())
    outcomes.placed([(attempt, CALL)])
    assert (book.contact().state, second.number, book.attempt().state) == ("dialing", 2, "intent")


def test_nothing_is_stored_of_nothing(case) -> None:
    book, outcomes, _ = case
    outcomes.placed([])
    outcomes.refused([])
    assert book.contact().state == "dialing"
