"""Call a handful of people, one mapped task each, wait for every call to end, and load the calls into a table.

For more than a handful, and for redials, use ``OutreachOperator``: see ``scheduled_outreach.py``.
"""

from __future__ import annotations

import csv
from collections import Counter
from datetime import timedelta
from pathlib import Path

from airflow.sdk import dag, task

# [START mapped_calls]
from airflow_provider_voice.operators.make_call import MakeCallOperator
from airflow_provider_voice.sensors.call_status import CallStatusSensor
from airflow_provider_voice.transfers.calls_to_warehouse import CallsToWarehouseOperator

CONTACTS = Path(__file__).with_name("contacts.csv")


@dag(
    schedule=None,
    default_args={"retries": 3, "retry_delay": timedelta(seconds=30)},
    tags=["voice"],
)
def mapped_calls() -> None:
    """Call everybody in ``contacts.csv`` once, whatever is retried."""

    @task
    def read_contacts() -> list[dict[str, object]]:
        """Return the arguments of one call per person."""
        with CONTACTS.open(newline="") as lines:
            return [
                {"to": row["phone"], "variables": {"name": row["name"], "appointment": row["appointment"]}}
                for row in csv.DictReader(lines)
            ]

    contacts = read_contacts()

    # [START ring]
    call = MakeCallOperator.partial(
        task_id="ring",
        voice_conn_id="voice_default",
        max_active_tis_per_dagrun=4,
    ).expand_kwargs(contacts)
    # [END ring]

    # [START wait]
    # all_done: a row that cannot be called fails its own task, and the other calls are still followed and loaded.
    wait = CallStatusSensor.partial(
        task_id="wait",
        voice_conn_id="voice_default",
        deferrable=True,
        poke_interval=30,
        timeout=2 * 3600,
        trigger_rule="all_done",
    ).expand(call=call.output)
    # [END wait]

    export = CallsToWarehouseOperator(
        task_id="export",
        voice_conn_id="voice_default",
        warehouse_conn_id="warehouse",
        table="voice_calls",
        # Up to now, with the calls of this run: without bounds an export ends when the run was due, before its calls.
        # From the start of the last successful run, so that nothing between the two is left out.
        start="{{ prev_start_date_success or dag_run.start_date }}",
        trigger_rule="all_done",
    )

    @task(trigger_rule="all_done", retries=0)
    def report(people: list[dict[str, object]], calls: list[dict[str, object]] | None = None) -> dict[str, int]:
        """Count how the calls ended; fail when somebody was not called, so that the run does not look complete."""
        outcomes = Counter(str(call["status"]) for call in calls or [])
        missing = len(people) - sum(outcomes.values())
        if missing:
            raise RuntimeError(
                f"{missing} of {len(people)} people have no ended call; the failed tasks `ring` and `wait` say why. "
                f"The other calls ended as {dict(outcomes)}."
            )
        return dict(outcomes)

    wait >> export
    report(contacts, wait.output)


mapped_calls()
# [END mapped_calls]
