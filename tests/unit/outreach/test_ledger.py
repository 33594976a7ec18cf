"""Claims, leases, intents and the history of a number; on each database in ``tests/integration/outreach``."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy.event import listen

from airflow_provider_voice.outreach.states import ContactState, NextState


def test_those_who_wait_longest_are_claimed_first(book) -> None:
    book.load(3)
    ledger = book.ledger()
    claimed = ledger.claim_due(3)
    later, earlier = (NextState(ContactState.REDIAL, "", book.now + timedelta(minutes=span)) for span in (9, 5))
    ledger.decide([(claimed[0], later), (claimed[1], earlier)])
    ledger.release(claimed[2:])
    book.wait(600)
    assert [item.key for item in ledger.claim_due(3)] == ["c2", "c1", "c0"]


def test_a_redial_that_waits_longer_comes_before_first_calls(book) -> None:
    book.load(3)
    ledger = book.ledger()
    claimed = ledger.claim_due(1)
    ledger.decide([(claimed[0], NextState(ContactState.REDIAL, "", book.now - timedelta(minutes=1)))])
    assert [item.key for item in ledger.claim_due(2)] == ["c0", "c1"]


def test_a_claim_sorts_nobody(book) -> None:
    # Of 100,000 who wait, a sort would read all of them for each claim of a few.
    book.load(1)
    queries: list[tuple[str, Any]] = []
    listen(book.database.engine, "before_cursor_execute", lambda *args: queries.append(args[2:4]))
    book.ledger().claim_due(1)
    with book.database.engine.connect() as connection:
        plans = [
            str(connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", values).all())
            for sql, values in list(queries)
            if "ORDER BY" in sql
        ]
    assert len(plans) == 2
    assert all("voice_outreach_contacts_due" in plan and "B-TREE" not in plan for plan in plans)


def test_a_paused_campaign_claims_and_intends_nothing(book) -> None:
    book.load(2)
    ledger = book.ledger()
    claimed = ledger.claim_due(1)
    book.record.set_state("paused")
    assert ledger.claim_due(1) == []
    assert book.intend(ledger) == []
    assert book.contact(claimed[0].key).state == "pending"


def test_nobody_is_claimed_after_the_end(book) -> None:
    book.load(1)
    assert book.ledger().claim_due(1, ends_at=book.now) == []


def test_a_renewed_lease_lasts_and_another_ones_is_not_renewed(book) -> None:
    book.load(2)
    mine, other = book.ledger(), book.ledger()
    keys = [item.key for item in mine.claim_due(1)]
    other.renew(keys)
    book.wait(50)
    mine.renew(keys)
    book.wait(50)
    assert {item.key for item in other.claim_due(2)} == {"c1"}


def test_the_history_of_a_number_is_that_of_its_subject(book) -> None:
    book.load(2)
    (attempt,) = book.intend(book.ledger(subject="bills"))
    found, now = book.ledger(subject="bills").history([attempt.to])
    assert (found, now) == ({attempt.to: [attempt.intended_at]}, book.now)
    assert book.ledger().history([attempt.to])[0] == {}


def test_an_intent_of_this_worker_is_its_own(book) -> None:
    book.load(2)
    mine, other = book.ledger(), book.ledger()
    (attempt,) = book.intend(mine)
    assert [one.id for one in mine.own_intents()] == [attempt.id]
    assert other.own_intents() == []
    assert mine.others_dialing() == {attempt.key: attempt.fence}
    assert mine.attempts_counted([attempt.key]) == {attempt.key: 1}
