from __future__ import annotations

from datetime import datetime, timedelta, timezone
from types import SimpleNamespace

import pytest
import time_machine
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_voice.dialing.run_age import check_run_age
from airflow_provider_voice.exceptions import InvalidRequest, StaleRun
from airflow_provider_voice.export.models import Window, joined, without
from airflow_provider_voice.export.windows import (
    before_the_previous_run,
    bound_of,
    check_bounds,
    plan_reading,
    requested_window,
    run_name,
)

NOW = datetime(2026, 1, 10, 12, tzinfo=timezone.utc)
HOUR = timedelta(hours=1)


def context(due=NOW, interval=None):
    start, end = interval or (None, None)
    run = SimpleNamespace(
        run_after=due, data_interval_start=start, data_interval_end=end, logical_date=None, start_date=due
    )
    return {"dag_run": run, "data_interval_start": start, "data_interval_end": end}


DAY = timedelta(days=1)


def hours(first: int, last: int) -> Window:
    """Return the window from one hour to another, counted from NOW."""
    return Window(NOW + first * HOUR, NOW + last * HOUR)


def window(ctx, start=None, end=None, own=None, covered=()):
    return requested_window(ctx, start, end, own=own, covered=covered)


def test_explicit_bounds_first() -> None:
    interval = (NOW - HOUR, NOW)
    assert window(context(interval=interval), NOW - 5 * HOUR, NOW - 4 * HOUR) == hours(-5, -4)
    assert window(context(interval=interval), NOW - 3 * HOUR) == hours(-3, 0)
    with pytest.raises(InvalidRequest):
        check_bounds(None, NOW)


def test_a_start_without_an_end_goes_to_the_moment_the_run_was_due() -> None:
    """Not to the present: a retry would export another window."""
    assert window(context(), NOW - HOUR) == hours(-1, 0)
    assert not window(context(), NOW + 9 * HOUR), "a start in the future"


def test_a_table_takes_a_window_with_an_open_end_up_to_the_present() -> None:
    """A run that places calls and then loads them was due before they were created."""
    assert requested_window(context(), NOW - HOUR, None, open_end=NOW + HOUR) == hours(-1, 1)
    assert not requested_window(context(), NOW + 9 * HOUR, None, open_end=NOW), "a start in the future"


def test_the_interval_when_it_has_a_length() -> None:
    assert window(context(interval=(NOW - HOUR, NOW)), covered=[hours(-20, -9)]) == hours(-1, 0)


def test_an_empty_interval_goes_on_where_the_covered_stretch_before_it_ends() -> None:
    empty = context(interval=(NOW, NOW))
    assert window(empty, covered=[hours(-30, -3)]) == hours(-3, 0)
    assert window(empty) == Window(NOW - DAY, NOW)
    assert window(empty, own=hours(-2, 0), covered=[hours(-30, 0)]) == hours(-2, 0)


@pytest.mark.parametrize(
    ("covered", "start"),
    [
        pytest.param([hours(-30, -3), hours(50, 60)], -3, id="a window ahead of a lagging schedule"),
        pytest.param([hours(24, 48)], -24, id="a backfill before everything"),
        pytest.param([hours(-200, -100), hours(24, 48)], -100, id="a backfill between: no hole to the stretch before"),
        pytest.param([hours(-200, -7 * 24)], -7 * 24, id="a weekly schedule"),
        pytest.param([hours(-30, -12), hours(-2, -1)], -12, id="holes of the last day are filled"),
        pytest.param([hours(-200, -100), hours(-2, -1)], -1, id="older holes are reported only"),
        pytest.param([hours(-30, 5)], 0, id="nothing is new"),
    ],
)
def test_where_a_run_without_bounds_begins(covered, start) -> None:
    assert window(context(), covered=covered) == hours(start, 0)


@pytest.mark.parametrize("length", [0, -1])
def test_bounds_with_nothing_between_them_are_refused(length) -> None:
    with pytest.raises(InvalidRequest, match="without a length"):
        check_bounds(NOW, NOW + length * HOUR)


def plan(requested, now, **more):
    return plan_reading(requested, now=now, present=NOW, **more)


def test_no_window_reaches_into_the_vendors_future() -> None:
    behind = plan(hours(-1, 0), NOW - timedelta(seconds=30))
    assert behind.windows == [Window(NOW - HOUR, NOW - timedelta(seconds=30))]
    assert behind.unread == [Window(NOW - timedelta(seconds=30), NOW)]
    by_hours = plan(hours(-1, 0), NOW - 3 * HOUR)
    assert (by_hours.windows, by_hours.unread) == ([], [hours(-1, 0)])


def test_an_unread_stretch_belongs_to_the_next_run_even_outside_its_interval() -> None:
    left = [Window(NOW - timedelta(seconds=30), NOW)]
    next_run = plan(hours(0, 1), NOW + HOUR, unread=left)
    assert next_run.windows == [Window(left[0].start, NOW + HOUR)]
    elsewhere = plan(hours(-100, -99), NOW, unread=left)
    assert elsewhere.windows == [hours(-100, -99), *left]


