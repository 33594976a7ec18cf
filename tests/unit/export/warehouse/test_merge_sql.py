from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import insert, select
from sqlalchemy.schema import CreateTable

from airflow_provider_voice.export.warehouse.merge_sql import ACTIVE, MergeSql
from airflow_provider_voice.export.warehouse.sqlite import SQLite
from airflow_provider_voice.models import read_time
from tests.unit.export.warehouse.recorder import HOUR, NOW

DIALECT = SQLite("calls", None)


@pytest.fixture
def cursor() -> Iterator[sqlite3.Cursor]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        cursor = connection.cursor()
        DIALECT.create(cursor)
        DIALECT.execute(cursor, CreateTable(DIALECT.stage))
        yield cursor


def put(cursor: sqlite3.Cursor, table: Any, call_id: str, fetched_at: datetime, **values: Any) -> None:
    row = {"source": "s", "call_id": call_id, "status": "completed", "fetched_at": fetched_at, **values}
    DIALECT.execute(cursor, insert(table).values(**row))


def survey(cursor: sqlite3.Cursor) -> tuple[int, ...]:
    ((*counts,),) = DIALECT.execute(cursor, MergeSql(DIALECT).survey(NOW - 2 * HOUR))
    return tuple(counts)


def stored(cursor: sqlite3.Cursor, call_id: str) -> dict[str, Any]:
    table = DIALECT.table
    (row,) = DIALECT.execute(cursor, select(*table.c).where(table.c.call_id == call_id))
    return dict(zip(table.c.keys(), row, strict=True))


def test_the_survey_counts_new_stale_and_changed_rows(cursor: sqlite3.Cursor) -> None:
    for call_id in ("same", "changed", "stale"):
        put(cursor, DIALECT.table, call_id, NOW, cost=1.0)
    put(cursor, DIALECT.stage, "same", NOW - HOUR, cost=1.0)
    put(cursor, DIALECT.stage, "changed", NOW, cost=3.0)
    put(cursor, DIALECT.stage, "stale", NOW - HOUR, cost=2.0)
    put(cursor, DIALECT.stage, "new", NOW)
    assert survey(cursor) == (4, 3, 1, 1, 0)


@pytest.mark.parametrize(
    ("before", "now", "is_noted"),
    [
        ({"missing_since": NOW}, {}, True),
        ({"fetched_at": NOW - 2 * HOUR}, {}, True),  # long the same
        ({"ended_at": NOW}, {"settled_at": NOW, "ended_at": NOW}, True),  # ended long ago
        ({}, {}, False),
        ({"settled_at": NOW}, {"settled_at": NOW}, False),
        ({"fetched_at": NOW + HOUR, "missing_since": NOW}, {}, False),  # read later by another run
    ],
)
def test_the_survey_counts_unchanged_rows_of_which_something_is_noted(cursor, before, now, is_noted) -> None:
    put(cursor, DIALECT.table, "c", **{"fetched_at": NOW - HOUR, **before})
    put(cursor, DIALECT.stage, "c", NOW, **now)
    unchanged = stored(cursor, "c")
    assert survey(cursor) == (1, 1, 0, 0, is_noted)
    DIALECT.execute(cursor, MergeSql(DIALECT).update(NOW - 2 * HOUR))
    assert (stored(cursor, "c") != unchanged) == is_noted, "the update is needed where the survey says so"


def test_a_row_that_was_read_earlier_changes_nothing(cursor: sqlite3.Cursor) -> None:
    put(cursor, DIALECT.table, "c", NOW, cost=1.0, missing_since=NOW)
    before = stored(cursor, "c")
    put(cursor, DIALECT.stage, "c", NOW - timedelta(microseconds=1), cost=2.0, status="failed")
    DIALECT.execute(cursor, MergeSql(DIALECT).update(NOW + HOUR))
    assert stored(cursor, "c") == before


FULL = {
    "tag": "t", "agent_id": "a", "agent_name": "Ada", "direction": "inbound", "to_number": "+1", "from_number": "+2",
    "is_testing": True, "created_at": NOW, "updated_at": NOW, "duration_seconds": 9, "cost": 0.5, "ended_at": NOW,
}  # fmt: skip


