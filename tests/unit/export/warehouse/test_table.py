from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_voice.exceptions import InvalidRequest, WarehouseFailed
from airflow_provider_voice.export.warehouse.table import DIALECTS, Warehouse, dialect_of
from tests.integration.exporting import sqlite_hook


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "warehouse.db"


def run(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


def columns(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        return [row[1] for row in connection.execute("PRAGMA table_info(calls)")]


def test_a_table_that_is_prepared_twice_stays_the_same(path: Path) -> None:
    warehouse = Warehouse(sqlite_hook(path), "calls")
    warehouse.prepare()
    before = columns(path)
    warehouse.prepare()
    assert columns(path) == before


def test_missing_columns_are_added_and_columns_of_users_are_kept(path: Path) -> None:
    run(path, "CREATE TABLE calls (source TEXT, call_id TEXT, note TEXT, PRIMARY KEY (source, call_id))")
    Warehouse(sqlite_hook(path), "calls").prepare()
    found = columns(path)
    assert found[:3] == ["source", "call_id", "note"]
    assert "abandoned_at" in found


def test_a_table_of_something_else_is_refused(path: Path) -> None:
    run(path, "CREATE TABLE calls (number TEXT)")
    with pytest.raises(InvalidRequest, match="has no column source, so it is not a table of calls"):
        Warehouse(sqlite_hook(path), "calls").prepare()
    assert columns(path) == ["number"]


def test_a_column_that_cannot_hold_its_values_is_refused_with_the_statement_to_change_it(path: Path) -> None:
    Warehouse(sqlite_hook(path), "calls").prepare()
    run(path, "ALTER TABLE calls DROP COLUMN ended_at", "ALTER TABLE calls ADD COLUMN ended_at BLOB")
    with pytest.raises(InvalidRequest, match=r"ended_at of calls is of type blob.*ALTER TABLE \"calls\" ALTER COLUMN"):
        Warehouse(sqlite_hook(path), "calls").prepare()


def test_what_the_database_refuses_is_named_without_its_text(path: Path) -> None:
    warehouse = Warehouse(sqlite_hook(path), "calls")
    with pytest.raises(WarehouseFailed, match="broke off the reading of calls") as caught:
        warehouse.read(lambda state: state.unsettled("s"))
    assert "no such table" not in str(caught.value)


def test_a_creation_that_another_export_was_quicker_with_is_tried_again(path: Path, monkeypatch) -> None:
    warehouse, create, tries = Warehouse(sqlite_hook(path), "calls"), Warehouse._create, []

    def once_too_late(self: Warehouse, cursor: sqlite3.Cursor) -> None:
        tries.append(1)
        if len(tries) == 1:
            raise sqlite3.OperationalError("table already exists")
        create(self, cursor)

    monkeypatch.setattr(Warehouse, "_create", once_too_late)
    warehouse.prepare()
    assert len(tries) == 2
    assert columns(path)


def hook_of(conn_type: str, **extra: Any) -> Any:
    return SimpleNamespace(conn_type=conn_type, connection=SimpleNamespace(extra_dejson=extra))


@pytest.mark.parametrize("kind", ["postgres", "sqlite", "mysql", "duckdb"])
def test_the_connection_type_says_it(kind: str) -> None:
    assert dialect_of(hook_of(kind)) is DIALECTS[kind]


def test_a_postgres_connection_may_be_redshift() -> None:
    assert dialect_of(hook_of("postgres", redshift=False)) is DIALECTS["postgres"]
    for option in ("redshift", "redshift-serverless"):
        with pytest.raises(InvalidRequest, match="Calls cannot be loaded into redshift directly"):
            dialect_of(hook_of("postgres", **{option: True}))


@pytest.mark.parametrize("kind", ["snowflake", "gcpbigquery", "redshift", "databricks", "odbc", "jdbc", "http"])
def test_a_database_that_no_test_has_met_is_refused_with_the_way_by_files(kind: str) -> None:
    """Also one that is reached by ODBC or JDBC, whose drivers have neither COPY nor the marks for parameters."""
    with pytest.raises(InvalidRequest, match=f"into {kind} directly.*CallsToObjectStorageOperator"):
        dialect_of(hook_of(kind))


def test_a_connection_that_is_no_database_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="into a database of this type directly"):
        dialect_of(SimpleNamespace())
