"""Reads for people: summaries, undecided contacts; a ledger that is only read is not created."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from sqlalchemy import create_engine, inspect

from airflow_provider_voice.exceptions import LedgerFailed
from airflow_provider_voice.outreach.attempt_outcomes import AttemptOutcomes
from airflow_provider_voice.outreach.campaign_record import CampaignRecord
from airflow_provider_voice.outreach.schema import VERSION, versions
from airflow_provider_voice.outreach.views import CampaignSummary, LedgerViews, NoLedgerYet, ReadOnlyDatabase

NOON = datetime(2026, 3, 2, 12, tzinfo=timezone.utc)
LATER = NOON + timedelta(hours=5)


def test_a_reader_creates_no_tables(tmp_path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'empty.db'}")
    with pytest.raises(NoLedgerYet):
        LedgerViews(ReadOnlyDatabase(engine)).campaigns()
    assert inspect(engine).get_table_names() == []


def test_a_reader_of_another_release_says_so(book) -> None:
    book.load(1)
    book.database.transact(lambda connection: connection.execute(versions.update().values(version=VERSION + 1)))
    with pytest.raises(LedgerFailed, match="same release"):
        LedgerViews(ReadOnlyDatabase(book.database.engine)).campaigns()


def test_a_reader_before_the_first_worker_of_an_upgrade_says_who_migrates(book) -> None:
    book.load(1)
    book.database.transact(lambda connection: connection.execute(versions.update().values(version=VERSION - 1)))
    with pytest.raises(LedgerFailed, match="'voice-outreach status'"):
        LedgerViews(ReadOnlyDatabase(book.database.engine)).campaigns()


def test_a_summary_counts_and_expects_an_end(book) -> None:
    book.load(4)
    ledger = book.ledger()
    (attempt,) = book.intend(ledger)
    AttemptOutcomes(ledger).unknown([(attempt, "nobody knows")])
    summary = LedgerViews(book.database).campaign(book.name)
    assert (summary.total, summary.done, summary.left, summary.undecided, summary.progress) == (4, 1, 3, 1, "running")
    assert (summary.now, summary.due, summary.next_due_at, summary.last_due_at) == (book.now, 3, book.now, book.now)
    assert summary.expected_end is None
    assert LedgerViews(book.database).campaign("other") is None


def test_undecided_contacts_of_one_campaign_or_of_all(book) -> None:
    book.load(2)
    ledger = book.ledger()
    AttemptOutcomes(ledger).unknown([(attempt, "why") for attempt in book.intend(ledger, 2)])
    CampaignRecord(book.database, "other").begin("run")
    views = LedgerViews(book.database)
    assert [row.contact_key for row in views.undecided()] == ["c0", "c1"]
    assert [row.contact_key for row in views.undecided(after=("spring", "c0"), campaign="spring")] == ["c1"]
    assert views.undecided(campaign="other") == []
    assert views.undecided()[0].evidence == "why"


@pytest.mark.parametrize(
    ("waiting", "pace", "last_due_at", "end"),
    [
        (0, 10.0, None, None),
        (20, 10.0, NOON, NOON + timedelta(minutes=2)),
        (20, 10.0, LATER, LATER),
        (3000, 10.0, LATER, LATER),
        (6000, 10.0, LATER, NOON + timedelta(minutes=600)),
        (20, 0.0, NOON, None),
        (20, 0.0, LATER, LATER),
        (20, 0.0, None, None),
    ],
)
def test_the_end_is_when_all_who_wait_were_called_and_not_before_the_last_is_due(
    waiting, pace, last_due_at, end
) -> None:
    summary = CampaignSummary("c", "running", NOON, NOON, {"redial": waiting}, pace, last_due_at=last_due_at)
    assert summary.expected_end == end


def test_contacts_that_are_final_are_not_due_and_have_reasons(book) -> None:
    book.load(2)
    views = LedgerViews(book.database)
    book.record.set_state("canceled")
    summary = views.campaign(book.name)
    assert (summary.due, summary.next_due_at, summary.last_due_at) == (0, None, None)
    assert [(one.state, one.count) for one in views.reasons(book.name)] == [("canceled", 2)]
