from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest

from airflow_provider_voice.export.warehouse.duckdb import DuckDB
from tests.unit.export.warehouse.recorder import Recorder, load, one_call


@pytest.fixture
def cursor() -> Iterator[Any]:
    duckdb = pytest.importorskip("duckdb")
    with contextlib.closing(duckdb.connect(":memory:")) as connection:
        yield connection.cursor()


def dialect() -> DuckDB:
    return DuckDB("calls", None)


def test_the_columns_it_creates_are_those_it_finds_and_accepts(cursor: Any) -> None:
    made = dialect()
    assert made.stored_columns(cursor, made.table) == {}
    made.create(cursor)
    stored = made.stored_columns(cursor, made.table)
    assert (stored["created_at"], stored["call_id"], stored["raw"]) == (
        "timestamp with time zone",
        "varchar",
        "varchar",
    )


def test_names_are_the_same_in_any_case(cursor: Any) -> None:
    dialect().create(cursor)
    other = DuckDB("Calls", "MAIN")
    assert other.stored_columns(cursor, other.table) == dialect().stored_columns(cursor, dialect().table)


def test_a_load_reads_the_buffers_file(cursor: Any) -> None:
    made = dialect()
    made.create(cursor)
    assert load(made, cursor).inserted == 1
    found = cursor.execute("SELECT agent_name, status, raw FROM calls").fetchall()
    assert found == [(one_call().agent_name, "busy", '{"n":1}')]


def test_it_has_no_index_and_begins_its_transactions_itself() -> None:
    recorder = Recorder()
    dialect().create(recorder)
    assert not [sql for sql in recorder.sql if "INDEX" in sql]
    assert DuckDB.begin == ("BEGIN TRANSACTION",)


def test_the_statement_to_change_a_column_works(cursor: Any) -> None:
    made = dialect()
    made.create(cursor)
    cursor.execute('ALTER TABLE "calls" ALTER COLUMN cost TYPE VARCHAR')
    cursor.execute(made.change_column_statement("cost"))
    assert made.stored_columns(cursor, made.table)["cost"] == "double"
