"""Ring a customer once per invoice, however many runs and DAGs ask for it."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import Param, dag

# [START once_per_key]
from airflow_provider_voice.operators.make_call import MakeCallOperator


@dag(
    schedule=None,
    params={
        "invoice": Param("INV-1001", type="string", description="The invoice that the call is about"),
        "to": Param("+14155552601", type="string", description="The customer's number, with its country code"),
    },
    default_args={"retries": 3, "retry_delay": timedelta(seconds=30)},
    tags=["voice"],
)
def once_per_key() -> None:
    """Remind a customer of an invoice. A second run for the invoice returns the same call."""
    MakeCallOperator(
        task_id="remind",
        voice_conn_id="voice_default",
        to="{{ params.to }}",
        call_key="invoice {{ params.invoice }}",
        ledger_conn_id="outreach_ledger",
        wait_for_completion=True,
        deferrable=True,
        success_statuses=["completed", "voicemail"],
    )


once_per_key()
# [END once_per_key]
