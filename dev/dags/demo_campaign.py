"""The campaign of ``make demo``: the example ``scheduled_outreach`` with waits of seconds instead of hours."""

from __future__ import annotations

from airflow.sdk import dag

from airflow_provider_voice.operators.outreach import OutreachOperator
from airflow_provider_voice.transfers.calls_to_warehouse import CallsToWarehouseOperator
from dev.ring_check import MAX_ATTEMPTS, REDIAL_AFTER


@dag(schedule=None, tags=["voice"])
def demo_campaign() -> None:
    """Call everybody who has an appointment, call those again who were not reached, and load the calls."""
    call = OutreachOperator(
        task_id="call",
        campaign="demo",
        contacts='SELECT contact_id, phone AS "to", time_zone, name, appointment FROM appointments',
        contacts_conn_id="crm",
        ledger_conn_id="outreach_ledger",
        policy="us",
        do_not_call="SELECT phone FROM do_not_call",
        do_not_call_conn_id="crm",
        max_attempts=MAX_ATTEMPTS,
        redial_after=REDIAL_AFTER,
        max_concurrent=40,
        poll_interval=1,
    )
    load = CallsToWarehouseOperator(
        task_id="load",
        voice_conn_id="voice_default",
        warehouse_conn_id="warehouse",
        start="{{ dag_run.start_date }}",
    )
    call >> load


demo_campaign()
