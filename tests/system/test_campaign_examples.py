"""The examples of campaigns on a real Airflow: deferral in its triggerer, and a person's approval of a plan."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_voice.sandbox import Sandbox
from airflow_provider_voice.sandbox.sample_crm import daytime_zone
from tests.system.airflow_standalone import Standalone

pytestmark = [pytest.mark.standalone, pytest.mark.thorough]

# All of these answer, so that no redial hours later is waited for.
NUMBERS = [f"+1415555{line}01" for line in range(26, 34)]
DO_NOT_CALL = NUMBERS[-1]


def execute(database: Path, sql: str, rows: list[tuple] | None = None) -> list[tuple]:
    with closing(sqlite3.connect(database)) as connection, connection:
        return connection.execute(sql).fetchall() if rows is None else connection.executemany(sql, rows).fetchall()


def add_people(home: Path, numbers: list[str]) -> None:
    rows = [(number[-4:], number, daytime_zone(), "Ada", "10:00") for number in numbers]
    execute(home / "crm.db", "INSERT INTO appointments VALUES (?, ?, ?, ?, ?)", rows)


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standalone]:
    home = tmp_path_factory.mktemp("examples")
    columns = "contact_id TEXT, phone TEXT, time_zone TEXT, name TEXT, appointment TEXT"
    execute(home / "crm.db", f"CREATE TABLE appointments ({columns})")
    execute(home / "crm.db", "CREATE TABLE do_not_call (phone TEXT)")
    execute(home / "crm.db", "INSERT INTO do_not_call VALUES (?)", [(DO_NOT_CALL,)])
    add_people(home, NUMBERS)
    with Sandbox(speed=60) as sandbox:
        made = Standalone(sandbox, home)
        try:
            made.start("planned_outreach")
            yield made
        finally:
            made.stop()


class DagRun:
    """One run, started through Airflow's API."""

    def __init__(self, airflow: Standalone, dag_id: str) -> None:
        self._airflow = airflow
        airflow.api("PATCH", f"/api/v2/dags/{dag_id}", {"is_paused": False})
        run = airflow.api("POST", f"/api/v2/dags/{dag_id}/dagRuns", {"logical_date": None})
        self._run_id = run["dag_run_id"]
        self._path = f"/api/v2/dags/{dag_id}/dagRuns/{self._run_id}"

    def state(self, task: str) -> str:
        return self._airflow.api("GET", f"{self._path}/taskInstances/{task}")["state"]

    def result(self, task: str) -> Any:
        path = f"{self._path}/taskInstances/{task}/xcomEntries/return_value?stringify=false"
        return self._airflow.api("GET", path)["value"]

    def ended(self) -> str:
        """Wait for the end of the run and return its state."""
        airflow, over = self._airflow, ("success", "failed")
        return airflow.until(lambda: (s := airflow.api("GET", self._path)["state"]) in over and s, 300)

    def waits_for_approval(self) -> None:
        """Wait until a person may answer, and until the scheduler has noted that the task waits.

        The scheduler fails a task that goes on before it has; a person is never that fast.
        """
        noted = re.compile(rf"executor event with state success.*'approve', run_id='{re.escape(self._run_id)}'")
        self._airflow.until(lambda: self.state("approve") in ("awaiting_input", "deferred"), 180)
        self._airflow.until(lambda: noted.search(self._airflow.log.read_text(errors="replace")), 180)

    def approve(self) -> None:
        body = {"chosen_options": ["Approve"], "params_input": {}}
        self._airflow.api("PATCH", f"{self._path}/taskInstances/approve/-1/hitlDetails", body)


def logs_of(home: Path) -> str:
    return "".join(path.read_text(errors="replace") for path in home.rglob("*.log"))


def test_nobody_is_called_when_the_plan_changed_after_its_approval(airflow: Standalone) -> None:
    run = DagRun(airflow, "planned_outreach")
    run.waits_for_approval()
    assert run.result("plan")["planned"] == len(NUMBERS) - 1
    add_people(airflow.home, ["+14155552699"])
    run.approve()
    assert run.ended() == "failed"
    assert run.state("call") == "failed"
    assert airflow.sandbox.rings == []
    assert "have changed since the plan" in logs_of(airflow.home)
    execute(airflow.home / "crm.db", "DELETE FROM appointments WHERE contact_id = '2699'")


def test_an_approved_plan_is_called_as_it_was_planned(airflow: Standalone) -> None:
    rings = len(airflow.sandbox.rings)
    run = DagRun(airflow, "planned_outreach")
    run.waits_for_approval()
    assert len(airflow.sandbox.rings) == rings
    run.approve()
    assert run.ended() == "success"
    called = run.result("call")
    assert (called["reached"], called["excluded"], called["unknown"]) == (len(NUMBERS) - 1, 1, 0)
    assert airflow.sandbox.rings_per_number() == dict.fromkeys(NUMBERS[:-1], 1)


def test_scheduled_outreach_defers_and_loads_what_it_called(airflow: Standalone) -> None:
    before = airflow.sandbox.rings_per_number()
    run = DagRun(airflow, "scheduled_outreach")
    states: set[str] = set()
    airflow.until(lambda: states.add(run.state("call")) or "success" in states, 300)
    assert run.ended() == "success"
    assert "deferred" in states
    rung = {number: count - before.get(number, 0) for number, count in airflow.sandbox.rings_per_number().items()}
    assert {number: count for number, count in rung.items() if count} == dict.fromkeys(NUMBERS[:-1], 1)
    assert run.result("load")["fetched"] == len(NUMBERS) - 1
    state = airflow.api("GET", "/api/v2/assets?name_pattern=voice_calls")
    assert state["total_entries"] >= 1
    logs = logs_of(airflow.home)
    assert not [number for number in NUMBERS if number.lstrip("+") in logs]
