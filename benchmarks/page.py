"""How long each page of *Voice* takes over a ledger of 100,000 contacts and 200,000 attempts in SQLite.

Prints the median of several requests, through the page's own routes and templates: what passed by the clock, and the
processor time of this process, which other programs of the machine do not stretch. Goal: every page under 300 ms of it.
"""

from __future__ import annotations

import json
import os
import statistics
import tempfile
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

HOME = tempfile.mkdtemp(prefix="voice-page-")
os.environ["AIRFLOW_HOME"] = HOME
os.environ["AIRFLOW__VOICE__LEDGER_CONN_ID"] = "page_ledger"
os.environ["AIRFLOW_CONN_PAGE_LEDGER"] = json.dumps({"conn_type": "sqlite", "host": f"{HOME}/ledger.db"})
os.environ["AIRFLOW__LOGGING__LOGGING_LEVEL"] = "ERROR"

from airflow.api_fastapi.core_api.security import get_user  # noqa: E402 - after AIRFLOW_HOME is set
from fastapi.testclient import TestClient  # noqa: E402 - after AIRFLOW_HOME is set
from sqlalchemy import create_engine  # noqa: E402

from airflow_provider_voice.outreach.campaign_record import CampaignRecord  # noqa: E402
from airflow_provider_voice.outreach.database import Database  # noqa: E402
from airflow_provider_voice.outreach.schema import attempts, campaigns, contacts  # noqa: E402
from airflow_provider_voice.plugins.voice_page import app as page_app  # noqa: E402
from airflow_provider_voice.plugins.voice_page import security  # noqa: E402

CONTACTS, ATTEMPTS_EACH, RUNS, GOAL_MS = 100_000, 2, 7, 300
STATES = ("reached", "reached", "exhausted", "redial", "pending", "reached", "excluded", "redial")
NOW = datetime.now(timezone.utc)


def fill() -> None:
    """Write one large campaign, and fifty small ones beside it."""
    engine = create_engine(f"sqlite:///{HOME}/ledger.db")
    database = Database(engine)
    for name in ("large", *(f"small-{index}" for index in range(50))):
        CampaignRecord(database, name).begin("run")
    with engine.begin() as connection:
        connection.execute(campaigns.update().values(load_number=1, loaded_number=1))
        for start in range(0, CONTACTS, 10_000):
            numbers = range(start, start + 10_000)
            connection.execute(contacts.insert(), [contact(index) for index in numbers])
            rows = [attempt(index, number) for index in numbers for number in range(1, ATTEMPTS_EACH + 1)]
            connection.execute(attempts.insert(), rows)


def contact(index: int) -> dict[str, object]:
    """Return the index-th contact; one in five thousand must be decided about."""
    state = "unknown" if index % 5000 == 0 else STATES[index % len(STATES)]
    return {
        "campaign": "large",
        "contact_key": f"customer-{index:07d}",
        "state": state,
        "reason": f"reason {index % 12}: the call ended so that the contact is {state}",
        "to_number": f"+1415{index:07d}",
        "variables": json.dumps({"name": f"Person {index}", "offer": "spring", "text": "x" * 150}),
        "attempts": 2,
        "last_attempt": 2,
        "due_at": NOW + timedelta(seconds=index) if state in ("pending", "redial") else None,
        "planned_at": NOW + timedelta(seconds=index),
        "first_load": 1,
        "load_number": 1,
        "updated_at": NOW,
    }


def attempt(index: int, number: int) -> dict[str, object]:
    """Return an attempt; all of them lie within the last two days."""
    at = NOW - timedelta(seconds=172_000 * ((index * 2 + number) % CONTACTS) / CONTACTS)
    is_unknown = index % 5000 == 0 and number == ATTEMPTS_EACH
    return {
        "attempt_id": f"afv-{number}-{index:028d}",
        "campaign": "large",
        "contact_key": f"customer-{index:07d}",
        "attempt": number,
        "source": "outreach",
        "to_number": f"+1415{index:07d}",
        "voice_conn_id": "voice_default",
        "agent_id": "agent_1",
        "call_id": f"call_{index}_{number}",
        "state": "unknown" if is_unknown else "ended",
        "status": None if is_unknown else ("completed", "no_answer", "busy")[index % 3],
        "intended_at": at,
        "placed_at": at,
        "ended_at": at,
        "evidence": "the vendor did not answer" if is_unknown else None,
    }


def addresses() -> dict[str, str]:
    """Return the pages by their names."""
    seal = security.seal
    return {
        "campaigns": "/",
        "one campaign": "/campaign?name=large",
        "contacts, first page": "/contacts?name=large",
        "contacts, in the middle": f"/contacts?name=large&after={seal('customer-0050000')}",
        "contacts in redial, near the end": f"/contacts?name=large&state=redial&after={seal('customer-0099000')}",
        "contacts, search": f"/contacts?name=large&find={seal('customer-00777')}",
        "contacts, search without a match": f"/contacts?name=large&find={seal('nobody')}",
        "contacts, rare state": "/contacts?name=large&state=unknown",
        "plan": "/plan?name=large",
        "to decide": "/decide",
        "one call": "/call?call_id=call_99999_2",
    }


class _Reader:
    """Somebody who is signed in."""

    def get_id(self) -> str:
        return "benchmark"


def main() -> int:
    """Measure and print."""
    fill()
    page = page_app.create_page()
    # The auth manager is Airflow's and is not measured.
    page.dependency_overrides[page_app.requires_reader] = lambda: None
    page.dependency_overrides[get_user] = _Reader
    page_app.may_change = bool  # somebody may
    slowest = 0.0
    size = Path(HOME, "ledger.db").stat().st_size >> 20
    print(f"{CONTACTS:,} contacts, {CONTACTS * ATTEMPTS_EACH:,} attempts, SQLite {size} MB")
    with TestClient(page) as client:
        for name, address in addresses().items():
            clock, processor = [], []
            for _ in range(RUNS):
                began = time.perf_counter(), time.process_time()
                answer = client.get(address)
                clock.append((time.perf_counter() - began[0]) * 1000)
                processor.append((time.process_time() - began[1]) * 1000)
                assert answer.status_code == 200, answer.text
            used, passed = statistics.median(processor), statistics.median(clock)
            slowest = max(slowest, used)
            print(f"{name:<34} {used:6.1f} ms, {passed:6.1f} ms by the clock, {len(answer.content) >> 10:3d} KB")
    print(f"slowest median: {slowest:.0f} ms; goal under {GOAL_MS} ms")
    return 0 if slowest < GOAL_MS else 1


if __name__ == "__main__":
    raise SystemExit(main())
