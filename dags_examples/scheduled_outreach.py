"""Call everybody who has an appointment on weekday mornings, redial who was not reached, and load the calls."""

from __future__ import annotations

from datetime import timedelta

import pendulum
from airflow.sdk import dag

# [START scheduled_outreach]
from airflow_provider_voice.operators.outreach import OutreachOperator
from airflow_provider_voice.transfers.calls_to_warehouse import CallsToWarehouseOperator


@dag(
    schedule="0 9 * * 1-5",
    start_date=pendulum.datetime(2026, 1, 1, tz="America/New_York"),
    catchup=False,
    # A retry continues where the campaign stopped and rings nobody twice for one attempt.
    default_args={"retries": 3, "retry_delay": timedelta(minutes=1)},
    tags=["voice"],
)
def scheduled_outreach() -> None:
    """Call the people of the day at hours at which they may be called, and load how the calls ended."""
    call = OutreachOperator(
        task_id="call",
        campaign="appointments-{{ dag_run.run_after | ds }}",
        contacts='SELECT contact_id, phone AS "to", time_zone, name, appointment FROM appointments',
        contacts_conn_id="crm",
        ledger_conn_id="outreach_ledger",
        policy="us",
        subject="appointments",
        do_not_call="SELECT phone FROM do_not_call",
        do_not_call_conn_id="crm",
        max_attempts=3,
        redial_after={"busy": timedelta(minutes=15), "no_answer": timedelta(hours=2)},
        calls_per_minute=60,
        # No first call and no redial after this; contacts that still wait then become `expired`.
        ends_at="{{ dag_run.run_after + macros.timedelta(hours=10) }}",
        deferrable=True,
    )

    load = CallsToWarehouseOperator(
        task_id="load",
        voice_conn_id="voice_default",
        warehouse_conn_id="warehouse",
        table="voice_calls",
        # Up to now, with the calls of this run: without bounds an export ends when the run was due, before its calls.
        # From the start of the last successful run, so that nothing between the two is left out.
        start="{{ prev_start_date_success or dag_run.start_date }}",
        # The calls are loaded, also when the campaign failed.
        trigger_rule="all_done",
    )

    call >> load


scheduled_outreach()
# [END scheduled_outreach]
