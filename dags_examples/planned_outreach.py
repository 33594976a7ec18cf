"""Plan a campaign, let a person approve the plan, then call; a plan that no longer holds calls nobody."""

from __future__ import annotations

from datetime import timedelta

import pendulum
from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import dag

# [START planned_outreach]
from airflow_provider_voice.operators.outreach import OutreachOperator, PlanOutreachOperator

CAMPAIGN = {
    "campaign": "planned-{{ dag_run.run_after | ds }}",
    "contacts": 'SELECT contact_id, phone AS "to", time_zone, name, appointment FROM appointments',
    "contacts_conn_id": "crm",
    "ledger_conn_id": "outreach_ledger",
    "policy": "us",
    "subject": "appointments",
    "do_not_call": "SELECT phone FROM do_not_call",
    "do_not_call_conn_id": "crm",
    "calls_per_minute": 60,
}


@dag(
    schedule="0 8 * * 1-5",
    start_date=pendulum.datetime(2026, 1, 1, tz="America/New_York"),
    catchup=False,
    default_args={"retries": 3, "retry_delay": timedelta(minutes=1)},
    tags=["voice"],
)
def planned_outreach() -> None:
    """Call everybody who has an appointment, after a person has checked the plan."""
    plan = PlanOutreachOperator(task_id="plan", **CAMPAIGN)

    approve = ApprovalOperator(
        task_id="approve",
        subject="Shall these calls be placed?",
        # Counts, times and reasons, and nobody's number.
        body="```json\n{{ ti.xcom_pull(task_ids='plan') | tojson(indent=2) }}\n```",
        response_timeout=timedelta(hours=4),
        # Nobody answered: nobody is called, and nobody is asked again.
        retries=0,
    )

    call = OutreachOperator(
        task_id="call",
        # Fails when a contact or a setting has changed since the plan was approved.
        plan_id="{{ ti.xcom_pull(task_ids='plan')['plan_id'] }}",
        deferrable=True,
        **CAMPAIGN,
    )

    plan >> approve >> call


planned_outreach()
# [END planned_outreach]
