"""The poll loop: due subscribers share requests, failures back off, the rate limit is kept."""

from __future__ import annotations

import asyncio
import threading
from contextlib import ExitStack, aclosing
from typing import Any

import pytest

from airflow_provider_voice.exceptions import AuthenticationFailed, RateLimited, VendorUnavailable
from airflow_provider_voice.models import Call, CallRef, CallStatus
from airflow_provider_voice.tracking.call_watch import CallWatch
from airflow_provider_voice.triggers import poll_loop
from airflow_provider_voice.triggers.connection_hook import ConnectionHook
from airflow_provider_voice.triggers.poll_loop import CallPoll, PollResult, backoff_seconds, shared_poll
from airflow_provider_voice.vendors.rate_limit import MAX_RETRY_AFTER_SECONDS


class Hook:
    """Answers every poll from a function, and counts the calls of each request."""

    def __init__(self, answer: Any) -> None:
        self.answer, self.polls = answer, []
        self.vendor = self
        self.http, self.sent = self, 0
        self.settings, self.requests_per_minute = self, 1_000_000

    def get_calls(self, refs: Any) -> dict[str, Call]:
        self.polls.append(len(refs))
        self.sent += 1
        return self.answer(refs)


class Hooks(ConnectionHook):
    def __init__(self, *hooks: Hook) -> None:
        super().__init__("voice_default")
        self.hooks = list(hooks)

    async def get(self) -> Hook:
        return self.hooks[0]

    def close(self) -> None:
        self.closed = True


def poll_of(*answers: Any) -> tuple[CallPoll, Hooks]:
    poll, hooks = CallPoll("voice_default"), Hooks(*map(Hook, answers))
    poll._hooks = hooks
    return poll, hooks


def all_are(status: str) -> Any:
    return lambda refs: {ref.id: Call(ref.id, "talkover", CallStatus(status)) for ref in refs}


async def first_result(poll: CallPoll, *watches: CallWatch) -> PollResult:
    with ExitStack() as stack:
        for watch in watches:
            stack.enter_context(poll.subscribed(watch, 30))
        async with aclosing(poll.results()) as results:
            return await anext(results)


@pytest.mark.parametrize("asked", [86_400.0, 999_999_999.0, float("1e300")])
def test_no_retry_after_stops_the_polls_for_longer_than_the_maximum(asked) -> None:
    assert backoff_seconds(RateLimited("429", retry_after=asked), 1, 30) == MAX_RETRY_AFTER_SECONDS


def test_a_usual_retry_after_is_respected() -> None:
    assert backoff_seconds(RateLimited("429", retry_after=120.0), 1, 30) == 120.0
    for failures in range(1, 2000):
        assert 15 <= backoff_seconds(VendorUnavailable("503"), failures, 30) <= poll_loop.LONGEST_BACKOFF


def test_a_thousand_waits_share_one_request() -> None:
    poll, hooks = poll_of(all_are("busy"))
    watches = [CallWatch([CallRef(f"c{number}")]) for number in range(1000)]
    result = asyncio.run(first_result(poll, *watches))
    assert hooks.hooks[0].polls == [1000]
    assert len(result.found) == 1000


def test_every_subscriber_gets_its_result_in_a_step_of_its_own() -> None:
    """The work between two steps of the event loop does not grow with the number of waits: it is counted, not timed."""
    pytest.importorskip("airflow.triggers.shared_stream", reason="shared streams came with Airflow 3.3")
    from airflow.triggers.shared_stream import SharedStreamManager

    from airflow_provider_voice.triggers.call_status import CallStatusTrigger

    taken_in_step: list[int] = []
    take, count = CallWatch.take, 200

    def counting(self, found):
        taken_in_step[-1] += 1
        take(self, found)

    run_step = asyncio.events.Handle._run

    def step(handle):
        taken_in_step.append(0)
        run_step(handle)

    async def fire(manager, number):
        trigger = CallStatusTrigger(voice_conn_id="voice_default", calls=[{"id": f"c{number}"}], deadline=10**10)
        key = trigger.shared_stream_key()
        stream = manager.subscribe(trigger_id=number, trigger=trigger, key=key)
        async for event in trigger.filter_shared_stream(stream):
            await manager.unsubscribe(number, key)
            return event.payload
        raise AssertionError("the trigger ended without an event")

    async def run():
        poll = shared_poll("voice_default")
        poll._hooks = Hooks(Hook(all_are("busy")))
        poll._gather = 0.0
        manager = SharedStreamManager()
        events = await asyncio.gather(*(fire(manager, number) for number in range(count)))
        return events, poll._hooks.hooks[0].polls

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CallWatch, "take", counting)
        patch.setattr(asyncio.events.Handle, "_run", step)
        events, polls = asyncio.run(run())
    assert [event["calls"][0]["id"] for event in events] == [f"c{number}" for number in range(count)]
    assert sum(taken_in_step) >= count
    assert max(taken_in_step) == 1
    assert len(polls) <= 2


def test_the_vendor_is_asked_in_a_thread_that_is_not_the_event_loops() -> None:
    threads = []

    def answer(refs):
        threads.append(threading.get_ident())
        return {}

    asyncio.run(first_result(poll_of(answer)[0], CallWatch([CallRef("c1")])))
    assert threads
    assert threading.get_ident() not in threads


def test_one_subscriber_that_gives_up_leaves_the_others_their_polls() -> None:
    poll, hooks = poll_of(lambda refs: {"good": Call("good", "talkover", CallStatus.RINGING)})

    async def run():
        good, bad = CallWatch([CallRef("good")]), CallWatch([CallRef("bad")], grace=0)
        results = poll.results()
        with poll.subscribed(good, 0.01):
            with pytest.raises(Exception, match="not shown call bad"), poll.subscribed(bad, 0.01):
                bad.take((await anext(results)).found)
            for _ in range(3):
                good.take((await anext(results)).found)
        await results.aclose()
        return good

    assert asyncio.run(run()).last_status("good") is CallStatus.RINGING
    assert hooks.hooks[0].polls == [2, 1, 1, 1]


def test_a_bug_in_a_poll_is_a_result_without_the_text_of_the_exception(caplog) -> None:
    value = "a row's value"[::-1]

    def fail(refs):
        raise KeyError(value)

    result = asyncio.run(first_result(poll_of(fail)[0], CallWatch([CallRef("c1")])))
    assert isinstance(result.error, VendorUnavailable)
    assert value not in caplog.text + result.error.message
    assert "KeyError" in caplog.text


def test_a_refused_token_is_the_result_of_its_poll() -> None:
    def refuse(refs):
        raise AuthenticationFailed("401")

    result = asyncio.run(first_result(poll_of(refuse)[0], CallWatch([CallRef("c1")])))
    assert isinstance(result.error, AuthenticationFailed)


def test_no_interval_is_so_short_that_the_vendor_is_flooded() -> None:
    poll, _ = poll_of(all_are("ringing"))
    with poll.subscribed(CallWatch([CallRef("c1")]), 1e-9):
        assert [some.poll_interval for some in poll._subscribers] == [poll_loop.SHORTEST_INTERVAL]
