"""The course of a call follows from its number and the seed alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_voice.models import CallStatus
from airflow_provider_voice.sandbox.call_courses import course_of

NUMBERS = st.integers(10_000_000, 99_999_999).map(lambda digits: f"+1415{digits}")


@pytest.mark.parametrize(
    ("ending", "status", "has_talk"),
    [
        ("01", CallStatus.COMPLETED, True),
        ("02", CallStatus.BUSY, False),
        ("03", CallStatus.NO_ANSWER, False),
        ("04", CallStatus.VOICEMAIL, True),
        ("05", CallStatus.FAILED, False),
    ],
)
def test_the_last_digits_decide_the_ending(ending, status, has_talk) -> None:
    for seed in range(5):
        course = course_of(f"+141555526{ending}", seed)
        assert course.stages[-1][1] is status
        assert bool(course.talk_seconds) is has_talk


def test_a_call_may_ring_for_ever_or_last_for_hours() -> None:
    assert course_of("+14155552606", 0).stage_at(10**9)[1] is CallStatus.RINGING
    assert course_of("+14155552607", 0).stage_at(3600)[1] is CallStatus.IN_PROGRESS
    assert course_of("+14155552607", 0).stage_at(10**9)[1] is CallStatus.COMPLETED


@given(NUMBERS, st.integers())
def test_every_course_goes_forward_and_ends_once(number, seed) -> None:
    course = course_of(number, seed)
    moments = [start for start, _ in course.stages]
    ranks = [status.rank for _, status in course.stages]
    assert moments == sorted(moments)
    assert ranks == sorted(set(ranks))
    assert course.stage_at(-1) == (0, CallStatus.QUEUED)
    assert not course.stage_at(moments[-1] - 0.001)[1].is_terminal
    assert course.stage_at(moments[-1] + 60) == course.stages[-1]


@given(NUMBERS, st.integers())
def test_the_same_number_and_seed_give_the_same_course(number, seed) -> None:
    assert course_of(number, seed) == course_of(number, seed)


def test_another_seed_gives_other_endings() -> None:
    numbers = [f"+14155553{number}99" for number in range(10, 60)]
    assert [course_of(number, 1) for number in numbers] != [course_of(number, 2) for number in numbers]
