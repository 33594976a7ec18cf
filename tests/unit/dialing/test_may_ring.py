"""The conditions under which a task rings somebody: the age of its run, and its contact policy."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any

import pytest
import time_machine

from airflow_provider_voice.dialing.may_ring import ClosedNow, MayRing
from airflow_provider_voice.exceptions import NotAllowedNow, StaleRun
from airflow_provider_voice.models import CallRequest
from airflow_provider_voice.policy import ContactPolicy

# 2 o'clock at night in Tokyo; the rules open at 9, which is midnight in UTC.
NIGHT = datetime(2026, 11, 24, 17, tzinfo=timezone.utc)
OPENS = datetime(2026, 11, 25, tzinfo=timezone.utc)
HOUR = timedelta(hours=1)
RUN = SimpleNamespace(run_id="r", run_type="manual", run_after=NIGHT)


@pytest.fixture
def policy(tmp_path) -> ContactPolicy:
    rules = "rules:\n  - id: hours\n    hours: {mon-sun: ['09:00-17:00']}\n  - id: cap\n    at_most: {attempts: 1, hours: 2}\n"
    (tmp_path / "ours.yaml").write_text(f"title: Ours\nas_of: 2026-11-01\n{rules}")
    return ContactPolicy.load(str(tmp_path / "ours.yaml"))


def check(at: datetime, attempts: Iterable[datetime] = (), delay: int = 0, **conditions: Any) -> None:
    request = CallRequest("+14155552601", "agent_1", delay_seconds=delay)
    with time_machine.travel(at, tick=False):
        MayRing(request, RUN, time_zone="Asia/Tokyo", **conditions).check(lambda: attempts)


def test_without_conditions_anybody_is_rung_and_no_attempts_are_read() -> None:
    def read() -> Iterable[datetime]:
        raise AssertionError("not asked for")

    MayRing(CallRequest("+14155552601"), RUN).check(read)


def test_an_old_run_rings_nobody() -> None:
    check(NIGHT + HOUR, max_run_age=2 * HOUR)
    with pytest.raises(StaleRun):
        check(NIGHT + 3 * HOUR, max_run_age=2 * HOUR)


def test_by_night_the_task_waits_until_the_hours_open(policy) -> None:
    with pytest.raises(ClosedNow) as closed:
        check(NIGHT, policy=policy)
    assert closed.value.opens_at == OPENS
    check(OPENS, policy=policy)


def test_a_delayed_call_is_placed_so_that_it_rings_when_the_hours_open(policy) -> None:
    with pytest.raises(ClosedNow) as closed:
        check(NIGHT, policy=policy, delay=3600)
    assert closed.value.opens_at == OPENS - HOUR
    check(OPENS - HOUR, policy=policy, delay=3600)


@pytest.mark.parametrize(
    "limit",
    [{"deadline": OPENS - HOUR}, {"max_run_age": 6 * HOUR}, {"when_closed": "fail"}, {"when_closed": "skip"}],
    ids=str,
)
def test_a_task_that_may_not_wait_is_told_when_the_hours_open(policy, limit) -> None:
    with pytest.raises(NotAllowedNow) as refused:
        check(NIGHT, policy=policy, **limit)
    assert refused.value.next_at == OPENS


def test_attempts_count_also_those_of_a_machine_whose_clock_is_ahead(policy) -> None:
    at = OPENS + HOUR
    check(at, [at - 3 * HOUR], policy=policy)
    for attempt in (at - HOUR, at + HOUR):
        with pytest.raises(ClosedNow) as closed:
            check(at, [attempt], policy=policy)
        assert closed.value.opens_at == min(attempt, at) + 2 * HOUR
