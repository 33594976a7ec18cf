"""The crash matrix: a fault at every boundary, for each vendor and mode, and the phone rings at most once."""

from __future__ import annotations

import os
import random
from datetime import datetime, timedelta, timezone
from unittest import mock
from urllib.parse import urlsplit

import pytest
from airflow.providers.common.compat.sdk import AirflowTaskTimeout

from airflow_provider_voice.dialing import dialer as dialer_module
from airflow_provider_voice.dialing import reconcile
from airflow_provider_voice.dialing.record import RECORD_KEY
from airflow_provider_voice.exceptions import (
    AgentNotUsable,
    CallNotCompleted,
    CallOutcomeUnknown,
    InvalidRequest,
    RateLimited,
    StaleRun,
)
from airflow_provider_voice.operators import make_call
from airflow_provider_voice.operators.make_call import MakeCallOperator
from airflow_provider_voice.sandbox import Sandbox
from airflow_provider_voice.vendors import http as http_module
from tests.interim_proxy import interim_proxy
from tests.mutations import MUTATIONS
from tests.support import forget_calls
from tests.tries import Effects, MappedTask, Run, Task

pytestmark = pytest.mark.once
DONE, BUSY = "+14155552602", "+14155552702"  # two lines that are busy
# A busy line is the quickest ending; these tests hold for any ending.
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
    "redirect after accept": ({"kind": "status", "status": 303, "accepted": True}, True),
    "conflict after accept": ({"kind": "status", "status": 409, "accepted": True}, True),
    "too early after accept": ({"kind": "status", "status": 425, "accepted": True}, True),
}
#: After each of these the phone rings and the answer is lost, as after ``answer lost``: some of the crashes that may follow
#: run for them, all for the others. ``VOICE_FULL_MATRIX=1`` runs all for each.
LIKE_A_LOST_ANSWER = [name for name in FAULTS if name.endswith(" after accept") or name == "cut answer"]
FULL = bool(os.environ.get("VOICE_FULL_MATRIX"))


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """No real waiting; a mutation of the guard where the mutation test asks for one."""
    monkeypatch.setattr(http_module, "_backoff", lambda state: 0.0)
    monkeypatch.setattr(dialer_module, "SEARCH_DELAYS", (0.0, 0.0))
    # The sandbox's clock runs 120 times as fast as ours, which no vendor's does: a second's pause is two minutes there.
    monkeypatch.setattr(reconcile, "CLOCK_TOLERANCE", timedelta(hours=2))
    monkeypatch.setattr(reconcile, "LATE_ARRIVAL", timedelta(hours=2))
    monkeypatch.setattr(make_call, "LATE_ARRIVAL", timedelta(0))
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
        forget_calls(connected)
        connected.clear_faults()
        if settings:
            connected.add_fault(**settings)
        return Task(connected, **MODES[mode])

    counted = Effects()
    fresh().attempt(counted)
    assert "store.set intent" in counted.seen
    assert counted.seen.index("store.set intent") < counted.seen.index("vendor.create")
    crashes = [(number, when) for number in range(min(len(counted.seen), 16)) for when in ("before", "after")]
    if fault in LIKE_A_LOST_ANSWER and not FULL:
        crashes = random.Random(f"{fault} {mode} {connected.vendor_name}").sample(crashes, 8)
    for cell in [None, *crashes]:
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
    outcome = task.attempt(Effects(("store.set intent", when)) if when == "before" else None)
    assert outcome is None
    connected.advance(3700)
    outcome = task.finish()
    assert len(connected.rings) <= 1
    if when == "after":
        assert outcome.state == "success"
        assert outcome.result["how"] in ("adopted", "reattached")
        assert is_the_call_that_rang(connected, outcome.result)


