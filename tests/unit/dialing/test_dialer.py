"""The dialer with a vendor and a clock of the test's own: when it rings again, and how far back it searches."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any

import pytest
import time_machine

from airflow_provider_voice.dialing import deadline as deadline_module
from airflow_provider_voice.dialing.dialer import LONGEST_NAP, LONGEST_WAIT, SEARCH_DELAYS, Dialer
from airflow_provider_voice.dialing.reconcile import LONGEST_LOOK_BACK, MOST_DOUBT
from airflow_provider_voice.dialing.record import IntentTaken
from airflow_provider_voice.dialing.task_facts import TaskFacts
from airflow_provider_voice.exceptions import (
    AuthenticationFailed,
    CallNotCompleted,
    CallOutcomeUnknown,
    InvalidRequest,
    LedgerFailed,
    NotAllowedNow,
    RateLimited,
    RequestRejected,
    VendorUnavailable,
    VoiceError,
)
from airflow_provider_voice.models import Call, CallRequest, CallStatus

MINUTE = timedelta(minutes=1)
REQUEST = CallRequest("+14155552601", "agent_1")


class Vendor:
    """Keeps a list of calls, and fails where a test wants it."""

    name, title, keeps_tags = "v", "V", False

    def __init__(self) -> None:
        self.http = SimpleNamespace(clock_offset=0.0)
        self.calls: list[Call] = []
        self.windows: list[tuple[datetime, datetime]] = []
        self.create_error: VoiceError | None = None
        self.list_error: VoiceError | None = None
        self.creates = 0

    def complete(self, request: CallRequest) -> CallRequest:
        return request

    def check_request(self, request: CallRequest) -> None:
        pass

    def now(self) -> datetime:
        return datetime.now(timezone.utc)

    def candidates(self, start: datetime, end: datetime, *, to: str, tag: str | None) -> Iterator[Call]:
        self.windows.append((start, end))
        if self.list_error is not None:
            raise self.list_error
        return (call for call in self.calls if call.to == to and start <= call.created_at < end)

    def time_doubt(self, call: Call) -> timedelta:
        return timedelta(0)


class World:
    """One task and its tries."""

    def __init__(self, **rules: Any) -> None:
        self.now = datetime.now(timezone.utc)
        self.vendor = Vendor()
        self.values: dict[str, Any] = {}
        self.rules = rules
        self.slept: list[float] = []
        self.attempts: list[list[datetime]] = []
        #: How often somebody may be rung before the policy closes.
        self.closes_after = 1000
        #: The call as the vendor shows it.
        self.seen: Call | None = None
        #: How long the process stands still between a stored intent and the first byte of the create.
        self.stands_still = timedelta(0)
        #: Whether the state store fails.
        self.fails = False
        self.facts: dict[str, Any] = {"try_number": 0, "max_tries": 9, "retries": 9, "run_began_at": self.now}

    def make_call(self, request: CallRequest) -> Call:
        if self.stands_still:
            self.now += self.stands_still
            self.clock.move_to(self.now)
        self.vendor.http.before_create()
        self.vendor.creates += 1
        if self.vendor.create_error is not None:
            raise self.vendor.create_error
        call = Call(id=f"c{self.vendor.creates}", vendor="v", status=CallStatus.QUEUED, to=request.to,
                    agent_id=request.agent_id, created_at=self.now)  # fmt: skip
        self.vendor.calls.append(call)
        return call

    def get(self, key: str) -> Any:
        if self.fails:
            raise RuntimeError("the API server does not answer")
        return self.values.get(key)

    @property
    def hook(self) -> Any:
        return SimpleNamespace(vendor=self.vendor, voice_conn_id="voice_default", make_call=self.make_call,
                               get_call=lambda ref: self.seen)  # fmt: skip

    @property
    def store(self) -> Any:
        return SimpleNamespace(get=self.get, set=self.values.__setitem__)

    def before_ringing(self, attempts: list[datetime]) -> None:
        if len(self.attempts) >= self.closes_after:
            raise NotAllowedNow("closed")
        self.attempts.append(attempts)

    def dialer(self, store: Any = None) -> Dialer:
        task = TaskFacts("d", "r", "t", **self.facts)
        return Dialer(
            self.hook,
            self.store if store is None else store,
            task,
            **self.rules,
            before_ringing=self.before_ringing,
            sleep=self.slept.append,
        )

    def dial(self, request: CallRequest = REQUEST, **facts: Any) -> Any:
        self.facts = {**self.facts, "try_number": self.facts["try_number"] + 1, **facts}
        with time_machine.travel(self.now, tick=False) as self.clock:
            return self.dialer().dial(request)

    def lose_a_create(self, request: CallRequest = REQUEST) -> None:
        self.vendor.create_error = CallOutcomeUnknown("lost")
        with pytest.raises(CallOutcomeUnknown) as unknown:
            self.dial(request)
        assert not unknown.value.permanent
        self.vendor.create_error = None


@pytest.mark.parametrize("delay", [0, 3600])
def test_nobody_is_rung_again_before_the_absence_and_the_delay_have_passed(delay: int) -> None:
    request = CallRequest(REQUEST.to, REQUEST.agent_id, delay_seconds=delay)
    world = World(redial_when_absent_for=15 * MINUTE)
    world.lose_a_create(request)
    for minutes in (14, 0.9):
        world.now += timedelta(minutes=minutes)
        with pytest.raises(CallOutcomeUnknown):
            world.dial(request)
    if delay:
        world.now += 30 * MINUTE
        with pytest.raises(CallOutcomeUnknown):
            world.dial(request)
        world.now += 30 * MINUTE
    world.now += MINUTE
    assert (world.dial(request).generation, world.vendor.creates) == (2, 2)
    assert len(world.attempts[-1]) == 1  # the lost one counts for a contact policy


def test_a_list_that_could_not_be_read_starts_the_absence_anew() -> None:
    world = World(redial_when_absent_for=15 * MINUTE)
    world.lose_a_create()
    world.now += 14 * MINUTE
    world.vendor.list_error = VendorUnavailable("down", status_code=503)
    with pytest.raises(CallOutcomeUnknown, match="the search for the call failed"):
        world.dial()
    world.vendor.list_error = None
    for minutes in (2, 14):
        world.now += minutes * MINUTE
        with pytest.raises(CallOutcomeUnknown):
            world.dial()
    world.now += 2 * MINUTE
    assert world.dial().generation == 2


def test_a_list_that_showed_a_call_that_may_be_ours_starts_the_absence_anew() -> None:
    world = World(redial_when_absent_for=15 * MINUTE)
    world.lose_a_create()
    world.now += 10 * MINUTE
    world.vendor.calls.append(Call(id="c9", vendor="v", status=CallStatus.QUEUED, to=REQUEST.to, agent_id="agent_1",
                                   created_at=world.now - 2 * MINUTE))  # fmt: skip
    with pytest.raises(CallOutcomeUnknown, match="may or may not be") as unknown:
        world.dial()
    assert not unknown.value.permanent  # a retry searches again
    world.vendor.calls.clear()
    for minutes in (6, 14):
        world.now += minutes * MINUTE
        with pytest.raises(CallOutcomeUnknown, match="does not show the call"):
            world.dial()
    world.now += MINUTE
    assert world.dial().generation == 2


def test_before_ringing_again_calls_of_any_later_time_are_searched_for() -> None:
    world = World(redial_when_absent_for=15 * MINUTE)
    world.lose_a_create()
    world.now += 60 * MINUTE
    world.vendor.calls.append(Call(id="late", vendor="v", status=CallStatus.QUEUED, to=REQUEST.to, agent_id="agent_1",
                                   created_at=world.now - 20 * MINUTE))  # fmt: skip
    with pytest.raises(CallOutcomeUnknown, match="late"):
        world.dial()
    assert world.vendor.creates == 1


def test_without_permission_nobody_is_ever_rung_again() -> None:
    world = World()
    world.lose_a_create()
    for _ in range(5):
        world.now += timedelta(days=3)
        with pytest.raises(CallOutcomeUnknown):
            world.dial()
    assert world.vendor.creates == 1


def test_a_refused_token_ends_the_search() -> None:
    world = World()
    world.lose_a_create()
    world.vendor.list_error = AuthenticationFailed("no", status_code=401)
    with pytest.raises(CallOutcomeUnknown) as unknown:
        world.dial()
    assert unknown.value.permanent


@pytest.mark.parametrize("status", [301, 302, 303, 307, 408, 409, 425, 500])
def test_an_answer_that_is_no_clear_refusal_leaves_an_intent(status: int) -> None:
    world = World()
    world.vendor.create_error = RequestRejected("?", status_code=status)
    with pytest.raises(CallOutcomeUnknown):
        world.dial()
    assert world.values["voice_dial"]["state"] == "intent"


def test_a_process_that_stood_still_sends_nothing_and_leaves_the_record_to_the_try_that_came_after_it() -> None:
    world = World(redial_when_absent_for=15 * MINUTE)
    world.stands_still = 16 * MINUTE
    with pytest.raises(VendorUnavailable, match="Nothing was sent"):
        world.dial()
    assert world.vendor.creates == 0
    assert world.values["voice_dial"]["state"] == "intent"
    world.stands_still = 14 * MINUTE
    with pytest.raises(CallOutcomeUnknown):
        world.dial()  # the intent may have been sent, so a retry searches
    world.now += 16 * MINUTE
    assert world.dial().how == "placed"
    assert world.vendor.creates == 1


def test_a_process_that_stood_still_holds_the_create_back_also_when_the_clock_was_set_back(monkeypatch) -> None:
    world = World()
    world.stands_still = -30 * MINUTE  # by the wall clock
    boot = deadline_module._boot_time()
    passed = iter([0.0, 16 * 60.0])
    monkeypatch.setattr(deadline_module, "_boot_time", lambda: boot + next(passed))
    with pytest.raises(VendorUnavailable, match="Nothing was sent"):
        world.dial()
    assert world.vendor.creates == 0


def test_a_process_that_wakes_after_its_create_leaves_the_record_of_the_try_that_followed() -> None:
    world = World(redial_when_absent_for=15 * MINUTE)
    follower: dict[str, Any] = {}

    def stands_still_after_the_create(request: CallRequest) -> Call:
        call = world.make_call(request)
        if not follower:
            follower.update(world.values["voice_dial"], generation=2, key="afv-later", state="intent")
            world.values["voice_dial"] = dict(follower)
        return call

    hook = world.hook
    hook.make_call = stands_still_after_the_create
    dialed = Dialer(hook, world.store, TaskFacts("d", "r", "t", try_number=1), **world.rules).dial(REQUEST)
    assert dialed.how == "placed"
    assert world.values["voice_dial"] == follower


@pytest.mark.parametrize(
    ("failure", "asks_for_others"),
    [
        (RuntimeError("no answer"), False),
        (LedgerFailed("no right", permanent=True), False),
        (LedgerFailed("away"), True),
    ],
    ids=["state store", "ledger", "calls of others in the ledger"],
)
def test_a_lost_create_is_named_also_when_the_store_does_not_answer(
    failure: Exception, asks_for_others: bool, caplog
) -> None:
    world = World()
    is_down = False

    def everything_fails(request: CallRequest) -> Call:
        nonlocal is_down
        is_down = True
        raise CallOutcomeUnknown("lost")

    def get(key: str) -> Any:
        if is_down:
            raise failure
        return world.values.get(key)

    def calls_of_others() -> frozenset[str]:
        if asks_for_others:
            raise failure
        return frozenset()

    hook = world.hook
    hook.make_call = everything_fails
    dialer = Dialer(hook, SimpleNamespace(get=get, set=world.values.__setitem__), TaskFacts("d", "r", "t"),
                    calls_of_others=calls_of_others, sleep=world.slept.append)  # fmt: skip
    with pytest.raises(CallOutcomeUnknown, match=r"Nobody can tell whether .* was rung") as unknown:
        dialer.dial(REQUEST)
    assert not unknown.value.permanent
    assert f"({type(failure).__name__})" in caplog.text
    assert world.values["voice_dial"]["state"] == "intent"


def test_a_search_ends_as_soon_as_another_try_of_the_task_has_stored_the_call() -> None:
    world = World()
    world.lose_a_create()
    record = world.values["voice_dial"]
    placed = {**record, "state": "placed", "call": {"id": "c1", "status": "queued"}}
    reads = iter([record, record, placed, placed, placed])
    world.facts["try_number"] = 2
    store = SimpleNamespace(get=lambda key: next(reads), set=lambda key, value: None)
    assert world.dialer(store).dial(REQUEST).how == "reattached"
    assert world.vendor.creates == 1


def test_the_record_of_another_request_is_named_by_its_index_where_there_is_one() -> None:
    for index, named in ((-1, "The record of the task belongs"), (3, "The record of map index 3 belongs")):
        world = World()
        world.dial(map_index=index)
        with pytest.raises(InvalidRequest, match=named):
            world.dial(CallRequest("+14155552609", "agent_1"), map_index=index)


def test_a_first_try_costs_no_search_and_a_retry_without_a_record_all_of_them() -> None:
    world = World()
    assert world.dial().how == "placed"
    assert (world.slept, world.vendor.windows) == ([], [])
    world.values.clear()
    world.vendor.calls.clear()
    assert world.dial().how == "placed"
    assert world.slept == list(SEARCH_DELAYS)


def test_a_new_index_of_a_mapped_task_in_a_cleared_run_searches_once() -> None:
    world = World()
    world.dial(map_index=3, clear_number=1, try_number=1)
    assert len(world.vendor.windows) == 1


def test_the_search_goes_back_to_the_runs_beginning_and_no_further_than_ninety_days(caplog) -> None:
    for days, expected in ((2, timedelta(days=2)), (4000, LONGEST_LOOK_BACK)):
        world = World()
        with caplog.at_level(logging.WARNING):
            world.dial(try_number=2, run_began_at=world.now - timedelta(days=days))
        since = world.now - world.vendor.windows[0][0] - MOST_DOUBT
        assert abs(since - expected) < timedelta(minutes=3)
    assert "not searched for" in caplog.text


def test_the_record_holds_no_number() -> None:
    world = World()
    world.dial()
    assert "4155552601" not in str(world.values)


@pytest.mark.parametrize("ahead", [20 * MINUTE, -20 * MINUTE], ids=str)
def test_the_absence_is_measured_by_the_vendors_clock_not_by_the_workers(ahead: timedelta) -> None:
    """The next try may run on a machine whose clock is another."""
    world = World(redial_when_absent_for=15 * MINUTE)
    world.lose_a_create()
    world.now += MINUTE + ahead
    world.vendor.http.clock_offset = -ahead.total_seconds()
    with pytest.raises(CallOutcomeUnknown):
        world.dial()
    assert world.vendor.creates == 1
    world.now += 15 * MINUTE
    assert world.dial().generation == 2


@pytest.mark.parametrize(("try_number", "rings"), [(2, 2), (3, 2), (4, 1)])
def test_a_try_beyond_the_retries_is_no_redial(try_number: int, rings: int) -> None:
    world = World(redial_statuses=frozenset({CallStatus.BUSY}))
    world.dial(max_tries=2, retries=2)
    world.values["voice_dial"]["state"], world.values["voice_dial"]["call"]["status"] = "ended", "busy"
    world.dial(try_number=try_number)
    assert world.vendor.creates == rings


def test_a_store_that_fails_when_a_call_has_ended_does_not_spoil_the_call() -> None:
    world = World()
    placed = world.dial()
    world.fails = True
    world.dialer().ended(placed.call)
    world.dialer().hung_up(placed.call)


def test_a_call_that_ended_while_its_killed_task_may_have_hung_up_is_no_success() -> None:
    """Airflow clears a deferred task: the trigger hangs up, and it has no store to say so."""
    world = World(hangs_up_when_deferred=True)
    placed = world.dial()
    world.seen = replace(placed.call, status=CallStatus.COMPLETED)
    assert world.dial().call.status is CallStatus.COMPLETED  # a retry: nobody was killed
    with pytest.raises(CallNotCompleted, match="may have been hung up"):
        world.dial(max_tries=12)
    assert world.vendor.creates == 1


class PacedStore(dict):
    """A store that has no place for an intent at first."""

    def __init__(self, waits: list[float]) -> None:
        self.waits = waits

    def set(self, key: str, value: Any) -> None:
        if value["state"] == "intent" and self.waits:
            raise RateLimited("no place", retry_after=self.waits.pop(0))
        self[key] = value


def test_each_wait_for_the_pace_is_short_and_the_policy_is_asked_after_it() -> None:
    world = World()
    store = PacedStore([30.0, 0.5])
    dialer = world.dialer(store)
    assert dialer.dial(REQUEST).how == "placed"
    assert world.slept == [LONGEST_NAP, 0.5]
    assert len(world.attempts) == 3
    closed = World()
    closed.closes_after = 1
    with pytest.raises(NotAllowedNow):
        closed.dialer(PacedStore([30.0])).dial(REQUEST)
    assert closed.vendor.creates == 0


def test_a_pace_without_a_place_is_left_to_a_retry() -> None:
    world = World()
    with pytest.raises(RateLimited):
        world.dialer(PacedStore([9.0] * 1000)).dial(REQUEST)
    assert sum(world.slept) <= LONGEST_WAIT
    assert world.vendor.creates == 0


@pytest.mark.parametrize("is_kept", [True, False], ids=["kept", "not kept"])
def test_an_intent_that_may_not_have_been_stored_is_withdrawn_and_a_retry_rings(is_kept: bool) -> None:
    world = World()

    class Failing(dict):
        fails = True

        def set(self, key: str, value: Any) -> None:
            if is_kept or not self.fails:
                self[key] = value
            if self.fails:
                self.fails = value["state"] != "intent"
                raise LedgerFailed("no answer to the commit")

    store = Failing()
    with pytest.raises(LedgerFailed):
        world.dialer(store).dial(REQUEST)
    assert world.vendor.creates == 0
    world.facts["try_number"] = 2
    assert world.dialer(store).dial(REQUEST).how == "placed"
    assert world.vendor.creates == 1


def test_a_task_that_comes_second_attaches_as_soon_as_the_first_has_its_answer() -> None:
    """The first task stores its intent between the second one's read and write, and its call a moment later."""
    world = World()
    world.facts |= {"try_number": 1, "call_key": "k"}
    first = world.dialer(PacedStore([]))

    class Taken(dict):
        def set(self, key: str, value: Any) -> None:
            if value["state"] == "intent":
                raise IntentTaken

    store = Taken()
    world.facts = {**world.facts, "map_index": 7}
    second = world.dialer(store)
    record = first._next(None, REQUEST)

    def arrives(seconds: float) -> None:
        if seconds:
            record.state, record.call = "placed", {"id": "c-first", "status": "queued"}
        store["voice_dial"] = record.to_json()

    second.sleep = arrives
    second.before_ringing = lambda attempts: arrives(0)
    dialed = second.dial(REQUEST)
    assert (dialed.call.id, dialed.how, world.vendor.creates) == ("c-first", "reattached", 0)


