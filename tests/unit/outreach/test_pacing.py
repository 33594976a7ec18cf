"""The arithmetic of a token bucket."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from airflow_provider_voice.outreach.pacing import Places, capacity, filled

NOON = datetime(2026, 3, 2, 12, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("tokens", "since", "expected"),
    [
        (0.0, None, 1.0),  # never filled: it begins with one
        (0.0, NOON, 0.0),
        (0.5, NOON - timedelta(seconds=3), 3.5),
        (0.0, NOON - timedelta(hours=1), 4.0),  # never more than it holds
        (2.0, NOON + timedelta(seconds=30), 2.0),  # a clock that was set back takes nothing away
    ],
)
def test_a_bucket_fills(tokens, since, expected) -> None:
    assert filled(tokens, since, NOON, 60, 4.0) == pytest.approx(expected)


def test_a_bucket_holds_one_call_at_least() -> None:
    assert (capacity(1), capacity(100)) == (1.0, 4.0)


def test_places_without_a_limit_are_as_many_as_wanted() -> None:
    assert Places(None, 0.0, NOON).of(7) == 7
    assert Places(3, 0.0, NOON).of(7) == 3
