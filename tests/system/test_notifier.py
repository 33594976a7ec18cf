"""``VoiceCallNotifier`` on a real Airflow: callbacks in a worker and in the DAG processor, a deadline alert in the
triggerer."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_provider_voice.sandbox import Sandbox
from tests.system.airflow_standalone import Standalone
from tests.system.dags_ringing import DONE, OTHER, SILENT

pytestmark = [pytest.mark.standalone, pytest.mark.thorough]


@pytest.fixture
def airflow(tmp_path: Path) -> Iterator[Standalone]:
    with Sandbox(speed=10) as sandbox:
        started = Standalone(sandbox, tmp_path)
        (tmp_path / "ringing").mkdir()
        shutil.copy(Path(__file__).with_name("dags_ringing.py"), tmp_path / "ringing" / "ringing.py")
        ledger = {"conn_type": "sqlite", "host": str(tmp_path / "alarms.db")}
        started.environment |= {
            "AIRFLOW__CORE__DAGS_FOLDER": str(tmp_path / "ringing"),
            "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "1",
            "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "6",
            "AIRFLOW_CONN_ALARM_LEDGER": json.dumps(ledger),
            "AIRFLOW_VAR_ON_CALL": json.dumps([SILENT, DONE]),
        }
        started.start("fails")
        yield started
        started.stop()


def start_run(airflow: Standalone, dag: str) -> None:
    airflow.api("PATCH", f"/api/v2/dags/{dag}", {"is_paused": False})
    airflow.api("POST", f"/api/v2/dags/{dag}/dagRuns", {"logical_date": None})


def test_callbacks_ring_once_and_a_deadline_alert_goes_on_when_its_triggerer_dies(airflow) -> None:
    rings = airflow.sandbox.rings_per_number
    start_run(airflow, "fails")
    airflow.until(lambda: rings().get(OTHER), 180)
    # Both callbacks have run when the DAG processor has logged the DAG's.
    logs = airflow.home / "logs" / "dag_processor"
    ends = "continues from there"
    airflow.until(lambda: any(ends in file.read_text(errors="replace") for file in logs.rglob("*.log")), 180)
    assert rings() == {OTHER: 1}

    start_run(airflow, "late")
    airflow.until(lambda: rings().get(SILENT), 180)
    for pid in airflow.pids_of("airflow triggerer"):
        os.kill(pid, signal.SIGKILL)
    second = airflow.start_part("triggerer")
    try:
        airflow.until(lambda: rings().get(DONE), 240)
    finally:
        second.terminate()
        second.wait(60)
    assert rings() == {OTHER: 1, SILENT: 1, DONE: 1}
    text = "".join(file.read_text(errors="replace") for file in (airflow.home / "logs").rglob("*.log"))
    for number in (SILENT, DONE, OTHER):
        assert number not in text
