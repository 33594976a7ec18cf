"""The SQL that all databases understand. Statements are built from checked identifiers; every value is a parameter.

A database that can do better, or must do otherwise, has a file of its own beside this one.
"""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_voice.exceptions import InvalidRequest
from airflow_provider_voice.export.models import IDENTIFIER, Merged, Survey
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
    #: What a stored column's type may begin with, by kind (lower case); None: not checked.
    accepts: ClassVar[dict[str, tuple[str, ...]] | None] = None
    #: Whether the type of times is of instants.
    keeps_zones = False
    #: Whether there is UPDATE ... FROM; without it the stage is read once a column.
    has_update_from = False
    #: Whether no two rows can have one key: then the first rows of a source need no stage.
    enforces_keys = True
    #: Whether several statements are one transaction; else each is committed by itself.
    has_transactions = True
    #: Reads the database's clock.
    clock_statement = "SELECT CURRENT_TIMESTAMP"
    #: How many values one statement takes; SQLite took 999 for long.
    most_values = 900
    #: Compares two values, taking NULL for a value like any other.
    # CASE, because a comparison with NULL is neither true nor false, and neither is its negation.
    differs = "CASE WHEN {0} = {1} OR ({0} IS NULL AND {1} IS NULL) THEN 0 ELSE 1 END = 1"

    def __init__(self, table: str, schema: str | None, placeholder: str) -> None:
        for name in (table,) if schema is None else (table, schema):
            if not isinstance(name, str) or not IDENTIFIER.fullmatch(name):
                raise InvalidRequest(
                    f"{name!r:.80} can not be a table or schema name: letters, digits and _ only, at most 50."
                )
        self.name = table
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

    def index_statements(self) -> list[str]:
        """Return the indexes of a new table, for what a run would read all of it for; later they are the user's."""
        return []

    def indexes(self) -> dict[str, str]:
        """Return the name of each index and what is in it: by time what is certified, and what may still change."""
        source, created, settled = map(self.quoted, ("source", "created_at", "settled_at"))
        return {
            f"{self.name}_created": f"({source}, {created})",
            f"{self.name}_unsettled": f"({source}) WHERE {settled} IS NULL",
        }

    def _create(self, table: str, columns: dict[str, str], key: tuple[str, ...]) -> str:
        lines = [f"{self.quoted(name)} {self.types[kind]}" for name, kind in columns.items()]
        keys = ", ".join(self.quoted(name) for name in key)
        return f"CREATE TABLE IF NOT EXISTS {table} ({', '.join(lines)}, PRIMARY KEY ({keys}))"

    def columns_statement(self) -> tuple[str, tuple[Any, ...]] | None:
        """Return what lists the stored columns and their types; None: only their names are to be had."""
        return None

    def stored_columns(self, cursor: Any, table: str) -> dict[str, str]:
        """Return the stored columns, in lower case, and their types; an empty type where it is not known."""
        statement = self.columns_statement()
        if statement is None:
            cursor.execute(f"SELECT * FROM {table} WHERE 1 = 0")
            names = [column[0] for column in cursor.description]
            cursor.fetchall()
            return {str(name).lower(): "" for name in names}
        cursor.execute(*statement)
        return {str(name).lower(): str(kind).lower() for name, kind in cursor.fetchall()}

    def add_column_statement(self, name: str) -> str:
        """Return what adds one of our columns to a table that lacks it."""
        return f"ALTER TABLE {self.table} ADD COLUMN {self.quoted(name)} {self.types[COLUMNS[name]]}"

    def change_column_statement(self, name: str) -> str:
        """Return what a user can do about a column of the wrong type."""
        return f"ALTER TABLE {self.table} ALTER COLUMN {self.quoted(name)} TYPE {self.types[COLUMNS[name]]}"

    def cursor(self, connection: Any) -> Any:
        """Return a cursor that takes statements with :attr:`mark` and their values in order."""
        return connection.cursor()

    def transaction_statements(self) -> list[str]:
        """Return what begins a transaction, where the driver does not."""
        return []

    def lock(self, cursor: Any, source: str) -> None:
        """Keep other loads of this source, or of the whole table, out of the transaction."""

    def stage_statements(self) -> list[str]:
        """Return what creates an empty stage."""
        lines = ", ".join(f"{self.quoted(name)} {self.types[kind]}" for name, kind in COLUMNS.items())
        return [f"CREATE TEMPORARY TABLE {self.stage} ({lines})"]

    def unstage_statements(self) -> list[str]:
        """Return what removes the stage."""
        return [f"DROP TABLE {self.stage}"]

    def stamp(self, moment: datetime) -> Any:
        """Return an instant as :meth:`spool` keeps it without further work."""
        return self.time(moment)

    def spool(self) -> RowBuffer:
        """Return what keeps the rows until :meth:`fill`."""
        return PlainRowBuffer(self.time)

    def fill(self, table: str, cursor: Any, spool: Any, chunk: int) -> None:
        """Bring a chunk of :meth:`spool` into the stage, or into the table itself."""
        names = ", ".join(self.quoted(name) for name in COLUMNS)
        marks = ", ".join([self.mark] * len(COLUMNS))
        sql = f"INSERT INTO {table} ({names}) VALUES ({marks})"
        for batch in spool.batches(chunk):
            cursor.executemany(sql, batch)

    def merge(self, cursor: Any, settled_before: datetime) -> Merged:
        """Bring the stage into the table; an older picture never replaces a newer one.

        :param cursor: inside the transaction.
        :param settled_before: an ended call that was seen then and is the same now is settled.
        """
        survey = self.survey(cursor)
        inserted = updated = 0
        if survey.unsettled:
            cursor.execute(self.settle_statement(), (self.time(settled_before),))
        if survey.newer:
            cursor.execute(self.update_statement())
            updated = self.changed_rows(cursor)
        if survey.missing:
            cursor.execute(self.seen_again_statement())
        if survey.known < survey.staged:
            cursor.execute(self.insert_statement(some_known=survey.known > 0))
            inserted = self.changed_rows(cursor)
        return Merged(inserted, updated, survey.stale)

    def survey(self, cursor: Any) -> Survey:
        """Count what the stage brings, so that nothing is searched for that is not there."""
        cursor.execute(f"SELECT COUNT(*) FROM {self.stage}")
        found = Survey(int(cursor.fetchone()[0]))
        cursor.execute(self.survey_statement())
        for picture, count, unsettled, missing in cursor.fetchall():
            found.known += int(count)
            found.stale += int(count) if picture == "stale" else 0
            found.newer += int(count) if picture == "newer" else 0
            found.unsettled += int(unsettled) if picture == "same" else 0
            found.missing += int(missing)
        return found

    def changed_rows(self, cursor: Any) -> int:
        """Return how many rows the last statement changed."""
        return int(cursor.rowcount)

    def time(self, moment: datetime | None) -> Any:
        """Return an instant as the driver takes it: as it is where columns keep zones, else in UTC without one."""
        if moment is None or self.keeps_zones:
            return moment
        return moment.astimezone(timezone.utc).replace(tzinfo=None)

    def read_time(self, value: Any) -> datetime | None:
        """Return an instant as the driver gave it."""
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
            sets += [f"{self.quoted(name)} = NULL" for name in REOPENED]
            where = f"{self._same_key('s', 't')} AND NOT {self.is_older('s', 't')} AND {self.is_changed('s', 't')}"
            return f"UPDATE {self.table} AS t SET {', '.join(sets)} FROM {self.stage} AS s WHERE {where}"
        condition = f"NOT {self.is_older('s', self.table)} AND {self.is_changed('s', self.table)}"
        sets = [f"{self.quoted(name)} = {self._picked(name, condition)}" for name in names]
        sets += [f"{self.quoted(name)} = NULL" for name in REOPENED]
        return f"UPDATE {self.table} SET {', '.join(sets)} WHERE {self._exists(condition)}"

    def _picked(self, name: str, condition: str) -> str:
        return f"(SELECT s.{self.quoted(name)} {self._from_stage(condition)})"

    def _exists(self, condition: str) -> str:
        return f"EXISTS (SELECT 1 {self._from_stage(condition)})"

    def insert_statement(self, *, some_known: bool = True) -> str:
        """Return what adds the rows that are new: all that are staged, unless some are known."""
        names = ", ".join(self.quoted(name) for name in COLUMNS)
        values = ", ".join(f"s.{self.quoted(name)}" for name in COLUMNS)
        known = f" WHERE NOT EXISTS (SELECT 1 FROM {self.table} t WHERE {self._same_key('s', 't')})"
        insert = f"INSERT INTO {self.table} ({names}) SELECT {values} FROM {self.stage} s"
        return insert + (known if some_known else "")

    def survey_statement(self) -> str:
        """Return what counts the staged rows that are stored already.

        By whether they say the same, something newer, or something older (stale); and of those how many stored rows are
        of calls that ended and are not settled yet, and how many were marked as missing.
        """
        changed, older = self.is_changed("s", "t"), self.is_older("s", "t")
        settled, missing = f"t.{self.quoted('settled_at')}", f"t.{self.quoted('missing_since')}"
        return (
            f"SELECT picture, COUNT(*), SUM(unsettled), SUM(missing) FROM (SELECT "
            f"CASE WHEN NOT {changed} THEN 'same' WHEN {older} THEN 'stale' ELSE 'newer' END AS picture, "
            f"CASE WHEN {settled} IS NULL AND {self._rank('t')} = {_ENDED_RANK} THEN 1 ELSE 0 END AS unsettled, "
            f"CASE WHEN {missing} IS NULL THEN 0 ELSE 1 END AS missing "
            f"FROM {self.stage} s JOIN {self.table} t ON {self._same_key('s', 't')}) pairs GROUP BY picture"
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
        missing, abandoned = self.quoted("missing_since"), self.quoted("abandoned_at")
        sets = f"{missing} = NULL, {abandoned} = NULL"
        return f"UPDATE {self.table} SET {sets} WHERE {missing} IS NOT NULL AND {self._exists('1 = 1')}"

    def missing_statement(self) -> str:
        """Return what marks one row as missing. Parameters: since, source, call_id."""
        missing, keys = self.quoted("missing_since"), " AND ".join(f"{self.quoted(name)} = {self.mark}" for name in KEY)
        return f"UPDATE {self.table} SET {missing} = {self.mark} WHERE {missing} IS NULL AND {keys}"

    def first_statement(self) -> str:
        """Return what finds the first id of a source, NULL where there is none; the key's index knows it."""
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
        """Return what counts the rows of a window by hour. Parameters: source, start, end, the filters' values."""
        created = self.quoted("created_at")
        where = f"{self.quoted('source')} = {self.mark} AND {created} >= {self.mark} AND {created} < {self.mark}"
        where += "".join(f" AND {self.quoted(name)} = {self.mark}" for name in filters)
        return f"SELECT {self.hour(created)}, COUNT(*) FROM {self.table} WHERE {where} GROUP BY {self.hour(created)}"

    def run_statement(self) -> str:
        """Return what finds the bounds of one run. Parameters: source, kind, name."""
        return self._of_log(("window_start", "window_end"), f"{self.quoted('name')} = {self.mark}")

    def windows_statement(self) -> str:
        """Return the query for the windows of one kind. Parameters: source, kind."""
        return self._of_log(("window_start", "window_end"))

    def logged_statement(self) -> str:
        """Return what lists the counts of logged hours. Parameters: source, kind, first name, last name."""
        name = self.quoted("name")
        return self._of_log(("name", "at_vendor"), f"{name} >= {self.mark}", f"{name} <= {self.mark}")

    def _of_log(self, columns: Collection[str], *conditions: str) -> str:
        return f"SELECT {', '.join(map(self.quoted, columns))} FROM {self.log} WHERE {self._of_scope(*conditions)}"

    def _of_scope(self, *conditions: str) -> str:
        return " AND ".join([*(f"{self.quoted(name)} = {self.mark}" for name in ("source", "kind")), *conditions])

    def forget_statement(self, lines: int) -> str:
        """Return what deletes some lines of the log. Parameters: source, kind, names."""
        names = f"{self.quoted('name')} IN ({', '.join([self.mark] * lines)})"
        return f"DELETE FROM {self.log} WHERE {self._of_scope(names)}"

    def log_statement(self, lines: int) -> str:
        """Return what writes some lines of the log. Parameters: line after line, in the order of the columns."""
        names, marks = ", ".join(map(self.quoted, LOG_COLUMNS)), f"({', '.join([self.mark] * len(LOG_COLUMNS))})"
        return f"INSERT INTO {self.log} ({names}) VALUES {', '.join([marks] * lines)}"

    def hour(self, column: str) -> str:
        """Return the expression that cuts an instant to its hour."""
        return f"DATE_TRUNC('hour', {column})"
