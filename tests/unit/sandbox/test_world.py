"""The clock of the sandbox and the course of its calls."""

from __future__ import annotations

import time
from datetime import datetime, timedelta, timezone

import pytest

from airflow_provider_voice.models import CallStatus
from airflow_provider_voice.sandbox import Sandbox
from airflow_provider_voice.sandbox.call_courses import QUEUED_SECONDS, RINGING_SECONDS
from airflow_provider_voice.sandbox.world import World

TALKED_TO = "+14155552601"
START = datetime(2026, 11, 2, 15, tzinfo=timezone.utc)


def test_the_clock_runs_with_real_time_whatever_the_speed_is() -> None:
    sandbox = Sandbox(speed=10_000)
    before = time.time()
    shown = sandbox.now().timestamp()
    assert before - 5 < shown < time.time() + 5
    sandbox.advance(60)
    assert sandbox.now().timestamp() > before + 50


def test_a_frozen_clock_moves_by_advance_alone() -> None:
    sandbox = Sandbox(start=START, frozen=True)
    assert sandbox.now() == sandbox.now() == START
    sandbox.advance(90)
    assert sandbox.now() == START + timedelta(seconds=90)


def test_speed_shortens_the_course_and_keeps_the_duration() -> None:
    world = World(frozen=True, start=START, speed=60)
    call = world.place("talkover", TALKED_TO, "agent_sandbox")
    talked = call.course.talk_seconds
    real = (QUEUED_SECONDS + RINGING_SECONDS + talked) / 60
    assert call.status(START) is CallStatus.QUEUED
    assert call.status(START + timedelta(seconds=real - 0.01)) is CallStatus.IN_PROGRESS

    later = START + timedelta(seconds=real + 0.01)
    assert call.status(later) is CallStatus.COMPLETED
    assert call.duration(later) == talked
    assert call.updated_at(later) == START + timedelta(seconds=real)


def test_speed_shortens_delays_too() -> None:
    world = World(frozen=True, start=START, speed=60, list_delay=120)
    call = world.place("talkover", TALKED_TO, "agent_sandbox", delay_seconds=600)
    assert world.rings[0].at == START + timedelta(seconds=10)
    assert call.status(START + timedelta(seconds=9)) is CallStatus.QUEUED
    assert not world.shown("talkover")
    world.advance(2)
    assert world.shown("talkover") == [call]


@pytest.mark.parametrize("speed", [0, -1])
def test_a_speed_that_is_not_positive_is_refused(speed) -> None:
    with pytest.raises(ValueError, match="greater than 0"):
        Sandbox(speed=speed)
