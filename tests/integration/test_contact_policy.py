"""MakeCallOperator asks its contact policy right before each call: it waits, skips or fails, and rings once."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import time_machine

from airflow_provider_voice.dialing import dialer as dialer_module
from airflow_provider_voice.exceptions import (
    CallNotCompleted,
    CallOutcomeUnknown,
    InvalidRequest,
    NotAllowedNow,
    StaleRun,
)
from airflow_provider_voice.operators.make_call import MakeCallOperator
from airflow_provider_voice.sandbox import Sandbox
from airflow_provider_voice.vendors import http as http_module
from tests.tries import Run, Task

pytestmark = pytest.mark.once
TOKYO = {"time_zone": "Asia/Tokyo"}
# 2 o'clock at night in Tokyo; the rules open at 9, which is midnight in UTC.
NIGHT = datetime(2026, 11, 24, 17, tzinfo=timezone.utc)
OPENS = datetime(2026, 11, 25, tzinfo=timezone.utc)
BUSY = {"to": "+14155552602", "wait_for_completion": True, "deferrable": False}


@pytest.fixture
def rules(tmp_path: Path) -> str:
    path = tmp_path / "company.yaml"
    path.write_text(
        "title: Our hours\nas_of: 2026-11-01\n"
        + "rules:\n  - id: our-hours\n    hours: {mon-sun: ['09:00-17:00']}\n"
        + "  - id: our-attempts\n    at_most: {attempts: 2, hours: 24}\n"
    )
    return str(path)


@pytest.fixture
def night(monkeypatch: pytest.MonkeyPatch) -> Iterator[time_machine.Coordinates]:
    monkeypatch.setattr(dialer_module, "SEARCH_DELAYS", (0.0,))
    with time_machine.travel(NIGHT, tick=True) as clock:
        yield clock


@pytest.fixture
def busy_sandbox(night: time_machine.Coordinates, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    with Sandbox(speed=120) as sandbox:
        monkeypatch.setenv("AIRFLOW_CONN_VOICE_DEFAULT", sandbox.connection_json("talkover"))
        yield sandbox


def task_with(sandbox: Sandbox, clock: time_machine.Coordinates, policy: str, **arguments: Any) -> Task:
    task = Task(sandbox, run=Run(), policy=policy, **{**TOKYO, **arguments})
    task.waits = []

    def on_wait(moment: datetime) -> None:
        task.waits.append(moment)
        assert not sandbox.rings_per_number()
        assert not task.store.values  # nothing is intended yet
        clock.move_to(moment)

    task.on_wait = on_wait
    return task


def test_waits_at_night_and_rings_in_the_morning_once(busy_sandbox, night, rules) -> None:
    """With the default ``timeout`` of an hour, which bounds the wait for the call's end only."""
    task = task_with(busy_sandbox, night, rules)
    outcome = task.finish()
    assert (outcome.state, outcome.result["how"]) == ("success", "placed")
    assert task.waits == [OPENS]
    assert len(busy_sandbox.rings) == 1


def test_by_day_nobody_waits(busy_sandbox, night, rules) -> None:
    night.move_to(OPENS + timedelta(hours=1))
    task = task_with(busy_sandbox, night, rules)
    assert task.finish().state == "success"
    assert not task.waits


def test_a_create_that_waits_until_the_hours_are_over_rings_nobody(busy_sandbox, night, rules, monkeypatch) -> None:
    night.move_to(OPENS + timedelta(hours=7, minutes=58))
    monkeypatch.setattr(http_module, "_backoff", lambda state: night.shift(timedelta(minutes=3)) or 0.0)
    busy_sandbox.add_fault("status", status=429)
    task = Task(busy_sandbox, run=Run(), policy=rules, **TOKYO)
    waits = []
    task.on_wait = lambda moment: (waits.append(moment), night.move_to(moment))
    outcome = task.finish()
    assert (outcome.state, outcome.result["how"]) == ("success", "placed")
    assert waits == [OPENS + timedelta(days=1)]
    assert len(busy_sandbox.rings) == 1


@pytest.mark.parametrize(("when_closed", "state"), [("skip", "skipped"), ("fail", "failed")])
def test_skips_or_fails_at_once(busy_sandbox, night, rules, when_closed, state) -> None:
    outcome = task_with(busy_sandbox, night, rules, when_closed=when_closed).finish()
    assert (outcome.state, outcome.tries) == (state, 1)
    if state == "failed":
        assert isinstance(outcome.error, NotAllowedNow)
        assert outcome.error.next_at == OPENS
    assert not busy_sandbox.rings


