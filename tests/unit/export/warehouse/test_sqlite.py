from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta, timezone
from typing import Any

import pytest
from sqlalchemy import literal_column, select

from airflow_provider_voice.exceptions import InvalidRequest
from airflow_provider_voice.export.warehouse.sqlite import SQLite
from airflow_provider_voice.models import read_time
from tests.unit.export.warehouse.recorder import HOUR, NOW


@pytest.fixture
def cursor() -> Iterator[sqlite3.Cursor]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        yield connection.cursor()


def dialect(schema: str | None = None) -> SQLite:
    return SQLite("calls", schema)


def test_a_schema_is_refused_before_the_database_is_asked() -> None:
    assert dialect("main").table.schema == "main"
    with pytest.raises(InvalidRequest, match="no schema 'analytics'"):
        dialect("analytics")


def test_times_are_texts_in_utc_that_sort_as_instants() -> None:
    there = (NOW + HOUR).astimezone(timezone(timedelta(hours=-8)))
    written = [dialect().time(moment) for moment in (NOW, NOW + timedelta(microseconds=1), there)]
    assert written == sorted(written)
    assert written[-1] == "2026-01-10 13:00:00.000000+00:00"
    assert [read_time(text) for text in written][-1] == NOW + HOUR


def test_an_instant_is_cut_to_its_hour(cursor: sqlite3.Cursor) -> None:
    column: Any = literal_column(f"'{dialect().time(NOW + timedelta(minutes=59))}'")
    ((hour,),) = dialect().execute(cursor, select(dialect().hour(column)))
    assert read_time(hour) == NOW


def test_the_clock_is_in_utc(cursor: sqlite3.Cursor) -> None:
    ((now,),) = dialect().execute(cursor, select(dialect().clock))
    ((seconds,),) = cursor.execute("SELECT unixepoch('now') - unixepoch(?)", (now,)).fetchall()
    assert abs(seconds) <= 1


@pytest.mark.parametrize("schema", [None, "main"])
def test_table_and_indexes_are_created_once(cursor: sqlite3.Cursor, schema: str | None) -> None:
    for _ in range(2):
        dialect(schema).create(cursor)
    names = {row[0] for row in cursor.execute("SELECT name FROM sqlite_master WHERE sql IS NOT NULL")}
    assert names == {"calls", "calls_export_log", "calls_created", "calls_unsettled"}


def test_the_transaction_begins_as_a_writer(tmp_path: Any) -> None:
    """One that begins as a reader and turns into a writer may meet another, and neither can go on."""
    with closing(sqlite3.connect(tmp_path / "x.db", isolation_level=None, timeout=0)) as one:
        dialect().lock(one.cursor(), "s")
        with (
            closing(sqlite3.connect(tmp_path / "x.db", isolation_level=None, timeout=0)) as other,
            pytest.raises(sqlite3.OperationalError),
        ):
            dialect().lock(other.cursor(), "s")
