"""Place a call at a time at which the person may be called."""

from __future__ import annotations

from airflow.sdk import Param, dag

# [START call_in_allowed_hours]
from airflow_provider_voice.operators.make_call import MakeCallOperator


@dag(
    schedule=None,
    params={
        "to": Param("+13055552601", type="string", description="The number to call, with its country code"),
        "time_zone": Param(None, type=["null", "string"], description="The person's time zone, when it is known"),
    },
    tags=["voice"],
)
def call_in_allowed_hours() -> None:
    """Wait until the rules for the United States allow the call, overnight if need be."""
    MakeCallOperator(
        task_id="ring",
        voice_conn_id="voice_default",
        to="{{ params.to }}",
        policy="us",
        time_zone="{{ params.time_zone or '' }}",
        when_closed="wait",
    )


call_in_allowed_hours()
# [END call_in_allowed_hours]
