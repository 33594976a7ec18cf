"""A DAG that fails and one that is late, both with people to be rung."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, task
from airflow.sdk.definitions.deadline import AsyncCallback, DeadlineAlert, DeadlineReference

from airflow_provider_voice.notifications.voice_call import VoiceCallNotifier

SILENT, DONE, OTHER = "+14155552606", "+14155552601", "+14155553601"
ring = VoiceCallNotifier(to=[OTHER], ledger_conn_id="alarm_ledger")

with DAG("fails", schedule=None, on_failure_callback=ring, default_args={"on_failure_callback": ring}):

    @task
    def load() -> None:
        raise RuntimeError

    load()

with DAG(
    "late",
    schedule=None,
    deadline=DeadlineAlert(
        reference=DeadlineReference.DAGRUN_QUEUED_AT,
        interval=timedelta(seconds=1),
        callback=AsyncCallback(
            VoiceCallNotifier,
            kwargs={"to": "{{ var.json.on_call }}", "ledger_conn_id": "alarm_ledger", "escalate_after": 8},
        ),
    ),
):

    @task
    def slow() -> None:
        import time

        time.sleep(60)

    slow()
