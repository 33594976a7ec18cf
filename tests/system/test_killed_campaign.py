"""A campaign on a real executor: two runs of it at once, whose processes are killed a dozen times."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from airflow_provider_voice.sandbox import Sandbox
from dev.ring_check import rings_too_many
from tests.integration.databases import postgres_server
from tests.integration.outreach.rig import BUSY, FAILED, NO_ANSWER, people
from tests.system import airflow_celery
from tests.system.airflow_celery import CeleryAirflow
from tests.system.airflow_standalone import Standalone
from tests.system.dags_killed_campaign import MAX_ATTEMPTS, REDIAL_AFTER

pytestmark = [pytest.mark.standalone, pytest.mark.thorough]

CONTACTS = int(os.environ.get("VOICE_KILLED_CONTACTS", "300"))
KILLS = int(os.environ.get("VOICE_KILLS", "12"))
# The sandbox's clock runs with real time; a busy call is over after half a second, one without an answer after four.
SPEED = 8


def write_people(path: Path) -> None:
    endings = [(BUSY, NO_ANSWER, FAILED)[index % 3] for index in range(CONTACTS)]
    rows = [(row["contact_id"], row["to"], row["name"]) for row in people(*endings)]
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE appointments (contact_id TEXT, phone TEXT, name TEXT)")
        connection.executemany("INSERT INTO appointments VALUES (?, ?, ?)", rows)


@pytest.fixture(params=[Standalone, CeleryAirflow], ids=["LocalExecutor", "CeleryExecutor"])
def airflow(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Standalone]:
    """An Airflow with a ledger in PostgreSQL."""
    if request.param is CeleryAirflow and airflow_celery.MISSING:
        pytest.skip(f"no CeleryExecutor here: {airflow_celery.MISSING}")
    write_people(tmp_path / "crm.db")
    (tmp_path / "pids").mkdir()
    (tmp_path / "killed").mkdir()
    shutil.copy(Path(__file__).with_name("dags_killed_campaign.py"), tmp_path / "killed")
    with postgres_server(tmp_path / "pg") as ledger, Sandbox(speed=SPEED) as sandbox:
        made = request.param(sandbox, tmp_path)
        made.environment |= {
            "AIRFLOW__CORE__DAGS_FOLDER": str(tmp_path / "killed"),
            "AIRFLOW_CONN_OUTREACH_LEDGER": json.dumps(ledger),
            "CAMPAIGN_PIDS": str(tmp_path / "pids"),
        }
        made.ledger = ledger
        try:
            made.start("killed_campaign")
            yield made
        finally:
            made.stop()


def kill_some(airflow: Standalone) -> int:
    """Kill the task's process of one run or the other, each time after some more rings; return how often."""
    rng, pids = random.Random(7), airflow.home / "pids"
    killed: set[Path] = set()
    while len(killed) < KILLS:
        rings = len(airflow.sandbox.rings) + rng.randint(2, 12)
        airflow.until(lambda wanted=rings: len(airflow.sandbox.rings) >= wanted, 240)
        alive = [file for file in sorted(pids.glob("*.pid")) if file not in killed and is_alive(int(file.read_text()))]
        for victim in rng.sample(alive, min(1, len(alive))):
            os.kill(int(victim.read_text()), signal.SIGKILL)
            killed.add(victim)
    return len(killed)


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_two_runs_killed_a_dozen_times_ring_nobody_too_often(airflow: Standalone) -> None:
    sandbox = airflow.sandbox
    dag = "/api/v2/dags/killed_campaign"
    airflow.api("PATCH", dag, {"is_paused": False})
    runs = [airflow.api("POST", f"{dag}/dagRuns", {"logical_date": None})["dag_run_id"] for _ in range(2)]

    def states() -> list[str]:
        return [airflow.api("GET", f"{dag}/dagRuns/{run}")["state"] for run in runs]

    killed = kill_some(airflow)
    airflow.until(lambda: set(states()) <= {"success", "failed"}, 900)
    tries = [airflow.api("GET", f"{dag}/dagRuns/{run}/taskInstances/call")["try_number"] for run in runs]
    assert states() == ["success", "success"]

    ledger = airflow.ledger
    url = (
        f"postgresql+psycopg2://{ledger['login']}:{ledger['password'] or ''}@/{ledger['schema']}?host={ledger['host']}"
    )
    engine = create_engine(url)
    with engine.connect() as connection:
        contacts = connection.execute(text("SELECT contact_key, state FROM voice_outreach_contacts")).all()
        attempts = connection.execute(text("SELECT state, call_id, evidence FROM voice_outreach_attempts")).all()
    engine.dispose()
    unknown = [attempt for attempt in attempts if attempt.state == "unknown"]
    print(f"\n{killed} kills, tries {tries}, {len(sandbox.rings)} rings, {len(unknown)} unknown")

    assert rings_too_many(sandbox.calls("talkover"), sandbox.now(), REDIAL_AFTER, MAX_ATTEMPTS) == []
    assert len(contacts) == CONTACTS
    assert {contact.state for contact in contacts} <= {"exhausted", "unknown"}
    assert len([contact for contact in contacts if contact.state == "unknown"]) == len(unknown)
    assert all(attempt.evidence for attempt in unknown)
    assert sorted(row.call_id for row in attempts if row.call_id) == sorted(ring.call_id for ring in sandbox.rings)
    # Two thirds of the lines are redialed once; only a contact that is unknown may lack an attempt.
    assert len(sandbox.rings) >= CONTACTS + CONTACTS // 3 * 2 - 2 * len(unknown)

    logs = "".join(path.read_text(errors="replace") for path in airflow.home.rglob("*.log"))
    progress = re.findall(r"Campaign killed: \d+ of \d+ contacts done, \d+ in progress", logs)
    assert progress, "no progress line in the tasks' logs"
    assert not [ring.number for ring in sandbox.rings if ring.number.lstrip("+") in logs]
