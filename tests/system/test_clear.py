"""A user clears tasks through Airflow's own API: a clear differs from a retry, and a doubt rings nobody again."""

from __future__ import annotations

import pytest

from tests.system.airflow_standalone import Standalone
from tests.system.conftest import Runs
from tests.system.dags_to_clear import LINES

pytestmark = pytest.mark.standalone


def test_clears_are_told_from_retries(standalone: Standalone, runs: Runs) -> None:
    airflow, run = standalone, runs.to_clear

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

    # Both are hung up on. Nothing of this Airflow asks for calls any more, which other tests of it count on.
    for call in airflow.sandbox.calls("talkover"):
        if call.to in (LINES["deferred"][0], LINES["running"][0]):
            call.hung_up_at = airflow.sandbox.now()
    airflow.until(lambda: all(task(name)["state"] == "success" for name in ("deferred", "running")), 120)
