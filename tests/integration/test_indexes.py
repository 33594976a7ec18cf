"""A run reads what it needs of the table by an index, however many rows are stored."""

from __future__ import annotations

from contextlib import closing
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from airflow_provider_voice.exceptions import WarehouseFailed
from airflow_provider_voice.export.models import Scope, Window
from airflow_provider_voice.export.warehouse import mysql
from airflow_provider_voice.export.warehouse.load import Load, Transaction
from airflow_provider_voice.export.warehouse.table import Warehouse
from airflow_provider_voice.export.windows import ReadPlan
from tests.integration.databases import execute

pytestmark = pytest.mark.airflow
START = datetime(2026, 1, 1, tzinfo=timezone.utc)
EXPLAIN = {"sqlite": "EXPLAIN QUERY PLAN", "postgres": "EXPLAIN", "mariadb": "EXPLAIN"}


@pytest.fixture(params=["sqlite", "postgres", pytest.param("mariadb", marks=pytest.mark.once)])
def database(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def hook(database: str, database_hook: Any) -> Any:
    return database_hook(database)


def plan(database: str, warehouse: Warehouse, statement: str, parameters: tuple[Any, ...]) -> str:
    with Transaction(warehouse.hook, warehouse.dialect) as cursor:
        if database == "postgres":
            cursor.execute("SET LOCAL enable_seqscan = off")  # an empty table is read as it is
        cursor.execute(f"{EXPLAIN[database]} {statement}", parameters)
        return str(cursor.fetchall())


@pytest.mark.parametrize("schema", [None, "own"])
def test_what_a_run_asks_of_the_table_is_in_an_index(database: str, hook: Any, schema: str | None) -> None:
    if schema is not None:
        schema = {"sqlite": "main", "postgres": "public", "mariadb": "voice"}[database]
    warehouse = Warehouse(hook, "voice_calls", schema)
    warehouse.prepare()
    dialect = warehouse.dialect
    created, unsettled = ("source", "source_2") if database == "mariadb" else dialect.indexes()
    bounds = ("s", dialect.time(START), dialect.time(START + timedelta(hours=1)))
    assert created in plan(database, warehouse, dialect.hours_statement([]), bounds)
    assert unsettled in plan(database, warehouse, dialect.unsettled_statement(), ("s",))
    assert unsettled in plan(database, warehouse, dialect.count_unsettled_statement(), ("s",))


def test_an_index_that_somebody_dropped_stays_dropped(database: str, hook: Any) -> None:
    if database == "mariadb":
        pytest.skip("its indexes are made with the table and by nothing else")
    warehouse = Warehouse(hook, "voice_calls")
    warehouse.prepare()
    for name in warehouse.dialect.indexes():
        execute(hook, f"DROP INDEX {name}")
    warehouse.prepare()
    for name in warehouse.dialect.indexes():
        execute(hook, f"CREATE INDEX {name} ON voice_calls (source)")  # the name is free


def test_a_load_that_another_one_keeps_waiting_for_too_long_says_so(
    database: str, hook: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    if database != "mariadb":
        pytest.skip("the others wait in the database, by its own settings")
    warehouse = Warehouse(hook, "voice_calls")
    warehouse.prepare()
    monkeypatch.setattr(mysql, "_LOCK_SECONDS", 0)
    with warehouse.spool() as spool, closing(hook.get_conn()) as other:
        warehouse.dialect.lock(other.cursor(), "s")
        load = Load(
            Scope("s"), "run", ReadPlan(Window(START, START), []), spool, START, timedelta(0), timedelta(days=7)
        )
        with pytest.raises(WarehouseFailed, match="Another load of voice_calls"):
            warehouse.load(load)
