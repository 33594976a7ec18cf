"""A user clears tasks through Airflow's own API: a clear differs from a retry, and a doubt rings nobody again."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_provider_voice.sandbox import Sandbox
from tests.system.airflow_standalone import Standalone
from tests.system.dags_to_clear import LINES

pytestmark = pytest.mark.standalone


@pytest.fixture
def airflow(tmp_path: Path) -> Iterator[Standalone]:
    with Sandbox(speed=1) as sandbox:
        made = Standalone(sandbox, tmp_path)
        made.environment["AIRFLOW__CORE__DAGS_FOLDER"] = str(tmp_path / "clear")
        (tmp_path / "clear").mkdir()
        shutil.copy(Path(__file__).with_name("dags_to_clear.py"), tmp_path / "clear" / "to_clear.py")
        try:
            made.start("to_clear")
            yield made
        finally:
            made.stop()


def test_clears_are_told_from_retries(airflow: Standalone) -> None:
    airflow.api("PATCH", "/api/v2/dags/to_clear", {"is_paused": False})
    run = airflow.api("POST", "/api/v2/dags/to_clear/dagRuns", {"logical_date": None})["dag_run_id"]

    def task(name: str) -> dict:
        return airflow.api("GET", f"/api/v2/dags/to_clear/dagRuns/{run}/taskInstances/{name}")

    def rings() -> dict[str, int]:
        counts = airflow.sandbox.rings_per_number()
        return {name: counts.get(number, 0) for name, (number, _) in LINES.items()}

    wanted = {"reused": "success", "renewed": "success", "deferred": "deferred", "running": "running"}
    airflow.until(lambda: all(task(name)["state"] == state for name, state in wanted.items()), 120)
    airflow.until(lambda: rings() == dict.fromkeys(LINES, 1), 60)

    body = {"dry_run": False, "task_ids": list(LINES), "only_failed": False, "only_running": False, "dag_run_id": run,
            "reset_dag_runs": True}  # fmt: skip
    airflow.api("POST", "/api/v2/dags/to_clear/clearTaskInstances", body)

    airflow.until(lambda: all(task(name)["try_number"] >= 2 for name in LINES), 180)
    airflow.until(lambda: all(task(name)["state"] == state for name, state in wanted.items()), 180)

    assert rings() == {"reused": 1, "renewed": 2, "deferred": 1, "running": 1}
    path = f"/api/v2/dags/to_clear/dagRuns/{run}/taskInstances"
    how = {
        name: airflow.api("GET", f"{path}/{name}/xcomEntries/return_value?stringify=false")["value"]
        for name in ("reused", "renewed")
    }
    assert (how["reused"]["how"], how["reused"]["generation"]) == ("reattached", 1)
    assert (how["renewed"]["how"], how["renewed"]["generation"]) == ("placed", 2)
