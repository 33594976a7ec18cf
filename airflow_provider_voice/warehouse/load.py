"""One load: everything in one transaction, or nothing."""

from __future__ import annotations

import logging
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_voice.calls import CallRef, write_time
from airflow_provider_voice.exceptions import InvalidRequest
from airflow_provider_voice.warehouse.dialects import LOG_COLUMNS, LOG_KEY
from airflow_provider_voice.warehouse.errors import without_row_values
from airflow_provider_voice.warehouse.registry import dialect_for
from airflow_provider_voice.warehouse.rows import COLUMNS, KEY

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from airflow_provider_voice.warehouse.dialects import Dialect
    from airflow_provider_voice.warehouse.spool import Spool

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Window:
    """The bounds of an export: created at or after ``start`` and before ``end``."""

    start: datetime
    end: datetime


def joined(windows: Iterable[Window]) -> list[Window]:
    """Join windows that overlap or touch, in order of time."""
    spans: list[Window] = []
    for window in sorted(windows, key=lambda one: one.start):
        if spans and window.start <= spans[-1].end:
            spans[-1] = Window(spans[-1].start, max(spans[-1].end, window.end))
        else:
            spans.append(window)
    return spans


@dataclass(frozen=True)
class Scope:
    """What is exported: a source, or some of its calls only.

    The log keeps scopes apart: an export of one agent says nothing of how far another one's came.
    """

    source: str
    agent_id: str | None = None
    direction: str | None = None

    @property
    def filters(self) -> dict[str, str]:
        """The columns the export is limited by."""
        both = {"agent_id": self.agent_id, "direction": self.direction}
        return {name: value for name, value in both.items() if value}

    def kind(self, word: str) -> str:
        """Return the log's word for lines of this scope."""
        return " ".join([word, *(f"{name}={value}" for name, value in self.filters.items())])


@dataclass(frozen=True)
class Load:
    """What one transaction brings.

    :param scope: what is exported.
    :param run: names the run, so that a rerun finds its own bounds again.
    :param window: what was read completely.
    :param rows: the rows, spooled.
    :param fetched_at: when they were read.
    :param settle_after: how long a row must stay the same to be settled.
    :param missing: ids of stored rows that the vendor no longer shows.
    :param rechecked: earlier exported windows that were read completely once more.
    """

    scope: Scope
    run: str
    window: Window
    rows: Spool
    fetched_at: datetime
    settle_after: timedelta
    missing: Collection[str] = ()
    rechecked: Sequence[Window] = ()


@dataclass
class Loaded:
    """What the transaction did, in rows."""

    fetched: int = 0
    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    stale_ignored: int = 0
    unsettled: int = 0
    missing: int = 0
    hours: list[dict[str, Any]] = field(default_factory=list)


