"""The crash matrix: a fault at every boundary, for each vendor and mode, and the phone rings at most once."""

from __future__ import annotations

import os
from datetime import timedelta

import pytest

from airflow_provider_voice.dialing import dialer as dialer_module
from airflow_provider_voice.dialing import reconcile
from airflow_provider_voice.exceptions import (
    AgentNotUsable,
    CallNotCompleted,
    CallOutcomeUnknown,
    InvalidRequest,
    RateLimited,
    StaleRun,
)
from airflow_provider_voice.sandbox import Sandbox
from airflow_provider_voice.vendors import http as http_module
from tests.mutations import MUTATIONS
from tests.tries import Effects, Task

pytestmark = pytest.mark.once
DONE, BUSY = "+14155552602", "+14155552702"  # two lines that are busy
# A busy line is the quickest ending there is; what is tested here is not which one.
ANY_ENDING = {"success_statuses": ["busy", "completed"]}
MODES = {
    "fire": {},
    "wait": {"wait_for_completion": True, "deferrable": False, **ANY_ENDING},
    "defer": {"wait_for_completion": True, "deferrable": True, **ANY_ENDING},
}
BUSY_FAILS = {mode: {**arguments, "success_statuses": ["completed"]} for mode, arguments in MODES.items()}
# Faults of the vendor beside a crash: how the sandbox is set, and whether the phone rings at all.
FAULTS = {
    "none": ({}, True),
    "answer lost": ({"kind": "lost_answer"}, True),
    "5xx after accept": ({"kind": "status", "status": 502, "accepted": True}, True),
    "5xx without accept": ({"kind": "status", "status": 503}, False),
    "garbage after accept": ({"kind": "garbage", "accepted": True}, True),
    "cut answer": ({"kind": "cut"}, True),
    "reset": ({"kind": "reset"}, False),
}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """No real waiting; a mutation of the guard where the mutation test asks for one."""
    monkeypatch.setattr(http_module, "_backoff", lambda state: 0.0)
    monkeypatch.setattr(dialer_module, "LOOKS", (0.0, 0.0))
    # The sandbox's clock runs 120 times as fast as ours, which no vendor's does: a second's pause is two minutes there.
    monkeypatch.setattr(reconcile, "BEFORE", timedelta(hours=2))
    monkeypatch.setattr(reconcile, "AFTER", timedelta(hours=2))
    MUTATIONS[os.environ.get("VOICE_MUTATION", "none")](monkeypatch)


@pytest.fixture
def moving() -> Sandbox:
    """A sandbox in which a busy line has ended after some hundredths of a second."""
    with Sandbox(speed=120) as sandbox:
        yield sandbox


@pytest.fixture
def connected(moving, monkeypatch, vendor_name) -> Sandbox:
    monkeypatch.setenv("AIRFLOW_CONN_VOICE_DEFAULT", moving.connection_json(vendor_name))
    moving.vendor_name = vendor_name
    return moving


def is_the_call_that_rang(sandbox: Sandbox, result: dict) -> bool:
    (ring,) = sandbox.rings
    # UnleashX lists a call under a number of its own; an adopted call is known by our tag.
    return result["id"] == ring.call_id or (ring.tag is not None and result["tag"] == ring.tag)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("mode", MODES)
def test_crash_matrix(connected, mode, fault) -> None:
    settings, rings = FAULTS[fault]

    def fresh() -> Task:
        connected.world.reset()
        connected.clear_faults()
        if settings:
            connected.add_fault(**settings)
        return Task(connected, **MODES[mode])

    counted = Effects()
    fresh().attempt(counted)
    assert "store.set intent" in counted.seen
    assert counted.seen.index("store.set intent") < counted.seen.index("vendor.create")
    cells = [None, *((number, when) for number in range(min(len(counted.seen), 14)) for when in ("before", "after"))]
    for cell in cells:
        task = fresh()
        first = Effects(cell)
        outcome = task.finish(first)
        died = None if cell is None else (first.seen[cell[0]] if cell[0] < len(first.seen) else "not reached", cell[1])
        shown = f"{fault}, {mode}, died {died}: {outcome}"
        assert len(connected.rings) <= 1, shown
        if outcome.state == "success":
            assert is_the_call_that_rang(connected, outcome.result), shown
        else:
            assert isinstance(outcome.error, CallOutcomeUnknown), shown
            assert outcome.tries == 4, shown
        if rings and connected.rings:
            assert outcome.state == "success", shown
        if not connected.rings:
            assert outcome.state == "failed", shown


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_list_that_shows_the_call_late(connected, mode, when) -> None:
    connected.world.list_delay = 3600
    task = Task(connected, **MODES[mode])
    connected.add_fault("lost_answer")
    outcome = task.attempt(Effects((1, when)) if when == "before" else None)
    assert outcome is None
    connected.advance(3700)
    outcome = task.finish()
    assert len(connected.rings) <= 1
    if when == "after":
        assert outcome.state == "success"
        assert outcome.result["how"] in ("adopted", "reattached")
        assert is_the_call_that_rang(connected, outcome.result)


