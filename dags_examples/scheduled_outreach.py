"""Ring a list of people on weekday mornings, wait for every call to end, and load the calls into a table."""

from __future__ import annotations

import csv
import os
from collections import Counter
from datetime import timedelta
from pathlib import Path

import pendulum
from airflow.sdk import dag, task

# [START scheduled_outreach]
from airflow_provider_voice.operators.make_call import MakeCallOperator
from airflow_provider_voice.sensors.call_status import CallStatusSensor
from airflow_provider_voice.transfers.calls_to_warehouse import CallsToWarehouseOperator

CONTACTS = Path(__file__).with_name("contacts.csv")
# How often a waiting task looks, in seconds; the demo makes it short.
POLL_SECONDS = float(os.environ.get("OUTREACH_POLL_SECONDS", "30"))


@dag(
    schedule="0 9 * * 1-5",
    start_date=pendulum.datetime(2026, 1, 1, tz="America/Los_Angeles"),
    catchup=False,
    default_args={"retries": 3, "retry_delay": timedelta(seconds=30)},
    tags=["voice"],
)
def scheduled_outreach() -> None:
    """Ring everybody in ``contacts.csv`` once, whatever is retried."""

    @task
    def read_contacts() -> list[dict[str, object]]:
        """Return one set of arguments a person."""
        with CONTACTS.open(newline="") as lines:
            return [
                {"to": row["phone"], "variables": {"name": row["name"], "appointment": row["appointment"]}}
                for row in csv.DictReader(lines)
            ]

    ring = MakeCallOperator.partial(
        task_id="ring",
        voice_conn_id="voice_default",
        max_active_tis_per_dagrun=4,
    ).expand_kwargs(read_contacts())

    wait = CallStatusSensor.partial(
        task_id="wait",
        voice_conn_id="voice_default",
        deferrable=True,
        poke_interval=POLL_SECONDS,
        timeout=2 * 3600,
    ).expand(call=ring.output)

    @task
    def count_outcomes(calls: list[dict[str, object]]) -> dict[str, int]:
        """Count how the calls ended."""
        return dict(Counter(str(call["status"]) for call in calls))

    export = CallsToWarehouseOperator(
        task_id="export",
        voice_conn_id="voice_default",
        warehouse_conn_id="warehouse",
        table="voice_calls",
        # The calls of this very run, up to now; without bounds an export reads the run's interval, which is the past.
        start="{{ dag_run.start_date }}",
    )

    wait >> export
    count_outcomes(wait.output)


scheduled_outreach()
# [END scheduled_outreach]
