from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone

import pytest

from airflow_provider_voice.export.models import Scope, Window
from airflow_provider_voice.export.warehouse.coverage_log import CoverageLog
from airflow_provider_voice.export.warehouse.sqlite import SQLite
from tests.unit.export.warehouse.recorder import transaction_on

NOW = datetime(2026, 1, 10, 12, tzinfo=timezone.utc)
HOUR = timedelta(hours=1)


def hours(first: int, last: int) -> Window:
    """Return the window from one hour to another, counted from NOW."""
    return Window(NOW + first * HOUR, NOW + last * HOUR)


@pytest.fixture
def cursor() -> Iterator[sqlite3.Cursor]:
    connection = sqlite3.connect(":memory:")
    dialect = SQLite("calls", None)
    dialect.create(connection.cursor())
    yield connection.cursor()
    connection.close()


def log_of(cursor: sqlite3.Cursor, scope: Scope | None = None) -> CoverageLog:
    return CoverageLog(transaction_on(cursor, SQLite("calls", None)), scope or Scope("s"))


def lines(cursor: sqlite3.Cursor, kind: str) -> int:
    return int(cursor.execute("SELECT COUNT(*) FROM calls_export_log WHERE kind = ?", (kind,)).fetchone()[0])


def test_stretches_that_touch_are_one_line(cursor) -> None:
    log = log_of(cursor)
    for number in range(24):
        assert log.cover([hours(number, number + 1)], [], NOW) == []
    assert log.covered() == [hours(0, 24)]
    assert lines(cursor, "covered") == 1


def test_holes_are_gaps_and_what_could_not_be_read_yet(cursor) -> None:
    log = log_of(cursor)
    log.cover([hours(0, 1)], [], NOW)
    assert log.cover([hours(3, 4)], [hours(4, 5), hours(7, 8)], NOW) == [hours(1, 3), hours(4, 8)]
    assert log.unread() == [hours(4, 5), hours(7, 8)]
    assert log.cover([hours(1, 3), hours(4, 5)], [], NOW) == [hours(5, 8)]
    assert log.cover([hours(5, 9)], [], NOW) == []
    assert (log.covered(), log.unread(), lines(cursor, "unread")) == ([hours(0, 9)], [], 0)


def test_scopes_do_not_cover_each_other(cursor) -> None:
    log_of(cursor).cover([hours(0, 1)], [], NOW)
    for other in (Scope("t"), Scope("s", "agent"), Scope("s", None, "inbound")):
        assert log_of(cursor, other).covered() == []


def test_a_run_finds_its_window_again(cursor) -> None:
    log = log_of(cursor)
    assert log.window_of_run("run") is None
    log.write_run("run", hours(0, 1), 5, NOW)
    log.write_run("run", hours(0, 2), 7, NOW)
    log.write_run("empty", hours(1, 1), 0, NOW)
    assert (log.window_of_run("run"), log.window_of_run("empty")) == (hours(0, 2), None)
    assert lines(cursor, "run") == 1


def test_a_month_of_hours_takes_more_than_one_statement(cursor) -> None:
    log, month = log_of(cursor), hours(0, 31 * 24)
    at_vendor = Counter({month.start + number * HOUR: number for number in range(31 * 24)})
    first = log.write_hours([month], at_vendor, NOW)
    assert [entry["changed"] for entry in first] == list(range(31 * 24))
    assert {entry["changed"] for entry in log.write_hours([month], at_vendor, NOW)} == {0}
    assert lines(cursor, "hour") == 31 * 24