def test_an_unreadable_list_settles_nothing_and_rings_nobody_again(connected) -> None:
    connected.add_fault("lost_answer")
    for operation in ("list", "find"):
        connected.add_fault("status", status=503, operation=operation, times=0)
    outcome = Task(connected).finish()
    assert (outcome.state, outcome.tries) == ("failed", 4)
    assert isinstance(outcome.error, CallOutcomeUnknown)
    assert "the search for the call failed" in outcome.error.message
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
def test_the_id_cannot_be_stored(connected, mode) -> None:
    task = Task(connected, **MODES[mode])
    task.store.refuses = lambda value: value["state"] != "intent"
    first = task.attempt(Effects())
    assert first.state == "success"
    task.clear()
    again = task.finish()
    assert again.state == "success"
    assert again.result["how"] in ("adopted", "reattached")
    assert len(connected.rings) == 1


def test_the_intent_cannot_be_stored_and_nobody_is_rung(connected) -> None:
    task = Task(connected)
    task.store.refuses = lambda value: True
    assert task.finish().state == "failed"
    assert not connected.rings


def test_a_record_nobody_can_read_is_an_intent_all_the_same(connected) -> None:
    task = Task(connected)
    task.store.values[RECORD_KEY] = {"state": "intent", "nonsense": True}
    outcome = task.finish()
    assert isinstance(outcome.error, CallOutcomeUnknown)
    assert not connected.rings


def test_how_the_call_came_to_be(connected) -> None:
    task = Task(connected)
    assert (task.attempt().result["how"], task.store.values[RECORD_KEY]["generation"]) == ("placed", 1)
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
    assert task.store.values[RECORD_KEY]["generation"] == 4
    strict = Task(connected, to=BUSY, map_index=1, **BUSY_FAILS[mode])
    forget_calls(connected)
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
            forget_calls(connected)
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


def test_the_user_may_allow_another_ring(connected) -> None:
    connected.add_fault("reset")
    task = Task(connected, retries=5, redial_when_absent_for=timedelta(seconds=0.2))
    # The vendor's clock counts, which the Date header gives in whole seconds.
    outcome = task.finish(between=lambda: connected.advance(2))
    assert outcome.state == "success"
    assert outcome.result["generation"] == 2
    assert len(connected.rings) == 1
    connected.add_fault("reset", number=BUSY)
    assert Task(connected, to=BUSY).finish().state == "failed"
    assert BUSY not in connected.rings_per_number()


@pytest.mark.parametrize(("kind", "age"), [("backfill", 0), ("scheduled", 2), ("manual", 2)])
@pytest.mark.parametrize(("stale_run", "state"), [("fail", "failed"), ("skip", "skipped"), ("call", "success")])
def test_stale_runs_do_not_ring(connected, kind, age, stale_run, state) -> None:
    task = Task(connected, run=Run(kind), stale_run=stale_run)
    task.run.run_after -= timedelta(days=age)
    outcome = task.finish()
    assert outcome.state == state
    assert len(connected.rings) == (stale_run == "call")
    if stale_run == "fail":
        assert isinstance(outcome.error, StaleRun)
        assert outcome.tries == 1


def test_a_stale_run_still_follows_the_call_it_placed(connected) -> None:
    task = Task(connected, **MODES["wait"])
    task.attempt(Effects(("vendor.read", "before")))
    assert len(connected.rings) == 1
    task.run.run_after -= timedelta(days=3)
    assert task.finish().state == "success"


@pytest.mark.parametrize("fault", FAULTS)
def test_below_airflow_33_a_second_try_searches_first(connected, fault) -> None:
    settings, rings = FAULTS[fault]
    for death in (None, "after create"):
        forget_calls(connected)
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
        # Nobody can know which of the three calls it was: the error names their ids, and nobody is rung again.
        assert isinstance(third.error, CallOutcomeUnknown)
        assert all(ring.call_id in third.error.message for ring in connected.rings)


