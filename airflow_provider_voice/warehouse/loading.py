"""The one transaction of a load: chunk after chunk is merged, then what was done is written down."""

from __future__ import annotations

import logging
from contextlib import closing, suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_voice.calls import write_time
from airflow_provider_voice.warehouse.dialects import LOG_COLUMNS, LOG_KEY, Merged
from airflow_provider_voice.warehouse.words import Loaded, joined

if TYPE_CHECKING:
    from datetime import datetime

    from airflow_provider_voice.warehouse.dialects import Dialect
    from airflow_provider_voice.warehouse.spool import Spool
    from airflow_provider_voice.warehouse.words import Load, Scope

log = logging.getLogger(__name__)


class Transaction:
    """A connection of its own, committed at the end, rolled back on any error.

    :param hook: the database's hook.
    :param dialect: its dialect.
    """

    def __init__(self, hook: Any, dialect: Dialect) -> None:
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

    def interrupt(self) -> None:
        """Break off the statement that another thread waits for, where the driver can."""
        stop = getattr(self._ends, "cancel", None) or getattr(self._ends, "interrupt", None)
        if stop is not None:
            with suppress(Exception):  # it ends anyway, only later
                stop()


class Loading:
    """One load, chunk by chunk, and what closes it; as a context it commits or rolls back.

    :param transaction: a new one.
    :param dialect: the database's.
    :param spool: the rows.
    :param source: whose rows they are.
    :param settled_before: an ended call that was seen then and is the same now is settled.
    """

    def __init__(
        self, transaction: Transaction, dialect: Dialect, spool: Spool, source: str, settled_before: datetime
    ) -> None:
        self._transaction = transaction
        self._dialect = dialect
        self._spool = spool
        self._source = source
        self._settled_before = settled_before
        self._began = False
        self._is_first = False
        self._taken = 0
        self._merged = Merged(0, 0, 0)
        self._cursor: Any = None

    def __enter__(self) -> Loading:
        """Connect, where :meth:`connect` has not."""
        if self._cursor is None:
            self.connect()
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        """Commit or roll back."""
        self._transaction.__exit__(kind, error, trace)

    def connect(self) -> None:
        """Open the connection; what can wait for others begins with the first chunk."""
        self._cursor = self._transaction.__enter__()

    def interrupt(self) -> None:
        """Break off the statement that another thread waits for."""
        self._transaction.interrupt()

    def take(self) -> None:
        """Stage the full chunks that were not taken yet; merge them where the dialect does so one by one."""
        if not self._began:
            self._began = True
            self._dialect.lock(self._cursor, self._source)
            self._run(self._dialect.stage_statements())
            self._is_first = self._dialect.enforces_keys and self._has_none()
        while self._taken < self._spool.chunks:
            table = self._dialect.table if self._is_first else self._dialect.stage
            self._dialect.fill(table, self._cursor, self._spool, self._taken)
            self._taken += 1
            if self._dialect.takes_chunks and not self._is_first:
                self._merge()
                self._run([self._dialect.empty_stage_statement()])

    def finish(self, load: Load) -> Loaded:
        """Take what is left, and write down what was done; see :class:`Loaded`."""
        self.take()
        if self._is_first:
            self._merged = Merged(load.rows.count, 0, 0)  # none was there, and the spool has each call once
        elif not self._dialect.takes_chunks:
            self._merge()
        self._run(self._dialect.unstage_statements())
        count, merged = load.rows.count, self._merged
        done = Loaded(count, merged.inserted, merged.updated, stale_ignored=merged.stale_ignored)
        done.unchanged = count - done.inserted - done.updated - done.stale_ignored
        done.missing = self._mark_missing(load)
        self._cursor.execute(self._dialect.count_unsettled_statement(), (load.scope.source,))
        done.unsettled = int(self._cursor.fetchone()[0])
        done.hours = self._certify(load)
        self._log_run(load)
        return done

    def _has_none(self) -> bool:
        self._cursor.execute(self._dialect.first_statement(), (self._source,))
        return self._cursor.fetchone()[0] is None

    def _run(self, statements: list[str]) -> None:
        for statement in statements:
            self._cursor.execute(statement)

    def _merge(self) -> None:
        merged, so_far = self._dialect.merge(self._cursor, self._settled_before), self._merged
        self._merged = Merged(
            so_far.inserted + merged.inserted,
            so_far.updated + merged.updated,
            so_far.stale_ignored + merged.stale_ignored,
        )

    def _mark_missing(self, load: Load) -> int:
        for call_id in load.missing:
            since = self._dialect.time(load.fetched_at)
            self._cursor.execute(self._dialect.missing_statement(), (since, load.scope.source, call_id))
        return len(load.missing)

    def _certify(self, load: Load) -> list[dict[str, Any]]:
        """Write down, per hour of the window, what the vendor and the table have, and what changed since last time."""
        dialect, filters = self._dialect, load.scope.filters
        in_table: dict[datetime, int] = {}
        spans = joined([load.window, *load.rechecked])
        for span in spans:
            of_span = (load.scope.source, dialect.time(span.start), dialect.time(span.end), *filters.values())
            self._cursor.execute(dialect.hours_statement(filters), of_span)
            for found, count in self._cursor.fetchall():
                hour = dialect.read_time(found)
                if hour is not None:
                    in_table[hour] = in_table.get(hour, 0) + int(count)
        at_vendor = load.rows.hours()
        hours = []
        for hour in sorted({*at_vendor, *in_table}):
            name = write_time(hour) or ""
            before = self._logged_count(load.scope, name)
            entry = {
                "hour": name,
                "at_vendor": at_vendor.get(hour, 0),
                "in_table": in_table.get(hour, 0),
                "changed": at_vendor.get(hour, 0) - before,
            }
            hours.append(entry)
            line = (load.scope.source, load.scope.kind("hour"), name)
            bounds = (dialect.time(hour), dialect.time(hour + timedelta(hours=1)))
            counts = (entry["at_vendor"], entry["in_table"], entry["changed"])
            self._log((*line, *bounds, *counts, dialect.time(load.fetched_at)))
        return hours

    def _logged_count(self, scope: Scope, hour: str) -> int:
        self._cursor.execute(
            f"SELECT at_vendor FROM {self._dialect.log} WHERE source = {self._dialect.mark} "
            f"AND kind = {self._dialect.mark} AND name = {self._dialect.mark}",
            (scope.source, scope.kind("hour"), hour),
        )
        found = self._cursor.fetchone()
        return int(found[0]) if found else 0

    def _log_run(self, load: Load) -> None:
        time = self._dialect.time
        bounds = (time(load.window.start), time(load.window.end))
        name = (load.scope.source, load.scope.kind("run"), load.run)
        self._log((*name, *bounds, load.rows.count, None, None, time(load.fetched_at)))

    def _log(self, values: tuple[Any, ...]) -> None:
        """Write one line of the log over the one of the same name."""
        mark, log = self._dialect.mark, self._dialect.log
        keys = " AND ".join(f"{name} = {mark}" for name in LOG_KEY)
        self._cursor.execute(f"DELETE FROM {log} WHERE {keys}", values[: len(LOG_KEY)])
        marks = ", ".join([mark] * len(LOG_COLUMNS))
        self._cursor.execute(f"INSERT INTO {log} ({', '.join(LOG_COLUMNS)}) VALUES ({marks})", values)
