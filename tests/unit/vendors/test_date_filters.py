"""Date filters leave out no call, and halves of a span cover it."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_voice.exceptions import InvalidRequest
from airflow_provider_voice.models import CallRef
from airflow_provider_voice.vendors.date_filters import days_with_margin, span_of, split_span, time_doubt


@given(st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1)), st.integers(-12, 14), st.integers(0, 10**6))  # noqa: DTZ001 - the zone is added below
def test_an_instant_is_between_the_days_in_every_zone_also_when_the_last_is_excluded(moment, zone, seconds) -> None:
    moment = moment.replace(tzinfo=timezone.utc)
    first, last = (bound.date() for bound in days_with_margin(moment, moment + timedelta(seconds=seconds + 1)))
    assert first <= (moment + timedelta(hours=zone)).date()
    assert (moment + timedelta(seconds=seconds, hours=zone)).date() < last


def test_days_outside_of_the_calendar_are_refused() -> None:
    with pytest.raises(InvalidRequest):
        days_with_margin(datetime.min.replace(tzinfo=timezone.utc), datetime.now(timezone.utc))


@pytest.mark.parametrize("year", [1, 9999])
def test_a_placeholder_for_the_creation_time_does_not_move_the_span(year) -> None:
    """An export would fail for as long as the table has the row."""
    odd = CallRef("odd", placed_at=datetime(year, 12, 31, tzinfo=timezone.utc))
    dated = CallRef("dated", placed_at=START)
    assert span_of([odd, dated]) == span_of([dated])
    assert span_of([odd]) == span_of([CallRef("undated")])


START = datetime(2026, 1, 1, tzinfo=timezone.utc)


@given(st.integers(0, 400))
def test_halves_of_several_days_cover_them_and_share_a_midnight(length) -> None:
    span = (START, START + timedelta(days=length))
    parts = split_span(span, timedelta(days=1))
    assert bool(parts) == (length > 1)
    if parts:
        assert (parts[0][0], parts[1][1]) == span
        assert parts[0][1] == parts[1][0]
        assert (parts[0][1] - START).total_seconds() % 86_400 == 0


@given(st.integers(0, 86_400))
def test_halves_of_a_day_overlap_by_a_second(seconds) -> None:
    span = (START, START + timedelta(seconds=seconds))
    parts = split_span(span, timedelta(minutes=1))
    assert bool(parts) == (seconds > 60)
    if parts:
        assert (parts[0][0], parts[1][1]) == span
        assert parts[0][1] - parts[1][0] == timedelta(seconds=1)


@pytest.mark.parametrize(
    ("text", "hours"),
    [
        ("2026-01-10T12:00:00Z", 0), ("2026-01-10T12:00:00.123456+05:30", 0), ("Tue, 30 Jan 2024 13:39:53 +0000", 0),
        ("Tue, 30 Jan 2024 13:39:53 GMT", 0), ("2026-01-10T12:00:00", 14), ("2026-01-10 12:00:00.123", 14),
        ("15 Jan 2025, 10:12 AM", 14), ("2026-01-10", 38), ("15 Jan, 2025", 38), ("20260110", 38), (None, 38),
        # Python knows no more names than these of RFC 2822 and reads a time with another one as UTC.
        ("Tue, 30 Jan 2024 13:39:53 EST", 0), ("Tue, 30 Jan 2024 13:39:53 PDT", 0), ("30 Jan 2024 13:39:53 UT", 0),
        ("Tue, 30 Jan 2024 13:39:53 IST", 14), ("Tue, 30 Jan 2024 13:39:53 CEST", 14),
    ],
)  # fmt: skip
def test_a_time_without_its_zone_is_in_doubt(text, hours) -> None:
    assert time_doubt(text) == timedelta(hours=hours)
    assert time_doubt(text, states_zone=False) == timedelta(hours=hours or 14)