@pytest.fixture
def hour_ago(monkeypatch, vendor_name) -> Sandbox:
    """A vendor whose clock is an hour behind ours until the test advances it: a call of now is an hour old then."""
    monkeypatch.setattr(reconcile, "CLOCK_TOLERANCE", timedelta(minutes=2))
    monkeypatch.setattr(reconcile, "LATE_ARRIVAL", timedelta(minutes=15))
    with Sandbox(speed=1, start=datetime.now(timezone.utc) - timedelta(hours=1)) as sandbox:
        monkeypatch.setenv("AIRFLOW_CONN_VOICE_DEFAULT", sandbox.connection_json(vendor_name))
        sandbox.vendor_name = vendor_name
        yield sandbox


def run_of_an_hour_ago() -> Run:
    began = datetime.now(timezone.utc) - timedelta(hours=1, minutes=5)
    return Run(run_after=began, start_date=began)


@pytest.mark.parametrize("store", ["emptied", "none"])
def test_cleared_a_finished_run_finds_its_call_although_start_date_has_moved(hour_ago, store) -> None:
    task = Task(hour_ago, run=run_of_an_hour_ago())
    if store == "none":
        task.store = None
    assert task.attempt().state == "success"
    hour_ago.advance(3600)
    task.clear(clear_on_success=True)
    again = task.finish()
    assert (again.state, again.result["how"], len(hour_ago.rings)) == ("success", "adopted", 1)
    assert is_the_call_that_rang(hour_ago, again.result)


@pytest.mark.parametrize("forgets", [1, 2, 100], ids=lambda number: f"{number} reads")
@pytest.mark.parametrize("died", ["after the create", "after success"])
def test_a_store_that_forgets_rings_nobody_again(connected, forgets, died) -> None:
    task = Task(connected)
    counted = Effects()
    Task(connected, map_index=9, to=BUSY).attempt(counted)
    if died == "after success":
        assert task.attempt().state == "success"
        task.clear()
    else:
        assert task.attempt(Effects((counted.seen.index("vendor.create"), "after"))) is None
    task.store.forgets = forgets
    outcome = task.finish()
    assert connected.rings_per_number()[DONE] == 1
    assert outcome.state == "success"
    assert outcome.result["how"] in ("adopted", "reattached")


def test_a_retry_without_a_record_rings_when_nobody_was_rung(connected) -> None:
    task = Task(connected)
    assert task.attempt(Effects((0, "after"))) is None
    assert not connected.rings
    outcome = task.finish()
    assert (outcome.state, outcome.result["how"], len(connected.rings)) == ("success", "placed", 1)


PEOPLE = ["+14155552602", "+14155552702", "+14155552802"]
NEW = "+14155552902"


@pytest.mark.parametrize("clear_on_success", [False, True], ids=["store", "store emptied"])
@pytest.mark.parametrize(
    ("numbers", "rung"),
    [([NEW, *PEOPLE], 3), (PEOPLE[1:], 3), ([*PEOPLE, NEW], 4), (PEOPLE[::-1], 3)],
    ids=["one in front", "the first gone", "one at the end", "turned round"],
)
def test_cleared_a_mapped_task_whose_list_has_changed(connected, numbers, rung, clear_on_success) -> None:
    task = MappedTask(connected, PEOPLE)
    assert [outcome.state for outcome in task.finish()] == ["success"] * 3
    task.clear(numbers, clear_on_success=clear_on_success)
    outcomes = task.finish()
    per_number = connected.rings_per_number()
    assert max(per_number.values()) == 1
    assert set(PEOPLE) <= set(per_number)
    for number, outcome in zip(numbers, outcomes, strict=True):
        if outcome.state == "success":
            assert outcome.result["to"] == number
            assert number in per_number
        else:
            assert isinstance(outcome.error, InvalidRequest)
            assert "map index" in outcome.error.message
            assert outcome.tries <= 2
    if clear_on_success:
        assert [outcome.state for outcome in outcomes] == ["success"] * len(numbers)
    else:
        assert len(per_number) == rung


