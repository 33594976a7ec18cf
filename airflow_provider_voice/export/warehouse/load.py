"""The one transaction of a load: the rows are merged, then the log says what was read."""

from __future__ import annotations

import logging
from contextlib import closing, nullcontext, suppress
from typing import TYPE_CHECKING, Any

from airflow_provider_voice.export.models import Loaded, Merged
from airflow_provider_voice.export.warehouse.coverage_log import CoverageLog

if TYPE_CHECKING:
    from airflow_provider_voice.export.models import Load
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


class Loading:
    """Load the rows of one export, as a context that commits or rolls back.

    :param transaction: a transaction that has not begun.
    :param dialect: the database's dialect.
    :param load: the rows and what is known about them.
    """

    def __init__(self, transaction: Transaction, dialect: SqlDialect, load: Load) -> None:
        self._transaction = transaction
        self._dialect = dialect
        self._load = load
        self._cursor: Any = None

    def __enter__(self) -> Loading:
        """Connect."""
        self._cursor = self._transaction.__enter__()
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        """Commit or roll back."""
        if kind is not None and not self._dialect.has_transactions:
            with suppress(Exception):  # the error that ended the load may end this statement too
                self._execute(self._dialect.unstage_statements())
        self._transaction.__exit__(kind, error, trace)

    def run(self) -> Loaded:
        """Merge the rows and write the log; see :class:`Loaded`."""
        load, source = self._load, self._load.scope.source
        self._dialect.lock(self._cursor, source)
        merged = self._merge()
        done = Loaded(load.rows.count, merged.inserted, merged.updated, stale_ignored=merged.stale_ignored)
        done.unchanged = done.fetched - done.inserted - done.updated - done.stale_ignored
        done.missing = self._mark_missing()
        self._cursor.execute(self._dialect.count_unsettled_statement(), (source,))
        done.unsettled = int(self._cursor.fetchone()[0])
        coverage = CoverageLog(self._cursor, self._dialect)
        done.hours = coverage.certify(load)
        coverage.write_run(load)
        return done

    def _merge(self) -> Merged:
        load, dialect = self._load, self._dialect
        if dialect.enforces_keys and self._is_first():
            self._fill(dialect.table)
            return Merged(
                load.rows.count, 0, 0
            )  # the table has no row of this source, and the buffer has each call once
        self._execute(dialect.stage_statements())
        self._fill(dialect.stage)
        merged = dialect.merge(self._cursor, load.fetched_at - load.settle_after)
        self._execute(dialect.unstage_statements())
        return merged

    def _fill(self, table: str) -> None:
        for chunk in range(self._load.rows.chunks):
            self._dialect.fill(table, self._cursor, self._load.rows, chunk)

    def _is_first(self) -> bool:
        self._cursor.execute(self._dialect.first_statement(), (self._load.scope.source,))
        return self._cursor.fetchone()[0] is None

    def _execute(self, statements: list[str]) -> None:
        for statement in statements:
            self._cursor.execute(statement)

    def _mark_missing(self) -> int:
        load, since = self._load, self._dialect.time(self._load.fetched_at)
        for call_id in load.missing:
            self._cursor.execute(self._dialect.missing_statement(), (since, load.scope.source, call_id))
        return len(load.missing)