def test_the_future_of_all_clocks_is_no_hole() -> None:
    ahead = plan(hours(-1, 48), NOW)
    assert (ahead.requested, ahead.unread) == (hours(-1, 0), [])
    assert not plan(hours(24, 48), NOW).requested


def test_covered_stretches_before_a_window_are_read_once_more() -> None:
    covered = [hours(-50, -30), hours(-20, 0)]
    assert plan(hours(0, 1), NOW + HOUR, recheck=DAY, covered=covered).rechecked == [hours(-20, 0)]
    assert plan(hours(0, 1), NOW + HOUR, recheck=40 * HOUR, covered=covered).rechecked == [
        hours(-40, -30),
        hours(-20, 0),
    ]
    assert plan(hours(0, 1), NOW + HOUR, covered=covered).rechecked == []


def test_the_hours_of_a_window_are_read_as_far_as_they_are_covered() -> None:
    minute = timedelta(minutes=1)
    refill = Window(NOW - 50 * minute, NOW - 40 * minute)
    around = [Window(NOW - HOUR, refill.start), Window(refill.end, NOW)]
    assert plan(refill, NOW, covered=[hours(-20, 0)]).rechecked == around
    late = Window(NOW - 30 * minute, NOW)
    assert plan(refill, NOW, covered=[hours(-20, -1), late]).rechecked == [late]
    assert plan(hours(-2, -1), NOW, covered=[hours(-20, 0)]).rechecked == []


@given(st.lists(st.tuples(st.integers(0, 48), st.booleans()), min_size=1, max_size=20))
def test_failed_and_late_runs_leave_no_gap(runs) -> None:
    covered: list[Window] = []
    for due, commits in runs:
        asked = window(context(due=NOW + due * HOUR), covered=covered)
        if commits:
            covered = joined([*covered, asked])
            assert asked.end == NOW + due * HOUR
            whole = Window(covered[0].start, covered[-1].end)
            gaps = without([whole], covered)
            assert not any(NOW + due * HOUR - DAY <= gap.start and gap.end <= asked.end for gap in gaps)


def run_context(**changes) -> dict:
    fields = {"dag_id": "d" * 230, "task_id": "t" * 230, "map_index": -1, "run_id": "manual__2026", **changes}
    return {"ti": SimpleNamespace(**fields)}


def test_the_name_of_a_run_is_short_and_no_other_run_has_it() -> None:
    changes = [
        {},
        {"dag_id": "d" * 229 + "e"},
        {"task_id": "t" * 229 + "u"},
        {"map_index": 3},
        {"run_id": "manual__2027"},
        {"dag_id": "d", "task_id": "t"},
        {"dag_id": "ü" * 200, "task_id": "t"},
    ]
    names = [run_name(run_context(**change)) for change in changes]
    assert len(set(names)) == len(names)
    assert max(len(name.encode()) for name in names) <= 255
    assert run_name(run_context()) == names[0]
    assert names[5] == "d/t/-1/manual__2026"


@pytest.mark.parametrize("text", ["2026-01-10T12:00:00Z", "2026-01-10 12:00:00+00:00", NOW])
def test_bounds_as_users_write_them(text) -> None:
    assert bound_of("start", text) == NOW


def test_bounds_that_are_none() -> None:
    assert bound_of("start", "None") is bound_of("start", "") is bound_of("start", None) is None
    for wrong in ("soon", 12, ["x"], b"2026-01-01", True, 10**5000, float("inf"), "0001-01-01", NOW.date()):
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
    with time_machine.travel(NOW, tick=False):
        if stale:
            with pytest.raises(StaleRun, match="stale_run"):
                check_run_age(made, timedelta(days=1))
        else:
            check_run_age(made, timedelta(days=1))


def files_window(due: datetime, previous: datetime | None, *, logical_date: datetime | None = NOW, **bounds) -> Window:
    """Return the window of an export that keeps no log."""
    run = SimpleNamespace(run_after=due, logical_date=logical_date)
    before = previous and SimpleNamespace(run_after=previous)
    ctx = {"dag_run": run, "ti": SimpleNamespace(get_previous_dagrun=lambda: before)}
    covered = before_the_previous_run(ctx)
    return requested_window(ctx, bounds.get("start"), bounds.get("end"), covered=covered)


@pytest.mark.parametrize(
    ("previous", "days"),
    [
        pytest.param(NOW - 7 * DAY, 7, id="weekly"),
        pytest.param(NOW - DAY, 1, id="daily"),
        pytest.param(NOW - HOUR, 1, id="hourly: a day all the same, for calls that the vendor lists late"),
        pytest.param(None, 1, id="the first run"),
    ],
)
def test_files_begin_where_the_previous_run_was_due(previous, days) -> None:
    assert files_window(NOW, previous) == Window(NOW - days * DAY, NOW)


def test_explicit_bounds_do_not_ask_for_the_previous_run() -> None:
    bounds = {"start": NOW - HOUR, "end": NOW}
    assert files_window(NOW, NOW - 7 * DAY, **bounds) == hours(-1, 0)


def test_a_run_without_a_logical_date_says_that_it_exports_the_last_day(caplog) -> None:
    assert files_window(NOW, NOW - 7 * DAY, logical_date=None) == Window(NOW - DAY, NOW)
    assert "Give start and end" in caplog.text
