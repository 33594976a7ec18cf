"""Loads outside a task: their counts, loads at the same time, and the rights that a load needs."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from airflow_provider_voice.exceptions import WarehouseFailed
from airflow_provider_voice.export.models import Loaded, Scope, Window
from airflow_provider_voice.export.rows import CONTENT, RowMaker
from airflow_provider_voice.export.warehouse import mysql
from airflow_provider_voice.export.warehouse.load import Load
from airflow_provider_voice.export.warehouse.table import Warehouse
from airflow_provider_voice.export.warehouse.transaction import Transaction
from airflow_provider_voice.export.windows import ReadPlan
from airflow_provider_voice.models import Call, CallStatus
from tests.integration.databases import execute
from tests.integration.exporting import store

pytestmark = [pytest.mark.airflow, pytest.mark.usefixtures("small_chunks")]
START = datetime(2026, 1, 1, tzinfo=timezone.utc)
WINDOW = Window(START, START + timedelta(days=1))
COUNT = 200
CHANGED = len(range(0, COUNT, 3))


@pytest.fixture(params=["postgres", "psycopg2", "duckdb", "sqlite"])
def warehouse(request, database_hook) -> Warehouse:
    made = Warehouse(database_hook(request.param), "voice_calls")
    made.prepare()
    return made


def calls(*, version: int = 0) -> list[Call]:
    """Return calls of a day; in a later version every third has changed."""
    found = []
    for number in range(COUNT):
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


def load(warehouse: Warehouse, *, source: str = "s", version: int = 0, agent_id: Any = None) -> Loaded:
    read_at = START + timedelta(days=1, minutes=version)  # newer versions are read later
    maker = RowMaker(source, "plain", read_at, read_at)
    with warehouse.new_buffer() as buffer:
        for call in calls(version=version):
            buffer.add(maker.row(call), call.created_at)
        plan, scope = ReadPlan(WINDOW, [WINDOW]), Scope(source, agent_id)
        return warehouse.load(Load(scope, "run", plan, buffer, read_at, timedelta(0), timedelta(days=7)))


@contextmanager
def unfinished_load(warehouse: Warehouse, source: str) -> Iterator[Any]:
    """Hold the lock of a load until the context ends, as a load does whose transaction is open."""
    with Transaction(warehouse.hook, warehouse.dialect) as cursor:
        warehouse.dialect.lock(cursor, source)
        yield cursor


def content(warehouse: Warehouse) -> list[str]:
    return sorted(map(str, execute(warehouse.hook, f"SELECT source, call_id, {', '.join(CONTENT)} FROM voice_calls")))


def test_newer_versions_are_stored_and_older_ones_are_counted_as_stale(warehouse) -> None:
    counts = []
    for version in (0, 2, 1):
        done = load(warehouse, version=version)
        counts.append((done.fetched, done.inserted, done.updated, done.unchanged, done.stale_ignored))
        assert sum(hour["in_table"] for hour in done.hours) == COUNT
    assert counts == [
        (COUNT, COUNT, 0, 0, 0),
        (COUNT, 0, CHANGED, COUNT - CHANGED, 0),
        (COUNT, 0, 0, COUNT - CHANGED, CHANGED),
    ]
    assert len(content(warehouse)) == COUNT


@pytest.mark.parametrize("warehouse", ["postgres", "psycopg2"], indirect=True)
def test_loads_of_one_source_wait_for_each_other_and_other_sources_do_not(warehouse) -> None:
    load(warehouse)
    with ThreadPoolExecutor(2) as pool:
        with unfinished_load(warehouse, "s"):
            same = pool.submit(load, warehouse, version=1)
            other = pool.submit(load, warehouse, source="t")
            assert other.result(60).inserted == COUNT
            assert not same.done()
        assert same.result(60).updated == CHANGED
    assert len(content(warehouse)) == 2 * COUNT


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


class LoaderHook:
    """The hook of a role that reads and writes rows, and may create nothing."""

    def __init__(self, hook: Any) -> None:
        self._hook = hook
        execute(hook, "CREATE ROLE voice_loader")
        execute(hook, "GRANT SELECT, INSERT, UPDATE, DELETE ON voice_calls, voice_calls_export_log TO voice_loader")
        execute(hook, "REVOKE CREATE ON SCHEMA public FROM PUBLIC")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._hook, name)

    def get_conn(self) -> Any:
        connection = self._hook.get_conn()
        connection.cursor().execute("SET ROLE voice_loader")
        connection.commit()
        return connection

    def drop(self) -> None:
        execute(self._hook, "DROP OWNED BY voice_loader")
        execute(self._hook, "DROP ROLE voice_loader")


@pytest.mark.parametrize("warehouse", ["postgres", "psycopg2"], indirect=True)
def test_a_role_without_the_right_to_create_loads_into_a_table_that_exists(warehouse) -> None:
    loader = LoaderHook(warehouse.hook)
    try:
        limited = Warehouse(loader, "voice_calls")
        limited.prepare()
        assert load(limited).inserted == COUNT
        assert load(limited, version=1).updated == CHANGED
        with pytest.raises(WarehouseFailed):
            Warehouse(loader, "another_table").prepare()
    finally:
        loader.drop()


@pytest.mark.parametrize("agent_id", [101, "101"])
def test_an_export_of_one_agent_may_name_it_by_a_number(warehouse, agent_id) -> None:
    done = load(warehouse, agent_id=agent_id)
    assert sum(hour["in_table"] for hour in done.hours) == 0, "the calls are those of another agent"


@pytest.mark.parametrize("warehouse", [pytest.param("mariadb", marks=pytest.mark.once)], indirect=True)
def test_a_load_waits_for_one_that_names_the_schema_of_the_same_table(warehouse, monkeypatch) -> None:
    monkeypatch.setattr(mysql, "_LOCK_SECONDS", 0)
    named = Warehouse(warehouse.hook, "voice_calls", "voice")
    with Transaction(warehouse.hook, warehouse.dialect) as first, Transaction(named.hook, named.dialect) as second:
        warehouse.dialect.lock(first, "s")
        with pytest.raises(WarehouseFailed, match="Another load"):
            named.dialect.lock(second, "s")


@pytest.mark.parametrize("warehouse", ["postgres", pytest.param("mariadb", marks=pytest.mark.once)], indirect=True)
def test_exports_at_once_complete_the_table_of_an_older_version(warehouse) -> None:
    for name in ("tag", "agent_name", "is_testing", "ended_at", "abandoned_at"):
        execute(warehouse.hook, f"ALTER TABLE voice_calls DROP COLUMN {name}")
    all_of_them = threading.Barrier(8)

    def prepare(_: int) -> None:
        all_of_them.wait(60)
        Warehouse(warehouse.hook, "voice_calls").prepare()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(prepare, range(8)))
    assert load(warehouse).inserted == COUNT


@pytest.mark.parametrize("warehouse", ["postgres", pytest.param("psycopg2", marks=pytest.mark.once)], indirect=True)
@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Kolkata"])
@pytest.mark.parametrize("year", [1, 9999])
def test_a_sessions_own_settings_change_nothing(warehouse, monkeypatch, zone, year) -> None:
    """A placeholder of the vendor may be in a year that Python does not have in the session's time zone."""
    monkeypatch.setenv("PGOPTIONS", f"-c DateStyle=German -c TimeZone={zone}")
    moment = datetime(1, 1, 1, tzinfo=timezone.utc) if year == 1 else datetime(9999, 12, 31, 20, tzinfo=timezone.utc)
    call = Call("c1", "talkover", CallStatus.RINGING, created_at=START + timedelta(minutes=90))
    assert store(warehouse, [call], START + timedelta(hours=2)).hours[0]["hour"] == "2026-01-01T01:00:00Z"
    store(warehouse, [replace(call, created_at=moment)], START + timedelta(hours=3))
    assert warehouse.read(lambda state: state.unsettled("s"))["c1"].placed_at == moment


@pytest.mark.parametrize("warehouse", ["postgres"], indirect=True)
def test_a_session_keeps_no_prepared_statement(warehouse) -> None:
    """A pooler in transaction mode hands it on to others, whose statement of the same name then fails."""
    with Transaction(warehouse.hook, warehouse.dialect) as cursor:
        for number in range(20):
            cursor.execute("SELECT %s::int", (number,))
        assert cursor.execute("SELECT name FROM pg_prepared_statements").fetchall() == []
