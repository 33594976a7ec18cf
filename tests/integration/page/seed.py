"""A ledger with a campaign in every state a page can show."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

from sqlalchemy import Engine

from airflow_provider_voice.outreach.campaign_record import CampaignRecord
from airflow_provider_voice.outreach.database import Database
from airflow_provider_voice.outreach.schema import attempts, campaigns, contacts

NUMBER = "+14155552601"


def number(index: int) -> str:
    return f"+1415555{2000 + index:04d}"


class Seed:
    """Writes contacts and attempts of one campaign."""

    def __init__(self, engine: Engine, campaign: str = "spring") -> None:
        self.engine = engine
        self.campaign = campaign
        self.now = datetime.now(timezone.utc)
        self.record = CampaignRecord(Database(engine), campaign)
        self.record.begin("run")
        with engine.begin() as connection:
            mine = campaigns.update().where(campaigns.c.campaign == campaign)
            connection.execute(mine.values(load_number=1, loaded_number=1))

    def contact(self, key: str, state: str, to: str = NUMBER, **values: Any) -> None:
        row = {
            "campaign": self.campaign,
            "contact_key": key,
            "state": state,
            "to_number": to,
            "first_load": 1,
            "load_number": 1,
            "updated_at": self.now,
            **values,
        }
        with self.engine.begin() as connection:
            connection.execute(contacts.insert().values(**row))

    def attempt(self, key: str, state: str, to: str = NUMBER, *, minutes_ago: float = 5, **values: Any) -> str:
        intended_at = self.now - timedelta(minutes=minutes_ago)
        row = {
            "attempt_id": f"afv-{self.campaign}-{key}"[:80],
            "campaign": self.campaign,
            "contact_key": key,
            "attempt": 1,
            "source": "outreach",
            "to_number": to,
            "voice_conn_id": "voice_default",
            "agent_id": "agent_1",
            "state": state,
            "intended_at": intended_at,
            "placed_at": None if state in ("intent", "unknown") else intended_at,
            **values,
        }
        with self.engine.begin() as connection:
            connection.execute(attempts.insert().values(**row))
        return str(row["attempt_id"])

    def undecided(self, key: str, to: str = NUMBER, **values: Any) -> str:
        """Add a contact that may have been rung; return the attempt's id."""
        evidence = values.pop("evidence", "the vendor did not answer, and its list does not show the call")
        self.contact(key, "unknown", to, attempts=1, last_attempt=1, reason="nobody knows whether the phone rang")
        return self.attempt(key, "unknown", to, **{"evidence": evidence, "minutes_ago": 30, **values})

    def typical(self) -> None:
        """Add a contact of each kind, and attempts."""
        for index in range(40):
            key = f"c{index:03d}"
            status = "completed" if index % 3 == 0 else "no_answer"
            state, reason = ("reached", "completed") if index % 3 == 0 else ("redial", "no_answer: called again later")
            due = None if state == "reached" else self.now + timedelta(hours=2)
            self.contact(key, state, number(index), reason=reason, attempts=1, last_attempt=1, due_at=due)
            ended = self.now - timedelta(minutes=index * 30)
            self.attempt(key, "ended", number(index), minutes_ago=index * 30 + 1, status=status, ended_at=ended,
                         call_id=f"call_{index}")  # fmt: skip
        for index in range(40, 60):
            self.contact(f"c{index:03d}", "pending", number(index), due_at=self.now + timedelta(hours=1))
        self.contact("c060", "excluded", number(60), reason="us-fl-attempts: three calls in 24 hours are allowed")
        self.undecided("c061", number(61))
        self.undecided("c062", number(62))
