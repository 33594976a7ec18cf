"""The trigger for ``AssetWatcher``, against the sandbox and a store that behaves as Airflow's."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from importlib.util import find_spec

import pytest

from airflow_provider_voice.exceptions import InvalidRequest
from airflow_provider_voice.hooks.voice import VoiceHook
from airflow_provider_voice.models import CallRequest
from airflow_provider_voice.sandbox import Sandbox
from airflow_provider_voice.triggers.calls_finished import CALLS_PER_EVENT, CallsFinishedTrigger


class Store(dict):
    """The asynchronous half of Airflow's asset state store."""

    async def aget(self, key, default=None):
        return json.loads(self[key]) if key in self else default

    async def aset(self, key, value):
        self[key] = json.dumps(value)


@pytest.fixture
def connect_fast(connect, monkeypatch):
    """A connection whose budget allows a poll at any time."""
    if find_spec("airflow.triggers.shared_stream") is None:
        # Airflow 3.1 can fetch a connection the asynchronous way in a triggerer only.
        async def get(conn_id):
            return VoiceHook.get_connection(conn_id)

        monkeypatch.setattr(VoiceHook, "aget_connection", staticmethod(get))

    def set_connection(sandbox, vendor="talkover"):
        connect(sandbox, vendor, extra={**sandbox.connection(vendor)["extra"], "requests_per_minute": 100_000})

    return set_connection


def trigger(store=None, **more) -> CallsFinishedTrigger:
    made = CallsFinishedTrigger(**{"poll_interval": 0.1, **more})
    made.asset_state_store = store
    return made


def reported_while(made, meanwhile, *, events=1) -> list[dict]:
    async def run():
        payloads, stream = [], made.run()

        async def read():
            async for event in stream:
                payloads.append(event.payload)  # noqa: PERF401 - read while it grows

        task = asyncio.create_task(read())
        await asyncio.sleep(0.5)
        meanwhile()
        deadline = asyncio.get_running_loop().time() + 20
        while len(payloads) < events and asyncio.get_running_loop().time() < deadline and not task.done():
            await asyncio.wait([task], timeout=0.02)
        await asyncio.sleep(0.5)
        if task.done():
            await task  # it runs without an end: the reason why it ended is shown
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return payloads

    return asyncio.run(run())


def ids(payloads) -> list[str]:
    return [call["id"] for payload in payloads for call in payload["calls"]]


@pytest.mark.parametrize("vendor", ["talkover", "talkstack", "unleashx"])
def test_endings_are_reported_once_with_ids_and_no_number(connect_fast, vendor) -> None:
    with Sandbox(frozen=True) as sandbox:
        connect_fast(sandbox, vendor)
        sandbox.seed(vendor, 5, sandbox.now() - timedelta(hours=2), sandbox.now() - timedelta(hours=1))
        hook = VoiceHook.for_connection("voice_default")
        hook.make_call(CallRequest("+14155552611"))
        store = Store()

        def end():
            inbound = sandbox.seed(vendor, 1, sandbox.now() - timedelta(minutes=2), sandbox.now(), direction="inbound")
            end.inbound = inbound[0]
            sandbox.advance(900)

        payloads = reported_while(trigger(store), end)
        placed = next(call for call in sandbox.calls(vendor) if call.to == "+14155552611")
    key = (lambda call: str(call.key)) if vendor == "unleashx" else (lambda call: call.id)
    assert sorted(ids(payloads)) == sorted([key(placed), key(end.inbound)])
    assert "4155552611" not in json.dumps(payloads) + json.dumps(store)


