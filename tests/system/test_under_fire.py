"""Workers killed at random moments and the triggerer killed while calls are waited for: nobody is rung twice."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_provider_voice.sandbox import Sandbox
from tests.system.airflow_standalone import Standalone
from tests.system.dags_under_fire import NUMBERS

pytestmark = [pytest.mark.standalone, pytest.mark.thorough]


@pytest.fixture
def under_fire(tmp_path: Path) -> Iterator[Standalone]:
    with Sandbox(speed=6) as sandbox:
        airflow = Standalone(sandbox, tmp_path, os.environ.get("UNDER_FIRE_VENDOR", "talkover"))
        airflow.environment |= {
            "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "1",
            "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "6",
            "AIRFLOW__CORE__DAGS_FOLDER": str(tmp_path / "fire"),
        }
        (tmp_path / "fire").mkdir()
        shutil.copy(Path(__file__).with_name("dags_under_fire.py"), tmp_path / "fire" / "under_fire.py")
        try:
            airflow.start("under_fire")
            yield airflow
        finally:
            airflow.stop()


def test_no_ring_twice_and_every_state_says_the_truth(under_fire: Standalone) -> None:
    airflow, sandbox = under_fire, under_fire.sandbox
    airflow.api("PATCH", "/api/v2/dags/under_fire", {"is_paused": False})
    run = airflow.api("POST", "/api/v2/dags/under_fire/dagRuns", {"logical_date": None})
    path = f"/api/v2/dags/under_fire/dagRuns/{run['dag_run_id']}"

    def tasks() -> list[dict]:
        return airflow.api("GET", f"{path}/taskInstances?limit=100")["task_instances"]

    airflow.until(lambda: sum(task["state"] == "deferred" for task in tasks()) >= 2, 240)
    triggerers = airflow.pids_of("airflow triggerer")
    assert triggerers
    for pid in triggerers:
        os.kill(pid, signal.SIGKILL)
    second = airflow.start_part("triggerer")
    try:
        airflow.until(lambda: airflow.api("GET", path)["state"] in ("success", "failed"), 600)
    finally:
        second.terminate()
        second.wait(60)

    ended = tasks()
    rings = sandbox.rings_per_number()
    tried_again = sum(task["try_number"] > 1 for task in ended)
    print(f"{len(ended)} tasks, {tried_again} tried again, {len(sandbox.rings)} rings")
    assert len(ended) == len(NUMBERS) == 30
    assert tried_again >= 5
    assert max(rings.values()) == 1
    for task in ended:
        rang = rings.get(NUMBERS[task["map_index"]], 0)
        assert (task["state"], rang) in (("success", 1), ("failed", 0)), task
