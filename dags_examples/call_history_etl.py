"""Load the call history of every hour into a table. Catching up is safe: an export reads, and duplicates nothing."""

from __future__ import annotations

from datetime import timedelta

import pendulum
from airflow.sdk import dag

# [START call_history_etl]
from airflow_provider_voice.transfers.calls_to_warehouse import CallsToWarehouseOperator


@dag(
    # A run of @hourly has no data interval in Airflow 3, so each export starts where the last committed one ended, and
    # failed or skipped runs leave no gap. With a CronDataIntervalTimetable each run exports its own interval.
    schedule="@hourly",
    start_date=pendulum.datetime(2026, 11, 1, tz="UTC"),
    catchup=True,
    max_active_runs=1,
    default_args={"retries": 5, "retry_delay": timedelta(minutes=2), "retry_exponential_backoff": True},
    tags=["voice"],
)
def call_history_etl() -> None:
    """Load one hour of calls; numbers are hashed."""
    CallsToWarehouseOperator(
        task_id="export",
        voice_conn_id="voice_default",
        warehouse_conn_id="warehouse",
        table="call_history",
        phone_numbers="hashed",
    )


call_history_etl()
# [END call_history_etl]
