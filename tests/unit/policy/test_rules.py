"""One rule: closed days, dates in force, and rolling limits on attempts."""

from __future__ import annotations

from datetime import timedelta

import pytest

from airflow_provider_voice.exceptions import InvalidRequest
from airflow_provider_voice.policy import Person
from airflow_provider_voice.policy.rules import AttemptLimit, Rule, check_calendar
from tests.unit.policy.policies import BERLIN, berlin, load, local, rule, utc


def test_a_rule_without_codes_applies_to_everybody() -> None:
    assert Rule("a").applies(frozenset())
    assert Rule("a", applies_to=("US", "CA")).applies(frozenset({"CA", "CA-ON"}))
    assert not Rule("a", applies_to=("US-FL",)).applies(frozenset({"US"}))


def test_calendars_of_the_holidays_package() -> None:
    check_calendar("US-FL")
    with pytest.raises(InvalidRequest, match="no calendar 'XX'"):
        check_calendar("XX")


@pytest.mark.parametrize(
    ("attempts", "span", "text"),
    [
        (1, timedelta(hours=1), "1 attempt in 1 hour"),
        (3, timedelta(hours=24), "3 attempts in 24 hours"),
        (7, timedelta(days=7), "7 attempts in 7 days"),
        (7, timedelta(hours=36), "7 attempts in 36 hours"),
    ],
)
def test_a_limit_for_people(attempts, span, text) -> None:
    assert AttemptLimit(attempts, span).describe() == text


def test_a_limit_waits_for_the_attempt_that_makes_room() -> None:
    limit, at = AttemptLimit(2, timedelta(hours=1)), utc("2026-11-23 12:00")
    made = [at - timedelta(minutes=minutes) for minutes in (60, 50, 40, 30)]
    assert limit.count(at, made) == 3  # the first has left the window
    assert limit.next_allowed(at, made) == made[2] + timedelta(hours=1)


def test_holidays_count_by_the_local_date_of_the_person() -> None:
    policy = load(rule("closed_on: {holidays: DE}"))
    assert berlin(policy, "2026-12-24 23:59:59").allowed
    closed = berlin(policy, "2026-12-25 00:00")
    assert "Christmas" in closed.reason or "Weihnacht" in closed.reason
    assert closed.next_at == local("2026-12-27 00:00", "Europe/Berlin")
    honolulu = Person(BERLIN, time_zone="Pacific/Honolulu")
    assert policy.decide(honolulu, at=utc("2026-12-25 09:59")).allowed


def test_calendars_of_states() -> None:
    policy = load(rule("closed_on: {holidays: [DE-BY, CA-QC]}"))
    assert not berlin(policy, "2026-01-06 12:00").allowed  # Epiphany, in Bavaria
    assert not berlin(policy, "2026-06-24 12:00").allowed  # Quebec
    assert berlin(policy, "2026-06-25 12:00").allowed


def test_a_holiday_moves_the_next_instant_over_the_year() -> None:
    policy = load(rule('hours: {mon-fri: ["10:00-11:00"]}\n    closed_on: {holidays: DE}'))
    assert berlin(policy, "2026-12-31 12:00").next_at == local("2027-01-04 10:00", "Europe/Berlin")


def test_a_leap_day() -> None:
    policy = load(rule('hours: {tue: ["10:00-11:00"]}\n    closed_on: {dates: [2028-02-22]}'))
    assert berlin(policy, "2028-02-15 12:00").next_at == local("2028-02-29 10:00", "Europe/Berlin")


def test_dates_in_force_are_local_dates() -> None:
    policy = load(rule("hours: {mon-sun: []}\n    since: 2026-11-23\n    until: 2026-11-25"))
    assert berlin(policy, "2026-11-22 23:59:59.999999").allowed
    closed = berlin(policy, "2026-11-23 00:00")
    assert not closed.allowed
    assert closed.next_at == local("2026-11-25 00:00", "Europe/Berlin")
    assert berlin(policy, "2026-11-25 00:00").allowed
    assert "is not in force" in berlin(policy, "2026-11-25 00:00").asked[0].reason


def test_an_attempt_leaves_the_window_exactly_a_span_later() -> None:
    policy = load(rule("at_most: {attempts: 2, hours: 24}"))
    at = utc("2026-11-23 12:00:00.000001")
    attempts = [at - timedelta(hours=24) + timedelta(microseconds=1), at - timedelta(hours=1)]
    decision = policy.decide(Person(BERLIN), at=at, attempts=attempts)
    assert decision.next_at == at + timedelta(microseconds=1)
    assert "2 attempts in 24 hours" in decision.reason
    assert policy.decide(Person(BERLIN), at=at, attempts=[at - timedelta(hours=24), at]).allowed


def test_attempts_to_come_count_when_they_come() -> None:
    policy = load(rule('at_most: {attempts: 1, hours: 24}\n    hours: {mon-sun: ["10:00-20:00"]}'))
    at = local("2026-11-23 06:00", "Europe/Berlin")
    planned = [local("2026-11-23 09:00", "Europe/Berlin"), local("2026-11-24 09:30", "Europe/Berlin")]
    decision = policy.decide(Person(BERLIN), at=at, attempts=planned)
    # Free from 09:00 on the 24th for half an hour, before the hours; then from 09:30 on the 25th.
    assert decision.next_at == local("2026-11-25 10:00", "Europe/Berlin")


def test_attempts_in_any_order_and_from_any_iterable() -> None:
    policy = load(rule("at_most: {attempts: 3, days: 30}"))
    at = utc("2026-11-23 12:00")
    made = [at - timedelta(days=days) for days in (1, 29, 5)]
    decision = policy.decide(Person(BERLIN), at=at, attempts=iter(made))
    assert decision.next_at == at + timedelta(days=1)
    assert policy.decide(Person(BERLIN), at=at, attempts=[at, at, at]).next_at == at + timedelta(days=30)


def test_a_limit_longer_than_a_year() -> None:
    at = utc("2026-11-23 12:00")
    year = load(rule("at_most: {attempts: 1, days: 366}")).decide(Person(BERLIN), at=at, attempts=[at])
    assert year.next_at == at + timedelta(days=366)
    longer = load(rule("at_most: {attempts: 1, days: 367}")).decide(Person(BERLIN), at=at, attempts=[at])
    assert longer.next_at is None
    assert "1 attempt in 367 days" in longer.reason


def test_a_limit_that_ends_before_the_attempts_leave() -> None:
    policy = load(rule("at_most: {attempts: 1, days: 300}\n    until: 2026-12-01"))
    at = local("2026-11-23 12:00", "Europe/Berlin")
    assert policy.decide(Person(BERLIN), at=at, attempts=[at]).next_at == local("2026-12-01 00:00", "Europe/Berlin")


def test_hours_and_limit_together() -> None:
    policy = load(rule('hours: {mon-fri: ["10:00-13:00", "14:00-20:00"]}\n    at_most: {attempts: 1, hours: 24}'))
    made = local("2026-11-26 19:30", "Europe/Berlin")
    decision = policy.decide(Person(BERLIN), at=made + timedelta(minutes=1), attempts=[made])
    assert decision.next_at == local("2026-11-27 19:30", "Europe/Berlin")
    late = local("2026-11-27 19:59:30", "Europe/Berlin")
    assert policy.decide(Person(BERLIN), at=late, attempts=[made + timedelta(minutes=29)]).next_at == local(
        "2026-11-30 10:00", "Europe/Berlin"
    )
