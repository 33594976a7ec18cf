"""Write the calls of every day to files in an object storage."""

from __future__ import annotations

import os
from datetime import timedelta

import pendulum
from airflow.sdk import dag

# [START archive_calls]
from airflow_provider_voice.transfers.calls_to_object_storage import CallsToObjectStorageOperator

# An AWS connection and a bucket; any other path that Airflow's ObjectStoragePath reaches will do.
ARCHIVE = os.environ.get("CALL_ARCHIVE", "s3://aws_default@my-bucket/calls")


@dag(
    schedule="0 1 * * *",
    start_date=pendulum.datetime(2026, 11, 1, tz="UTC"),
    catchup=True,
    default_args={"retries": 5, "retry_delay": timedelta(minutes=2)},
    tags=["voice"],
)
def archive_calls() -> None:
    """Write the calls of one day; numbers are masked."""
    CallsToObjectStorageOperator(
        task_id="archive",
        voice_conn_id="voice_default",
        path=ARCHIVE,
        # The day before the one on which the run was due.
        start="{{ (dag_run.run_after - macros.timedelta(days=1)) | ds }}T00:00:00Z",
        end="{{ dag_run.run_after | ds }}T00:00:00Z",
        file_format="jsonl",
        phone_numbers="masked",
    )


archive_calls()
# [END archive_calls]
