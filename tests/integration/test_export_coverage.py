"""Whatever runs there are and in whatever order: what counts as covered is in the table, and the rest is a hole."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_voice.exceptions import IncompleteHistory
from airflow_provider_voice.export.models import Scope, Window, joined, without
from airflow_provider_voice.export.warehouse.coverage_log import CoverageLog
from airflow_provider_voice.export.warehouse.table import Warehouse
from airflow_provider_voice.models import Call, CallStatus, read_time
from airflow_provider_voice.transfers.calls_to_warehouse import CallsToWarehouseOperator
from tests.integration.databases import execute
from tests.integration.exporting import FakeVoiceHook, sqlite_hook

pytestmark = pytest.mark.airflow
HOUR = timedelta(hours=1)
HOURS = "SELECT name, at_vendor, in_table FROM voice_calls_export_log WHERE kind = 'hour' ORDER BY name"
BEGIN = datetime(2026, 1, 5, tzinfo=timezone.utc)
CALLS = [
    Call(f"c{number:04}", "talkover", CallStatus.COMPLETED, created_at=BEGIN + number * timedelta(minutes=20))
    for number in range(-10 * 72, 10 * 72)
]


class SkewedHook(FakeVoiceHook):
    """A vendor whose clock differs from Airflow's, and whose list may break off.

    :param skew: how far its clock is ahead of Airflow's.
    """

    def __init__(self, skew: timedelta) -> None:
        super().__init__(BEGIN, CALLS)
        self.skew = skew
        self.breaks_off = False
        self.http.clock_offset = skew.total_seconds()

    def now(self) -> datetime:
        return self.time + self.skew

    def list_calls(self, start: datetime, end: datetime, **_: Any) -> Iterator[Call]:
        shown = [call for call in super().list_calls(start, end) if call.created_at <= self.now()]
        yield from shown[: len(shown) // 2]
        if self.breaks_off:
            raise IncompleteHistory("the list kept changing")
        yield from shown[len(shown) // 2 :]


class History:
    """Runs of one task over some days.

    :param folder: where the table is.
    :param skew: how far the vendor's clock is ahead of Airflow's.
    """

    def __init__(self, folder: Path, skew: timedelta) -> None:
        self.voice = SkewedHook(skew)
        self.warehouse = Warehouse(sqlite_hook(folder / "warehouse.db"), "voice_calls")
        self.runs: list[tuple[dict[str, Any], dict[str, Any]]] = []
        self.holes: list[Window] = []

    def run(self, due: datetime, interval: Window | None = None, bounds: Window | None = None) -> dict[str, Any]:
        """Run the task once more and return its result; nothing, where the vendor's list broke off."""
        first, last = (interval.start, interval.end) if interval else (due, due)
        dag_run = SimpleNamespace(run_after=due, data_interval_start=first, data_interval_end=last)
        ti = SimpleNamespace(dag_id="d", task_id="t", map_index=-1, run_id=f"run {len(self.runs)}")
        arguments = {"start": bounds.start.isoformat(), "end": bounds.end.isoformat()} if bounds else {}
        self.runs.append(({"ti": ti, "dag_run": dag_run}, arguments))
        return self.retry(len(self.runs) - 1)

    def retry(self, number: int) -> dict[str, Any]:
        """Run again, like a retry or a clear of a run."""
        context, arguments = self.runs[number]
        operator = CallsToWarehouseOperator(task_id="t", warehouse_conn_id="w", recheck=0, **arguments)
        operator.hook, operator.warehouse = self.voice, self.warehouse
        try:
            result = operator.execute(context)
        except Exception as error:
            assert self.voice.breaks_off, error
            return {}
        self.holes = [Window(read_time(hole["start"]), read_time(hole["end"])) for hole in result["holes"]]
        return result

    def covered(self) -> list[Window]:
        return self.warehouse.read(lambda state: CoverageLog(state, Scope("voice_default")).covered())

    def stored(self) -> set[str]:
        return {row[0] for row in execute(self.warehouse.hook, "SELECT call_id FROM voice_calls")}


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("wait"), st.integers(1, 30)),
        st.tuples(st.sampled_from(["cron", "interval", "fail"]), st.just(0)),
        st.tuples(st.just("explicit"), st.integers(-40, 3), st.integers(1, 6)),
        st.tuples(st.just("backfill"), st.integers(1, 80)),
        st.tuples(st.just("retry"), st.integers(0, 20)),
    ),
    min_size=1,
    max_size=10,
)