def test_a_corrected_number_of_a_mapped_task_whom_another_index_rang(connected) -> None:
    """The record under the index says "refused", so the search in the vendor's list decides."""
    task = MappedTask(connected, [DONE, BUSY])
    connected.add_fault("status", status=402, number=BUSY)
    assert [outcome.state for outcome in task.finish()] == ["success", "failed"]
    task.clear([BUSY, DONE])
    outcomes = task.finish()
    assert isinstance(outcomes[0].error, InvalidRequest)
    assert outcomes[1].result["how"] == "adopted"
    assert connected.rings_per_number() == {DONE: 1}


def test_cleared_while_it_runs_a_task_without_retries_places_the_new_call(connected) -> None:
    task = Task(connected, retries=0, on_clear="new_call", **MODES["wait"])
    task.attempt(Effects(("vendor.read", "before")))
    assert len(connected.rings) == 1
    task.clear_while_running()
    outcome = task.attempt()
    assert (outcome.result["how"], outcome.result["generation"]) == ("placed", 2)
    assert len(connected.rings) == 2


@pytest.mark.parametrize("retries", [0, 2])
def test_a_task_that_the_scheduler_lost_is_not_taken_for_a_cleared_one(connected, retries) -> None:
    """A scheduler dies; another one resets its running tasks: one try more than max_tries allows, and no clear."""
    task = Task(connected, retries=retries, on_clear="new_call")
    for _ in range(retries + 1):
        task.attempt(Effects(die_at=None))
    assert task.attempt().result["how"] == "reattached"
    assert len(connected.rings) == 1


def test_cleared_while_it_runs_a_task_with_retries_says_that_no_new_call_was_placed(connected, caplog) -> None:
    task = Task(connected, on_clear="new_call", **MODES["wait"])
    task.attempt(Effects(("vendor.read", "before")))
    task.clear_while_running()
    outcome = task.finish()
    assert (outcome.result["how"], len(connected.rings)) == ("reattached", 1)
    assert "clear the task again when it has ended" in caplog.text


def test_a_retry_after_the_clear_for_a_new_call_places_no_third_one(connected) -> None:
    task = Task(connected, on_clear="new_call")
    task.store = None
    task.attempt()
    task.clear()
    task.attempt(Effects(("vendor.create", "after")))
    task.finish()
    assert connected.rings_per_number()[DONE] <= 2


def test_a_lost_create_does_not_adopt_the_call_that_another_task_owns(connected) -> None:
    run = Run()
    other = Task(connected, task_id="other", run=run)
    assert other.attempt().state == "success"
    task = Task(connected, run=run)
    task.others = ("other",)
    connected.add_fault("reset")
    outcome = task.finish()
    assert outcome.state == "failed"
    assert isinstance(outcome.error, CallOutcomeUnknown)
    assert len(connected.rings) == 1


def test_a_lost_create_does_not_adopt_a_call_that_was_created_later(hour_ago) -> None:
    task = Task(hour_ago, run=run_of_an_hour_ago())
    hour_ago.add_fault("reset")
    for operation in ("list", "find"):
        hour_ago.add_fault("status", status=503, operation=operation, times=20)
    assert task.attempt() is None
    hour_ago.clear_faults()
    hour_ago.advance(600)
    later = Task(hour_ago, task_id="later", run=run_of_an_hour_ago()).attempt().result
    outcome = task.finish()
    assert isinstance(outcome.error, CallOutcomeUnknown)
    assert len(hour_ago.rings) == 1
    if hour_ago.vendor_name != "unleashx":  # there the other call's tag says whose it is
        assert later["id"] in outcome.error.message


