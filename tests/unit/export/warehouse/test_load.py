from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_voice.export.warehouse.postgresql import PostgreSQL
from airflow_provider_voice.export.warehouse.sqlite import SQLite
from airflow_provider_voice.export.warehouse.transaction import Transaction
from tests.integration.exporting import sqlite_hook
from tests.unit.export.warehouse.recorder import Recorder, load, one_call


@pytest.fixture
def dialect() -> SQLite:
    return SQLite("calls", None)


def rows(path: Path, sql: str) -> list[Any]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(sql).fetchall()


def test_a_transaction_that_an_error_breaks_off_leaves_nothing(tmp_path: Path, dialect: SQLite) -> None:
    hook = sqlite_hook(tmp_path / "x.db")
    with Transaction(hook, dialect) as cursor:
        dialect.create(cursor)

    def break_off() -> None:
        with Transaction(hook, dialect) as cursor:
            load(dialect, cursor)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        break_off()
    assert rows(tmp_path / "x.db", "SELECT COUNT(*) FROM calls") == [(0,)]
    assert rows(tmp_path / "x.db", "SELECT COUNT(*) FROM calls_export_log") == [(0,)]


def test_the_rows_and_what_they_cover_are_committed_together(tmp_path: Path, dialect: SQLite) -> None:
    with Transaction(sqlite_hook(tmp_path / "x.db"), dialect) as cursor:
        dialect.create(cursor)
        done = load(dialect, cursor)
    assert (done.fetched, done.inserted, done.updated, done.missing) == (1, 1, 0, 1)
    assert rows(tmp_path / "x.db", "SELECT call_id FROM calls") == [(one_call().id,)]
    kinds = rows(tmp_path / "x.db", "SELECT DISTINCT substr(kind, 1, instr(kind, ' ') - 1) FROM calls_export_log")
    assert {kind for (kind,) in kinds} == {"run", "covered", "unread", "hour"}


def test_the_lock_comes_before_everything_that_is_read_or_written() -> None:
    cursor = Recorder()
    load(PostgreSQL("calls", None), cursor)
    assert cursor.sql[0].startswith("SELECT pg_advisory_xact_lock")


@pytest.mark.parametrize("noted", [0, 1])
def test_a_merge_surveys_updates_and_inserts_only_where_there_is_something(noted: int) -> None:
    class Unchanged(Recorder):
        def fetchall(self) -> list[tuple[Any, ...]]:
            return [(1, 1, 0, 0, noted)] if "OUTER JOIN" in self.sql[-1] else super().fetchall()

    cursor = Unchanged()
    done = load(PostgreSQL("calls", None), cursor)
    assert (done.unchanged, done.inserted, done.updated, done.changed_days) == (1, 0, 0, [])
    assert not [sql for sql in cursor.sql if sql.startswith('INSERT INTO "calls" (')]
    updates = [sql for sql in cursor.sql if sql.startswith('UPDATE "calls" AS t')]
    assert len(updates) == noted, "an unchanged row that settles or is found again is noted"
