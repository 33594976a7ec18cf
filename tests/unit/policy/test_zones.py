"""Clocks: zones, and opening hours that a change of the UTC offset skips or repeats."""

from __future__ import annotations

from datetime import timedelta

import pytest

from airflow_provider_voice.exceptions import InvalidRequest
from airflow_provider_voice.policy import Person
from airflow_provider_voice.policy.zones import first_instant, hours_between, load_zone, next_offset_change, wall_clock
from tests.unit.policy.policies import BERLIN, berlin, load, local, rule, utc


@pytest.mark.parametrize(
    "name", ["Factory", "localtime", "posix/UTC", "right/UTC", "Mars/Base", "/etc/passwd", "UTC\0"]
)
def test_names_that_are_no_zone(name) -> None:
    with pytest.raises(InvalidRequest, match="is not a time zone"):
        load_zone(name)


def test_a_change_at_the_very_instant_is_not_the_next_one() -> None:
    zone, spring, autumn = load_zone("Europe/Berlin"), utc("2026-03-29 01:00"), utc("2026-10-25 01:00")
    assert next_offset_change(zone, spring - timedelta(microseconds=1), autumn) == spring
    assert next_offset_change(zone, spring, autumn) == autumn
    assert next_offset_change(zone, spring, autumn - timedelta(seconds=1)) is None
    assert wall_clock(zone, spring).hour == 3


def test_hours_between_clocks_follow_summer_time() -> None:
    zones = ["America/New_York", "Pacific/Honolulu"]
    assert hours_between(zones, utc("2026-01-15")) == 5
    assert hours_between(zones, utc("2026-07-15")) == 6
    assert hours_between(["Asia/Kolkata"], utc("2026-07-15")) == 0


def test_the_last_instant_of_a_search_counts() -> None:
    zone, start, end = load_zone("Europe/Berlin"), utc("2026-11-23 08:00"), utc("2026-11-23 09:00")

    def ten_oclock(wall, last):
        ten = wall.replace(hour=10)
        return ten if wall <= ten <= last else None

    assert first_instant(zone, start, end, ten_oclock) == end
    assert first_instant(zone, start, end - timedelta(microseconds=1), ten_oclock) is None


def test_hours_that_the_clock_skips() -> None:
    policy = load(rule('hours: {sun: ["02:10-02:50"]}', "margin: 0"))  # Berlin goes from 02:00 to 03:00
    decision = berlin(policy, "2026-03-29 00:00")
    assert decision.next_at == local("2026-04-05 02:10", "Europe/Berlin")
    into = load(rule('hours: {sun: ["02:10-03:50"]}', "margin: 0"))
    assert berlin(into, "2026-03-29 00:00").next_at == utc("2026-03-29 01:00")


def test_hours_that_the_clock_repeats() -> None:
    policy = load(rule('hours: {sun: ["02:10-02:50"]}', "margin: 0"))  # Berlin goes from 03:00 back to 02:00
    assert berlin(policy, "2026-10-25 00:00").next_at == utc("2026-10-25 00:10")
    between = policy.decide(Person(BERLIN), at=utc("2026-10-25 00:55"))
    assert between.next_at == utc("2026-10-25 01:10")
    fold = policy.decide(Person(BERLIN), at=local("2026-10-25 02:30", "Europe/Berlin", fold=1))
    assert fold.allowed
    assert fold.next_at == utc("2026-10-25 01:30")


def test_half_an_hour_of_summer_time() -> None:
    policy = load(rule('hours: {sun: ["02:10-02:40"]}', "margin: 0"))
    person = Person(BERLIN, time_zone="Australia/Lord_Howe")  # 02:00 to 02:30 on 2026-10-04
    at = utc("2026-10-03 12:00")
    assert policy.decide(person, at=at).next_at == local("2026-10-04 02:30", "Australia/Lord_Howe")


def test_a_day_that_does_not_exist_somewhere() -> None:
    policy = load(rule('hours: {fri: ["10:00-11:00"]}', "margin: 0"))
    person = Person(BERLIN, time_zone="Pacific/Apia")  # Samoa left out Friday 2011-12-30
    assert policy.decide(person, at=utc("2011-12-29 12:00")).next_at == local("2012-01-06 10:00", "Pacific/Apia")


@pytest.mark.parametrize(
    ("zone", "opens"),
    [
        ("EST", "2026-11-24 15:00"),
        ("Etc/GMT+5", "2026-11-24 15:00"),
        ("Etc/GMT-14", "2026-11-24 20:00"),
        ("UTC", "2026-11-24 10:00"),
    ],
)
def test_zones_without_a_place(zone, opens) -> None:
    policy = load(rule('hours: {mon-sun: ["10:00-11:00"]}'))
    assert policy.decide(Person(BERLIN, time_zone=zone), at=utc("2026-11-23 21:00")).next_at == utc(opens)
