"""Campaigns on the sandbox with a ledger of their own; the clock of both moves by hand."""

from __future__ import annotations

import json
import time
from datetime import datetime, timedelta, timezone
from typing import Any

from airflow.sdk import Connection
from sqlalchemy import Engine, select

from airflow_provider_voice.hooks.voice import VoiceHook
from airflow_provider_voice.outreach.campaign import Campaign, CampaignSettings, Waiting
from airflow_provider_voice.outreach.campaign_record import CampaignRecord
from airflow_provider_voice.outreach.contact_loading import ContactLoader, LoadCounts
from airflow_provider_voice.outreach.contacts import Columns, contacts_of
from airflow_provider_voice.outreach.database import Database
from airflow_provider_voice.outreach.pacing import Limits
from airflow_provider_voice.outreach.redial import RedialRules
from airflow_provider_voice.outreach.schema import attempts, contacts
from airflow_provider_voice.sandbox import Sandbox

#: Endings by the last two digits, see the sandbox.
COMPLETED, BUSY, NO_ANSWER, VOICEMAIL, FAILED = "01", "02", "03", "04", "05"


def number(index: int, ending: str = COMPLETED) -> str:
    """Return the index-th number of a person whose calls end so."""
    return f"+1415555{20 + index:02d}{ending}" if index < 80 else f"+1650{2000000 + index * 100 + int(ending)}"


def people(*endings: str) -> list[dict[str, Any]]:
    """Return a contact for each ending."""
    return [
        {"contact_id": f"c{index}", "to": number(index, ending), "name": f"n{index}"}
        for index, ending in enumerate(endings)
    ]


class Rig:
    """One campaign on one sandbox."""

    def __init__(self, sandbox: Sandbox, engine: Engine, vendor: str = "talkover", campaign: str = "spring") -> None:
        self.sandbox = sandbox
        self.engine = engine
        self.vendor = vendor
        self.name = campaign
        self.moved = 0.0
        self.database = self.new_database()
        self.record = CampaignRecord(self.database, campaign)
        self.settings: dict[str, Any] = {"poll_interval": 0.02}
        self.more: dict[str, Any] = {}
        self.hooks: list[VoiceHook] = []

    def now(self) -> datetime:
        """The ledger's clock: ours, moved on like the sandbox's."""
        return datetime.now(timezone.utc) + timedelta(seconds=self.moved)

    def advance(self, seconds: float) -> None:
        self.moved += seconds
        self.sandbox.advance(seconds)

    def sleep(self, seconds: float) -> None:
        """Let time pass twenty times as fast while a campaign waits in its task."""
        time.sleep(min(seconds, 0.01))
        self.advance(seconds * 20)

    def new_database(self) -> Database:
        return Database(self.engine, clock=self.now)

    def hook(self) -> VoiceHook:
        fields = self.sandbox.connection(self.vendor)
        connection = Connection(conn_id="voice_default", **{**fields, "extra": json.dumps(fields["extra"])})
        self.hooks.append(VoiceHook.for_connection("voice_default", connection=connection))
        return self.hooks[-1]

    def load(self, rows: list[dict[str, Any]], **columns: Any) -> LoadCounts:
        self.record.begin("run")
        return ContactLoader(self.database, self.name).load(contacts_of(rows, Columns(**columns)))

    def campaign(self, **changes: Any) -> Campaign:
        settings = {"limits": Limits(max_concurrent=4), "rules": RedialRules.of(), **self.settings, **changes}
        own = {name: settings.pop(name) for name in ("policy", "do_not_call", "lease_seconds") if name in settings}
        return Campaign(
            CampaignSettings(self.name, **settings),
            self.new_database(),
            self.hook(),
            sleep=self.sleep,
            **{**self.more, **own},
        )

    def turn(self, **changes: Any) -> dict[str, Any] | Waiting:
        return self.campaign(**changes).run(may_defer=True)

    def finish(self, most: int = 50, **changes: Any) -> dict[str, Any]:
        """Run to the end; whenever the task would defer, time passes."""
        for _ in range(most):
            done = self.turn(**changes)
            if not isinstance(done, Waiting):
                return done
            self.pass_time(done)
        raise AssertionError(f"not finished: {done}")

    def pass_time(self, waiting: Waiting) -> None:
        # While calls are in progress the trigger would fire when they end: within minutes, in the sandbox.
        left = (waiting.until - self.now()).total_seconds()
        self.advance(min(left, 200.0) if waiting.calls else left + 0.01)

    def contacts(self) -> dict[str, Any]:
        with self.engine.connect() as connection:
            query = select(contacts).where(contacts.c.campaign == self.name)
            return {row.contact_key: row for row in connection.execute(query)}

    def states(self) -> dict[str, str]:
        return {key: row.state for key, row in self.contacts().items()}

    def attempts(self) -> list[Any]:
        with self.engine.connect() as connection:
            query = select(attempts).where(attempts.c.campaign == self.name).order_by(attempts.c.intended_at)
            return list(connection.execute(query))

    def rang_attempts(self) -> list[Any]:
        return [row for row in self.attempts() if row.state in ("placed", "ended")]

    def rings(self) -> dict[str, int]:
        return dict(self.sandbox.rings_per_number())
