"""The SQL of each database. Statements are built from checked identifiers; every value is a parameter."""

from __future__ import annotations

import re
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_voice.calls import read_time
from airflow_provider_voice.exceptions import InvalidRequest
from airflow_provider_voice.warehouse.rows import COLUMNS, CONTENT, KEY

if TYPE_CHECKING:
    from collections.abc import Collection

    from airflow_provider_voice.warehouse.rows import Row
    from airflow_provider_voice.warehouse.spool import Spool

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_$]{0,49}")
_RANKS = {"unknown": -1, "queued": 0, "ringing": 1, "in_progress": 2}
_ENDED_RANK = 3
_TIMES = frozenset(number for number, kind in enumerate(COLUMNS.values()) if kind == "time")
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


class Dialect:
    """Standard SQL, for a database nothing more is known of.

    :param table: the table's name.
    :param schema: its schema; None: the connection's default.
    :param placeholder: the driver's mark for a parameter (``%s``, ``?``).
    :raises InvalidRequest: when a name is no plain identifier.
    """

    types: ClassVar[dict[str, str]] = {
        "key": "VARCHAR(255) NOT NULL",
        "text": "VARCHAR(4000)",
        "whole": "BIGINT",
        "number": "DOUBLE PRECISION",
        "flag": "BOOLEAN",
        "time": "TIMESTAMP",
        "json": "TEXT",
    }
    #: Whether there is UPDATE ... FROM; without it the stage is read once a column.
    has_update_from = False
    #: Compares two values, taking NULL for a value like any other.
    differs = "({0} <> {1} OR ({0} IS NULL AND {1} IS NOT NULL) OR ({0} IS NOT NULL AND {1} IS NULL))"

    def __init__(self, table: str, schema: str | None, placeholder: str) -> None:
        for name in (table,) if schema is None else (table, schema):
            if not isinstance(name, str) or not _IDENTIFIER.fullmatch(name):
                raise InvalidRequest(
                    f"{name!r:.80} can not be a table or schema name: letters, digits and _ only, at most 50."
                )
        self._schema = schema
        self.mark = placeholder
        self.table = self.named(table)
        self.log = self.named(f"{table}_export_log")
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

    def create_statements(self) -> list[str]:
        """Return what creates the table and its log where they are missing."""
        return [self._create(self.table, COLUMNS, KEY), self._create(self.log, LOG_COLUMNS, LOG_KEY)]

    def _create(self, table: str, columns: dict[str, str], key: tuple[str, ...]) -> str:
        lines = [f"{self.quoted(name)} {self.types[kind]}" for name, kind in columns.items()]
        keys = ", ".join(self.quoted(name) for name in key)
        return f"CREATE TABLE IF NOT EXISTS {table} ({', '.join(lines)}, PRIMARY KEY ({keys}))"

    def begin_statements(self) -> list[str]:
        """Return what begins the transaction and keeps other loads of this table out of it."""
        return []

    def stage_statements(self) -> list[str]:
        """Return what creates an empty stage."""
        lines = ", ".join(f"{self.quoted(name)} {self.types[kind]}" for name, kind in COLUMNS.items())
        return [f"CREATE TEMPORARY TABLE {self.stage} ({lines})"]

    def unstage_statements(self) -> list[str]:
        """Return what removes the stage."""
        return [f"DROP TABLE {self.stage}"]

    def fill_stage(self, cursor: Any, spool: Spool) -> None:
        """Bring the spooled rows into the stage."""
        names = ", ".join(self.quoted(name) for name in COLUMNS)
        marks = ", ".join([self.mark] * len(COLUMNS))
        sql = f"INSERT INTO {self.stage} ({names}) VALUES ({marks})"
        for batch in spool.batches():
            cursor.executemany(sql, [self.adapted(row) for row in batch])

    def adapted(self, row: Row) -> Row:
        """Return a row as the driver takes it."""
        return row

    def time(self, moment: datetime | None) -> Any:
        """Return an instant as the driver takes it."""
        return moment

    def read_time(self, value: Any) -> datetime | None:
        """Return an instant as the driver gave it."""
        if isinstance(value, datetime):
            return value.replace(tzinfo=timezone.utc) if value.tzinfo is None else value.astimezone(timezone.utc)
        return read_time(value)

    def _rank(self, alias: str) -> str:
        cases = " ".join(f"WHEN '{word}' THEN {rank}" for word, rank in _RANKS.items())
        return f"CASE {alias}.{self.quoted('status')} {cases} ELSE {_ENDED_RANK} END"

    def is_older(self, new: str, old: str) -> str:
        """Return the condition that the staged picture is older than the stored one.

        By ``updated_at`` where both have one, then by how far the call had come, then by when it was read.
        """
        updated, fetched = self.quoted("updated_at"), self.quoted("fetched_at")
        # NULL is never smaller: a comparison with it would make the whole condition, and its negation, unknown.
        both = f"({new}.{updated} IS NOT NULL AND {old}.{updated} IS NOT NULL)"
        same_update = f"(NOT {both} OR {new}.{updated} = {old}.{updated})"
        less_far = f"{self._rank(new)} < {self._rank(old)}"
        read_before = f"{self._rank(new)} = {self._rank(old)} AND {new}.{fetched} < {old}.{fetched}"
        return (
            f"(({both} AND {new}.{updated} < {old}.{updated}) OR ({same_update} AND ({less_far} OR ({read_before}))))"
        )

    def is_changed(self, new: str, old: str) -> str:
        """Return the condition that the staged row says something else than the stored one."""
        pairs = (self._differs(name, new, old) for name in CONTENT)
        return f"({' OR '.join(pairs)})"

    def _differs(self, name: str, new: str, old: str) -> str:
        column = self.quoted(name)
        return self.differs.format(f"{new}.{column}", f"{old}.{column}")

    def _same_key(self, new: str, old: str) -> str:
        return " AND ".join(f"{new}.{self.quoted(name)} = {old}.{self.quoted(name)}" for name in KEY)

    def _from_stage(self, condition: str) -> str:
        return f"FROM {self.stage} s WHERE {self._same_key('s', self.table)} AND {condition}"

    def update_statement(self) -> str:
        """Return what brings changed rows up to date, never with an older picture."""
        names = [*CONTENT, "fetched_at", "missing_since"]
        if self.has_update_from:
            sets = [f"{self.quoted(name)} = s.{self.quoted(name)}" for name in names]
            sets.append(f"{self.quoted('settled_at')} = NULL")
            where = f"{self._same_key('s', 't')} AND NOT {self.is_older('s', 't')} AND {self.is_changed('s', 't')}"
            return f"UPDATE {self.table} AS t SET {', '.join(sets)} FROM {self.stage} AS s WHERE {where}"
        condition = f"NOT {self.is_older('s', self.table)} AND {self.is_changed('s', self.table)}"
        sets = [f"{self.quoted(name)} = {self._picked(name, condition)}" for name in names]
        # What has just changed is not settled, however long ago it ended.
        sets.append(f"{self.quoted('settled_at')} = NULL")
        return f"UPDATE {self.table} SET {', '.join(sets)} WHERE {self._exists(condition)}"

    def _picked(self, name: str, condition: str) -> str:
        return f"(SELECT s.{self.quoted(name)} {self._from_stage(condition)})"

    def _exists(self, condition: str) -> str:
        return f"EXISTS (SELECT 1 {self._from_stage(condition)})"

    def insert_statement(self) -> str:
        """Return what adds the rows that are new."""
        names = ", ".join(self.quoted(name) for name in COLUMNS)
        values = ", ".join(f"s.{self.quoted(name)}" for name in COLUMNS)
        known = f"SELECT 1 FROM {self.table} t WHERE {self._same_key('s', 't')}"
        return f"INSERT INTO {self.table} ({names}) SELECT {values} FROM {self.stage} s WHERE NOT EXISTS ({known})"

    def stale_statement(self) -> str:
        """Return what counts the staged rows that were older than the stored ones and said something else."""
        condition = f"{self.is_older('s', 't')} AND {self.is_changed('s', 't')}"
        return (
            f"SELECT COUNT(*) FROM {self.stage} s JOIN {self.table} t ON {self._same_key('s', 't')} WHERE {condition}"
        )

    def settle_statement(self) -> str:
        """Return what settles unchanged rows: seen the same long enough ago, or ended long ago. Parameter: since."""
        ended = f"{self._rank(self.table)} = {_ENDED_RANK}"
        settled, fetched = self.quoted("settled_at"), self.quoted("fetched_at")
        seen_before = f"{self.table}.{fetched} <= {self.mark}"
        unchanged = f"NOT {self.is_changed('s', self.table)}"
        exists = self._exists(f"{unchanged} AND ({seen_before} OR s.{settled} IS NOT NULL)")
        moment = f"(SELECT s.{fetched} {self._from_stage('1 = 1')})"
        return f"UPDATE {self.table} SET {settled} = {moment} WHERE {settled} IS NULL AND {ended} AND {exists}"

    def seen_again_statement(self) -> str:
        """Return what takes the mark off rows that the vendor shows again."""
        missing = self.quoted("missing_since")
        return f"UPDATE {self.table} SET {missing} = NULL WHERE {missing} IS NOT NULL AND {self._exists('1 = 1')}"

    def missing_statement(self) -> str:
        """Return what marks one row as missing. Parameters: since, source, call_id."""
        missing, keys = self.quoted("missing_since"), " AND ".join(f"{self.quoted(name)} = {self.mark}" for name in KEY)
        return f"UPDATE {self.table} SET {missing} = {self.mark} WHERE {missing} IS NULL AND {keys}"

    def unsettled_statement(self) -> str:
        """Return what lists the rows that may still change. Parameter: source."""
        names = ", ".join(self.quoted(name) for name in ("call_id", "to_number", "created_at", "tag", "agent_id"))
        where = f"{self.quoted('source')} = {self.mark} AND {self.quoted('settled_at')} IS NULL"
        return f"SELECT {names} FROM {self.table} WHERE {where}"

    def hours_statement(self, filters: Collection[str]) -> str:
        """Return what counts the rows of a window by hour. Parameters: source, start, end, the filters' values."""
        created = self.quoted("created_at")
        where = f"{self.quoted('source')} = {self.mark} AND {created} >= {self.mark} AND {created} < {self.mark}"
        where += "".join(f" AND {self.quoted(name)} = {self.mark}" for name in filters)
        return f"SELECT {self.hour(created)}, COUNT(*) FROM {self.table} WHERE {where} GROUP BY {self.hour(created)}"

    def hour(self, column: str) -> str:
        """Return the expression that cuts an instant to its hour."""
        return f"DATE_TRUNC('hour', {column})"


