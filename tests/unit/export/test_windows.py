from __future__ import annotations

from datetime import datetime, timedelta, timezone
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_voice.dialing.run_age import check_run_age
from airflow_provider_voice.exceptions import InvalidRequest, StaleRun
from airflow_provider_voice.export.models import Window
from airflow_provider_voice.export.windows import bound_of, window_of

NOW = datetime(2026, 1, 10, 12, tzinfo=timezone.utc)
HOUR = timedelta(hours=1)


def context(due=NOW, interval=None):
    start, end = interval or (None, None)
    run = SimpleNamespace(
        run_after=due, data_interval_start=start, data_interval_end=end, logical_date=None, start_date=due
    )
    return {"dag_run": run, "data_interval_start": start, "data_interval_end": end}


def window(ctx, start=None, end=None, own=None, last_end=None, now=NOW + HOUR):
    return window_of(ctx, start, end, own=own, last_end=last_end, now=now)


def test_explicit_bounds_first() -> None:
    interval = (NOW - HOUR, NOW)
    assert window(context(interval=interval), NOW - 5 * HOUR, NOW - 4 * HOUR) == Window(NOW - 5 * HOUR, NOW - 4 * HOUR)
    assert window(context(), NOW - HOUR) == Window(NOW - HOUR, NOW + HOUR)
    with pytest.raises(InvalidRequest):
        window(context(), None, NOW)


def test_the_interval_when_it_has_a_length() -> None:
    assert window(context(interval=(NOW - HOUR, NOW)), last_end=NOW - 9 * HOUR) == Window(NOW - HOUR, NOW)


def test_an_empty_interval_goes_on_where_the_last_export_ended() -> None:
    empty = context(interval=(NOW, NOW))
    assert window(empty, last_end=NOW - 3 * HOUR) == Window(NOW - 3 * HOUR, NOW)
    assert window(empty) == Window(NOW - timedelta(days=1), NOW)
    assert window(empty, own=Window(NOW - 2 * HOUR, NOW), last_end=NOW + 9 * HOUR) == Window(NOW - 2 * HOUR, NOW)


@pytest.mark.parametrize("hours", [0, -1])
def test_bounds_with_nothing_between_them_are_refused(hours) -> None:
    with pytest.raises(InvalidRequest, match="without a length"):
        window(context(), NOW, NOW + hours * HOUR)


def test_a_start_that_the_vendor_has_not_reached_is_an_empty_window() -> None:
    assert window(context(), NOW + 9 * HOUR) == Window(NOW + 9 * HOUR, NOW + 9 * HOUR)


def test_no_window_reaches_into_the_future() -> None:
    assert window(context(due=NOW + 5 * HOUR), last_end=NOW, now=NOW + HOUR).end == NOW + HOUR


@given(st.lists(st.tuples(st.integers(0, 48), st.booleans()), min_size=1, max_size=20))
def test_no_gap_between_runs_whatever_fails_or_comes_late(runs) -> None:
    last_end, covered_to = None, None
    for hours, commits in runs:
        asked = window(context(due=NOW + hours * HOUR), last_end=last_end, now=NOW + 99 * HOUR)
        if covered_to is not None:
            assert asked.start <= covered_to
        if commits and asked.start < asked.end:
            last_end = max(last_end or asked.end, asked.end)
            covered_to = max(covered_to or asked.end, asked.end)


@pytest.mark.parametrize("text", ["2026-01-10T12:00:00Z", "2026-01-10 12:00:00+00:00", NOW])
def test_bounds_as_users_write_them(text) -> None:
    assert bound_of("start", text) == NOW


def test_bounds_that_are_none() -> None:
    assert bound_of("start", "None") is bound_of("start", "") is bound_of("start", None) is None
    for wrong in ("soon", 12, ["x"]):
        with pytest.raises(InvalidRequest):
            bound_of("start", wrong)


def run(kind, *, due=NOW, interval_end=None):
    return SimpleNamespace(run_id="r", run_type=kind, run_after=due, data_interval_end=interval_end, start_date=due)


@pytest.mark.parametrize(
    ("made", "stale"),
    [
        (run("scheduled", interval_end=NOW - timedelta(hours=23)), False),
        (run("scheduled", interval_end=NOW - timedelta(hours=25)), True),
        (run("scheduled", due=NOW - timedelta(hours=25)), True),
        (run("backfill", interval_end=NOW), True),
        (run("manual", interval_end=NOW - timedelta(days=400)), False),
        (run("manual", due=NOW - timedelta(days=2)), True),
        (run("asset_triggered"), False),
        (run("operator_triggered", interval_end=NOW - timedelta(days=400)), False),
    ],
)
def test_stale_runs(made, stale) -> None:
    if stale:
        with pytest.raises(StaleRun, match="stale_run"):
            check_run_age(made, timedelta(days=1), now=NOW)
    else:
        check_run_age(made, timedelta(days=1), now=NOW)
