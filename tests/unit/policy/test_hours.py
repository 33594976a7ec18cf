"""Opening hours: their texts, intervals that touch, midnight, the end of the week and the margin."""

from __future__ import annotations

from datetime import datetime

import pytest

from airflow_provider_voice.policy import Person
from airflow_provider_voice.policy.hours import WeeklyHours, parse_days, parse_interval
from tests.unit.policy.policies import BERLIN, berlin, load, local, rule, utc

HOUR = 60 * 60 * 10**6


@pytest.mark.parametrize(
    ("text", "days"),
    [("mon", (0,)), ("sun", (6,)), ("mon-fri", (0, 1, 2, 3, 4)), ("sat-sun", (5, 6)), ("sun-tue", (6, 0, 1))],
)
def test_the_days_of_a_key(text, days) -> None:
    assert parse_days(text) == days


def test_an_interval_is_in_microseconds_since_midnight() -> None:
    assert parse_interval("8:00-24:00") == (8 * HOUR, 24 * HOUR)
    with pytest.raises(ValueError, match='"21:00-24:00" and "00:00-08:00" of the next day'):
        parse_interval("21:00-08:00")


def test_the_next_start_is_on_the_same_day() -> None:
    hours = WeeklyHours.build([[(8 * HOUR, 12 * HOUR)], *[[]] * 6], margin_seconds=60)
    monday = datetime(2026, 11, 23)  # noqa: DTZ001 - a wall-clock time
    assert hours.next_start(monday) == monday.replace(hour=8)
    assert hours.next_start(monday.replace(hour=11, minute=58)) == monday.replace(hour=11, minute=58)
    assert hours.next_start(monday.replace(hour=11, minute=59)) is None
    assert hours.next_start(monday.replace(day=24)) is None


def test_hours_are_half_open_and_no_call_starts_in_the_margin() -> None:
    policy = load(rule('hours: {mon-sun: ["08:00-21:00"]}'))
    assert not berlin(policy, "2026-11-23 07:59:59.999999").allowed
    assert berlin(policy, "2026-11-23 08:00").allowed
    assert berlin(policy, "2026-11-23 20:58:59.999999").allowed
    late = berlin(policy, "2026-11-23 20:59")
    assert not late.allowed
    assert late.next_at == local("2026-11-24 08:00", "Europe/Berlin")


def test_without_a_margin_the_last_instant_before_closing_is_open() -> None:
    policy = load(rule('hours: {mon-sun: ["08:00-21:00"]}', "margin: 0"))
    assert berlin(policy, "2026-11-23 20:59:59.999999").allowed
    assert not berlin(policy, "2026-11-23 21:00").allowed


def test_several_intervals_overlap_and_touch() -> None:
    policy = load(rule('hours: {mon-sun: ["13:00-14:00", "08:00-10:00", "09:00-12:00", "12:00-12:30"]}'))
    assert berlin(policy, "2026-11-23 11:59:30").allowed  # no closing between two intervals that touch
    assert berlin(policy, "2026-11-23 12:29:30").next_at == local("2026-11-23 13:00", "Europe/Berlin")


def test_open_around_midnight_is_no_closing() -> None:
    policy = load(rule('hours: {mon-sat: ["20:00-24:00"], sun: ["00:00-02:00", "20:00-24:00"]}'))
    assert berlin(policy, "2026-11-21 23:59:30").allowed  # Saturday; Sunday goes on at 00:00
    assert not berlin(policy, "2026-11-22 23:59:30").allowed  # Sunday; Monday is closed at 00:00
    assert load(rule('hours: {mon-sun: ["00:00-24:00"]}')).decide(Person(BERLIN), at=utc("2026-11-22 22:59:30")).allowed


def test_open_around_the_end_of_the_week_is_no_closing() -> None:
    policy = load(rule('hours: {sun: ["20:00-24:00"], mon: ["00:00-02:00"]}'))
    assert berlin(policy, "2026-11-22 23:59:30").allowed
    assert not berlin(policy, "2026-11-23 01:59").allowed


def test_a_margin_may_reach_into_the_day_before() -> None:
    policy = load(rule('hours: {mon: ["20:00-24:00"], tue: ["00:00-00:05"]}', "margin: 600"))
    assert berlin(policy, "2026-11-23 23:54:59").allowed
    assert not berlin(policy, "2026-11-23 23:55").allowed
    assert not berlin(policy, "2026-11-24 00:01").allowed


def test_an_interval_that_is_shorter_than_its_margin_never_opens() -> None:
    decision = berlin(load(rule('hours: {mon: ["08:00-08:01"]}')), "2026-11-23 08:00")
    assert decision.next_at is None
    assert "no instant within a year" in decision.reason


def test_closed_all_week() -> None:
    decision = berlin(load(rule("hours: {mon-sun: []}")), "2026-11-23 08:00")
    assert (decision.allowed, decision.next_at, decision.rule) == (False, None, "rule")
