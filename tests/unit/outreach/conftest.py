"""A ledger in SQLite whose clock a test sets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, select

from airflow_provider_voice.outreach.campaign_record import CampaignRecord
from airflow_provider_voice.outreach.contact_loading import ContactLoader
from airflow_provider_voice.outreach.contacts import Columns, contacts_of
from airflow_provider_voice.outreach.database import Database
from airflow_provider_voice.outreach.ledger import Ledger
from airflow_provider_voice.outreach.pacing import Limits, Pacing
from airflow_provider_voice.outreach.schema import attempts, contacts
from airflow_provider_voice.outreach.states import Attempt

NUMBERS = [f"+141555520{index:02}" for index in range(20)]


@dataclass
class Book:
    """A campaign's ledger, and its clock."""

    database: Database
    now: datetime = datetime(2026, 3, 2, 12, tzinfo=timezone.utc)
    name: str = "spring"

    @property
    def record(self) -> CampaignRecord:
        return CampaignRecord(self.database, self.name)

    def ledger(self, **more: Any) -> Ledger:
        return Ledger(self.database, self.name, "voice_default", **more)

    def load(self, count: int) -> None:
        rows = [{"contact_id": f"c{index}", "to": NUMBERS[index]} for index in range(count)]
        self.record.begin("run")
        ContactLoader(self.database, self.name).load(contacts_of(rows, Columns()))

    def intend(self, ledger: Ledger, count: int = 1) -> list[Attempt]:
        """Claim contacts and store an intent for each."""
        pacing = Pacing(self.database, "voice_default", Limits())
        stored = ledger.store_intents(ledger.claim_due(count), pacing, agent_id="agent").stored
        return [attempt for attempt, _ in stored]

    def wait(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    def contact(self, key: str = "c0") -> Any:
        (row,) = self.database.rows(select(contacts).where(contacts.c.contact_key == key))
        return row

    def attempt(self, key: str = "c0") -> Any:
        query = select(attempts).where(attempts.c.contact_key == key).order_by(attempts.c.attempt.desc())
        return self.database.rows(query)[0]


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    engine = create_engine(f"sqlite:///{tmp_path / 'ledger.db'}")
    made = Book(Database(engine, clock=lambda: made.now))
    yield made
    engine.dispose()
