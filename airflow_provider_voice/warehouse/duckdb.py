"""DuckDB: the stage is read from a file, for row by row it is slow."""

from __future__ import annotations

import tempfile
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_voice.warehouse.dialects import Dialect
from airflow_provider_voice.warehouse.rows import COLUMNS

if TYPE_CHECKING:
    from airflow_provider_voice.warehouse.rows import Row
    from airflow_provider_voice.warehouse.spool import Spool


class DuckDB(Dialect):
    """DuckDB, by its own driver."""

    types: ClassVar[dict[str, str]] = {
        "key": "VARCHAR NOT NULL",
        "text": "VARCHAR",
        "whole": "BIGINT",
        "number": "DOUBLE",
        "flag": "BOOLEAN",
        "time": "TIMESTAMPTZ",
        "json": "VARCHAR",
    }
    accepts: ClassVar[dict[str, tuple[str, ...]] | None] = {
        "key": ("varchar",),
        "text": ("varchar",),
        "whole": ("bigint", "hugeint", "decimal"),
        "number": ("double", "decimal"),
        "flag": ("boolean",),
        "time": ("timestamp with time zone",),
        "json": ("varchar", "json"),
    }
    differs = "{0} IS DISTINCT FROM {1}"
    has_update_from = True

    def __init__(self, table: str, schema: str | None, placeholder: str) -> None:
        del placeholder  # a DbApiHook's default is another one
        super().__init__(table, schema, "?")

    def columns_statement(self) -> tuple[str, tuple[Any, ...]] | None:
        """Ask for the types."""
        return f"SELECT column_name, column_type FROM (DESCRIBE {self.table})", ()

    def transaction_statements(self) -> list[str]:
        """Begin: the driver commits every statement by itself otherwise."""
        return ["BEGIN TRANSACTION"]

    def fill_stage(self, cursor: Any, spool: Spool) -> None:
        """Write the rows into a file that only this user can read, and read it in one statement."""
        names = ", ".join(f"'{name}': '{self.types[kind].split()[0]}'" for name, kind in COLUMNS.items())
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", newline="", suffix=".csv") as file:
            for batch in spool.batches():
                file.write("".join(map(_csv_line, batch)))
            file.flush()
            # Every value is quoted, so a bare \\N is NULL and nothing else is.
            cursor.execute(
                f"INSERT INTO {self.stage} SELECT * FROM read_csv(?, header = false, auto_detect = false, delim = ',', "
                f"quote = '\"', escape = '\"', nullstr = '\\N', allow_quoted_nulls = false, "
                f"max_line_size = {_LONGEST_LINE}, parallel = false, columns = {{{names}}})",
                [file.name],
            )

    def changed_rows(self, cursor: Any) -> int:
        """Read the count, which DuckDB gives as a result."""
        return int(cursor.fetchone()[0])

    def hour(self, column: str) -> str:
        """Cut to the hour in UTC, whatever the session's time zone is."""
        return f"DATE_TRUNC('hour', {column} AT TIME ZONE 'UTC')"


_LONGEST_LINE = 64 * 1024 * 1024


def _csv_line(row: Row) -> str:
    return ",".join(map(_csv_value, row)) + "\n"


def _csv_value(value: Any) -> str:
    if value is None:
        return "\\N"
    if isinstance(value, str):
        return f'"{value.replace(chr(34), chr(34) * 2)}"'
    if isinstance(value, bool):
        return '"true"' if value else '"false"'
    return f'"{value.isoformat() if isinstance(value, datetime) else value}"'
