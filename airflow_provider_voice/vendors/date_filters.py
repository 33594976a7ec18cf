"""Days, which is what vendors filter by, around instants, which is what is asked for."""

from __future__ import annotations

from datetime import date, datetime, timedelta

DAY = timedelta(days=1)


def widened_days(start: datetime, end: datetime) -> tuple[date, date]:
    """Return the first and last day to ask a day-grained filter for, to be sure of ``[start, end)``.

    No vendor says in which time zone its days are, or whether the last one is included: one more day on both sides
    covers it.
    """
    last = end - timedelta(microseconds=1)
    return (start - DAY).date(), (last + DAY).date()