def take(history: History, step: tuple[Any, ...]) -> None:
    now, kind = history.voice.time, step[0]
    history.voice.breaks_off = kind == "fail"
    if kind == "wait":
        history.voice.time += step[1] * HOUR
    elif kind in ("cron", "fail"):
        history.run(now)
    elif kind == "interval":
        history.run(now, interval=Window(now - HOUR, now))
    elif kind == "explicit":
        history.run(now, bounds=Window(now + step[1] * HOUR, now + (step[1] + step[2]) * HOUR))
    elif kind == "backfill":
        history.run(now - step[1] * HOUR)
    elif kind == "retry" and history.runs:
        history.retry(step[1] % len(history.runs))


@settings(max_examples=80, deadline=None)
@given(STEPS, st.sampled_from([0, -30, 30, -3 * 3600, 3 * 3600]))
def test_what_is_covered_is_in_the_table_and_what_is_not_is_a_hole(tmp_path_factory, steps, skew) -> None:
    history = History(tmp_path_factory.mktemp("coverage"), timedelta(seconds=skew))
    history.warehouse.prepare()
    for step in steps:
        take(history, step)
    covered = history.covered()
    inside = {call.id for call in CALLS if any(call.created_at in window for window in covered)}
    assert inside <= history.stored()
    if covered:
        whole = Window(covered[0].start, max(covered[-1].end, *(hole.end for hole in history.holes), covered[0].end))
        assert without([whole], covered) == without([whole], without([whole], history.holes))


@pytest.mark.parametrize("skew", [-30, -3 * 3600, 30, 3 * 3600])
@pytest.mark.parametrize("kind", ["interval", "cron", "templated bounds"])
def test_no_call_is_lost_between_runs_for_any_offset_of_the_vendors_clock(tmp_path, kind, skew) -> None:
    history = History(tmp_path, timedelta(seconds=skew))
    for number in range(24):
        now = history.voice.time = BEGIN + (number + 1) * HOUR
        last_hour = Window(now - HOUR, now)
        history.run(
            now,
            interval=last_hour if kind == "interval" else None,
            bounds=last_hour if kind == "templated bounds" else None,
        )
    end = min(BEGIN + 24 * HOUR, history.voice.now())
    wanted = {call.id for call in CALLS if BEGIN <= call.created_at < end}
    assert wanted <= history.stored()
    assert [hole for hole in history.holes if hole.start < end] == []


def test_a_backfill_and_windows_ahead_leave_nothing_of_the_schedule_out(tmp_path) -> None:
    history = History(tmp_path, timedelta(0))
    history.voice.time = BEGIN + 48 * HOUR
    history.run(BEGIN + 48 * HOUR, bounds=Window(BEGIN + 40 * HOUR, BEGIN + 41 * HOUR))
    for number in range(1, 11):
        history.run(BEGIN + number * HOUR)
    history.run(BEGIN - 100 * HOUR)
    wanted = {call.id for call in CALLS if BEGIN <= call.created_at < BEGIN + 10 * HOUR}
    assert wanted <= history.stored()
    assert history.holes == [
        Window(BEGIN - 100 * HOUR, BEGIN - 23 * HOUR),
        Window(BEGIN + 10 * HOUR, BEGIN + 40 * HOUR),
    ]
    assert joined(history.covered()) == history.covered()


def test_an_hour_that_is_exported_again_in_part_keeps_its_full_count(tmp_path) -> None:
    history = History(tmp_path, timedelta(0))
    now = history.voice.time = BEGIN + 24 * HOUR
    history.run(now, bounds=Window(BEGIN, now))
    before = execute(history.warehouse.hook, HOURS)
    result = history.run(now, bounds=Window(BEGIN + HOUR / 3, BEGIN + HOUR / 2))
    assert [hour["at_vendor"] for hour in result["hours"]] == [hour["in_table"] for hour in result["hours"]] == [3]
    assert {hour["changed"] for hour in result["hours"]} == {0}
    assert execute(history.warehouse.hook, HOURS) == before
