"""Many triggers on one connection share one poll loop: Airflow's own shared streams, driven as the triggerer does."""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import time
from datetime import datetime, timezone

import pytest

from airflow_provider_voice.exceptions import VendorUnavailable
from airflow_provider_voice.hooks.voice import VoiceHook
from airflow_provider_voice.models import CallRef, CallRequest
from airflow_provider_voice.sandbox import Sandbox
from airflow_provider_voice.triggers import poll_loop
from airflow_provider_voice.triggers.call_status import CallStatusTrigger
from tests.support import ScriptedServer

shared_stream = pytest.importorskip("airflow.triggers.shared_stream", reason="shared streams came with Airflow 3.3")

numbers = itertools.count(1)


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(poll_loop, "GATHER_SECONDS", 0.05)


def place(sandbox: Sandbox, count: int, vendor: str = "talkover") -> list[CallRef]:
    """Place calls that end within 200 seconds of the sandbox."""
    hook = VoiceHook.for_connection("voice_default")
    return [CallRef.of(hook.make_call(CallRequest(f"+1415555{number}"))) for number in range(2611, 2611 + count)]


def trigger_for(ref: CallRef, **more) -> CallStatusTrigger:
    arguments = {"poll_interval": 0.3, "deadline": time.time() + 60, **more}
    return CallStatusTrigger(voice_conn_id="voice_default", calls=[ref.to_dict()], **arguments)


async def fire(manager, trigger) -> dict:
    """Run a trigger as the triggerer's ``run_trigger`` does."""
    trigger_id, key = next(numbers), trigger.shared_stream_key()
    stream = manager.subscribe(trigger_id=trigger_id, trigger=trigger, key=key)
    try:
        async for event in trigger.filter_shared_stream(stream):
            return event.payload
    finally:
        await manager.unsubscribe(trigger_id, key)
    raise AssertionError("the trigger ended without an event")


def wait_for_all(triggers, meanwhile=None) -> list[dict]:
    async def run():
        manager = shared_stream.SharedStreamManager()
        tasks = [asyncio.create_task(fire(manager, trigger)) for trigger in triggers]
        other = asyncio.create_task(meanwhile()) if meanwhile else None
        events = await asyncio.wait_for(asyncio.gather(*tasks), 60)
        if other:
            await other
        assert not manager._groups, "the loop ends with the last trigger"
        return events

    return asyncio.run(run())


async def until_waited_for(ids: set[str]) -> None:
    poll = poll_loop.shared_poll("voice_default")
    while {ref.id for some in poll._subscribers for ref in some.watch.pending} != ids:  # noqa: ASYNC110 - there is no event to wait for
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("vendor", ["talkover", "talkstack", "unleashx"])
def test_a_hundred_waits_cost_a_few_requests_a_poll(connect, vendor) -> None:
    with Sandbox(speed=100) as sandbox:
        connect(sandbox, vendor)
        refs = place(sandbox, 80)
        before = len(sandbox.requests)
        events = wait_for_all([trigger_for(ref) for ref in refs])
        requests = sandbox.requests[before:]
    assert [event["calls"][0]["id"] for event in events] == [ref.id for ref in refs]
    assert all(event["error"] is None and not event["timed_out"] for event in events)
    lists = [request for request in requests if request.operation == "list"]
    assert len(lists) < 80 if vendor != "talkover" else len(lists) <= 40
    if vendor == "talkstack":
        # One request for each ended call, and no more than a few polls of the others before the history is known.
        assert len(requests) - len(lists) <= 2 * 80


def test_a_trigger_that_joins_late_is_polled_and_one_that_leaves_is_not(connect) -> None:
    with Sandbox(frozen=True) as sandbox:
        connect(sandbox)
        first, second, gone = place(sandbox, 3)

        async def run():
            manager = shared_stream.SharedStreamManager()
            waiting = asyncio.create_task(fire(manager, trigger_for(first)))
            leaving = asyncio.create_task(fire(manager, trigger_for(gone)))
            await until_waited_for({first.id, gone.id})
            leaving.cancel()
            await until_waited_for({first.id})
            coming = asyncio.create_task(fire(manager, trigger_for(second)))
            await until_waited_for({first.id, second.id})
            sandbox.advance(600)
            events = await asyncio.gather(waiting, coming)
            assert not manager._groups
            return events

        events = asyncio.run(run())
    assert [event["calls"][0]["id"] for event in events] == [first.id, second.id]


def test_a_refused_token_fails_everyone_at_once_and_names_no_secret(connect, caplog) -> None:
    with Sandbox(frozen=True) as sandbox:
        connect(sandbox)
        refs = place(sandbox, 20)

        async def revoke():
            await asyncio.sleep(0.6)
            sandbox.add_fault("status", operation="list", status=401, times=0)

        with caplog.at_level(logging.DEBUG):
            events = wait_for_all([trigger_for(ref) for ref in refs], revoke)
        assert {event["error"]["class"] for event in events} == {"AuthenticationFailed"}
        text = caplog.text + json.dumps(events)
        assert sandbox.connection("talkover")["password"] not in text
        assert not any(ref.to.lstrip("+") in text for ref in refs)


def test_a_token_replaced_in_the_connection_is_taken_up(connect, monkeypatch) -> None:
    with Sandbox(speed=100) as sandbox:
        connect(sandbox)
        refs = place(sandbox, 5)
        real, used = VoiceHook.get_calls, []

        def get_calls(self, refs):
            used.append(self.vendor.settings.token)
            if len(used) == 1:
                # The token is replaced at the vendor and in the connection while the first poll is under way.
                connect(sandbox)
                raise VendorUnavailable("503")
            return real(self, refs)

        monkeypatch.setattr(VoiceHook, "get_calls", get_calls)
        connect(sandbox, password="old-token")
        events = wait_for_all([trigger_for(ref) for ref in refs])
    assert all(event["error"] is None for event in events)
    assert used[0] == "old-token"
    assert "old-token" not in used[1:]