def test_a_restart_goes_on_from_the_store_and_reports_again_what_may_be_lost(connect_fast) -> None:
    with Sandbox(frozen=True) as sandbox:
        connect_fast(sandbox)
        hook = VoiceHook.for_connection("voice_default")
        first = hook.make_call(CallRequest("+14155552611"))
        second = hook.make_call(CallRequest("+14155552612"))
        store = Store()

        def end_first():
            next(call for call in sandbox.calls("talkover") if call.id == first.id).hung_up_at = sandbox.now()

        assert ids(reported_while(trigger(store), end_first)) == [first.id]
        # While no triggerer runs:
        next(call for call in sandbox.calls("talkover") if call.id == second.id).hung_up_at = sandbox.now()
        assert ids(reported_while(trigger(store), lambda: None)) == [second.id]

        # It died after it reported and before it stored the cursor: reported again.
        crashed = Store(store)
        third = hook.make_call(CallRequest("+14155552613"))
        slow = trigger(crashed, poll_interval=600)
        next(call for call in sandbox.calls("talkover") if call.id == third.id).hung_up_at = sandbox.now()
        assert ids(reported_while(slow, lambda: None)) == [third.id]
        assert ids(reported_while(trigger(crashed), lambda: None)) == [third.id]
        assert ids(reported_while(trigger(crashed), lambda: None, events=0)) == []


def test_an_outage_and_a_refused_token_do_not_end_the_watching(connect_fast) -> None:
    with Sandbox(frozen=True) as sandbox:
        connect_fast(sandbox)
        call = VoiceHook.for_connection("voice_default").make_call(CallRequest("+14155552611"))

        def trouble():
            sandbox.add_fault("status", operation="list", status=401, times=1)
            sandbox.advance(900)

        assert ids(reported_while(trigger(Store()), trouble)) == [call.id]


def test_many_endings_come_in_several_events_and_only_the_wanted_ones(connect_fast) -> None:
    with Sandbox(frozen=True) as sandbox:
        connect_fast(sandbox)
        calls = []

        def history():
            calls.extend(sandbox.seed("talkover", 250, sandbox.now() - timedelta(minutes=9), sandbox.now()))
            sandbox.advance(600)

        payloads = reported_while(trigger(Store(), statuses=["busy", "completed"]), history, events=2)
        wanted = {call.id for call in calls if call.status(sandbox.now()).value in ("busy", "completed", "voicemail")}
    assert set(ids(payloads)) == wanted
    assert max(len(payload["calls"]) for payload in payloads) <= CALLS_PER_EVENT


def test_statuses_are_endings_and_arguments_are_json() -> None:
    with pytest.raises(InvalidRequest, match="endings only"):
        CallsFinishedTrigger(statuses=["ringing"])
    path, arguments = CallsFinishedTrigger(statuses=["busy"]).serialize()
    assert path.endswith("CallsFinishedTrigger")
    assert CallsFinishedTrigger(**json.loads(json.dumps(arguments))).serialize()[1] == arguments


def test_a_store_that_fails_now_and_then_ends_nothing_and_loses_nothing(connect_fast) -> None:
    class Shaky(Store):
        asked = 0

        async def aget(self, key, default=None):
            Shaky.asked += 1
            if Shaky.asked == 1:
                raise RuntimeError("the API server is away")
            return await super().aget(key, default)

        async def aset(self, key, value):
            Shaky.asked += 1
            if Shaky.asked % 2:
                raise RuntimeError("the API server is away")
            await super().aset(key, value)

    with Sandbox(frozen=True) as sandbox:
        connect_fast(sandbox)
        call = VoiceHook.for_connection("voice_default").make_call(CallRequest("+14155552611"))
        store = Shaky()
        payloads = reported_while(trigger(store), lambda: sandbox.advance(900))
        assert ids(payloads) == [call.id]
        assert ids(reported_while(trigger(Store(store)), lambda: None, events=0)) == []


@pytest.mark.parametrize("vendor", ["talkover", "talkstack", "unleashx"])
def test_sixty_hours_without_a_triggerer_lose_no_ending(connect_fast, vendor) -> None:
    """Three of eight endings were reported: ``look_back`` of a day cut off the others."""
    with Sandbox(frozen=True) as sandbox:
        connect_fast(sandbox, vendor)
        store = Store()
        assert reported_while(trigger(store), lambda: None, events=0) == []
        ended = []
        for _ in range(8):
            sandbox.advance(7.5 * 3600)
            ended += sandbox.seed(vendor, 1, sandbox.now() - timedelta(hours=2), sandbox.now() - timedelta(hours=1))
        payloads = reported_while(trigger(store), lambda: None)
    key = (lambda call: str(call.key)) if vendor == "unleashx" else (lambda call: call.id)
    assert sorted(ids(payloads)) == sorted(map(key, ended))
