"""Calls whose tasks a user clears: after they ended, while they are deferred, while they run."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import dag

from airflow_provider_voice.operators.make_call import MakeCallOperator

# Busy lines are over at once; 06 is never answered.
LINES = {
    "reused": ("+14155553602", {}),
    "renewed": ("+14155553702", {"on_clear": "new_call"}),
    "deferred": ("+14155553606", {"wait_for_completion": True, "deferrable": True}),
    "running": ("+14155553706", {"wait_for_completion": True, "deferrable": False}),
}


@dag(schedule=None, default_args={"retries": 2, "retry_delay": timedelta(seconds=1)})
def to_clear() -> None:
    """One task for each way to be cleared."""
    for name, (number, arguments) in LINES.items():
        MakeCallOperator(task_id=name, to=number, poll_interval=2, end_call_on_kill=False, **arguments)


to_clear()