class PostgreSQL(Dialect):
    """PostgreSQL, by psycopg 3 or psycopg2: COPY into a temporary stage, UPDATE ... FROM."""

    types: ClassVar[dict[str, str]] = {
        "key": "text NOT NULL",
        "text": "text",
        "whole": "bigint",
        "number": "double precision",
        "flag": "boolean",
        "time": "timestamptz",
        "json": "jsonb",
    }
    differs = "{0} IS DISTINCT FROM {1}"
    has_update_from = True

    def begin_statements(self) -> list[str]:
        """Keep other loads out until the commit; readers are not kept waiting."""
        return [f"LOCK TABLE {self.table} IN SHARE ROW EXCLUSIVE MODE"]

    def stage_statements(self) -> list[str]:
        """Create a stage that is gone with the transaction."""
        return [f"{statement} ON COMMIT DROP" for statement in super().stage_statements()]

    def unstage_statements(self) -> list[str]:
        """Leave the stage to the commit."""
        return []

    def named_stage(self, name: str) -> str:
        """Return the stage's name; a temporary table has no schema of ours."""
        return f"pg_temp.{self.quoted(name)}"

    def fill_stage(self, cursor: Any, spool: Spool) -> None:
        """COPY the rows."""
        names = ", ".join(self.quoted(name) for name in COLUMNS)
        sql = f"COPY {self.stage} ({names}) FROM STDIN"
        if hasattr(cursor, "copy"):  # psycopg 3
            with cursor.copy(sql) as copy:
                for batch in spool.batches():
                    copy.write("".join(map(_copy_line, batch)))
            return
        import io  # psycopg2 copies from a file only

        for batch in spool.batches():
            cursor.copy_expert(sql, io.StringIO("".join(map(_copy_line, batch))))

    def hour(self, column: str) -> str:
        """Cut to the hour in UTC, whatever the session's time zone is."""
        return f"DATE_TRUNC('hour', {column} AT TIME ZONE 'UTC')"


