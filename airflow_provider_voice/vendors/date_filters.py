"""Days for a vendor's day filter around the instants that are asked for."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from airflow_provider_voice.exceptions import InvalidRequest

if TYPE_CHECKING:
    from datetime import date, datetime

# No vendor documents the time zone of its days (UTC-12 to UTC+14) or whether the last day is included.
MARGIN = timedelta(days=2)


def days_with_margin(start: datetime, end: datetime) -> tuple[date, date]:
    """Return the first and last day to filter by so that no call created in ``[start, end)`` is left out.

    :param start: aware instant, included.
    :param end: aware instant, not included.
    :return: two days, at least two days before and after; the caller filters exactly.
    :raises InvalidRequest: when the days are outside of the calendar.
    """
    try:
        return (start - MARGIN).date(), (end + MARGIN).date()
    except OverflowError:
        raise InvalidRequest(f"{start.date()} to {end.date()} is too far away to ask a vendor for.") from None


def split_days(days: tuple[date, date]) -> tuple[tuple[date, date], ...]:
    """Return two spans that cover a span together; they share a day, because the last day may not be included.

    :param days: first and last day.
    :return: two spans; none when the span is one day and the day after it.
    """
    first, last = days
    if (last - first).days <= 1:
        return ()
    middle = first + (last - first) // 2
    return (first, middle), (middle, last)
