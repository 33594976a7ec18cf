"""Reads for people: summaries, undecided contacts; a ledger that is only read is not created."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import create_engine, inspect

from airflow_provider_voice.exceptions import LedgerFailed
from airflow_provider_voice.outreach.attempt_outcomes import AttemptOutcomes
from airflow_provider_voice.outreach.campaign_record import CampaignRecord
from airflow_provider_voice.outreach.schema import VERSION, versions
from airflow_provider_voice.outreach.views import LedgerViews, NoLedgerYet, ReadOnlyDatabase


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
    assert summary.last_due_at == book.now
    assert summary.expected_end(book.now - timedelta(minutes=1)) == book.now
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


def test_due_times_and_the_reasons(book) -> None:
    book.load(2)
    views = LedgerViews(book.database)
    assert (views.due_times(book.name).due, views.due_times(book.name).next_at) == (2, book.now)
    assert (views.due_times("other").due, views.due_times("other").next_at) == (0, None)
    book.record.set_state("canceled")
    assert [(one.state, one.count) for one in views.reasons(book.name)] == [("canceled", 2)]