def test_a_list_that_can_not_be_read_settles_nothing_and_rings_nobody_again(connected) -> None:
    connected.add_fault("lost_answer")
    for operation in ("list", "find"):
        connected.add_fault("status", status=503, operation=operation, times=0)
    outcome = Task(connected).finish()
    assert (outcome.state, outcome.tries) == ("failed", 4)
    assert isinstance(outcome.error, CallOutcomeUnknown)
    assert "can not be read" in outcome.error.message
    assert "last try" in outcome.error.message
    assert len(connected.rings) == 1


@pytest.mark.parametrize("hours", [-7, 7, 30])
def test_a_clock_that_is_off_by_hours(connected, hours) -> None:
    connected.advance(hours * 3600)
    connected.add_fault("lost_answer")
    outcome = Task(connected).finish()
    assert outcome.state == "success"
    assert outcome.result["how"] == "adopted"
    assert is_the_call_that_rang(connected, outcome.result)


@pytest.mark.parametrize("mode", MODES)
def test_the_id_can_not_be_stored(connected, mode) -> None:
    task = Task(connected, **MODES[mode])
    task.store.refuses = lambda value: value["state"] != "intent"
    first = task.attempt(Effects())
    assert first.state == "success"
    task.clear()
    again = task.finish()
    assert again.state == "success"
    assert again.result["how"] in ("adopted", "reattached")
    assert len(connected.rings) == 1


def test_the_intent_can_not_be_stored_and_nobody_is_rung(connected) -> None:
    task = Task(connected)
    task.store.refuses = lambda value: True
    assert task.finish().state == "failed"
    assert not connected.rings


def test_a_record_nobody_can_read_is_an_intent_all_the_same(connected) -> None:
    task = Task(connected)
    task.store.values[dialer_module.RECORD_KEY] = {"state": "intent", "nonsense": True}
    outcome = task.finish()
    assert isinstance(outcome.error, CallOutcomeUnknown)
    assert not connected.rings


def test_how_the_call_came_to_be(connected) -> None:
    task = Task(connected)
    assert (task.attempt().result["how"], task.store.values[dialer_module.RECORD_KEY]["generation"]) == ("placed", 1)
    task.clear()
    again = task.attempt().result
    assert (again["how"], again["generation"]) == ("reattached", 1)
    assert DONE.lstrip("+") not in str(task.store.values)


@pytest.mark.parametrize("mode", ["wait", "defer"])
def test_a_retry_rings_again_only_after_an_ending_it_may(connected, mode) -> None:
    task = Task(connected, to=BUSY, redial_statuses=["busy"], **BUSY_FAILS[mode])
    outcome = task.finish()
    assert isinstance(outcome.error, CallNotCompleted)
    assert (outcome.tries, len(connected.rings)) == (4, 4)
    assert task.store.values[dialer_module.RECORD_KEY]["generation"] == 4
    strict = Task(connected, to=BUSY, map_index=1, **BUSY_FAILS[mode])
    connected.world.reset()
    assert strict.finish().tries == 1
    assert len(connected.rings) == 1


def test_a_clear_after_busy_is_no_retry(connected) -> None:
    task = Task(connected, to=BUSY, retries=0, redial_statuses=["busy"], **BUSY_FAILS["wait"])
    assert task.finish().state == "failed"
    task.clear()
    task.finish()
    assert len(connected.rings) == 1


def test_a_crash_in_the_middle_of_a_redial(connected) -> None:
    counted = Effects()
    task = Task(connected, to=BUSY, redial_statuses=["busy"], **BUSY_FAILS["wait"])
    task.attempt()
    task.attempt(counted)
    for number in range(len(counted.seen)):
        for when in ("before", "after"):
            connected.world.reset()
            task = Task(connected, to=BUSY, retries=1, redial_statuses=["busy"], **BUSY_FAILS["wait"])
            task.attempt()
            task.attempt(Effects((number, when)))
            assert len(connected.rings) <= 2


