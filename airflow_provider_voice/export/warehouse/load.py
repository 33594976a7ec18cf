"""The one transaction of a load: chunk after chunk is merged, then what was done is written down."""

from __future__ import annotations

import logging
from contextlib import closing, nullcontext, suppress
from typing import TYPE_CHECKING, Any

from airflow_provider_voice.export.models import Loaded, Merged
from airflow_provider_voice.export.warehouse.coverage_log import CoverageLog

if TYPE_CHECKING:
    from datetime import datetime

    from airflow_provider_voice.export.models import Load
    from airflow_provider_voice.export.row_buffer import RowBuffer
    from airflow_provider_voice.export.warehouse.dialects import SqlDialect

log = logging.getLogger(__name__)


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
        elif not self._dialect.has_transactions:
            pass
        elif hasattr(self._hook, "set_autocommit") and hasattr(self._connection, "autocommit"):
            self._hook.set_autocommit(self._connection, False)
        cursor = self._dialect.cursor(self._connection)
        # A cursor of DuckDB is a connection of its own, which is the one to be committed.
        self._ends = cursor if hasattr(cursor, "commit") else self._connection
        for statement in self._dialect.transaction_statements():
            cursor.execute(statement)
        return cursor

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        """Commit, or roll back what an error broke off."""
        # Databricks' hook hands out one connection again and again, also when it was closed.
        is_shared = getattr(self._hook, "_sql_conn", None) is self._connection
        with nullcontext() if is_shared else closing(self._connection):
            if not self._dialect.has_transactions:
                return
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
        self, transaction: Transaction, dialect: SqlDialect, spool: RowBuffer, source: str, settled_before: datetime
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
        if kind is not None and not self._dialect.has_transactions:
            with suppress(Exception):  # what broke the load off may break this off too
                self._run(self._dialect.unstage_statements())
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
        export_log = CoverageLog(self._cursor, self._dialect)
        done.hours = export_log.certify(load)
        export_log.write_run(load)
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