class Warehouse:
    """One table in one database, through any ``DbApiHook``.

    :param hook: the database's hook; ``get_conn``, ``placeholder`` and its dialect's name are used, nothing that logs.
    :param table: the table, created where it is missing; its log is ``<table>_export_log``.
    :param schema: the schema; None: the connection's default.
    """

    def __init__(self, hook: Any, table: str, schema: str | None = None) -> None:
        self._hook = hook
        name = getattr(hook, "dialect_name", None)
        known = name if isinstance(name, str) and name != "default" else str(getattr(hook, "conn_type", ""))
        self.dialect: Dialect = dialect_for(known.lower(), table, schema, str(getattr(hook, "placeholder", "%s")))
        self._shown = table

    def spool(self) -> Spool:
        """Return what keeps the rows of a load until it begins."""
        return self.dialect.spool()

    def prepare(self) -> None:
        """Create the table and its log where they are missing, and the columns an older version did not have.

        :raises InvalidRequest: when a column is of a type that can not hold what is ours, with the statement to fix it.
        :raises WarehouseFailed: when the database refuses.
        """

        def create() -> None:
            with self._transaction(()) as cursor:
                for statement in self.dialect.create_statements():
                    cursor.execute(statement)
                stored = self.dialect.stored_columns(cursor, self.dialect.table)
                self._check_types(stored)
                for name in COLUMNS:
                    if name not in stored:
                        cursor.execute(self.dialect.add_column_statement(name))
                        log.info("Added the column %s to %s.", name, self._shown)

        without_row_values("the creation", self._shown, create)

    def _check_types(self, stored: dict[str, str]) -> None:
        accepts = self.dialect.accepts
        if accepts is None:
            return
        for name, kind in COLUMNS.items():
            found = stored.get(name)
            if found is None and name in KEY:
                raise InvalidRequest(f"The table {self._shown} has no column {name}, so it is not one of ours.")
            if found and not found.startswith(accepts[kind]):
                raise InvalidRequest(
                    f"The column {name} of {self._shown} is of type {found}, which can not hold what belongs there. "
                    f"Change it: {self.dialect.change_column_statement(name)}"
                )

    def window_of_run(self, scope: Scope, run: str) -> Window | None:
        """Return the bounds that a run has committed before, None when it has not."""
        rows = self._query(
            f"SELECT window_start, window_end FROM {self.dialect.log} "
            f"WHERE source = {self.dialect.mark} AND kind = {self.dialect.mark} AND name = {self.dialect.mark}",
            (scope.source, scope.kind("run"), run),
        )
        start, end = (self.dialect.read_time(value) for value in (rows[0] if rows else (None, None)))
        return Window(start, end) if start is not None and end is not None else None

    def last_end(self, scope: Scope) -> datetime | None:
        """Return up to where it has been exported; None when it never was."""
        rows = self._query(
            f"SELECT MAX(window_end) FROM {self.dialect.log} "
            f"WHERE source = {self.dialect.mark} AND kind = {self.dialect.mark}",
            (scope.source, scope.kind("run")),
        )
        return self.dialect.read_time(rows[0][0]) if rows else None

    def exported(self, scope: Scope, start: datetime, end: datetime) -> list[Window]:
        """Return what was exported before of ``[start, end)``."""
        read, mark = self.dialect.read_time, self.dialect.mark
        rows = self._query(
            f"SELECT window_start, window_end FROM {self.dialect.log} WHERE source = {mark} AND kind = {mark} "
            f"AND window_end > {mark} AND window_start < {mark}",
            (scope.source, scope.kind("run"), self.dialect.time(start), self.dialect.time(end)),
        )
        bounds = [(read(first), read(last)) for first, last in rows]
        return joined(Window(max(first, start), min(last, end)) for first, last in bounds if first and last)

    def unsettled(self, source: str) -> list[CallRef]:
        """Return the stored calls that may still change."""
        read = self.dialect.read_time
        rows = self._query(self.dialect.unsettled_statement(), (source,))
        # A masked or hashed number helps no look-up.
        return [
            CallRef(call_id, to if (to or "").startswith("+") and "•" not in to else None, read(created), tag, agent)
            for call_id, to, created, tag, agent in rows
        ]

    def load(self, load: Load) -> Loaded:
        """Merge the rows and write the log, in one transaction.

        :param load: the rows and what is known of them.
        :return: the counts.
        :raises WarehouseFailed: when the database refuses; then nothing of the load is kept.
        """
        return without_row_values("the load", self._shown, lambda: self._load(load))

    def _load(self, load: Load) -> Loaded:
        done = Loaded(fetched=load.rows.count)
        dialect = self.dialect
        with self._transaction(dialect.lock_statements()) as cursor:
            for statement in dialect.stage_statements():
                cursor.execute(statement)
            dialect.fill_stage(cursor, load.rows)
            merged = dialect.merge(cursor, load.fetched_at - load.settle_after)
            done.inserted, done.updated, done.stale_ignored = merged.inserted, merged.updated, merged.stale_ignored
            done.unchanged = load.rows.count - done.inserted - done.updated - done.stale_ignored
            for statement in dialect.unstage_statements():
                cursor.execute(statement)
            done.missing = self._mark_missing(cursor, load)
            cursor.execute(dialect.count_unsettled_statement(), (load.scope.source,))
            done.unsettled = int(cursor.fetchone()[0])
            done.hours = self._certify(cursor, load)
            self._log_run(cursor, load)
        return done

    def _mark_missing(self, cursor: Any, load: Load) -> int:
        for call_id in load.missing:
            since = self.dialect.time(load.fetched_at)
            cursor.execute(self.dialect.missing_statement(), (since, load.scope.source, call_id))
        return len(load.missing)

    def _certify(self, cursor: Any, load: Load) -> list[dict[str, Any]]:
        """Write down, per hour of the window, what the vendor and the table have, and what changed since last time."""
        dialect, filters = self.dialect, load.scope.filters
        in_table: dict[datetime, int] = {}
        spans = joined([load.window, *load.rechecked])
        for span in spans:
            of_span = (load.scope.source, dialect.time(span.start), dialect.time(span.end), *filters.values())
            cursor.execute(dialect.hours_statement(filters), of_span)
            for found, count in cursor.fetchall():
                hour = dialect.read_time(found)
                if hour is not None:
                    in_table[hour] = in_table.get(hour, 0) + int(count)
        at_vendor = load.rows.hours
        hours = []
        for hour in sorted({*at_vendor, *in_table}):
            name = write_time(hour) or ""
            before = self._logged_count(cursor, load.scope, name)
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
            self._log(cursor, (*line, *bounds, *counts, dialect.time(load.fetched_at)))
        return hours

    def _logged_count(self, cursor: Any, scope: Scope, hour: str) -> int:
        cursor.execute(
            f"SELECT at_vendor FROM {self.dialect.log} WHERE source = {self.dialect.mark} "
            f"AND kind = {self.dialect.mark} AND name = {self.dialect.mark}",
            (scope.source, scope.kind("hour"), hour),
        )
        found = cursor.fetchone()
        return int(found[0]) if found else 0

    def _log_run(self, cursor: Any, load: Load) -> None:
        time = self.dialect.time
        bounds = (time(load.window.start), time(load.window.end))
        name = (load.scope.source, load.scope.kind("run"), load.run)
        self._log(cursor, (*name, *bounds, load.rows.count, None, None, time(load.fetched_at)))

    def _log(self, cursor: Any, values: tuple[Any, ...]) -> None:
        """Write one line of the log over the one of the same name."""
        mark, log = self.dialect.mark, self.dialect.log
        keys = " AND ".join(f"{name} = {mark}" for name in LOG_KEY)
        cursor.execute(f"DELETE FROM {log} WHERE {keys}", values[: len(LOG_KEY)])
        marks = ", ".join([mark] * len(LOG_COLUMNS))
        cursor.execute(f"INSERT INTO {log} ({', '.join(LOG_COLUMNS)}) VALUES ({marks})", values)

    def _query(self, sql: str, parameters: tuple[Any, ...]) -> list[Any]:
        def read() -> list[Any]:
            with self._transaction(()) as cursor:
                cursor.execute(sql, parameters)
                return list(cursor.fetchall())

        return without_row_values("the reading", self._shown, read)

    def _transaction(self, begin: Collection[str]) -> _Transaction:
        return _Transaction(self._hook, [*self.dialect.transaction_statements(), *begin])


class _Transaction:
    """A connection of its own, committed at the end, rolled back on any error."""

    def __init__(self, hook: Any, begin: Collection[str]) -> None:
        self._hook = hook
        self._begin = begin

    def __enter__(self) -> Any:
        self._connection = self._hook.get_conn()
        if hasattr(self._connection, "isolation_level") and hasattr(self._connection, "total_changes"):
            # sqlite3: the statements below begin and end the transaction, not the driver behind our back.
            self._connection.isolation_level = None
        elif hasattr(self._hook, "set_autocommit") and hasattr(self._connection, "autocommit"):
            self._hook.set_autocommit(self._connection, False)
        self._cursor = self._connection.cursor()
        # A cursor of DuckDB is a connection of its own, which is the one to be committed.
        self._ends = self._cursor if hasattr(self._cursor, "commit") else self._connection
        for statement in self._begin:
            self._cursor.execute(statement)
        return self._cursor

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        with closing(self._connection):
            if kind is None:
                self._ends.commit()
            else:
                self._ends.rollback()