def test_a_user_asks_for_a_new_call_by_clearing(connected) -> None:
    task = Task(connected, on_clear="new_call")
    task.attempt()
    task.clear()
    again = task.finish()
    assert (again.result["how"], again.result["generation"]) == ("placed", 2)
    assert len(connected.rings) == 2
    task.clear()
    connected.add_fault("lost_answer")
    assert task.finish().result["generation"] == 3
    assert len(connected.rings) == 3


@pytest.mark.parametrize(("connection", "error"), [({"agent_id": "999"}, AgentNotUsable)], ids=["agent"])
def test_what_the_vendor_refused_may_be_placed_after_it_is_mended(connected, connection, error) -> None:
    task = Task(connected, **connection)
    assert isinstance(task.finish().error, error)
    task.arguments.pop("agent_id")
    task.clear()
    outcome = task.finish()
    assert (outcome.state, outcome.result["how"]) == ("success", "placed")
    assert len(connected.rings) == 1


def test_too_many_requests_for_too_long_is_retried_by_airflow(connected) -> None:
    connected.add_fault("status", status=429, retry_after=500, times=0)
    task = Task(connected)
    assert task.attempt() is None
    connected.clear_faults()
    assert isinstance(task.errors[0], RateLimited)
    assert task.errors[0].retry_after == 500
    assert task.finish().state == "success"
    assert len(connected.rings) == 1


def test_another_request_than_before_is_neither_attached_nor_placed(connected) -> None:
    task = Task(connected)
    task.attempt()
    task.arguments["to"] = BUSY
    task.clear()
    assert isinstance(task.finish().error, InvalidRequest)
    assert connected.rings_per_number() == {DONE: 1}


def test_ringing_again_is_the_users_word(connected) -> None:
    connected.add_fault("reset")
    task = Task(connected, retries=5, redial_when_absent_for=timedelta(seconds=0.2))
    outcome = task.finish(between=lambda: __import__("time").sleep(0.15))
    assert outcome.state == "success"
    assert outcome.result["generation"] == 2
    assert len(connected.rings) == 1
    connected.add_fault("reset", number=BUSY)
    assert Task(connected, to=BUSY).finish().state == "failed"
    assert BUSY not in connected.rings_per_number()


@pytest.mark.parametrize(("kind", "age"), [("backfill", 0), ("scheduled", 2), ("manual", 2)])
@pytest.mark.parametrize(("stale_run", "state"), [("fail", "failed"), ("skip", "skipped"), ("call", "success")])
def test_stale_runs_do_not_ring(connected, kind, age, stale_run, state) -> None:
    task = Task(connected, run_type=kind, stale_run=stale_run)
    task.started -= timedelta(days=age)
    outcome = task.finish()
    assert outcome.state == state
    assert len(connected.rings) == (stale_run == "call")
    if stale_run == "fail":
        assert isinstance(outcome.error, StaleRun)
        assert outcome.tries == 1


def test_a_stale_run_still_follows_the_call_it_placed(connected) -> None:
    task = Task(connected, **MODES["wait"])
    task.attempt(Effects((4, "before")))
    assert len(connected.rings) == 1
    task.started -= timedelta(days=3)
    assert task.finish().state == "success"


@pytest.mark.parametrize("fault", FAULTS)
def test_below_airflow_33_a_second_try_looks_first(connected, fault) -> None:
    settings, rings = FAULTS[fault]
    for death in (None, "after create"):
        connected.world.reset()
        connected.clear_faults()
        if settings:
            connected.add_fault(**settings)
        task = Task(connected)
        task.store = None
        counted = Effects((0, "after")) if death else None
        outcome = task.finish(counted)
        assert len(connected.rings) <= 1
        if rings:
            assert outcome.state == "success"
            assert is_the_call_that_rang(connected, outcome.result)


def test_two_tasks_for_one_person_each_keep_to_their_own_call(connected) -> None:
    tasks = [Task(connected, map_index=index) for index in range(2)]
    results = [task.finish().result for task in tasks]
    assert {result["id"] for result in results} == {ring.call_id for ring in connected.rings}
    connected.add_fault("lost_answer")
    third = Task(connected, map_index=2).finish()
    assert len(connected.rings) == 3
    if connected.vendor_name == "unleashx":
        assert third.result["tag"] == connected.rings[2].tag
    else:
        # Which of three calls it was can not be known: the ids are said, and nobody is rung again.
        assert isinstance(third.error, CallOutcomeUnknown)
        assert all(ring.call_id in third.error.message for ring in connected.rings)
