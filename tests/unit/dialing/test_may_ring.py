"""Whether the contact policy of a task allows its call now, and when it will."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
import time_machine

from airflow_provider_voice.dialing.may_ring import ClosedNow, ask_policy
from airflow_provider_voice.exceptions import NotAllowedNow
from airflow_provider_voice.policy import ContactPolicy, Person

# 2 o'clock at night in Tokyo; the rules open at 9, which is midnight in UTC.
NIGHT = datetime(2026, 11, 24, 17, tzinfo=timezone.utc)
OPENS = datetime(2026, 11, 25, tzinfo=timezone.utc)
HOUR = timedelta(hours=1)
PERSON = Person("+14155552601", time_zone="Asia/Tokyo")


@pytest.fixture
def policy(tmp_path) -> ContactPolicy:
    rules = "rules:\n  - id: hours\n    hours: {mon-sun: ['09:00-17:00']}\n  - id: cap\n    at_most: {attempts: 1, hours: 2}\n"
    (tmp_path / "ours.yaml").write_text(f"title: Ours\nas_of: 2026-11-01\n{rules}")
    return ContactPolicy.load(str(tmp_path / "ours.yaml"))


def check(policy: ContactPolicy, at: datetime, attempts: Iterable[datetime] = (), **conditions: Any) -> None:
    with time_machine.travel(at, tick=False):
        ask_policy(policy, PERSON, attempts, **conditions)


def test_by_night_the_task_waits_until_the_hours_open(policy) -> None:
    with pytest.raises(ClosedNow) as closed:
        check(policy, NIGHT)
    assert closed.value.opens_at == OPENS
    check(policy, OPENS)


def test_a_delayed_call_is_placed_so_that_it_rings_when_the_hours_open(policy) -> None:
    with pytest.raises(ClosedNow) as closed:
        check(policy, NIGHT, delay=HOUR)
    assert closed.value.opens_at == OPENS - HOUR
    check(policy, OPENS - HOUR, delay=HOUR)


@pytest.mark.parametrize(
    "limit", [{"deadline": OPENS - HOUR}, {"when_closed": "fail"}, {"when_closed": "skip"}], ids=str
)
def test_a_task_that_may_not_wait_is_told_when_the_hours_open(policy, limit) -> None:
    with pytest.raises(NotAllowedNow) as refused:
        check(policy, NIGHT, **limit)
    assert refused.value.next_at == OPENS


def test_attempts_count_also_those_of_a_machine_whose_clock_is_ahead(policy) -> None:
    at = OPENS + HOUR
    check(policy, at, [at - 3 * HOUR])
    for attempt in (at - HOUR, at + HOUR):
        with pytest.raises(ClosedNow) as closed:
            check(policy, at, [attempt])
        assert closed.value.opens_at == min(attempt, at) + 2 * HOUR
