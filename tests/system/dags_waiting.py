"""Many deferred sensors that wait for calls that were placed elsewhere."""

from __future__ import annotations

import json
import os
from pathlib import Path

from airflow.sdk import dag

from airflow_provider_voice.sensors.call_status import CallStatusSensor


@dag(schedule=None, max_active_tasks=1000)
def waiting() -> None:
    """Wait for every call of the file, each in a task of its own."""
    calls = json.loads(Path(os.environ["WAITING_CALLS"]).read_text())
    CallStatusSensor.partial(task_id="wait", poke_interval=10, timeout=3600, deferrable=True).expand(call=calls)


waiting()
