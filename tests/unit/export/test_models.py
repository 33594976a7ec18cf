from __future__ import annotations

from datetime import datetime, timedelta, timezone
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_voice.export.models import Scope, Window, fitting, joined, without

NOW = datetime(2026, 1, 10, 12, tzinfo=timezone.utc)
HOUR = timedelta(hours=1)


def hours(first: int, last: int) -> Window:
    """Return the window from one hour to another, counted from NOW."""
    return Window(NOW + first * HOUR, NOW + last * HOUR)


STRETCHES = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 5)).map(lambda one: hours(one[0], sum(one))))


@given(STRETCHES, STRETCHES)
def test_windows_are_joined_and_subtracted_like_sets_of_hours(some, others) -> None:
    def contents(windows: list[Window]) -> set[int]:
        return {hour for hour in range(40) if any(NOW + hour * HOUR in window for window in windows)}

    assert contents(joined(some)) == contents(some)
    assert contents(without(some, others)) == contents(some) - contents(others)
    for windows in (joined(some), without(some, others)):
        assert all(windows)
        assert all(before.end < after.start for before, after in pairwise(windows))


def test_the_part_of_a_window() -> None:
    assert hours(0, 5).cut(NOW + HOUR, NOW + 9 * HOUR) == hours(1, 5)
    assert not hours(0, 5).cut(NOW + 6 * HOUR, NOW + 9 * HOUR)


def test_scopes_of_one_source_have_lines_of_their_own() -> None:
    scopes = [
        Scope("s"),
        Scope("s", "a"),
        Scope("s", None, "inbound"),
        Scope("s", "a", "inbound"),
        Scope("s", "a direction=inbound"),
        Scope("s", "x" * 250),
        Scope("s", "x" * 249 + "y"),
    ]
    kinds = {scope.kind("covered") for scope in scopes}
    assert len(kinds) == len(scopes)
    assert max(map(len, kinds)) <= 255


@pytest.mark.parametrize("name", ["short", "x" * 200, "x" * 201, "ü" * 150])
def test_a_long_name_is_hashed(name: str) -> None:
    assert len(fitting(name).encode()) <= 200
    assert (fitting(name) == name) == (len(name.encode()) <= 200)
