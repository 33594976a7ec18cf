"""One rule: to whom it applies and when it allows a call.

Rules come out of :mod:`~airflow_provider_voice.policy.rule_format`; which of them are asked, and for which zones, is
decided by :mod:`~airflow_provider_voice.policy.policy`.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

from airflow_provider_voice.exceptions import InvalidRequest
from airflow_provider_voice.policy.zones import first_instant

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from zoneinfo import ZoneInfo

    from airflow_provider_voice.policy.hours import WeeklyHours

_DAY = timedelta(days=1)
_DAY_NAMES = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


@dataclass(frozen=True)
class ClosedDays:
    """Dates on which nobody is called.

    :param dates: dates written in the rule file.
    :param calendars: codes of calendars of the ``holidays`` package, e.g. ``FR`` or ``US-FL``.
    """

    dates: frozenset[date] = frozenset()
    calendars: tuple[str, ...] = ()

    def name_of(self, day: date) -> str | None:
        """Return why a date is closed.

        :param day: the local date of the called person.
        :return: the name of the holiday, or ``None`` when the date is not closed.
        """
        if day in self.dates:
            return "a closed date"
        for calendar in self.calendars:
            name = _holidays_of(calendar, day.year).get(day)
            if name is not None:
                return name
        return None


@dataclass(frozen=True)
class AttemptLimit:
    """A rolling limit on attempts.

    :param attempts: how many attempts the window may hold, this call included.
    :param span: length of the window; an attempt leaves it exactly this long after it was made.
    """

    attempts: int
    span: timedelta

    def count(self, instant: datetime, attempts: Sequence[datetime]) -> int:
        """Return how many attempts lie in ``(instant - span, instant]``.

        :param instant: the instant that is asked about, in UTC.
        :param attempts: the attempts in ascending order, in UTC; later ones do not count.
        :return: the number of attempts.
        """
        return bisect_right(attempts, instant) - bisect_right(attempts, instant - self.span)

    def next_allowed(self, instant: datetime, attempts: Sequence[datetime]) -> datetime:
        """Return the first instant, not before ``instant``, at which one more attempt is within the limit.

        :param instant: where the search starts, in UTC.
        :param attempts: the attempts in ascending order, in UTC, also those that are still to come.
        :return: ``instant`` itself, or the instant at which enough attempts have left the window.
        """
        if self.count(instant, attempts) < self.attempts:
            return instant
        # The count falls only when an attempt leaves the window; the last one leaves it empty.
        ends = (attempt + self.span for attempt in attempts[bisect_right(attempts, instant - self.span) :])
        return next(end for end in ends if self.count(end, attempts) < self.attempts)

    def describe(self) -> str:
        """Return the limit for people, e.g. ``3 attempts in 24 hours``."""
        hours = self.span // timedelta(hours=1)
        length, unit = (
            (self.span.days, "day") if self.span % _DAY == timedelta(0) and self.span > _DAY else (hours, "hour")
        )
        return f"{_plural(self.attempts, 'attempt')} in {_plural(length, unit)}"


@dataclass(frozen=True)
class Rule:
    """One rule of a rule file.

    :param id: its name, unique in a policy.
    :param applies_to: ISO 3166-1 or -2 codes; empty: everybody.
    :param hours: opening hours, or ``None``.
    :param closed_on: closed dates, or ``None``.
    :param at_most: rolling limit, or ``None``.
    :param since: first local date on which the rule is in force, or ``None``.
    :param until: first local date on which it is not in force any more, or ``None``.
    :param source: where the rule is written, for people.
    :param as_of: the date on which the source was read.
    :param margin_seconds: seconds before closing in which no call starts.
    """

    id: str
    applies_to: tuple[str, ...] = ()
    hours: WeeklyHours | None = None
    closed_on: ClosedDays | None = None
    at_most: AttemptLimit | None = None
    since: date | None = None
    until: date | None = None
    source: str | None = None
    as_of: date | None = None
    margin_seconds: int = 60

    def applies(self, codes: frozenset[str]) -> bool:
        """Return whether the rule applies to a person.

        :param codes: the ISO 3166-1 and -2 codes of the person's country and state.
        :return: whether ``applies_to`` names one of them, or is empty.
        """
        return not self.applies_to or not codes.isdisjoint(self.applies_to)

    def next_allowed(
        self, zone: ZoneInfo, start: datetime, end: datetime, attempts: Sequence[datetime]
    ) -> datetime | None:
        """Return the first instant at which the rule allows a call by the clock of one zone.

        :param zone: the zone whose clock counts.
        :param start: first instant to consider, in UTC.
        :param end: last instant to consider, in UTC.
        :param attempts: attempts in ascending order, in UTC.
        :return: the instant, or ``None`` when there is none in ``[start, end]``.
        """
        has_clock = self.hours is not None or self.closed_on is not None
        instant: datetime | None = start
        while instant is not None:
            opening = first_instant(zone, instant, end, self._next_open_wall) if has_clock else instant
            if opening is None:
                return None
            instant = self._next_within_limit(zone, opening, end, attempts)
            if instant == opening:
                return opening
        return None

    def explain(self, instant: datetime, zone_name: str, wall: datetime, attempts: Sequence[datetime]) -> str:
        """Return for people whether the rule allows a call, and why not.

        :param instant: when the call would start, in UTC.
        :param zone_name: the IANA zone of the clock, for the text.
        :param wall: the same instant on that clock, naive.
        :param attempts: attempts in ascending order, in UTC.
        :return: the end of a sentence whose subject is the rule, e.g. ``is not in force on 2026-11-25``.
        """
        obstacle = self._obstacle(instant, wall, attempts)
        moment = f"{_DAY_NAMES[wall.weekday()]} {wall:%Y-%m-%d %H:%M} in {zone_name}"
        if not self._in_force(wall.date()):
            return f"is not in force on {wall:%Y-%m-%d}"
        if obstacle is None:
            return f"allows a call on {moment}"
        if obstacle == "closed_on" and self.closed_on is not None:
            return f"allows no call on {moment} ({self.closed_on.name_of(wall.date())})"
        if obstacle == "at_most" and self.at_most is not None:
            made = self.at_most.count(instant, attempts)
            return f"allows at most {self.at_most.describe()}, and {made} {'was' if made == 1 else 'were'} made"
        hours = "" if self.hours is None else self.hours.describe(wall.weekday())
        margin = (
            f", no call in the last {self.margin_seconds} seconds" if self.margin_seconds and hours != "closed" else ""
        )
        return f"allows no call on {moment} (hours that day: {hours}{margin})"

    def _in_force(self, day: date) -> bool:
        """Return whether the rule is in force on a local date."""
        return (self.since is None or day >= self.since) and (self.until is None or day < self.until)

    def _obstacle(
        self, instant: datetime, wall: datetime, attempts: Sequence[datetime]
    ) -> Literal["closed_on", "hours", "at_most"] | None:
        """Return the part of the rule that forbids a call, or ``None``; parameters as in :meth:`explain`."""
        day = wall.date()
        if not self._in_force(day):
            return None
        if self.closed_on is not None and self.closed_on.name_of(day) is not None:
            return "closed_on"
        if self.hours is not None and self.hours.next_start(wall) != wall:
            return "hours"
        if self.at_most is not None and self.at_most.count(instant, attempts) >= self.at_most.attempts:
            return "at_most"
        return None

    def _next_open_wall(self, wall: datetime, last: datetime) -> datetime | None:
        """Return the first wall-clock time in ``[wall, last]`` at which hours and closed days allow a call."""
        while wall <= last:
            day = wall.date()
            if not self._in_force(day):
                return wall
            if self.closed_on is None or self.closed_on.name_of(day) is None:
                opening = wall if self.hours is None else self.hours.next_start(wall)
                if opening is not None:
                    return opening
            wall = datetime.combine(day + _DAY, time.min)
        return None

    def _next_wall_not_in_force(self, wall: datetime, last: datetime) -> datetime | None:
        if not self._in_force(wall.date()):
            return wall
        if self.until is None or self.until > last.date():
            return None
        return datetime(self.until.year, self.until.month, self.until.day)  # noqa: DTZ001 - a wall-clock time

    def _next_within_limit(
        self, zone: ZoneInfo, start: datetime, end: datetime, attempts: Sequence[datetime]
    ) -> datetime | None:
        if self.at_most is None:
            return start
        allowed = self.at_most.next_allowed(start, attempts)
        if allowed == start:
            return start
        free = first_instant(zone, start, end, self._next_wall_not_in_force)
        return min((found for found in (allowed, free) if found is not None and found <= end), default=None)


def _plural(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def check_calendar(code: str) -> None:
    """Check that the ``holidays`` package has a calendar.

    :param code: e.g. ``FR``, ``US-FL``.
    :raises InvalidRequest: when it has none.
    """
    _holidays_of(code, 2026)


@lru_cache(maxsize=4096)
def _holidays_of(code: str, year: int) -> Mapping[date, str]:
    """Return the public holidays of a country or subdivision in a year.

    :param code: ISO 3166-1 or -2 code, e.g. ``FR``, ``US-FL``.
    :param year: the year.
    :return: names by date; a holiday that is observed on another day as well is there twice.
    :raises InvalidRequest: when the ``holidays`` package has no such calendar.
    """
    import holidays  # only policies with holiday calendars pay for it

    country, _, subdivision = code.partition("-")
    try:
        calendar = holidays.country_holidays(country, subdiv=subdivision or None, years=year, expand=False)
    except (NotImplementedError, KeyError, AttributeError):
        raise InvalidRequest(
            f"The holidays package has no calendar {code!r:.20}. Write a country or subdivision such as FR or US-FL."
        ) from None
    return {day: calendar[day] for day in calendar}
