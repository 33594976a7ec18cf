"""The SQL of a table of calls. Statements are built from checked identifiers; every value is a parameter.

Each database has a file of its own beside this one, with its types and the statements that it writes differently.
"""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_voice.exceptions import InvalidRequest
from airflow_provider_voice.export.models import IDENTIFIER, Merged
from airflow_provider_voice.export.row_buffer import PlainRowBuffer
from airflow_provider_voice.export.rows import COLUMNS, CONTENT, KEY
from airflow_provider_voice.models import read_time

if TYPE_CHECKING:
    from collections.abc import Collection

    from airflow_provider_voice.export.row_buffer import RowBuffer

_RANKS = {"unknown": -1, "queued": 0, "ringing": 1, "in_progress": 2}
_ENDED_RANK = 3
LOG_COLUMNS = {
    "source": "key",
    "kind": "key",
    "name": "key",
    "window_start": "time",
    "window_end": "time",
    "at_vendor": "whole",
    "in_table": "whole",
    "changed": "whole",
    "committed_at": "time",
}
LOG_KEY = ("source", "kind", "name")
#: Set to NULL when a row changes: it is then read again by every export until it settles.
REOPENED = ("settled_at", "abandoned_at")


class SqlDialect:
    """The statements of one table in one database; a subclass for each database.

    :param table: the table's name.
    :param schema: its schema; None: the connection's default.
    :param placeholder: the driver's mark for a parameter (``%s``, ``?``).
    :raises InvalidRequest: when a name is no plain identifier.
    """

    #: The type of a column, by kind.
    types: ClassVar[dict[str, str]]
    #: The beginnings of the types that an existing column may have, by kind (lower case).
    accepts: ClassVar[dict[str, tuple[str, ...]]]
    #: Whether a column of times keeps instants with a time zone.
    keeps_zones = False
    #: Reads the database's clock.
    clock_statement = "SELECT CURRENT_TIMESTAMP"
    #: The largest number of values in one statement (older versions of SQLite take 999).
    most_values = 900
    #: Compares two values, with NULL as a value like any other.
    differs = "{0} IS DISTINCT FROM {1}"

    def __init__(self, table: str, schema: str | None, placeholder: str) -> None:
        for name in (table,) if schema is None else (table, schema):
            if not isinstance(name, str) or not IDENTIFIER.fullmatch(name):
                raise InvalidRequest(
                    f"{name!r:.80} cannot be the name of a table or schema: use letters, digits and _, at most 50."
                )
        self.name = table
        self._schema = schema
        self.mark = placeholder
        self.table = self.named(table)
        self.log_name = f"{table}_export_log"
        self.log = self.named(self.log_name)
        self.stage = self.named_stage(f"{table}_stage")

    def quoted(self, name: str) -> str:
        """Return an identifier in quotes."""
        return f'"{name}"'

    def named(self, name: str) -> str:
        """Return a table's full name."""
        return f"{self.quoted(self._schema)}.{self.quoted(name)}" if self._schema else self.quoted(name)

    def named_stage(self, name: str) -> str:
        """Return the full name of the stage, which lives as long as one transaction."""
        return self.quoted(name)

    def create_statement(self) -> str:
        """Return the statement that creates the table unless it exists."""
        return self._create(self.table, COLUMNS, KEY)

    def create_log_statement(self) -> str:
        """Return the statement that creates the log unless it exists."""
        return self._create(self.log, LOG_COLUMNS, LOG_KEY)

    def index_statements(self) -> list[str]:
        """Return the statements that create the indexes of a new table; later the indexes are the user's."""
        return [
            f"CREATE INDEX IF NOT EXISTS {self.quoted(name)} ON {self.table} {definition}"
            for name, definition in self.indexes().items()
        ]

    def indexes(self) -> dict[str, str]:
        """Return the definition of each index by its name: one for counts by time, one for the rows that may change."""
        source, created, settled = map(self.quoted, ("source", "created_at", "settled_at"))
        return {
            f"{self.name}_created": f"({source}, {created})",
            f"{self.name}_unsettled": f"({source}) WHERE {settled} IS NULL",
        }

    def _create(self, table: str, columns: dict[str, str], key: tuple[str, ...]) -> str:
        lines = [f"{self.quoted(name)} {self.types[kind]}" for name, kind in columns.items()]
        keys = ", ".join(self.quoted(name) for name in key)
        return f"CREATE TABLE IF NOT EXISTS {table} ({', '.join(lines)}, PRIMARY KEY ({keys}))"

    def columns_statement(self, name: str) -> tuple[str, tuple[Any, ...]]:
        """Return the query for the names and types of a table's columns, and its parameters.

        :param name: the table's name without its schema. The query finds nothing when there is no such table.
        """
        raise NotImplementedError

    def stored_columns(self, cursor: Any, name: str) -> dict[str, str]:
        """Return the types of a table's columns by name, both in lower case.

        :param cursor: the transaction's cursor.
        :param name: the table's name without its schema.
        :return: nothing when there is no such table.
        """
        cursor.execute(*self.columns_statement(name))
        return {str(column).lower(): str(kind).lower() for column, kind in cursor.fetchall()}

    def add_column_statement(self, name: str) -> str:
        """Return the statement that adds a missing column."""
        return f"ALTER TABLE {self.table} ADD COLUMN {self.quoted(name)} {self.types[COLUMNS[name]]}"

    def change_column_statement(self, name: str) -> str:
        """Return the statement by which a user changes a column of the wrong type."""
        return f"ALTER TABLE {self.table} ALTER COLUMN {self.quoted(name)} TYPE {self.types[COLUMNS[name]]}"

    def transaction_statements(self) -> list[str]:
        """Return the statements that begin a transaction, where the driver does not."""
        return []

    def lock(self, cursor: Any, source: str) -> None:
        """Keep other loads of this source, or of the whole table, out of the transaction."""

    def stage_statements(self) -> list[str]:
        """Return the statements that create an empty stage."""
        lines = ", ".join(f"{self.quoted(name)} {self.types[kind]}" for name, kind in COLUMNS.items())
        return [f"CREATE TEMPORARY TABLE {self.stage} ({lines})"]

    def unstage_statements(self) -> list[str]:
        """Return the statements that remove the stage."""
        return [f"DROP TABLE {self.stage}"]

    def spool(self) -> RowBuffer:
        """Return an empty buffer for rows, to be read by :meth:`fill`."""
        return PlainRowBuffer(self.time)

    def fill(self, table: str, cursor: Any, buffer: Any) -> None:
        """Write the rows of :meth:`spool` into a table.

        :param table: the full name of the stage, or of the table itself.
        :param cursor: the transaction's cursor.
        :param buffer: the rows.
        """
        names = ", ".join(self.quoted(name) for name in COLUMNS)
        marks = ", ".join([self.mark] * len(COLUMNS))
        sql = f"INSERT INTO {table} ({names}) VALUES ({marks})"
        for batch in buffer.batches():
            cursor.executemany(sql, batch)

    def merge(self, cursor: Any, settled_before: datetime) -> Merged:
        """Merge the stage into the table; a row never replaces one that was read later.

        :param cursor: the transaction's cursor.
        :param settled_before: a call that ended, and has not changed since it was read at this time, is settled.
        :return: the counts.
        """
        cursor.execute(self.survey_statement())
        staged, known, stale, changed = (int(count or 0) for count in cursor.fetchone())
        if known:
            since = self.time(settled_before)
            cursor.execute(self.update_statement(), (since, since))
        if known < staged:
            cursor.execute(self.insert_statement())
        return Merged(staged - known, changed, stale)

    def time(self, moment: datetime | None) -> Any:
        """Return an instant for the driver: unchanged where columns keep time zones, otherwise in UTC without one."""
        if moment is None or self.keeps_zones:
            return moment
        return moment.astimezone(timezone.utc).replace(tzinfo=None)

    def read_time(self, value: Any) -> datetime | None:
        """Return the instant that the driver returned, in UTC."""
        if isinstance(value, datetime):
            return value.replace(tzinfo=timezone.utc) if value.tzinfo is None else value.astimezone(timezone.utc)
        return read_time(value)

    def _rank(self, alias: str) -> str:
        cases = " ".join(f"WHEN '{word}' THEN {rank}" for word, rank in _RANKS.items())
        return f"CASE {alias}.{self.quoted('status')} {cases} ELSE {_ENDED_RANK} END"

    def is_older(self, new: str, old: str) -> str:
        """Return the condition that the staged row was read before the stored one.

        The time of the reading, by the database's clock, is the only order that cannot stay wrong: an ``updated_at``
        may be absent or go backwards, and a status may be unknown. A list that shows an older state once is corrected
        by the next reading, because a row that changed is not settled.
        """
        fetched = self.quoted("fetched_at")
        return f"({new}.{fetched} < {old}.{fetched})"

    def is_changed(self, new: str, old: str) -> str:
        """Return the condition that the content of the staged row differs from the stored one."""
        pairs = (self._differs(name, new, old) for name in CONTENT)
        return f"({' OR '.join(pairs)})"

    def _differs(self, name: str, new: str, old: str) -> str:
        column = self.quoted(name)
        return self.differs.format(f"{new}.{column}", f"{old}.{column}")

    def _same_key(self, new: str, old: str) -> str:
        return " AND ".join(f"{new}.{self.quoted(name)} = {old}.{self.quoted(name)}" for name in KEY)

    def update_statement(self) -> str:
        """Return the statement that brings stored rows up to date. Parameters: twice the time of :meth:`merge`."""
        assignments = ", ".join(f"{self.quoted(name)} = {value}" for name, value in self.assignments().items())
        where = f"{self._same_key('s', 't')} AND {self.is_due()}"
        return f"UPDATE {self.table} AS t SET {assignments} FROM {self.stage} AS s WHERE {where}"

    def assignments(self) -> dict[str, str]:
        """Return the new value of each column of a stored row; no value needs a column that is assigned before it."""
        changed, (settled, fetched, missing, abandoned) = self.is_changed("s", "t"), self._bookkeeping()
        return {
            "settled_at": f"CASE WHEN {changed} THEN NULL WHEN {self._settles()} THEN s.{fetched} ELSE t.{settled} END",
            "abandoned_at": f"CASE WHEN {changed} OR t.{missing} IS NOT NULL THEN NULL ELSE t.{abandoned} END",
            "fetched_at": f"CASE WHEN {changed} THEN s.{fetched} ELSE t.{fetched} END",
            "missing_since": "NULL",
            **{name: f"s.{self.quoted(name)}" for name in CONTENT},
        }

    def is_due(self) -> str:
        """Return the condition that a stored row changes, settles, or is no longer missing."""
        missing = self.quoted("missing_since")
        due = f"{self.is_changed('s', 't')} OR t.{missing} IS NOT NULL OR ({self._settles()})"
        return f"NOT {self.is_older('s', 't')} AND ({due})"

    def _settles(self) -> str:
        """Return the condition that an unchanged row is settled: read the same long ago, or ended long ago."""
        settled, fetched, *_ = self._bookkeeping()
        ended = f"t.{settled} IS NULL AND {self._rank('t')} = {_ENDED_RANK}"
        return f"{ended} AND (t.{fetched} <= {self.mark} OR s.{settled} IS NOT NULL)"

    def _bookkeeping(self) -> tuple[str, ...]:
        return tuple(map(self.quoted, ("settled_at", "fetched_at", "missing_since", "abandoned_at")))

    def insert_statement(self) -> str:
        """Return the statement that adds the staged rows that are not stored."""
        names = ", ".join(self.quoted(name) for name in COLUMNS)
        values = ", ".join(f"s.{self.quoted(name)}" for name in COLUMNS)
        known = f"SELECT 1 FROM {self.table} t WHERE {self._same_key('s', 't')}"
        return f"INSERT INTO {self.table} ({names}) SELECT {values} FROM {self.stage} s WHERE NOT EXISTS ({known})"

    def survey_statement(self) -> str:
        """Return the query that counts the staged rows: all, those stored, those older, and those changed."""
        changed, older = self.is_changed("s", "t"), self.is_older("s", "t")
        # A row that is not stored is neither: a comparison with its NULL is not true.
        return (
            f"SELECT COUNT(*), COUNT(t.{self.quoted('call_id')}), "
            f"SUM(CASE WHEN {changed} AND {older} THEN 1 ELSE 0 END), "
            f"SUM(CASE WHEN {changed} AND NOT {older} THEN 1 ELSE 0 END) "
            f"FROM {self.stage} s LEFT JOIN {self.table} t ON {self._same_key('s', 't')}"
        )

    def missing_statement(self) -> str:
        """Return the statement that marks one row as missing. Parameters: since, source, call_id."""
        missing, keys = self.quoted("missing_since"), " AND ".join(f"{self.quoted(name)} = {self.mark}" for name in KEY)
        return f"UPDATE {self.table} SET {missing} = {self.mark} WHERE {missing} IS NULL AND {keys}"

    def first_statement(self) -> str:
        """Return the query for the first id of a source, NULL where there is none. Parameter: source."""
        return f"SELECT MIN({self.quoted('call_id')}) FROM {self.table} WHERE {self.quoted('source')} = {self.mark}"

    def unsettled_statement(self) -> str:
        """Return the query for the rows that every export reads again. Parameter: source."""
        names = ", ".join(self.quoted(name) for name in ("call_id", "to_number", "created_at", "tag", "agent_id"))
        return f"SELECT {names} FROM {self.table} WHERE {self._is_followed()}"

    def count_unsettled_statement(self) -> str:
        """Return the query that counts the rows that every export reads again. Parameter: source."""
        return f"SELECT COUNT(*) FROM {self.table} WHERE {self._is_followed()}"

    def count_expired_statement(self) -> str:
        """Return the query that counts the rows to abandon. Parameters: source, and twice the limit."""
        return f"SELECT COUNT(*) FROM {self.table} WHERE {self._is_expired()}"

    def abandon_statement(self) -> str:
        """Return the statement that abandons rows. Parameters: the time of it, source, and twice the limit."""
        return f"UPDATE {self.table} SET {self.quoted('abandoned_at')} = {self.mark} WHERE {self._is_expired()}"

    def _is_followed(self) -> str:
        open_ = " AND ".join(f"{self.quoted(name)} IS NULL" for name in REOPENED)
        return f"{self.quoted('source')} = {self.mark} AND {open_}"

    def _is_expired(self) -> str:
        missing, fetched = self.quoted("missing_since"), self.quoted("fetched_at")
        active = f"{missing} IS NULL AND {self._rank(self.table)} < {_ENDED_RANK} AND {fetched} <= {self.mark}"
        return f"{self._is_followed()} AND ({missing} <= {self.mark} OR ({active}))"

    def changed_hours_statement(self) -> str:
        """Return the query for the hours of the calls that the load inserted or updated. Parameter: source.

        The load's rows carry the time of its own readings, so an equal ``fetched_at`` marks a row that it wrote.
        """
        fetched, hour = self.quoted("fetched_at"), self.hour(f"t.{self.quoted('created_at')}")
        written = f"{self._same_key('s', 't')} AND s.{fetched} = t.{fetched}"
        return (
            f"SELECT DISTINCT {hour} FROM {self.table} t JOIN {self.stage} s ON {written} "
            f"WHERE t.{self.quoted('source')} = {self.mark}"
        )

    def hours_statement(self, filters: Collection[str]) -> str:
        """Return the query that counts the rows of a window by hour. Parameters: source, start, end, filter values."""
        created = self.quoted("created_at")
        where = f"{self.quoted('source')} = {self.mark} AND {created} >= {self.mark} AND {created} < {self.mark}"
        where += "".join(f" AND {self.quoted(name)} = {self.mark}" for name in filters)
        return f"SELECT {self.hour(created)}, COUNT(*) FROM {self.table} WHERE {where} GROUP BY {self.hour(created)}"

    def run_statement(self) -> str:
        """Return the query for the bounds of one run. Parameters: source, kind, name."""
        return self._of_log(("window_start", "window_end"), f"{self.quoted('name')} = {self.mark}")

    def windows_statement(self) -> str:
        """Return the query for the windows of one kind. Parameters: source, kind."""
        return self._of_log(("window_start", "window_end"))

    def logged_statement(self) -> str:
        """Return the query for the counts of logged hours. Parameters: source, kind, first name, last name."""
        name = self.quoted("name")
        return self._of_log(("name", "at_vendor"), f"{name} >= {self.mark}", f"{name} <= {self.mark}")

    def _of_log(self, columns: Collection[str], *conditions: str) -> str:
        return f"SELECT {', '.join(map(self.quoted, columns))} FROM {self.log} WHERE {self._of_scope(*conditions)}"

    def _of_scope(self, *conditions: str) -> str:
        return " AND ".join([*(f"{self.quoted(name)} = {self.mark}" for name in ("source", "kind")), *conditions])

    def forget_statement(self, lines: int) -> str:
        """Return the statement that deletes lines of the log. Parameters: source, kind, names."""
        names = f"{self.quoted('name')} IN ({', '.join([self.mark] * lines)})"
        return f"DELETE FROM {self.log} WHERE {self._of_scope(names)}"

    def log_statement(self, lines: int) -> str:
        """Return the statement that writes lines of the log. Parameters: line after line, in the order of columns."""
        names, marks = ", ".join(map(self.quoted, LOG_COLUMNS)), f"({', '.join([self.mark] * len(LOG_COLUMNS))})"
        return f"INSERT INTO {self.log} ({names}) VALUES {', '.join([marks] * lines)}"

    def hour(self, column: str) -> str:
        """Return the expression that cuts an instant to its hour in UTC, whatever the session's time zone is."""
        return f"DATE_TRUNC('hour', {column} AT TIME ZONE 'UTC')"
