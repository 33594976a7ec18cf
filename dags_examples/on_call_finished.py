"""Run when calls end, including inbound calls, without a task that waits or polls."""

from __future__ import annotations

import logging
from typing import Any

# [START on_call_finished]
from airflow.sdk import Asset, AssetWatcher, dag, task

from airflow_provider_voice.triggers.calls_finished import CallsFinishedTrigger

ended_calls = Asset(
    "voice_calls_ended",
    watchers=[AssetWatcher(name="voice_calls", trigger=CallsFinishedTrigger(voice_conn_id="voice_default"))],
)


@dag(schedule=[ended_calls], tags=["voice"])
def on_call_finished() -> None:
    """List the calls that have ended since the last run."""

    @task
    def list_calls(triggering_asset_events: Any = None) -> list[str]:
        events = (triggering_asset_events or {}).get(ended_calls, [])
        # An ending is reported at least once: use the ids as keys of all data derived from them.
        calls = {call["id"]: call["status"] for event in events for call in event.extra["payload"]["calls"]}
        logging.getLogger(__name__).info("%d call(s) have ended: %s", len(calls), calls)
        return sorted(calls)

    list_calls()


on_call_finished()
# [END on_call_finished]
