"""The one transaction of a load: the rows are merged, then the log says what was read."""

from __future__ import annotations

import logging
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_voice.export.models import Loaded
from airflow_provider_voice.export.warehouse.coverage_log import CoverageLog
from airflow_provider_voice.models import write_time

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from datetime import datetime, timedelta

    from airflow_provider_voice.export.models import Scope, Window
    from airflow_provider_voice.export.row_buffer import RowBuffer
    from airflow_provider_voice.export.warehouse.dialects import SqlDialect
    from airflow_provider_voice.export.windows import ReadPlan

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Load:
    """The rows of one export and what is known about them.

    :param scope: the calls that are exported.
    :param run: the run's name, by which a rerun finds its window again.
    :param plan: the windows that were read completely.
    :param rows: the rows.
    :param read_at: when the reading ended, by the database's clock.
    :param settle_after: how long a call that has ended must stay the same to be settled.
    :param abandon_after: how long a call may be missing, or stay in one status that is no ending, before it is given
        up.
    :param missing: ids of stored rows that the vendor no longer shows.
    """

    scope: Scope
    run: str
    plan: ReadPlan
    rows: RowBuffer
    read_at: datetime
    settle_after: timedelta
    abandon_after: timedelta
    missing: Collection[str] = ()


class Transaction:
    """A connection of its own, committed at the end, rolled back on any error.

    :param hook: the database's hook.
    :param dialect: its dialect.
    """

    def __init__(self, hook: Any, dialect: SqlDialect) -> None:
        self._hook = hook
        self._dialect = dialect

    def __enter__(self) -> Any:
        """Connect, begin and return the cursor."""
        self._connection = self._hook.get_conn()
        if hasattr(self._connection, "isolation_level") and hasattr(self._connection, "total_changes"):
            # sqlite3: our statements begin and end the transaction, not the driver behind our back.
            self._connection.isolation_level = None
        elif hasattr(self._hook, "set_autocommit") and hasattr(self._connection, "autocommit"):
            self._hook.set_autocommit(self._connection, False)
        cursor = self._connection.cursor()
        # A cursor of DuckDB is a connection of its own, which is the one to be committed.
        self._ends = cursor if hasattr(cursor, "commit") else self._connection
        for statement in self._dialect.transaction_statements():
            cursor.execute(statement)
        return cursor

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        """Commit, or roll back what an error broke off."""
        with closing(self._connection):
            if kind is None:
                self._ends.commit()
            else:
                self._ends.rollback()


class Loading:
    """Loads the rows of one export inside a transaction.

    :param cursor: the transaction's cursor.
    :param dialect: the database's dialect.
    :param load: the rows and what is known about them.
    """

    def __init__(self, cursor: Any, dialect: SqlDialect, load: Load) -> None:
        self._cursor = cursor
        self._dialect = dialect
        self._load = load

    def run(self) -> Loaded:
        """Merge the rows and write the log.

        :return: the counts.
        """
        load, dialect = self._load, self._dialect
        dialect.lock(self._cursor, load.scope.source)
        done = self._merge()
        done.fetched = load.rows.count
        done.unchanged = done.fetched - done.inserted - done.updated - done.stale_ignored
        done.missing = self._mark_missing()
        done.abandoned = self._abandon()
        done.unsettled = self._count(dialect.count_unsettled_statement(), load.scope.source)
        self._write_log(done)
        return done

    def _merge(self) -> Loaded:
        load, dialect = self._load, self._dialect
        if self._is_first():
            # No row of the source is stored and the buffer has each call once, so there is nothing to merge with.
            dialect.fill(dialect.table, self._cursor, load.rows)
            return Loaded(inserted=load.rows.count, changed_days=_days(load.rows.hours()))
        self._execute(dialect.stage_statements())
        dialect.fill(dialect.stage, self._cursor, load.rows)
        merged = dialect.merge(self._cursor, load.read_at - load.settle_after)
        done = Loaded(inserted=merged.inserted, updated=merged.updated, stale_ignored=merged.stale_ignored)
        if merged.inserted or merged.updated:
            self._cursor.execute(dialect.changed_hours_statement(), (load.scope.source,))
            done.changed_days = _days(dialect.read_time(hour) for (hour,) in self._cursor.fetchall())
        self._execute(dialect.unstage_statements())
        return done

    def _abandon(self) -> int:
        load, time = self._load, self._dialect.time
        limit = time(load.read_at - load.abandon_after)
        expired = self._count(self._dialect.count_expired_statement(), load.scope.source, limit, limit)
        if expired:
            values = (time(load.read_at), load.scope.source, limit, limit)
            self._cursor.execute(self._dialect.abandon_statement(), values)
        return expired

    def _write_log(self, done: Loaded) -> None:
        load, plan = self._load, self._load.plan
        coverage = CoverageLog(self._cursor, self._dialect, load.scope)
        done.hours = coverage.write_hours([*plan.windows, *plan.rechecked], load.rows.hours(), load.read_at)
        coverage.write_run(load.run, plan.requested, load.rows.count, load.read_at)
        holes = coverage.cover(plan.windows, plan.unread, load.read_at)
        done.holes = [_shown(hole) for hole in holes]

    def _count(self, sql: str, *values: Any) -> int:
        self._cursor.execute(sql, values)
        return int(self._cursor.fetchone()[0])

    def _is_first(self) -> bool:
        self._cursor.execute(self._dialect.first_statement(), (self._load.scope.source,))
        return self._cursor.fetchone()[0] is None

    def _execute(self, statements: list[str]) -> None:
        for statement in statements:
            self._cursor.execute(statement)

    def _mark_missing(self) -> int:
        load, since = self._load, self._dialect.time(self._load.read_at)
        for call_id in load.missing:
            self._cursor.execute(self._dialect.missing_statement(), (since, load.scope.source, call_id))
        return len(load.missing)


def _shown(window: Window) -> dict[str, str | None]:
    return {"start": write_time(window.start), "end": write_time(window.end)}


def _days(hours: Iterable[datetime | None]) -> list[str]:
    return sorted({hour.date().isoformat() for hour in hours if hour is not None})
