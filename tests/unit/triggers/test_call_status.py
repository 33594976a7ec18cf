"""The arguments and the event of CallStatusTrigger: no number in either, and the same event after serialization."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_voice.exceptions import CallNotFound, InvalidRequest, VendorUnavailable
from airflow_provider_voice.hooks.voice import VoiceHook
from airflow_provider_voice.models import Call, CallRef, CallStatus
from airflow_provider_voice.triggers import call_status
from airflow_provider_voice.triggers.call_status import CallStatusTrigger, calls_from_event, masked
from airflow_provider_voice.triggers.poll_loop import CallPoll, PollResult
from tests.unit.sensors.test_call_status import ODD

NUMBER = "+14155552671"
CALL = Call(
    "c1", "talkover", CallStatus.BUSY, f"busy {NUMBER}", NUMBER, "+442071838750", agent_name=f"Desk {NUMBER}",
    recording_url="https://r.example/1415-555-2671/14155552671/20261121101112.mp3?from=%2B442071838750",
)  # fmt: skip


def trigger(**arguments: Any) -> CallStatusTrigger:
    needed = {"voice_conn_id": "voice_default", "calls": [{"id": "c1"}], "deadline": time.time() + 60}
    return CallStatusTrigger(**{**needed, **arguments})


ARGUMENTS = (
    "voice_conn_id", "calls", "deadline", "poll_interval", "grace_period", "tolerated_outage", "memo", "end_call_on_kill",
)  # fmt: skip


@given(st.dictionaries(st.sampled_from(ARGUMENTS), ODD, max_size=3))
def test_odd_arguments_are_refused_with_invalid_request_and_nothing_else(arguments) -> None:
    try:
        made = trigger(**arguments)
    except InvalidRequest as refused:
        assert "5552671" not in str(refused)
    else:
        path, stored = made.serialize()
        assert CallStatusTrigger(**json.loads(json.dumps(stored))).serialize() == (path, stored)


def test_arguments_hold_no_number_whatever_form_the_call_has() -> None:
    for call in (CallRef("c1", to=NUMBER).to_dict(), {**CALL.to_dict(), "tag": NUMBER}, CALL.to_dict()):
        made = trigger(calls=[call])
        assert "5552671" not in json.dumps(made.serialize()) + repr(made)


def test_durations_are_seconds_or_a_timedelta() -> None:
    minute = timedelta(minutes=1)
    made = trigger(poll_interval=minute, grace_period=minute, tolerated_outage=minute)
    assert (made.poll_interval, made.grace_period, made.tolerated_outage) == (60.0, 60.0, 60.0)


def test_an_event_shows_no_number_and_its_task_gets_its_own_back() -> None:
    event = masked(CALL)
    shown = json.dumps(event)
    for digits in ("5552671", "555-2671", "1838750"):
        assert digits not in shown
    (call,) = calls_from_event({"calls": [event]}, [NUMBER])
    assert call.to == NUMBER
    assert "/20261121101112.mp3" in call.recording_url


@pytest.mark.parametrize("to", [None, "", "+1415*****71"])
def test_an_event_shows_no_number_of_a_recording_where_the_vendor_does_not_state_it(to) -> None:
    shown = json.dumps(masked(replace(CALL, to=to, direction=f"inbound from {NUMBER}")))
    for digits in ("5552671", "555-2671", "1838750"):
        assert digits not in shown


def wait_with(made: CallStatusTrigger, *results: PollResult) -> dict[str, Any]:
    async def stream():
        for result in results:
            yield result
        await asyncio.Event().wait()

    async def wait():
        return (await made._wait(CallPoll("voice_default"), stream())).payload

    return asyncio.run(wait())


ASKED = frozenset({"c1"})


def test_errors_and_logs_of_a_wait_hold_no_number(caplog) -> None:
    with caplog.at_level(logging.DEBUG):
        ended = wait_with(trigger(), PollResult(ASKED, {}, VendorUnavailable("away")), PollResult(ASKED, {"c1": CALL}))
        missing = wait_with(trigger(grace_period=0), PollResult(ASKED, {}))
    assert ended["calls"][0]["status"] == "busy"
    assert missing["error"]["class"] == CallNotFound.__name__
    assert "5552671" not in caplog.text + json.dumps([ended, missing])


def test_a_result_from_before_the_subscription_is_ignored() -> None:
    ended = wait_with(trigger(grace_period=0), PollResult(frozenset({"c2"}), {}), PollResult(ASKED, {"c1": CALL}))
    assert ended["error"] is None


def test_a_result_that_another_wait_requested_says_nothing_about_our_other_calls() -> None:
    """A wait for one of our calls has a poll of its own, which says nothing about the calls it did not request."""
    made = trigger(calls=[{"id": "c1"}, {"id": "c2"}], grace_period=0)
    both = {"c1": CALL, "c2": replace(CALL, id="c2")}
    ended = wait_with(made, PollResult(ASKED, {"c1": CALL}), PollResult(frozenset(both), both))
    assert ended["error"] is None
    assert [call["id"] for call in ended["calls"]] == ["c1", "c2"]


def test_no_event_comes_before_the_scheduler_has_noted_the_deferral(monkeypatch) -> None:
    """An event within a second or two failed 12 to 28 of 200 sensors: "finished with state success, but ... queued"."""
    slept = []

    async def sleep(seconds):
        slept.append(seconds)

    made = trigger()
    monkeypatch.setattr(call_status.asyncio, "sleep", sleep)
    wait_with(made, PollResult(ASKED, {"c1": CALL}))
    assert not slept  # dag.test() has no scheduler, and no trigger id
    made = trigger()
    made.trigger_id = 1
    wait_with(made, PollResult(ASKED, {"c1": CALL}))
    assert len(slept) == 1
    assert 0 < slept[0] <= call_status.EARLIEST_EVENT_SECONDS


def test_a_kill_ends_no_call_by_default(monkeypatch) -> None:
    ended = []
    monkeypatch.setattr(VoiceHook, "end_call", lambda self, ref: ended.append(ref.id))

    async def connection(conn_id):
        from airflow.sdk import Connection

        return Connection(conn_id=conn_id, conn_type="talkover", password="token")

    monkeypatch.setattr(VoiceHook, "aget_connection", connection)
    asyncio.run(trigger().on_kill())
    assert not ended
    asyncio.run(trigger(end_call_on_kill=True).on_kill())
    assert ended == ["c1"]


def test_a_restarted_trigger_goes_on_with_what_its_arguments_say() -> None:
    placed_at = datetime(2026, 11, 20, 12, tzinfo=timezone.utc)
    first = trigger(calls=[CallRef("c1", NUMBER, placed_at, "tag", "agent_1").to_dict()], memo={"how": "placed"})
    again = CallStatusTrigger(**json.loads(json.dumps(first.serialize()[1])))
    assert again._watch.pending == [CallRef("c1", None, placed_at, "tag", "agent_1")]
    assert (again.memo, again.deadline) == (first.memo, first.deadline)
