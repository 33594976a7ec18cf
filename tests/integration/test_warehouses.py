"""The export into warehouses with MERGE: their statements in the way of their hooks, and Redshift's on a PostgreSQL."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from airflow_provider_voice.export.models import Loaded, Scope, Window
from airflow_provider_voice.export.rows import RowMaker
from airflow_provider_voice.export.warehouse import registry
from airflow_provider_voice.export.warehouse.errors import WarehouseFailed
from airflow_provider_voice.export.warehouse.load import Load
from airflow_provider_voice.export.warehouse.merge_sql import Redshift
from airflow_provider_voice.export.warehouse.table import Warehouse
from airflow_provider_voice.export.windows import ReadPlan
from airflow_provider_voice.models import Call, CallStatus, write_time
from tests.integration.databases import execute
from tests.integration.fake_warehouses import HOOKS, FakeHook

pytestmark = [pytest.mark.airflow, pytest.mark.once]
START = datetime(2026, 1, 1, tzinfo=timezone.utc)
WINDOW = Window(START, START + timedelta(hours=2))
COUNT = 1_300  # more than one statement takes anywhere


@pytest.fixture(params=[*HOOKS, "redshift"])
def warehouse(request: pytest.FixtureRequest, database_hook: Any, monkeypatch: pytest.MonkeyPatch) -> Warehouse:
    if request.param == "redshift":
        # PostgreSQL has had this MERGE since 15, and psycopg2 takes Redshift's marks.
        hook = database_hook("postgres")
        monkeypatch.setitem(registry.DIALECTS, hook.conn_type, Redshift)
        return Warehouse(hook, "voice_calls")
    duckdb = pytest.importorskip("duckdb")
    database = duckdb.connect()
    database.execute("SET TimeZone = 'UTC'")
    database.execute("CREATE SCHEMA marts")
    return Warehouse(HOOKS[request.param](database), "voice_calls", "marts")


def rows_of(warehouse: Warehouse, sql: str) -> list[Any]:
    if isinstance(warehouse.hook, FakeHook):
        return warehouse.hook.database.execute(sql.replace("voice_calls", "marts.voice_calls")).fetchall()
    return execute(warehouse.hook, sql)


def load(
    warehouse: Warehouse,
    statuses: list[CallStatus],
    read_at: datetime,
    text: str = "a",
    *,
    run: str = "run",
    window: Window = WINDOW,
    apart: timedelta = timedelta(seconds=1),
) -> Loaded:
    maker = RowMaker("s", "plain", read_at, read_at, timedelta(hours=1), warehouse.dialect.stamp(read_at))
    warehouse.prepare()
    with warehouse.spool() as spool:
        for number, status in enumerate(statuses):
            created = START + number * apart
            raw = {"text": text}
            call = Call(f"c{number:04}", "talkover", status, agent_name=text, cost=0.5, created_at=created, raw=raw)
            spool.add(maker.row(call), created)
        return warehouse.load(
            Load(Scope("s"), run, ReadPlan(window, [window]), spool, read_at, timedelta(hours=1), timedelta(days=7))
        )


def test_rows_are_inserted_updated_and_certified(warehouse: Warehouse) -> None:
    first = load(warehouse, [CallStatus.RINGING] * COUNT, START + timedelta(hours=3))
    assert (first.inserted, first.updated, first.unsettled) == (COUNT, 0, COUNT)
    ended = [CallStatus.BUSY] * 10 + [CallStatus.RINGING] * (COUNT - 10)
    second = load(warehouse, ended, START + timedelta(hours=4))
    assert (second.inserted, second.updated, second.unchanged) == (0, 10, COUNT - 10)
    assert [(hour["at_vendor"], hour["in_table"], hour["changed"]) for hour in second.hours] == [(COUNT, COUNT, 0)]
    third = load(warehouse, ended, START + timedelta(hours=9))
    assert (third.updated, third.unsettled) == (0, COUNT - 10)
    older = load(warehouse, [CallStatus.QUEUED] * 10, START + timedelta(hours=1))
    assert (older.updated, older.stale_ignored) == (0, 10)
    assert rows_of(warehouse, "SELECT status, COUNT(*) FROM voice_calls GROUP BY status ORDER BY 1") == [
        ("busy", 10),
        ("ringing", COUNT - 10),
    ]


def test_every_hour_of_a_month_is_certified(warehouse: Warehouse) -> None:
    hours = 31 * 24
    window = Window(START, START + timedelta(hours=hours))
    for run, changed in (("first", 1), ("again", 0)):
        done = load(warehouse, [CallStatus.BUSY] * hours, window.end, run=run, window=window, apart=timedelta(hours=1))
        assert len(done.hours) == hours
        assert {(hour["at_vendor"], hour["in_table"], hour["changed"]) for hour in done.hours} == {(1, 1, changed)}
    assert rows_of(warehouse, "SELECT COUNT(*) FROM voice_calls_export_log") == [(hours + 3,)]


def test_the_state_of_the_table_is_read(warehouse: Warehouse) -> None:
    load(warehouse, [CallStatus.RINGING] * 3, START + timedelta(hours=3))
    own, covered, clock, pending = warehouse.read(
        lambda state: (
            state.coverage(Scope("s")).window_of_run("run"),
            state.coverage(Scope("s")).covered(),
            state.clock(),
            state.unsettled("s"),
        )
    )
    assert (own, covered) == (WINDOW, [WINDOW])
    assert abs(clock.now() - datetime.now(timezone.utc)) < timedelta(minutes=1)
    assert {key: ref.placed_at for key, ref in pending.items()} == {
        f"c{number:04}": START + timedelta(seconds=number) for number in range(3)
    }


def test_a_window_ahead_leaves_a_hole_until_it_is_filled(warehouse: Warehouse) -> None:
    ahead = Window(WINDOW.end + timedelta(hours=5), WINDOW.end + timedelta(hours=6))
    load(warehouse, [CallStatus.BUSY], ahead.end, run="by hand", window=ahead)
    done = load(warehouse, [CallStatus.BUSY], WINDOW.end)
    shown = [write_time(WINDOW.end), write_time(ahead.start)]
    assert [[hole["start"], hole["end"]] for hole in done.holes] == [shown]
    between = load(warehouse, [], ahead.end, run="between", window=Window(WINDOW.end, ahead.start))
    assert between.holes == []
    covered = warehouse.read(lambda state: state.coverage(Scope("s")).covered())
    assert covered == [Window(WINDOW.start, ahead.end)]


@pytest.mark.parametrize("text", ["a\nb\r\\.", "'; DROP TABLE x; --", '"q" ü 漢 🙂', "%s %(p0)s ? {x} %", "\\'"])
def test_whatever_a_text_holds_reaches_the_table(warehouse: Warehouse, text: str) -> None:
    load(warehouse, [CallStatus.BUSY], START + timedelta(hours=3), text)
    assert rows_of(warehouse, "SELECT agent_name FROM voice_calls") == [(text,)]


def test_long_rows_are_shared_out_to_more_statements(warehouse: Warehouse) -> None:
    load(warehouse, [CallStatus.BUSY] * 8, START + timedelta(hours=3), "x" * 200_000 if _takes_long(warehouse) else "x")
    assert rows_of(warehouse, "SELECT COUNT(*) FROM voice_calls") == [(8,)]


def _takes_long(warehouse: Warehouse) -> bool:
    return not isinstance(warehouse.dialect, Redshift)  # 4,000 characters a text there


def test_a_load_that_breaks_off_leaves_no_stage_and_merges_right_the_next_time(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(warehouse, [CallStatus.RINGING] * 5, START + timedelta(hours=3))
    with monkeypatch.context() as broken:
        broken.setattr(warehouse.dialect, "log_statement", lambda lines: "INSERT INTO nowhere VALUES (1)")
        with pytest.raises(WarehouseFailed):
            load(warehouse, [CallStatus.BUSY] * 5, START + timedelta(hours=4))
    statuses = rows_of(warehouse, "SELECT DISTINCT status FROM voice_calls")
    assert statuses == [("ringing",) if warehouse.dialect.has_transactions else ("busy",)]
    if isinstance(warehouse.hook, FakeHook):
        tables = warehouse.hook.database.execute(
            "SELECT table_name FROM duckdb_tables() WHERE NOT temporary"
        ).fetchall()
        assert {name.lower() for (name,) in tables} == {"voice_calls", "voice_calls_export_log"}
    load(warehouse, [CallStatus.BUSY] * 5, START + timedelta(hours=4))
    assert rows_of(warehouse, "SELECT DISTINCT status FROM voice_calls") == [("busy",)]
