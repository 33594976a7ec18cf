from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from airflow_provider_voice.exceptions import InvalidRequest, WarehouseFailed
from airflow_provider_voice.export.warehouse.table import Warehouse
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