def test_waits_no_longer_than_the_run_may_ring(busy_sandbox, night, rules) -> None:
    task = task_with(busy_sandbox, night, rules, max_run_age=timedelta(hours=6))
    outcome = task.finish()
    assert isinstance(outcome.error, NotAllowedNow)
    assert (outcome.tries, task.waits) == (1, [])
    assert not busy_sandbox.rings


def test_a_wait_that_ends_late_rings_nobody_for_an_old_run(busy_sandbox, night, rules) -> None:
    task = task_with(busy_sandbox, night, rules, max_run_age=timedelta(hours=8))

    def fires_late(moment: datetime) -> None:
        task.waits.append(moment)
        night.move_to(moment + timedelta(hours=3))  # open, but the run was due ten hours ago

    task.on_wait = fires_late
    outcome = task.finish()
    assert isinstance(outcome.error, StaleRun)
    assert task.waits == [OPENS]
    assert not busy_sandbox.rings


def test_a_run_that_may_be_of_any_age_waits_until_the_policy_opens(busy_sandbox, night, rules) -> None:
    task = task_with(busy_sandbox, night, rules, stale_run="call", max_run_age=timedelta(hours=1))
    assert task.finish().state == "success"
    assert task.waits == [OPENS]


def test_a_redial_is_asked_like_any_call_and_earlier_calls_count(busy_sandbox, night, rules) -> None:
    night.move_to(OPENS + timedelta(hours=1))
    task = task_with(busy_sandbox, night, rules, redial_statuses=["busy"], when_closed="fail", retries=5, **BUSY)
    outcome = task.finish()
    assert isinstance(task.errors[0], CallNotCompleted)
    assert isinstance(outcome.error, NotAllowedNow)
    assert len(busy_sandbox.rings) == 2


def test_a_stored_intent_is_settled_whatever_the_policy_says_now(busy_sandbox, night, rules) -> None:
    night.move_to(OPENS + timedelta(hours=1))
    task = task_with(busy_sandbox, night, rules, when_closed="fail")
    busy_sandbox.add_fault("reset")
    assert task.attempt() is None
    night.move_to(OPENS + timedelta(hours=12))
    task.attempt()
    assert isinstance(task.errors[-1], CallOutcomeUnknown)
    assert not busy_sandbox.rings


def test_a_policy_that_is_none_is_refused_when_the_dag_is_parsed(tmp_path) -> None:
    (tmp_path / "broken.yaml").write_text("rules: [")
    for policy in (str(tmp_path / "broken.yaml"), "no-such-rules", 7, [], [7]):
        with pytest.raises(InvalidRequest):
            MakeCallOperator(task_id="ring", to="+14155552602", policy=policy)


def test_a_person_whom_nobody_can_place_is_not_waited_for(busy_sandbox, night) -> None:
    outcome = task_with(busy_sandbox, night, "us", to="+18005550199", time_zone=None).finish()
    assert outcome.state == "failed"
    assert not busy_sandbox.rings


def test_a_delayed_call_is_asked_for_the_moment_at_which_it_rings(busy_sandbox, night, rules) -> None:
    """At 16:30 in Tokyo a call with an hour's delay would ring at 17:30, after the hours have closed."""
    night.move_to(OPENS + timedelta(hours=7, minutes=30))
    outcome = task_with(busy_sandbox, night, rules, delay_seconds=3600, when_closed="fail").finish()
    assert isinstance(outcome.error, NotAllowedNow)
    assert not busy_sandbox.rings
    night.move_to(OPENS + timedelta(hours=23))  # 8 o'clock: it rings at 9
    task = task_with(busy_sandbox, night, rules, delay_seconds=timedelta(hours=1))
    assert task.finish().state == "success"
    assert task.waits == []


def test_a_delayed_call_is_placed_so_that_it_rings_when_the_hours_open(busy_sandbox, night, rules) -> None:
    task = task_with(busy_sandbox, night, rules, delay_seconds=3600)
    assert task.finish().state == "success"
    assert task.waits == [OPENS - timedelta(hours=1)]


def test_earlier_calls_count_although_the_clock_went_back(busy_sandbox, night, rules) -> None:
    """The next try may run on a machine whose clock is behind."""
    night.move_to(OPENS + timedelta(hours=3))
    task = task_with(busy_sandbox, night, rules, redial_statuses=["busy"], when_closed="fail", retries=5, **BUSY)
    outcome = task.finish(between=lambda: night.shift(timedelta(minutes=-30)))
    assert isinstance(outcome.error, NotAllowedNow)
    assert len(busy_sandbox.rings) == 2
