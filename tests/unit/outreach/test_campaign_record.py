"""A campaign as a whole: begun, steered, swept, counted, resolved."""

from __future__ import annotations

from datetime import timedelta

import pytest

from airflow_provider_voice.exceptions import InvalidRequest
from airflow_provider_voice.outreach.attempt_outcomes import AttemptOutcomes
from airflow_provider_voice.outreach.campaign_record import CampaignRecord


@pytest.mark.parametrize("name", ["", "x" * 251, "spring\n2026-01-01 CRITICAL", "\x1b[2J"])
def test_a_name_has_a_length_and_can_be_printed(book, name) -> None:
    with pytest.raises(InvalidRequest, match="characters"):
        CampaignRecord(book.database, name).begin("run")


def test_a_run_is_remembered_and_a_plan_is_none(book) -> None:
    assert not book.record.was_begun_by("")
    book.record.begin("")
    book.record.begin("run 1")
    book.record.begin("")
    assert book.record.was_begun_by("run 1")


def test_a_campaign_that_does_not_exist_cannot_be_steered(book) -> None:
    with pytest.raises(InvalidRequest, match="no campaign"):
        book.record.set_state("paused")


def test_a_canceled_campaign_cancels_who_waits_and_nobody_else(book) -> None:
    book.load(2)
    book.intend(book.ledger())
    assert book.record.set_state("canceled") == "running"
    assert (book.contact("c0").state, book.contact("c1").state) == ("dialing", "canceled")


def test_who_waits_at_the_end_expires(book) -> None:
    book.load(1)
    book.record.sweep(book.now + timedelta(seconds=1))
    assert book.contact().state == "pending"
    book.record.sweep(book.now)
    assert book.contact().state == "expired"


def test_one_worker_polls_at_a_time(book) -> None:
    book.load(1)

    def turns(voice_conn_id: str = "one") -> list[bool]:
        return [book.record.take_turn_to_poll(voice_conn_id, timedelta(seconds=30)) for _ in range(2)]

    assert turns() == [True, False]
    assert turns("another") == [True, False]
    book.wait(30)
    assert turns() == [True, False]


def test_the_outlook(book) -> None:
    book.load(3)
    ledger = book.ledger()
    book.intend(ledger)
    outlook = book.record.outlook()
    assert (outlook.open, outlook.due, outlook.is_dialing, outlook.has_calls) == (3, 2, True, False)
    assert outlook.next_due_at == book.now
    assert (book.record.counts()["pending"], book.record.counts()["attempts"]) == (2, 1)


@pytest.mark.parametrize(("rang", "state", "attempts"), [(True, "exhausted", 1), (False, "redial", 0)])
def test_a_person_resolves_what_nobody_knows(book, rang, state, attempts) -> None:
    book.load(1)
    ledger = book.ledger()
    (attempt,) = book.intend(ledger)
    with pytest.raises(InvalidRequest, match="not in 'unknown'"):
        book.record.resolve("c0", rang=rang)
    AttemptOutcomes(ledger).unknown([(attempt, "nobody knows")])
    with pytest.raises(InvalidRequest, match="'unknown' with attempt 1, not with attempt 2"):
        book.record.resolve("c0", rang=rang, attempt=2)
    if not rang:
        book.wait(899)
        with pytest.raises(InvalidRequest, match="may still be under way"):
            book.record.resolve("c0", rang=False)
        book.wait(1)
    assert book.record.resolve("c0", rang=rang, attempt=1) == state
    assert (book.contact().state, book.contact().attempts) == (state, attempts)
