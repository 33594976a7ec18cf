"""Decisions and next allowed instants, minute by minute against the brute force of ``oracle.py``."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone
from functools import cache

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_voice.policy import ContactPolicy, Person
from airflow_provider_voice.policy.policy import ContactPolicy as Policy
from airflow_provider_voice.policy.rule_format import parse_rule_file
from airflow_provider_voice.policy.zones import load_zone, next_offset_change
from tests.unit.policy.oracle import DAYS, Oracle, offset_changes

pytestmark = pytest.mark.once
UTC = timezone.utc
BERLIN_NUMBER = "+493012345678"


def _policy(content: dict) -> ContactPolicy:
    return Policy((parse_rule_file(yaml.safe_dump(content).encode(), "generated"),), max_zone_spread=26)


def _person(zones: list[str]) -> Person:
    return Person(BERLIN_NUMBER, time_zone=zones[0] if len(zones) == 1 else None)


def _with_zones(content: dict, zones: list[str]) -> dict:
    return content if len(zones) == 1 else {**content, "country_zones": {"DE": zones}}


@cache
def zones_of_phonenumbers() -> list[str]:
    from phonenumbers.tzdata import TIMEZONE_DATA

    return sorted({zone for zones in TIMEZONE_DATA.values() for zone in zones if zone != "Etc/Unknown"})


@cache
def _changes(zone: str) -> list[datetime]:
    return offset_changes(zone, date(2024, 1, 1), date(2028, 1, 1))


def _clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


@st.composite
def intervals(draw) -> list[str]:
    # Many ends at midnight and in the hours in which clocks change.
    edges = st.one_of(st.integers(0, 1440), st.sampled_from([0, 60, 90, 119, 120, 121, 150, 180, 1440]))
    spans = draw(st.lists(st.tuples(edges, edges).filter(lambda span: span[0] < span[1]), max_size=3))
    return [f"{_clock(start)}-{_clock(end)}" for start, end in spans]


@st.composite
def hours(draw) -> dict[str, list[str]]:
    borders = sorted(draw(st.sets(st.integers(1, 6), max_size=3)))
    keys = [
        DAYS[a] if b - a == 1 else f"{DAYS[a]}-{DAYS[b - 1]}" for a, b in zip([0, *borders], [*borders, 7], strict=True)
    ]
    return draw(st.fixed_dictionaries({}, optional={key: intervals() for key in keys}).filter(bool))


def _days_around(middle: datetime) -> st.SearchStrategy[str]:
    return st.integers(-3, 4).map(lambda days: (middle + timedelta(days=days)).date().isoformat())


@st.composite
def rules(draw, middle: datetime) -> list[dict]:
    days = _days_around(middle)
    made = []
    for number in range(draw(st.integers(1, 3))):
        parts = draw(
            st.fixed_dictionaries(
                {},
                optional={
                    "hours": hours(),
                    "closed_on": st.lists(days, min_size=1, max_size=3).map(lambda dates: {"dates": dates}),
                    "at_most": st.fixed_dictionaries({"attempts": st.integers(1, 3), "hours": st.integers(1, 60)}),
                },
            ).filter(bool)
        )
        dates = sorted(draw(st.lists(days, max_size=2, unique=True)))
        if len(dates) == 2 or (dates and draw(st.booleans())):
            parts["since"] = dates[0]
        if len(dates) == 2 or (dates and "since" not in parts):
            parts["until"] = dates[-1]
        made.append({"id": f"rule-{number}", **parts})
    return made


@st.composite
def questions(draw, zone_count: int) -> tuple[dict, list[str], datetime, list[datetime]]:
    zones = draw(st.lists(st.sampled_from(zones_of_phonenumbers()), min_size=1, max_size=zone_count, unique=True))
    moments = [change for zone in zones for change in _changes(zone)] or [datetime(2026, 2, 28, 23, tzinfo=UTC)]
    middle = draw(st.sampled_from(moments))
    at = middle + timedelta(minutes=draw(st.integers(-3000, 1500)))
    content = {
        "margin": draw(st.sampled_from([0, 60, 120, 600])),
        "zones": draw(st.sampled_from(["all", "any"])),
        "rules": draw(rules(middle)),
    }
    attempts = draw(st.lists(st.integers(-3600, 1500).map(lambda minutes: at + timedelta(minutes=minutes)), max_size=5))
    return content, zones, at, attempts


def _agrees(question: tuple[dict, list[str], datetime, list[datetime]], window: timedelta) -> None:
    content, zones, at, attempts = question
    oracle = Oracle(content, zones)
    policy = _policy(_with_zones(content, zones))
    decision = policy.decide(_person(zones), at=at, attempts=attempts)
    expected = oracle.next_at(at, attempts, window)
    assert decision.allowed == oracle.allows(at, attempts)
    assert decision.allowed == all(answer.allowed for answer in decision.asked)
    if expected is not None:
        assert decision.next_at == expected
    else:
        assert decision.next_at is None or decision.next_at > at + window
    if decision.next_at is not None:
        assert policy.decide(_person(zones), at=decision.next_at, attempts=attempts).allowed


@settings(max_examples=70, deadline=None, suppress_health_check=list(HealthCheck))
@given(question=questions(zone_count=1))
def test_one_zone(question) -> None:
    _agrees(question, timedelta(days=4))


@settings(max_examples=35, deadline=None, suppress_health_check=list(HealthCheck))
@given(question=questions(zone_count=3))
def test_several_zones(question) -> None:
    _agrees(question, timedelta(days=3))


@pytest.mark.parametrize(
    "zone",
    [
        "America/New_York", "Europe/London", "Australia/Lord_Howe", "Africa/Casablanca", "Africa/Cairo", "Asia/Beirut",
        "America/Havana", "America/Santiago", "Pacific/Auckland", "Pacific/Chatham", "America/St_Johns", "Europe/Dublin",
    ],
)  # fmt: skip
def test_every_minute_around_a_change_of_the_clock(zone) -> None:
    content = {
        "rules": [{"id": "hours", "hours": {"mon-sun": ["00:15-00:45", "01:40-02:20", "02:50-03:10", "23:30-24:00"]}}]
    }
    oracle, policy, person = Oracle(content, [zone]), _policy(content), Person(BERLIN_NUMBER, time_zone=zone)
    for change in _changes(zone)[2:4]:
        first, last = change - timedelta(hours=3), change + timedelta(hours=3)
        expected = oracle.next_at(last, [], timedelta(days=1))
        minute = last
        while minute >= first:
            if oracle.allows(minute, []):
                expected = minute
            assert policy.decide(person, at=minute).next_at == expected
            minute -= timedelta(minutes=1)


def test_every_zone_has_its_changes() -> None:
    first, last = datetime(2024, 1, 1, tzinfo=UTC), datetime(2028, 1, 1, tzinfo=UTC)
    for name in zones_of_phonenumbers():
        zone = load_zone(name)
        change = next_offset_change(zone, first, last)
        moment, before = first, first.astimezone(zone).utcoffset()
        while moment < last:
            moment += timedelta(hours=6)
            offset = moment.astimezone(zone).utcoffset()
            if change is not None and change <= moment:
                assert (
                    change.astimezone(zone).utcoffset() != (change - timedelta(seconds=1)).astimezone(zone).utcoffset()
                )
                before, change = offset, next_offset_change(zone, change, last)
            assert offset == before, (name, moment)
