"""The arguments of CallsFinishedTrigger, and when a direction is refused."""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_voice.exceptions import CapabilityNotSupported, InvalidRequest
from airflow_provider_voice.models import Call, CallStatus
from airflow_provider_voice.tracking.reported_endings import ReportedEndings
from airflow_provider_voice.triggers import calls_finished
from airflow_provider_voice.triggers.calls_finished import CallsFinishedTrigger
from airflow_provider_voice.triggers.connection_hook import ConnectionHook
from tests.unit.sensors.test_call_status import ODD

ARGUMENTS = ("voice_conn_id", "agent_id", "direction", "statuses", "poll_interval", "look_back", "listing_delay")


@given(st.dictionaries(st.sampled_from(ARGUMENTS), ODD, max_size=3))
def test_odd_arguments_are_refused_with_invalid_request_and_nothing_else(arguments) -> None:
    try:
        made = CallsFinishedTrigger(**arguments)
    except InvalidRequest as refused:
        assert "5552671" not in str(refused)
    else:
        path, stored = made.serialize()
        assert CallsFinishedTrigger(**json.loads(json.dumps(stored))).serialize() == (path, stored)


def test_durations_are_seconds_or_a_timedelta() -> None:
    hour = timedelta(hours=1)
    made = CallsFinishedTrigger(poll_interval=hour, look_back=hour, listing_delay=hour)
    assert (made.poll_interval, made.look_back, made.listing_delay) == (3600.0, 3600.0, 3600.0)
    assert CallsFinishedTrigger(agent_id=101).agent_id == "101"


def define(monkeypatch: pytest.MonkeyPatch, conn_type: str) -> None:
    value = {"conn_type": conn_type, "password": "token", "extra": {"project_id": "p"}}
    monkeypatch.setenv("AIRFLOW_CONN_VOICE_DEFAULT", json.dumps(value))


def test_a_direction_is_refused_when_the_dag_is_parsed_where_no_vendor_row_has_one(monkeypatch) -> None:
    define(monkeypatch, "unleashx")
    with pytest.raises(CapabilityNotSupported, match="UnleashX does not report"):
        CallsFinishedTrigger(direction="inbound")
    CallsFinishedTrigger()
    for conn_type in ("talkover", "talkstack"):
        define(monkeypatch, conn_type)
        assert CallsFinishedTrigger(direction="inbound").direction == "inbound"


def test_a_connection_that_cannot_be_read_while_parsing_stops_no_dag(monkeypatch) -> None:
    def fail(*args: Any) -> None:
        raise RuntimeError("no secrets backend here")

    monkeypatch.setattr(calls_finished.VoiceHook, "for_connection", fail)
    assert CallsFinishedTrigger(direction="outbound").direction == "outbound"


def test_the_triggerer_makes_the_trigger_without_a_look_up(monkeypatch) -> None:
    def fail(*args: Any) -> None:
        raise AssertionError("the event loop was blocked")

    monkeypatch.setattr(calls_finished.VoiceHook, "for_connection", fail)

    async def make() -> CallsFinishedTrigger:
        return CallsFinishedTrigger(direction="outbound")

    assert asyncio.run(make()).direction == "outbound"


def test_a_direction_that_was_not_checked_when_the_dag_was_parsed_fails_every_poll(monkeypatch) -> None:
    made = CallsFinishedTrigger(direction="inbound")
    define(monkeypatch, "unleashx")
    hook = calls_finished.VoiceHook.for_connection("voice_default")
    with pytest.raises(CapabilityNotSupported):
        made._poll(hook, ReportedEndings(look_back=timedelta(days=1), listing_delay=timedelta(hours=1)))


def test_no_state_is_stored_before_the_endings_that_it_counts_as_reported(monkeypatch) -> None:
    """The first poll's state could not be stored; the second poll's was, before its event: a crash there lost it."""
    made = CallsFinishedTrigger(poll_interval=0.01)
    begun = datetime(2026, 11, 20, 12, tzinfo=timezone.utc)
    ringing = Call("c1", "talkover", CallStatus.RINGING, created_at=begun)
    batches = iter([[ringing], [replace(ringing, status=CallStatus.BUSY)]])
    stored: list[Any] = []

    class Store:
        fails = iter([True, True])  # at once, and after the pause

        async def aget(self, key: str) -> None:
            return None

        async def aset(self, key: str, value: Any) -> None:
            if next(self.fails, False):
                raise RuntimeError("the API server is away")
            stored.append(value)

    class Hooks(ConnectionHook):
        async def get(self) -> Any:
            http = SimpleNamespace(sent=0)
            settings = SimpleNamespace(requests_per_minute=1000)
            return SimpleNamespace(vendor=SimpleNamespace(http=http, settings=settings))

    made.asset_state_store = Store()
    monkeypatch.setattr(made, "_poll", lambda hook, endings: endings.take(next(batches), begun))

    async def first_event() -> Any:
        async with aclosing(made._events(Hooks("voice_default"))) as events:
            return (await anext(events)).payload

    event = asyncio.run(first_event())
    assert [call["id"] for call in event["calls"]] == ["c1"]
    assert stored == []