def test_thirty_minutes_of_503_are_tolerated(connect) -> None:
    with Sandbox(speed=600) as sandbox:
        connect(sandbox)
        refs = place(sandbox, 20)
        fault = sandbox.add_fault("status", operation="list", status=503, times=0)
        began = sandbox.now()

        async def recover():
            while (sandbox.now() - began).total_seconds() < 1800 / 600:  # noqa: ASYNC110 - the sandbox has no event
                await asyncio.sleep(0.05)
            sandbox.world.faults.remove(fault)

        # In the sandbox's time: an hour is tolerated.
        events = wait_for_all([trigger_for(ref, tolerated_outage=3600 / 600) for ref in refs], recover)
        ended = sandbox.now()
    assert (ended - began).total_seconds() >= 1800 / 600
    assert all(event["error"] is None and event["calls"][0]["status"] != "queued" for event in events)


def test_an_outage_longer_than_tolerated_fails_with_what_happened(connect) -> None:
    with Sandbox(frozen=True) as sandbox:
        connect(sandbox)
        refs = place(sandbox, 3)
        sandbox.add_fault("status", operation="list", status=503, times=0)
        events = wait_for_all([trigger_for(ref, tolerated_outage=0.2) for ref in refs])
    assert {event["error"]["class"] for event in events} == {"VendorUnavailable"}


def test_each_has_its_own_deadline(connect) -> None:
    with Sandbox(frozen=True) as sandbox:
        connect(sandbox)
        short, long = place(sandbox, 2)

        async def later():
            await asyncio.sleep(2)
            sandbox.advance(600)

        events = wait_for_all([trigger_for(short, deadline=time.time() + 1), trigger_for(long)], later)
    assert [event["timed_out"] for event in events] == [True, False]


def test_a_call_that_ended_while_no_triggerer_ran_counts_although_the_deadline_has_passed(connect) -> None:
    with Sandbox(frozen=True) as sandbox:
        connect(sandbox)
        (ref,) = place(sandbox, 1)
        sandbox.advance(600)
        (event,) = wait_for_all([trigger_for(ref, deadline=time.time() - 100)])
    assert not event["timed_out"]
    assert event["calls"][0]["ended_at"] or event["calls"][0]["status"] != "queued"


def test_a_bug_in_a_poll_ends_no_wait(connect, monkeypatch, caplog) -> None:
    with Sandbox(speed=100) as sandbox:
        connect(sandbox)
        refs = place(sandbox, 4)
        real, surprises = VoiceHook.get_calls, iter([True])
        secret = "a row value"

        def get_calls(self, refs):
            if next(surprises, False):
                raise KeyError(secret)
            return real(self, refs)

        monkeypatch.setattr(VoiceHook, "get_calls", get_calls)
        events = wait_for_all([trigger_for(ref) for ref in refs])
    assert all(event["error"] is None for event in events)
    assert "failed unexpectedly" in caplog.text
    assert secret not in caplog.text


def test_a_connection_that_is_gone_ends_the_wait_with_what_to_do(connect, monkeypatch, airflow_db) -> None:
    with Sandbox(frozen=True) as sandbox:
        connect(sandbox)
        refs = place(sandbox, 2)
        monkeypatch.delenv("AIRFLOW_CONN_VOICE_DEFAULT")
        events = wait_for_all([trigger_for(ref) for ref in refs])
    assert all("no connection" in event["error"]["message"] for event in events)


def test_requests_per_minute_come_before_the_interval(connect, caplog) -> None:
    with Sandbox(frozen=True) as sandbox:
        value = sandbox.connection("talkover")
        connect(sandbox, extra={**value["extra"], "requests_per_minute": 600})
        refs = place(sandbox, 10)
        asked = len(sandbox.requests)

        async def later():
            began = time.monotonic()
            await asyncio.sleep(2.0)
            later.requests, later.seconds = len(sandbox.requests) - asked, time.monotonic() - began
            sandbox.advance(600)

        with caplog.at_level(logging.INFO):
            wait_for_all([trigger_for(ref, poll_interval=0.05) for ref in refs], later)
    # One list page a poll; half of 600 a minute is one in 0.2 s.
    assert later.requests <= later.seconds / 0.2 + 1
    assert "600 requests per minute allow the next one after" in caplog.text


def test_sharing_can_be_turned_off(monkeypatch) -> None:
    ref = CallRef("c1", placed_at=datetime.now(timezone.utc))
    key = trigger_for(ref).shared_stream_key()
    assert key == trigger_for(CallRef("c2")).shared_stream_key()
    assert key is not None
    monkeypatch.setenv("AIRFLOW__VOICE__SHARED_POLLING", "False")
    assert trigger_for(ref).shared_stream_key() is None


def test_garbage_does_not_end_the_wait(connect, monkeypatch) -> None:
    answers = iter([b"<html>", {"data": "no rows"}, {"data": [{"id": "c1", "status": "busy", "to": "+1"}]}])
    server = ScriptedServer(lambda seen: next(answers))
    try:
        value = {"conn_type": "talkover", "host": server.url, "password": "t", "extra": {}}
        monkeypatch.setenv("AIRFLOW_CONN_VOICE_DEFAULT", json.dumps(value))
        ref = CallRef("c1", placed_at=datetime.now(timezone.utc))
        (event,) = wait_for_all([trigger_for(ref)])
    finally:
        server.close()
    assert event["error"] is None
    assert event["calls"][0]["status"] == "busy"
