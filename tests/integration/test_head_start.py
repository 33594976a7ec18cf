"""A load that begins while calls are still pulled ends as one that begins afterwards, whatever happens to it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from airflow_provider_voice.export.models import Load, Loaded, Scope, Window
from airflow_provider_voice.export.rows import CONTENT, RowMaker
from airflow_provider_voice.export.warehouse.head_start import HEAD_START_SECONDS
from airflow_provider_voice.export.warehouse.table import Warehouse
from airflow_provider_voice.models import Call, CallStatus
from tests.integration.databases import execute

pytestmark = [pytest.mark.airflow, pytest.mark.usefixtures("small_chunks")]
START = datetime(2026, 1, 1, tzinfo=timezone.utc)
WINDOW = Window(START, START + timedelta(days=1))
COUNT = 200


@pytest.fixture(params=["postgres", "duckdb", "sqlite"])
def warehouse(request, database_hook) -> Warehouse:
    made = Warehouse(database_hook(request.param), "voice_calls")
    made.prepare()
    return made


def calls(count: int = COUNT, *, version: int = 0) -> list[Call]:
    """Return calls of a day; in a later version every third has changed."""
    found = []
    for number in range(count):
        changed = version if number % 3 == 0 else 0
        updated = START + timedelta(hours=1 + changed)
        found.append(
            Call(
                f"call_{number:04}", "talkover", CallStatus.COMPLETED, "completed", to="+14155550123",
                duration_seconds=changed, created_at=START + timedelta(minutes=number), updated_at=updated,
                raw={"version": changed, "text": "x" * 100},
            )
        )  # fmt: skip
    return found


class Export:
    """One load whose pull the test is the master of."""

    def __init__(self, warehouse: Warehouse, source: str, left: Callable[[], float | None]) -> None:
        self.read_at = datetime.now(timezone.utc)
        self.scope = Scope(source)
        self.warehouse = warehouse
        self.maker = RowMaker(
            source, "plain", self.read_at, self.read_at, timedelta(0), warehouse.dialect.stamp(self.read_at)
        )
        self.spool = warehouse.spool()
        self.ahead = warehouse.head_start(self.spool, source, self.read_at, left)

    def pull(self, some: list[Call]) -> None:
        for call in some:
            self.spool.add(self.maker.row(call), call.created_at)

    def wait(self) -> None:
        """Wait until everything is taken that is full."""
        for step in self.ahead._steps:
            step.exception(30)

    def load(self) -> Loaded:
        load = Load(self.scope, "run", WINDOW, self.spool, self.read_at, timedelta(0))
        return self.warehouse.load(load, self.ahead)


@contextmanager
def exporting(
    warehouse: Warehouse, source: str = "s", left: Callable[[], float | None] = lambda: 1.0
) -> Iterator[Export]:
    export = Export(warehouse, source, left)
    with export.spool, export.ahead:
        yield export


def content(warehouse: Warehouse) -> list[str]:
    return sorted(map(str, execute(warehouse.hook, f"SELECT source, call_id, {', '.join(CONTENT)} FROM voice_calls")))


def counts(done: Loaded) -> tuple[int, ...]:
    return (done.fetched, done.inserted, done.updated, done.unchanged, done.stale_ignored)


def test_it_ends_as_a_load_that_begins_afterwards(warehouse) -> None:
    results = []
    for left in (1.0, None):
        for table in ("voice_calls", "voice_calls_export_log"):
            execute(warehouse.hook, f"DELETE FROM {table}")
        found = []
        for version in (0, 2, 1):
            with exporting(warehouse, left=lambda: left) as export:  # noqa: B023 - used before the loop goes on
                export.pull(calls(version=version))
                assert bool(export.ahead._steps) == (left is not None and warehouse.dialect.begins_ahead)
                done = export.load()
            found.append((counts(done), done.hours, content(warehouse)))
        results.append(found)
    assert results[0] == results[1]
    thirds = len(range(0, COUNT, 3))
    assert [found[0] for found in results[0]] == [
        (COUNT, COUNT, 0, 0, 0),
        (COUNT, 0, thirds, COUNT - thirds, 0),
        (COUNT, 0, 0, COUNT - thirds, thirds),
    ]


def test_it_begins_when_the_end_of_the_pull_is_near(warehouse) -> None:
    left: list[float | None] = [None, HEAD_START_SECONDS * 2, HEAD_START_SECONDS / 2]
    with exporting(warehouse, left=lambda: left[0]) as export:
        for part in range(3):
            assert not export.ahead._steps
            export.pull(calls(450)[part * 150 : part * 150 + 150])
            left.pop(0) if len(left) > 1 else None
        assert bool(export.ahead._steps) == warehouse.dialect.begins_ahead
        assert export.load().inserted == 450


def test_a_pull_that_fails_leaves_nothing_and_keeps_nobody_waiting(warehouse) -> None:
    with exporting(warehouse) as export:
        export.pull(calls())
        export.load()
    before = content(warehouse)

    def fail() -> None:
        with exporting(warehouse) as export:
            export.pull(calls(version=1))
            export.wait()
            raise RuntimeError("the vendor is gone")

    with pytest.raises(RuntimeError, match="the vendor is gone"):
        fail()
    assert content(warehouse) == before
    assert not any(thread.name.startswith("voice-load") for thread in threading.enumerate())
    with exporting(warehouse) as export:
        export.pull(calls(version=1))
        assert export.load().updated == len(range(0, COUNT, 3))


@pytest.mark.parametrize("warehouse", ["postgres"], indirect=True)
def test_a_connection_that_breaks_meanwhile_costs_only_the_start(warehouse, caplog) -> None:
    with caplog.at_level("INFO"), exporting(warehouse) as export:
        export.pull(calls()[:100])
        export.wait()
        (pid,) = execute(
            warehouse.hook, "SELECT pid FROM pg_stat_activity WHERE state = 'idle in transaction' AND pid <> 0"
        )[0]
        execute(warehouse.hook, f"SELECT pg_terminate_backend({pid})")
        export.pull(calls()[100:])
        assert counts(export.load()) == (COUNT, COUNT, 0, 0, 0)
    assert "begins anew" in caplog.text
    assert "+1415" not in caplog.text
    assert len(content(warehouse)) == COUNT


@pytest.mark.parametrize("warehouse", ["postgres"], indirect=True)
def test_a_database_that_can_not_be_reached_ahead_is_asked_again_at_the_end(warehouse, monkeypatch) -> None:
    connect, tries = warehouse.hook.get_conn, []

    def broken_once() -> Any:
        tries.append(1)
        if len(tries) == 1:
            raise OSError("no route")
        return connect()

    with exporting(warehouse) as export:
        monkeypatch.setattr(warehouse.hook, "get_conn", broken_once)
        export.pull(calls())
        assert export.load().inserted == COUNT
    assert len(tries) == 2


@pytest.mark.parametrize("warehouse", ["postgres"], indirect=True)
def test_loads_of_one_source_wait_for_each_other_and_other_sources_do_not(warehouse) -> None:
    def whole(source: str) -> Loaded:
        with exporting(warehouse, source, left=lambda: None) as export:
            export.pull(calls(version=1))
            return export.load()

    with ThreadPoolExecutor(2) as pool, exporting(warehouse) as export:
        export.pull(calls())
        export.wait()
        same, other = pool.submit(whole, "s"), pool.submit(whole, "t")
        assert other.result(30).inserted == COUNT
        assert not same.done()
        assert export.load().inserted == COUNT
        assert same.result(30).updated == len(range(0, COUNT, 3))
    assert len(content(warehouse)) == 2 * COUNT


@pytest.mark.parametrize("warehouse", ["postgres"], indirect=True)
def test_a_kill_while_the_load_waits_for_another_ends_at_once(warehouse) -> None:
    """An execution_timeout raises in the pull; the thread of the load may be waiting for a lock at that moment."""

    def time_out() -> None:
        with exporting(warehouse) as export:
            export.pull(calls())
            raise TimeoutError

    with exporting(warehouse) as holder:
        holder.pull(calls())
        holder.wait()
        with pytest.raises(TimeoutError):
            time_out()
        assert holder.load().inserted == COUNT


@pytest.mark.parametrize("warehouse", ["postgres"], indirect=True)
def test_two_first_exports_at_once_find_one_table(warehouse) -> None:
    for _ in range(5):
        for table in ("voice_calls", "voice_calls_export_log"):
            execute(warehouse.hook, f"DROP TABLE {table}")
        both = threading.Barrier(2)

        def prepare() -> None:
            both.wait(10)  # noqa: B023 - used before the loop goes on
            warehouse.prepare()

        with ThreadPoolExecutor(2) as pool:
            for done in [pool.submit(prepare) for _ in range(2)]:
                done.result(30)
        assert content(warehouse) == []


def test_a_load_of_less_than_a_chunk_begins_when_all_is_pulled(warehouse) -> None:
    with exporting(warehouse) as export:
        export.pull(calls(5))
        assert export.load().inserted == 5
        assert not export.ahead._steps
