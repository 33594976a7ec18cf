"""A call that a contact policy holds back until its hours begin."""

from __future__ import annotations

import os

from airflow.sdk import dag

from airflow_provider_voice.operators.make_call import MakeCallOperator


@dag(schedule=None)
def held_back() -> None:
    """Wait for the hours of the rule file, then call."""
    MakeCallOperator(
        task_id="ring",
        to="+14155552702",
        policy=os.environ["HELD_BACK_POLICY"],
        time_zone=os.environ["HELD_BACK_ZONE"],
        retries=0,
    )


held_back()
