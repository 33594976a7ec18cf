"""Opening hours of a week on a wall clock, and the margin before they close.

Times are microseconds since midnight, so that comparing is exact and cheap. No zone is known here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_MINUTE = 60 * 10**6
_DAY = 24 * 60 * _MINUTE
_WEEK = 7 * _DAY
_TIME = re.compile(r"([01]?\d|2[0-4]):([0-5]\d)")

Span = tuple[int, int]


def parse_days(text: str) -> tuple[int, ...]:
    """Return the weekdays that a key of ``hours`` names.

    :param text: ``mon``, or a range such as ``mon-fri``; a range may go over the week's end (``sun-thu``).
    :return: weekday numbers, Monday is 0.
    :raises ValueError: with what to write instead.
    """
    first, dash, last = text.strip().partition("-")
    if first not in DAYS or (dash and last not in DAYS):
        raise ValueError(f"unknown day {text!r:.40}. Write {', '.join(DAYS)} or a range such as mon-fri")
    start = DAYS.index(first)
    length = (DAYS.index(last) - start) % 7 + 1 if dash else 1
    return tuple((start + step) % 7 for step in range(length))


def parse_interval(text: str) -> Span:
    """Return the start and the end of an interval of hours.

    :param text: e.g. ``08:00-21:00``; the end may be ``24:00``.
    :return: both as microseconds since midnight.
    :raises ValueError: with what to write instead.
    """
    parts = [part.strip() for part in text.split("-")]
    times = [_parse_time(part) for part in parts]
    if len(times) != 2 or None in times:  # noqa: PLR2004 - a start and an end
        raise ValueError(f'{text!r:.40} is not an interval. Write a start and an end, such as "08:00-21:00"')
    start, end = (time or 0 for time in times)
    if start >= end:
        raise ValueError(
            f"{text!r:.40} does not end after its start. An interval stays within one day: write hours over midnight "
            f'as two, "{parts[0]}-24:00" and "00:00-{parts[1]}" of the next day'
        )
    return start, end


def _parse_time(text: str) -> int | None:
    match = _TIME.fullmatch(text)
    if match is None:
        return None
    time = (int(match[1]) * 60 + int(match[2])) * _MINUTE
    return time if time <= _DAY else None


@dataclass(frozen=True)
class WeeklyHours:
    """Opening hours by weekday.

    :param written: the intervals of each weekday as the rule file gives them, Monday first.
    :param starts: the intervals of each weekday in which a call may start: touching and overlapping ones are joined,
        also over midnight, and the margin is taken off where the hours really close.
    """

    written: tuple[tuple[Span, ...], ...]
    starts: tuple[tuple[Span, ...], ...]

    @classmethod
    def build(cls, written: Sequence[Sequence[Span]], margin_seconds: int) -> WeeklyHours:
        """Join the intervals and take off the margin.

        :param written: seven sequences of intervals, Monday first.
        :param margin_seconds: seconds before closing in which no call starts.
        :return: the hours.
        """
        joined = _join_week([(day * _DAY + a, day * _DAY + b) for day in range(7) for a, b in written[day]])
        starts: list[list[Span]] = [[] for _ in range(7)]
        for start, end in joined:
            close = end if (start, end) == (0, _WEEK) else end - margin_seconds * 10**6
            for day in range(start // _DAY, (max(close, start) + _DAY - 1) // _DAY):
                low, high = max(start - day * _DAY, 0), min(close - day * _DAY, _DAY)
                if low < high:
                    starts[day % 7].append((low, high))
        return cls(tuple(tuple(sorted(day)) for day in written), tuple(tuple(sorted(day)) for day in starts))

    def next_start(self, wall: datetime) -> datetime | None:
        """Return the first time on the same day, not before ``wall``, at which a call may start.

        :param wall: a naive local time.
        :return: ``wall`` itself while the hours are open, or ``None`` when they do not open again that day.
        """
        now = (wall.hour * 60 + wall.minute) * _MINUTE + wall.second * 10**6 + wall.microsecond
        for start, end in self.starts[wall.weekday()]:
            if now < end:
                return wall if now >= start else wall + timedelta(microseconds=start - now)
        return None

    def describe(self, weekday: int) -> str:
        """Return the hours of a weekday for people.

        :param weekday: Monday is 0.
        :return: e.g. ``10:00-13:00 and 14:00-20:00``, or ``closed``.
        """
        spans = [f"{_clock(start)}-{_clock(end)}" for start, end in self.written[weekday]]
        return " and ".join(spans) or "closed"


def _join_week(spans: list[Span]) -> list[Span]:
    """Join touching and overlapping spans of the week, also the end of Sunday with the start of Monday."""
    joined: list[Span] = []
    for start, end in sorted(spans):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((start, end))
    if len(joined) > 1 and joined[0][0] == 0 and joined[-1][1] == _WEEK:
        first = joined.pop(0)
        joined[-1] = (joined[-1][0], _WEEK + first[1])
    return joined


def _clock(time: int) -> str:
    return f"{time // _MINUTE // 60:02}:{time // _MINUTE % 60:02}"