def test_only_the_task_that_placed_the_call_of_a_key_rings_again() -> None:
    world = World(redial_statuses=frozenset({CallStatus.BUSY}))
    world.facts["call_key"] = "k"
    call = world.dial().call
    world.seen = replace(call, status=CallStatus.BUSY)
    other = {**world.facts, "map_index": 3}
    for number in (1, 2, 3):
        second = Dialer(world.hook, world.store, TaskFacts("d", "r", "t", **{**other, "try_number": number}),
                        **world.rules, sleep=world.slept.append)  # fmt: skip
        dialed = second.dial(REQUEST)
        assert dialed.how == "reattached"
        second.ended(dialed.call)
    assert world.vendor.creates == 1
    assert world.dial().generation == 2


def test_a_call_that_the_vendor_no_longer_lists_is_as_the_record_has_it() -> None:
    world = World()
    placed = world.dial().call
    world.dialer().ended(replace(placed, status=CallStatus.COMPLETED))
    assert world.dial().call.status is CallStatus.COMPLETED


def test_a_key_that_stands_for_another_call_is_refused_and_shows_no_number() -> None:
    world = World()
    world.facts["call_key"] = "call +14155552601"
    world.dial()
    with pytest.raises(InvalidRequest, match="use another call_key") as refused:
        world.dial(CallRequest("+14155552701", "agent_1"))
    assert "5552601" not in refused.value.message
    assert world.vendor.creates == 1


def test_the_next_record_remembers_the_calls_before_it() -> None:
    dialer = World().dialer()
    first = dialer._next(None, REQUEST)
    first.state, first.call = "ended", {"id": "a"}
    second = dialer._next(first, REQUEST)
    second.state = "refused"
    third = dialer._next(second, REQUEST)
    assert (first.generation, third.generation, third.earlier_ids) == (1, 3, ["a"])
    assert third.earlier_attempts == [first.intent_at]  # the refused one rang nobody
    assert len({first.key, second.key, third.key}) == 3
