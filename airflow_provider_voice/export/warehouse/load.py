"""The single transaction of a load: merge the rows, then write the log."""

from __future__ import annotations

from contextlib import closing, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, func, insert, or_, select, update

from airflow_provider_voice.export.models import Loaded
from airflow_provider_voice.export.rows import COLUMNS
from airflow_provider_voice.export.warehouse.coverage_log import CoverageLog
from airflow_provider_voice.export.warehouse.merge_sql import ACTIVE, MergeSql
from airflow_provider_voice.export.warehouse.table_state import is_followed
from airflow_provider_voice.models import write_time

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from datetime import datetime, timedelta

    from sqlalchemy import ColumnElement
    from sqlalchemy.sql.elements import CompilerElement

    from airflow_provider_voice.export.models import Scope
    from airflow_provider_voice.export.row_buffer import RowBuffer
    from airflow_provider_voice.export.warehouse.dialects import SqlDialect
    from airflow_provider_voice.export.windows import ReadPlan


@dataclass(frozen=True)
class Load:
    """The rows of one export, and the run that read them.

    :param scope: the calls that are exported.
    :param run: the run's name, by which a rerun finds its window again.
    :param plan: the windows that were read completely.
    :param rows: the rows.
    :param read_at: when the reading ended, by the database's clock.
    :param settle_after: how long a call that has ended must stay the same to be settled.
    :param abandon_after: how long a call may be missing, or stay in one status that does not end it, before it is given
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
        #: The cursor; None before the transaction begins.
        self.cursor: Any = None

    def __enter__(self) -> Any:
        """Return the cursor; connect and begin where that has not happened yet."""
        if self.cursor is None:
            self.cursor = self._begin()
        return self.cursor

    def _begin(self) -> Any:
        self._connection = self._hook.get_conn()
        if hasattr(self._connection, "isolation_level") and hasattr(self._connection, "total_changes"):
            # sqlite3: our statements begin and end the transaction, not the driver behind our back.
            self._connection.isolation_level = None
        elif hasattr(self._hook, "set_autocommit") and hasattr(self._connection, "autocommit"):
            self._hook.set_autocommit(self._connection, False)
        cursor = self._connection.cursor()
        # A cursor of DuckDB is a connection of its own, which is the one to be committed.
        self._ends = cursor if hasattr(cursor, "commit") else self._connection
        for statement in self._dialect.begin:
            cursor.execute(statement)
        return cursor

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        """Commit, or roll back after an error."""
        with closing(self._connection):
            if kind is None:
                self._ends.commit()
            else:
                self._ends.rollback()

    def roll_back(self) -> None:
        """Roll back and close the connection, also a lost one; nothing happens where the transaction has not begun."""
        if self.cursor is not None:
            with suppress(Exception):
                self.__exit__(Exception, None, None)


class Loading:
    """Loads the rows of one export inside a transaction.

    :param cursor: the transaction's cursor.
    :param dialect: the database's dialect.
    :param load: the rows, and the run that read them.
    :param is_staged: whether the transaction already has a stage with all rows, default False.
    """

    def __init__(self, cursor: Any, dialect: SqlDialect, load: Load, *, is_staged: bool = False) -> None:
        self._cursor = cursor
        self._dialect = dialect
        self._load = load
        self._is_staged = is_staged
        self._stored = dialect.table.c
        self._is_followed = is_followed(dialect, load.scope.source)

    def run(self) -> Loaded:
        """Merge the rows and write the log.

        :return: the counts.
        """
        load = self._load
        self._dialect.lock(self._cursor, load.scope.source)
        done = self._merge()
        done.fetched = load.rows.count
        done.unchanged = done.fetched - done.inserted - done.updated - done.stale_ignored
        done.missing = self._mark_missing()
        done.abandoned = self._abandon()
        done.unsettled = self._count(self._is_followed)
        self._write_log(done)
        return done

    def _merge(self) -> Loaded:
        load, dialect = self._load, self._dialect
        of_source = select(self._stored.call_id).where(self._stored.source == load.scope.source)
        if not self._execute(of_source.limit(1)):
            # No row of the source is stored and the buffer has each call once, so there is nothing to merge with.
            if self._is_staged:
                self._execute(insert(dialect.table).from_select(list(COLUMNS), select(dialect.stage)))
            else:
                dialect.fill(dialect.table, self._cursor, load.rows)
            return Loaded(inserted=load.rows.count, changed_days=_days(load.rows.hours))
        if not self._is_staged:
            dialect.create_stage(self._cursor)
            dialect.fill(dialect.stage, self._cursor, load.rows)
        merge, settled_before = MergeSql(dialect), load.read_at - load.settle_after
        ((staged, known, *sums),) = self._execute(merge.survey(settled_before))
        stale, changed, noted = (int(number or 0) for number in sums)
        done = Loaded(inserted=staged - known, updated=changed, stale_ignored=stale)
        if changed or noted:
            self._execute(merge.update(settled_before))
        if done.inserted:
            self._execute(merge.insert())
        if done.inserted or done.updated:
            hours = self._execute(merge.changed_hours(load.scope.source))
            done.changed_days = _days(dialect.read_time(hour) for (hour,) in hours)
        return done

    def _mark_missing(self) -> int:
        load, stored = self._load, self._stored
        for call_id in load.missing:
            # A row that another run has settled meanwhile would stay marked: nobody reads it again.
            is_shown = and_(self._is_followed, stored.call_id == call_id, stored.missing_since.is_(None))
            self._execute(update(self._dialect.table).values(missing_since=load.read_at).where(is_shown))
        return len(load.missing)

    def _abandon(self) -> int:
        load, stored = self._load, self._stored
        limit = load.read_at - load.abandon_after
        is_stuck = and_(stored.missing_since.is_(None), stored.status.in_(ACTIVE), stored.fetched_at <= limit)
        is_expired = and_(self._is_followed, or_(stored.missing_since <= limit, is_stuck))
        expired = self._count(is_expired)
        if expired:
            self._execute(update(self._dialect.table).values(abandoned_at=load.read_at).where(is_expired))
        return expired

    def _write_log(self, done: Loaded) -> None:
        load, plan = self._load, self._load.plan
        coverage = CoverageLog(self._cursor, self._dialect, load.scope)
        done.hours = coverage.write_hours([*plan.windows, *plan.rechecked], load.rows.hours, load.read_at)
        coverage.write_run(load.run, plan.requested, load.rows.count, load.read_at)
        holes = coverage.cover(plan.windows, plan.unread, load.read_at)
        done.holes = [{"start": write_time(hole.start), "end": write_time(hole.end)} for hole in holes]

    def _count(self, condition: ColumnElement[bool]) -> int:
        ((count,),) = self._execute(select(func.count()).select_from(self._dialect.table).where(condition))
        return int(count)

    def _execute(self, statement: CompilerElement) -> list[Any]:
        return self._dialect.execute(self._cursor, statement)


def _days(hours: Iterable[datetime | None]) -> list[str]:
    return sorted({hour.date().isoformat() for hour in hours if hour is not None})
