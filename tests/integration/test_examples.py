"""The example DAGs and the demo, as a new user runs them."""

from __future__ import annotations

import json
import re
import runpy
import shutil
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from airflow_provider_voice.models import CallStatus
from airflow_provider_voice.sandbox import Sandbox
from airflow_provider_voice.sandbox.call_courses import course_of
from airflow_provider_voice.sandbox.world import SandboxCall
from dev.demo import main
from dev.environment import airflow_environment
from dev.ring_check import rings_too_many
from tests.airflow_database import copy_migrated_database

pytestmark = pytest.mark.airflow
DAGS = Path(__file__).parents[2] / "dags_examples"


@pytest.mark.parametrize(
    "vendor_name",
    ["talkover", *(pytest.param(name, marks=pytest.mark.thorough) for name in ("talkstack", "unleashx"))],
)
def test_the_demo_with_each_vendor(vendor_name, tmp_path, capsys) -> None:
    copy_migrated_database(tmp_path)  # the demo's own migration has nothing left to do
    assert main(["--vendor", vendor_name, "--home", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    placed, redials = map(int, re.findall(rf"(\d+) calls placed with {vendor_name}, (\d+) of them redials", shown)[0])
    assert redials > 50
    assert "agrees: nobody was rung more often than the endings allow" in shown
    states = {state for (state,) in query(tmp_path / "outreach_ledger.db", "SELECT state FROM voice_outreach_contacts")}
    assert states == {"reached", "exhausted", "rejected", "excluded", "merged"}
    assert query(tmp_path / "outreach_ledger.db", "SELECT COUNT(*) FROM voice_outreach_contacts") == [(200,)]
    assert query(tmp_path / "warehouse.db", "SELECT COUNT(*) FROM voice_calls") == [(placed,)]
    # The output on the screen, the table and the progress lines, names nobody.
    assert not re.search(r"\d{7}", re.sub(re.escape(str(tmp_path)), "", shown))


def run_airflow(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "airflow", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def query(database: Path, sql: str) -> list[tuple]:
    with closing(sqlite3.connect(database)) as connection:
        return connection.execute(sql).fetchall()


def test_a_call_of_a_fast_sandbox_is_in_the_history_at_once(connect, run_dag, monkeypatch, tmp_path) -> None:
    # The clock of the sandbox once ran as fast as its calls, and this export then read an empty hour.
    warehouse = {"conn_type": "sqlite", "host": str(tmp_path / "warehouse.db")}
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps(warehouse))
    with Sandbox(speed=600) as sandbox:
        connect(sandbox)
        call, export = (
            runpy.run_path(str(DAGS / f"{name}.py"))[name]() for name in ("make_one_call", "call_history_etl")
        )
        call.get_task("ring").poll_interval = 1.0  # else the test waits half a minute where the first poll is too early
        assert run_dag(call).state == "success"
        (ring,) = sandbox.rings
        # An export ends at the vendor's present, which its Date header states in whole seconds.
        time.sleep(max(0.0, (ring.at + timedelta(seconds=1) - datetime.now(timezone.utc)).total_seconds()))
        assert run_dag(export).state == "success"
    assert query(tmp_path / "warehouse.db", "SELECT call_id, status FROM call_history") == [(ring.call_id, "completed")]


def test_one_bad_row_of_the_mapped_calls_is_reported_and_leaves_the_others_watched_and_loaded(tmp_path) -> None:
    dags = tmp_path / "dags"
    shutil.copytree(DAGS, dags)
    contacts = dags / "contacts.csv"
    contacts.write_text(contacts.read_text().replace("+1 415 555 2603", "no number"))
    example = dags / "mapped_calls.py"
    text = example.read_text().replace('retry_delay": timedelta(seconds=30)', 'retry_delay": timedelta(0)')
    example.write_text(text.replace("poke_interval=30", "poke_interval=1"))
    with Sandbox(speed=120) as sandbox:
        environment = airflow_environment(tmp_path, dags, sandbox, "talkover")
        copy_migrated_database(tmp_path)
        done = run_airflow(environment, "dags", "test", "mapped_calls")
        shown = done.stdout + done.stderr
        assert done.returncode != 0, "a run that could not call everybody does not look complete"
        assert "1 of 10 people have no ended call" in shown, shown[-3000:]
        assert len(sandbox.rings) == 9
    statuses = [status for (status,) in query(tmp_path / "warehouse.db", "SELECT status FROM voice_calls")]
    assert len(statuses) == 9
    assert not {"queued", "ringing", "in_progress"} & set(statuses)


# --- the demo's own check ---------------------------------------------------------------------------------------------

NOON = datetime(2026, 11, 1, 12, tzinfo=timezone.utc)
BUSY, COMPLETED = "+14155552602", "+14155552601"


def call_at(number: str, seconds: float) -> SandboxCall:
    at = NOON + timedelta(seconds=seconds)
    return SandboxCall(
        "talkover", 1, "id", "sid", number, "+14155550100", "agent", "outbound", at, course_of(number, 0)
    )


@pytest.mark.parametrize(
    ("calls", "problem"),
    [
        ([call_at(BUSY, 0), call_at(BUSY, 10), call_at(COMPLETED, 0)], None),
        ([call_at(BUSY, 0), call_at(BUSY, 3)], "was rung again"),  # the first one had not ended
        ([call_at(COMPLETED, 0), call_at(COMPLETED, 1000)], "ended as completed"),
        ([call_at(BUSY, 0), call_at(BUSY, 10), call_at(BUSY, 20)], "was rung 3 times"),
    ],
)
def test_a_ring_too_many_is_found(calls, problem) -> None:
    found = rings_too_many(calls, NOON + timedelta(days=1), {CallStatus.BUSY.value}, max_attempts=2)
    assert bool(found) == bool(problem)
    assert problem is None or problem in found[0]
    assert "555" not in str(found)
