"""DuckDB: the stage is read from a file, because row by row is slow."""

from __future__ import annotations

import tempfile
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_voice.export.row_buffer import CsvRowBuffer
from airflow_provider_voice.export.rows import COLUMNS
from airflow_provider_voice.export.warehouse.dialects import SqlDialect

if TYPE_CHECKING:
    from datetime import datetime

    from airflow_provider_voice.export.row_buffer import RowBuffer

# Bytes; a vendor's record with a long transcript is one line of the file.
_LONGEST_LINE = 16 * 1024 * 1024


class DuckDB(SqlDialect):
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
    keeps_zones = True
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

    def stamp(self, moment: datetime) -> Any:
        """Return the instant as text."""
        return str(moment)

    def spool(self) -> RowBuffer:
        """Spool what DuckDB reads by itself."""
        # It appends a few large chunks in less time than many small ones.
        return CsvRowBuffer(chunk_factor=3)

    def fill(self, table: str, cursor: Any, spool: Any, chunk: int) -> None:
        """Read the chunk in one statement, out of a file that only this user can read and that is gone right after."""
        names = ", ".join(self.quoted(name) for name in COLUMNS)
        types = ", ".join(f"'{name}': '{self.types[kind].split()[0]}'" for name, kind in COLUMNS.items())
        with tempfile.NamedTemporaryFile(suffix=".csv") as file:
            file.write(spool.read(chunk))
            file.flush()
            cursor.execute(
                f"INSERT INTO {table} ({names}) SELECT * FROM read_csv(?, header = false, auto_detect = false, "
                "delim = ?, quote = ?, escape = ?, nullstr = '', new_line = '\\n', "
                f"max_line_size = {_LONGEST_LINE}, columns = {{{types}}})",
                [file.name, CsvRowBuffer.DELIMITER, CsvRowBuffer.QUOTE, CsvRowBuffer.QUOTE],
            )

    def changed_rows(self, cursor: Any) -> int:
        """Read the count, which DuckDB gives as a result."""
        return int(cursor.fetchone()[0])

    def hour(self, column: str) -> str:
        """Cut to the hour in UTC, whatever the session's time zone is."""
        return f"DATE_TRUNC('hour', {column} AT TIME ZONE 'UTC')"
