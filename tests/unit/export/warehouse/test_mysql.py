from __future__ import annotations

from datetime import timedelta, timezone
from typing import Any

import pytest

from airflow_provider_voice.exceptions import WarehouseFailed
from airflow_provider_voice.export.warehouse.mysql import MySQL
from airflow_provider_voice.models import read_time
from tests.unit.export.warehouse.recorder import NOW, Recorder, load


def dialect(schema: str | None = None) -> MySQL:
    return MySQL("calls", schema)


def test_ids_that_differ_in_case_are_different_calls() -> None:
    cursor = Recorder()
    dialect().create(cursor)
    (table,) = (sql for sql in cursor.sql if sql.startswith("CREATE TABLE IF NOT EXISTS `calls`"))
    assert "call_id VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL" in table
    assert "created_at DATETIME(6)" in table, "with microseconds"


def test_the_lock_is_taken_before_the_transaction_begins() -> None:
    cursor = Recorder()
    dialect("marts").lock(cursor, "s")
    settings, lock, begin = cursor.sql
    assert "STRICT_ALL_TABLES" in settings
    assert "time_zone = '+00:00'" in settings
    assert lock.startswith("SELECT GET_LOCK(")
    assert cursor.statements[1][1] == ("marts", "calls", 600)
    assert begin == "START TRANSACTION"


def test_a_lock_that_is_not_got_ends_the_load() -> None:
    class Busy(Recorder):
        def fetchone(self) -> tuple[Any, ...]:
            return (0,)

    cursor = Busy()
    with pytest.raises(WarehouseFailed, match="Another load of calls took more than 600 seconds"):
        dialect().lock(cursor, "s")
    assert "START TRANSACTION" not in cursor.sql


def test_times_are_written_in_utc_without_a_zone() -> None:
    there = NOW.astimezone(timezone(timedelta(hours=5)))
    assert dialect().time(there) == NOW.replace(tzinfo=None)
    assert read_time(NOW.replace(tzinfo=None)) == NOW


def test_an_update_joins_the_stage_and_compares_null_as_a_value() -> None:
    cursor = Recorder()
    load(dialect(), cursor)
    (update,) = (sql for sql in cursor.sql if sql.startswith("UPDATE `calls` AS t, `calls_stage` AS s SET"))
    assert "NOT (s.raw <=> t.raw)" in update
    assert " FROM " not in update


def test_a_percent_sign_is_a_value_and_not_part_of_the_statement() -> None:
    """The driver formats the statement with its values."""
    cursor = Recorder()
    load(dialect(), cursor)
    by_hour = [(sql, values) for sql, values in cursor.statements if "date_format" in sql]
    assert by_hour
    for sql, values in by_hour:
        assert "%Y" not in sql
        assert "%Y-%m-%d %H:00:00" in values


def test_the_statement_to_change_a_column_is_mysqls_own() -> None:
    assert dialect().change_column_statement("created_at") == "ALTER TABLE `calls` MODIFY created_at DATETIME(6)"