class SQLite(Dialect):
    """SQLite: times and JSON as text; one writer at a time, so the transaction begins as a writer."""

    types: ClassVar[dict[str, str]] = {
        "key": "TEXT NOT NULL",
        "text": "TEXT",
        "whole": "INTEGER",
        "number": "REAL",
        "flag": "BOOLEAN",
        "time": "TIMESTAMP",
        "json": "TEXT",
    }
    differs = "{0} IS NOT {1}"
    has_update_from = True

    def begin_statements(self) -> list[str]:
        """Begin as a writer: a reader that turns into one may meet another."""
        return ["BEGIN IMMEDIATE"]

    def named_stage(self, name: str) -> str:
        """Return the stage's name, in the connection's temporary database."""
        return f"temp.{self.quoted(name)}"

    def adapted(self, row: Row) -> Row:
        """Write times in one text form, which sorts as they do."""
        return tuple(self.time(value) if number in _TIMES else value for number, value in enumerate(row))

    def time(self, moment: datetime | None) -> Any:
        """Return ``YYYY-MM-DD HH:MM:SS.ffffff+00:00``, which SQLite's own functions read."""
        return None if moment is None else moment.astimezone(timezone.utc).strftime("%Y-%m-%d %H:%M:%S.%f+00:00")

    def hour(self, column: str) -> str:
        """Cut the text after the hour."""
        return f"substr({column}, 1, 13) || ':00:00.000000+00:00'"


_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def _copy_line(row: Row) -> str:
    return "\t".join(map(_copy_value, row)) + "\n"


def _copy_value(value: Any) -> str:
    if value is None:
        return "\\N"
    if isinstance(value, str):
        return value.translate(_ESCAPES)
    if isinstance(value, bool):
        return "t" if value else "f"
    return value.isoformat() if isinstance(value, datetime) else str(value)


_DIALECTS: dict[str, type[Dialect]] = {"postgresql": PostgreSQL, "postgres": PostgreSQL, "sqlite": SQLite}


def dialect_for(name: str, table: str, schema: str | None, placeholder: str) -> Dialect:
    """Return the dialect of a database.

    :param name: SQLAlchemy's dialect name or Airflow's connection type.
    :param table: the table.
    :param schema: its schema, or None.
    :param placeholder: the driver's mark for a parameter.
    """
    return _DIALECTS.get(name, Dialect)(table, schema, placeholder)