def test_a_record_that_was_read_alone_takes_no_fact_away(cursor: sqlite3.Cursor) -> None:
    put(cursor, DIALECT.table, "1", NOW - HOUR, status="busy", recording_url="https://r", **FULL)
    before = stored(cursor, "1")
    put(cursor, DIALECT.stage, "1", NOW, status="busy", recording_url="https://r")
    assert survey(cursor)[:4] == (1, 1, 0, 0)
    DIALECT.execute(cursor, DIALECT.stage.update().values(status="failed", recording_url=None))
    assert survey(cursor)[:4] == (1, 1, 0, 1)
    DIALECT.execute(cursor, MergeSql(DIALECT).update(NOW))
    after = stored(cursor, "1")
    assert (after["status"], after["recording_url"]) == ("failed", None)
    assert {name: after[name] for name in FULL} == {name: before[name] for name in FULL}


@pytest.mark.parametrize("status", ACTIVE)
def test_an_ending_that_the_vendor_takes_back_leaves_nothing(cursor: sqlite3.Cursor, status: str) -> None:
    put(cursor, DIALECT.table, "1", NOW - HOUR, **FULL)
    put(cursor, DIALECT.stage, "1", NOW, status=status)
    DIALECT.execute(cursor, MergeSql(DIALECT).update(NOW))
    gone = {name for name, value in stored(cursor, "1").items() if name in FULL and value is None}
    assert gone == {"duration_seconds", "cost", "ended_at"}


def test_a_change_reopens_a_row_that_was_settled_missing_or_abandoned(cursor: sqlite3.Cursor) -> None:
    put(cursor, DIALECT.table, "c", NOW - HOUR, cost=1.0, settled_at=NOW, missing_since=NOW, abandoned_at=NOW)
    put(cursor, DIALECT.stage, "c", NOW, cost=2.0)
    DIALECT.execute(cursor, MergeSql(DIALECT).update(NOW + HOUR))
    row = stored(cursor, "c")
    assert (row["cost"], row["settled_at"], row["missing_since"], row["abandoned_at"]) == (2.0, None, None, None)
    assert read_time(row["fetched_at"]) == NOW


@pytest.mark.parametrize(
    ("status", "read_for", "is_settled"),
    [("completed", 2 * HOUR, True), ("completed", HOUR / 2, False), *((status, 2 * HOUR, False) for status in ACTIVE)],
)
def test_a_call_settles_once_it_has_ended_and_stayed_the_same(cursor, status, read_for, is_settled) -> None:
    put(cursor, DIALECT.table, "c", NOW - read_for, status=status)
    put(cursor, DIALECT.stage, "c", NOW, status=status)
    DIALECT.execute(cursor, MergeSql(DIALECT).update(NOW - HOUR))
    assert (stored(cursor, "c")["settled_at"] is not None) == is_settled


@pytest.mark.parametrize(
    ("times", "is_settled"),
    [({}, False), ({"ended_at": NOW - 9 * HOUR}, True), ({"updated_at": NOW - 9 * HOUR}, True)],
)
def test_an_ending_that_was_seen_lately_is_not_settled_by_the_age_of_the_call(cursor, times, is_settled) -> None:
    put(cursor, DIALECT.table, "c", NOW - HOUR, **times)
    put(cursor, DIALECT.stage, "c", NOW, settled_at=NOW, **times)
    DIALECT.execute(cursor, MergeSql(DIALECT).update(NOW - 2 * HOUR))
    assert (stored(cursor, "c")["settled_at"] is not None) is is_settled


def test_only_rows_that_are_not_stored_are_inserted(cursor: sqlite3.Cursor) -> None:
    put(cursor, DIALECT.table, "c", NOW, cost=1.0)
    put(cursor, DIALECT.stage, "c", NOW, cost=2.0)
    put(cursor, DIALECT.stage, "c", NOW, source="another source with the same id")
    DIALECT.execute(cursor, MergeSql(DIALECT).insert())
    assert cursor.execute("SELECT source, cost FROM calls ORDER BY source").fetchall() == [
        ("another source with the same id", None),
        ("s", 1.0),
    ]


def test_the_hours_of_a_load_are_those_of_the_rows_that_it_wrote(cursor: sqlite3.Cursor) -> None:
    for number, fetched_at in enumerate((NOW, NOW - HOUR)):
        put(cursor, DIALECT.table, f"c{number}", fetched_at, created_at=NOW - number * 24 * HOUR)
        put(cursor, DIALECT.stage, f"c{number}", NOW)
    hours = DIALECT.execute(cursor, MergeSql(DIALECT).changed_hours("s"))
    assert [read_time(hour) for (hour,) in hours] == [NOW]
