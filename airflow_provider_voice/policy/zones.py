"""Clocks: IANA zones, wall-clock times and the instants at which a zone's UTC offset changes.

Nothing here knows a rule or a phone number. An instant is an aware datetime in UTC; a wall-clock time is a naive one.
"""

from __future__ import annotations

from bisect import bisect_right
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from airflow_provider_voice.exceptions import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

UTC = timezone.utc
_DAY = timedelta(days=1)
_SECOND = timedelta(seconds=1)
# Files of the zone database that name no place, count leap seconds, or mean whatever this machine is set to.
_NO_ZONES = ("Factory", "localtime", "posixrules", "posix/", "right/")


@lru_cache(maxsize=1024)
def load_zone(name: str) -> ZoneInfo:
    """Return the IANA zone.

    :param name: e.g. ``America/New_York``; links such as ``EST`` and ``Etc/GMT+5`` are zones too.
    :return: the zone.
    :raises InvalidRequest: when the zone database has no such zone.
    """
    if not name.startswith(_NO_ZONES):
        try:
            return ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            pass
    raise InvalidRequest(
        f"{name!r:.60} is not a time zone. Write a name of the IANA database, such as 'America/New_York'."
    ) from None


def wall_clock(zone: ZoneInfo, instant: datetime) -> datetime:
    """Return the naive local time of an instant.

    :param zone: the zone whose clock is read.
    :param instant: an aware datetime.
    :return: the local time without a zone.
    """
    return instant.astimezone(zone).replace(tzinfo=None)


def hours_between(names: Iterable[str], instant: datetime) -> float:
    """Return how many hours the clocks of the zones differ at an instant.

    :param names: zone names, at least one.
    :param instant: an aware datetime.
    :return: the greatest UTC offset minus the smallest, in hours.
    """
    offsets = [_offset(load_zone(name), instant) for name in names]
    return (max(offsets) - min(offsets)) / timedelta(hours=1)


def next_offset_change(zone: ZoneInfo, instant: datetime, end: datetime) -> datetime | None:
    """Return the first change of a zone's UTC offset after an instant.

    :param zone: the zone.
    :param instant: an aware datetime in UTC; a change at this very instant does not count.
    :param end: where the search stops, inclusive.
    :return: the first instant with the new offset, or ``None`` when there is none up to ``end``.
    """
    for year in range(instant.year, end.year + 1):
        changes = _offset_changes(str(zone), year)
        index = bisect_right(changes, instant)
        if index < len(changes):
            return changes[index] if changes[index] <= end else None
    return None


def first_instant(
    zone: ZoneInfo, start: datetime, end: datetime, next_wall: Callable[[datetime, datetime], datetime | None]
) -> datetime | None:
    """Return the first instant whose wall-clock time satisfies a condition.

    The clock is followed through every change of the zone's offset: times that a change skips never come, times
    that it repeats come twice.

    :param zone: the zone whose clock counts.
    :param start: first instant to consider, in UTC.
    :param end: last instant to consider, in UTC.
    :param next_wall: returns the first satisfying wall-clock time from its first argument up to its second one,
        or ``None``.
    :return: the instant in UTC, or ``None`` when no instant in ``[start, end]`` satisfies the condition.
    """
    while True:
        offset = _offset(zone, start)
        change = next_offset_change(zone, start, end)
        stop = end if change is None else change
        # Between two changes the wall clock runs as fast as time.
        wall_start = (start + offset).replace(tzinfo=None)
        wall = next_wall(wall_start, wall_start + (stop - start))
        if wall is not None:
            instant = start + (wall - wall_start)
            if instant < stop or (change is None and instant == stop):
                return instant
        if change is None:
            return None
        start = change


def _offset(zone: ZoneInfo, instant: datetime) -> timedelta:
    return instant.astimezone(zone).utcoffset() or timedelta(0)


@lru_cache(maxsize=8192)
def _offset_changes(name: str, year: int) -> tuple[datetime, ...]:
    """Return the instants of a UTC year at which the offset changes; ``zoneinfo`` does not offer them."""
    zone = load_zone(name)
    changes = []
    # From the last second of a day to that of the next, so that a change at midnight belongs to the day it begins.
    instant = datetime(year, 1, 1, tzinfo=UTC) - _SECOND
    while (instant + _SECOND).year == year:
        low, high = instant, instant + _DAY
        before = _offset(zone, low)
        if _offset(zone, high) != before:
            while high - low > _SECOND:
                middle = low + timedelta(seconds=(high - low) // _SECOND // 2)
                low, high = (middle, high) if _offset(zone, middle) == before else (low, middle)
            changes.append(high)
        instant += _DAY
    return tuple(changes)
