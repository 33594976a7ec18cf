"""A run reads the rows it needs by an index, however many rows are stored."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from airflow_provider_voice.exceptions import WarehouseFailed
from airflow_provider_voice.export.models import Scope, Window
from airflow_provider_voice.export.warehouse import mysql
from airflow_provider_voice.export.warehouse.coverage_log import CoverageLog
from airflow_provider_voice.export.warehouse.load import Load
from airflow_provider_voice.export.warehouse.table import Warehouse
from airflow_provider_voice.export.warehouse.transaction import Transaction
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


class Explaining:
    """A cursor that has the plan of each query explained instead of running it."""

    description = ()

    def __init__(self, cursor: Any, explain: str) -> None:
        self._cursor, self._explain = cursor, explain
        self.plans: list[str] = []

    def execute(self, statement: str, values: Any) -> None:
        self._cursor.execute(f"{self._explain} {statement}", values)
        self.plans.append(str(self._cursor.fetchall()))


def plans(database: str, warehouse: Warehouse, work: Callable[[Transaction], object]) -> list[str]:
    transaction = Transaction(warehouse.hook, warehouse.dialect)
    with transaction as cursor:
        if database == "postgres":
            cursor.execute("SET LOCAL enable_seqscan = off")  # an empty table is read as it is
        transaction.cursor = explaining = Explaining(cursor, EXPLAIN[database])
        work(transaction)
        return explaining.plans


@pytest.mark.parametrize("schema", [None, "own"])
def test_what_a_run_asks_of_the_table_is_in_an_index(database: str, hook: Any, schema: str | None) -> None:
    if schema is not None:
        schema = {"sqlite": "main", "postgres": "public", "mariadb": "voice"}[database]
    warehouse = Warehouse(hook, "voice_calls", schema)
    warehouse.prepare()
    created, unsettled = (str(index.name) for index in warehouse.dialect.indexes)
    window = Window(START, START + timedelta(hours=1))

    def ask(transaction: Transaction) -> None:
        CoverageLog(transaction, Scope("s"))._in_table([window])
        transaction.unsettled("s")

    by_hour, to_read_again = plans(database, warehouse, ask)
    assert created in by_hour
    assert unsettled in to_read_again


def test_an_index_that_somebody_dropped_stays_dropped(database: str, hook: Any) -> None:
    warehouse = Warehouse(hook, "voice_calls")
    warehouse.prepare()
    of_table = " ON voice_calls" if database == "mariadb" else ""
    for index in warehouse.dialect.indexes:
        execute(hook, f"DROP INDEX {index.name}{of_table}")
    warehouse.prepare()
    for index in warehouse.dialect.indexes:
        execute(hook, f"CREATE INDEX {index.name} ON voice_calls (source)")  # the name is free


def test_a_load_that_waits_too_long_for_another_fails_with_the_reason(
    database: str, hook: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    if database != "mariadb":
        pytest.skip("the others wait in the database, by its own settings")
    warehouse = Warehouse(hook, "voice_calls")
    warehouse.prepare()
    monkeypatch.setattr(mysql, "_LOCK_SECONDS", 0)
    with warehouse.new_buffer() as buffer, closing(hook.get_conn()) as other:
        warehouse.dialect.lock(other.cursor(), "s")
        load = Load(
            Scope("s"), "run", ReadPlan(Window(START, START), []), buffer, START, timedelta(0), timedelta(days=7)
        )
        with pytest.raises(WarehouseFailed, match="Another load of voice_calls"):
            warehouse.load(load)