def test_a_killed_task_never_ends_as_a_success_and_a_retry_attaches(connected, monkeypatch) -> None:
    plain = MakeCallOperator._publish

    def killed_after_the_create(operator, *arguments):
        operator.on_kill()
        plain(operator, *arguments)

    for mode in MODES.values():
        forget_calls(connected)
        with monkeypatch.context() as patched:
            patched.setattr(MakeCallOperator, "_publish", killed_after_the_create)
            task = Task(connected, **mode)
            assert task.attempt() is None
            assert "The task was killed." in str(task.errors[0])
        assert task.finish().result["how"] == "reattached"
        assert len(connected.rings) == 1
    assert not [request for request in connected.requests if request.operation == "end"]


def test_a_task_that_is_killed_while_its_create_waits_rings_nobody(connected, monkeypatch) -> None:
    task = Task(connected)
    operator = task.operator()
    monkeypatch.setattr(task, "operator", lambda: operator)
    monkeypatch.setattr(http_module, "_backoff", lambda state: operator.on_kill() or 0.0)
    connected.add_fault("status", status=429)
    assert task.attempt() is None
    assert "killed before it placed its call" in str(task.errors[0])
    assert len(connected.rings) == 0
    monkeypatch.undo()


def test_a_call_that_a_kill_hung_up_is_no_success_for_the_retry(connected, monkeypatch) -> None:
    plain = MakeCallOperator._publish

    def killed_after_the_create(operator, *arguments):
        operator.on_kill()
        plain(operator, *arguments)

    task = Task(connected, to="+14155552606", end_call_on_kill=True)
    with monkeypatch.context() as patched:
        patched.setattr(MakeCallOperator, "_publish", killed_after_the_create)
        assert task.attempt() is None
        assert "The task was killed." in str(task.errors[0])
    outcome = task.finish()
    if connected.vendor_name == "talkover":
        assert isinstance(outcome.error, CallNotCompleted)
    else:  # nobody was hung up on
        assert outcome.result["how"] == "reattached"
    assert len(connected.rings) == 1


@pytest.mark.parametrize("mode", ["wait", "defer"])
def test_a_call_that_an_execution_timeout_hung_up_is_no_success_for_the_retry(connected, monkeypatch, mode) -> None:
    arguments = {**MODES[mode], "end_call_on_kill": True, "execution_timeout": timedelta(seconds=0.01)}
    task, operators = Task(connected, to="+14155552606", **arguments), []
    make = task.operator
    with monkeypatch.context() as patched:
        patched.setattr(task, "operator", lambda: operators.append(make()) or operators[-1])
        if mode == "wait":
            patched.setattr(make_call.CallWatch, "poll", mock.Mock(side_effect=AirflowTaskTimeout))
        with pytest.raises(AirflowTaskTimeout):
            task.attempt()
    operators[-1].on_kill()  # as Airflow does after this error
    if connected.vendor_name == "talkover":
        assert isinstance(task.finish().error, CallNotCompleted)
    ends = [request for request in connected.requests if request.operation == "end"]
    assert len(ends) == (connected.vendor_name == "talkover")
    assert len(connected.rings) == 1


@pytest.mark.parametrize("died", [False, True], ids=["alive", "died after the create"])
def test_cleared_after_interim_responses_nobody_is_rung_again(moving, monkeypatch, vendor_name, died) -> None:
    with interim_proxy(urlsplit(moving.url).port) as port:
        connection = moving.connection_json(vendor_name).replace(str(urlsplit(moving.url).port), str(port))
        monkeypatch.setenv("AIRFLOW_CONN_VOICE_DEFAULT", connection)
        moving.vendor_name = vendor_name
        task = Task(moving)
        counted = Effects()
        Task(moving, to=BUSY).attempt(counted)
        first = task.attempt(Effects((counted.seen.index("vendor.create"), "after")) if died else None)
        assert (first is None) is died
        if not died:
            assert first.result["how"] == "placed"
        task.clear(clear_on_success=True)
        outcome = task.finish()
    assert (outcome.state, outcome.result["how"]) == ("success", "adopted")
    assert moving.rings_per_number() == {BUSY: 1, DONE: 1}
