"""Spans for a vendor's date filters around the instants that are asked for, and how far times of rows may be off."""

from __future__ import annotations

import re
from datetime import datetime, time, timedelta, timezone
from typing import TYPE_CHECKING

from airflow_provider_voice.exceptions import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Collection

    from airflow_provider_voice.models import CallRef

#: First and last moment of a date filter, in UTC.
Span = tuple[datetime, datetime]
# No vendor documents the time zone of its days (UTC-12 to UTC+14) or whether the last day is included.
MARGIN = timedelta(days=2)
# How long ago a call of which only the id is known may have been created.
_UNDATED = timedelta(days=31)
_FIRST_YEAR = 1970
# Z, an offset, or a name of RFC 2822, at the end. With any other name Python reads a time as UTC.
_ZONE = re.compile(r"([Zz]|[+-]\d\d:?\d\d|\b(GMT|UTC?|[AECMP][SD]T))$")
_ANY_ZONE = timedelta(hours=14)


def days_with_margin(start: datetime, end: datetime) -> Span:
    """Return the first and last day to filter by so that no call created in ``[start, end)`` is left out.

    :param start: aware instant, included.
    :param end: aware instant, not included.
    :return: midnights of two days, at least two days before and after; the caller filters exactly.
    :raises InvalidRequest: when the days are outside of the calendar.
    """
    try:
        first, last = (start - MARGIN).date(), (end + MARGIN).date()
    except OverflowError:
        raise InvalidRequest(f"{start.date()} to {end.date()} is too far away to ask a vendor for.") from None
    return datetime.combine(first, time(), timezone.utc), datetime.combine(last, time(), timezone.utc)


def span_of(refs: Collection[CallRef]) -> Span:
    """Return the span in which calls are to be searched for.

    :param refs: the calls; those without a creation time, or with a placeholder such as the year 1 or 9999, do not
        count where others have one.
    :return: a span around the creation times; without any, the last month.
    """
    now = datetime.now(timezone.utc)
    dated = [ref.placed_at for ref in refs if ref.placed_at is not None]
    placed = [moment for moment in dated if _FIRST_YEAR <= moment.year <= now.year + 1] or [now - _UNDATED, now]
    return days_with_margin(min(placed), max(placed))


def split_span(span: Span, smallest: timedelta) -> tuple[Span, ...]:
    """Return two spans that cover a span together; they overlap, because a bound may not be included.

    :param span: midnights of two days, or times within a day.
    :param smallest: a span that is not split any more: a day where the vendor filters by days only.
    :return: two spans; none for the smallest one.
    """
    start, end = span
    if end - start <= smallest:
        return ()
    middle = (start + (end - start) / 2).replace(microsecond=0)
    if end - start > timedelta(days=1):
        # Both parts have this day, so an excluded last day is in the other part.
        middle = middle.replace(hour=0, minute=0, second=0)
        return (start, middle), (middle, end)
    return (start, middle), (middle - timedelta(seconds=1), end)


def time_doubt(text: str | None, *, states_zone: bool = True) -> timedelta:
    """Return how far a time may be off that :func:`~airflow_provider_voice.models.read_time` read out of a text.

    :param text: the vendor's text.
    :param states_zone: whether a zone in it is believed, default True.
    :return: zero for a time with its zone; 14 hours where the zone may be any, and a day more where there is no time.
    """
    names_zone = states_zone and _ZONE.search(text or "") is not None
    doubt = timedelta(0) if names_zone else _ANY_ZONE
    return doubt if ":" in (text or "") else doubt + timedelta(days=1)
