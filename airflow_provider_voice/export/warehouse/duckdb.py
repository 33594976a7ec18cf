"""DuckDB: rows are read from the buffer's file, because inserting them one by one is slow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_voice.export.row_buffer import CsvRowBuffer
from airflow_provider_voice.export.rows import COLUMNS
from airflow_provider_voice.export.warehouse.dialects import SqlDialect

if TYPE_CHECKING:
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
    accepts: ClassVar[dict[str, tuple[str, ...]]] = {
        "key": ("varchar",),
        "text": ("varchar",),
        "whole": ("bigint", "hugeint", "decimal"),
        "number": ("double", "decimal"),
        "flag": ("boolean",),
        "time": ("timestamp with time zone",),
        "json": ("varchar", "json"),
    }
    keeps_zones = True

    def __init__(self, table: str, schema: str | None, placeholder: str) -> None:
        del placeholder  # a DbApiHook's default is another one
        super().__init__(table, schema, "?")

    def columns_statement(self, name: str) -> tuple[str, tuple[Any, ...]]:
        """Ask the catalogue of the current database."""
        sql = (
            "SELECT column_name, data_type FROM duckdb_columns() WHERE database_name = current_database() "
            "AND schema_name = COALESCE(?, current_schema()) AND table_name = ?"
        )
        return sql, (self._schema, name)

    def index_statements(self) -> list[str]:
        """Return none: DuckDB reads columns fast without an index, and would have to maintain it."""
        return []

    def transaction_statements(self) -> list[str]:
        """Begin: the driver commits every statement by itself otherwise."""
        return ["BEGIN TRANSACTION"]

    def spool(self) -> RowBuffer:
        """Buffer the rows as DuckDB reads them."""
        return CsvRowBuffer()

    def fill(self, table: str, cursor: Any, buffer: Any) -> None:
        """Let DuckDB read the buffer's file in one statement."""
        names = ", ".join(self.quoted(name) for name in COLUMNS)
        types = ", ".join(f"'{name}': '{self.types[kind].split()[0]}'" for name, kind in COLUMNS.items())
        cursor.execute(
            f"INSERT INTO {table} ({names}) SELECT * FROM read_csv(?, header = false, auto_detect = false, "
            "delim = ?, quote = ?, escape = ?, nullstr = '', new_line = '\\n', "
            f"max_line_size = {_LONGEST_LINE}, columns = {{{types}}})",
            # The file has no name, only a descriptor.
            [f"/dev/fd/{buffer.file().fileno()}", CsvRowBuffer.DELIMITER, CsvRowBuffer.QUOTE, CsvRowBuffer.QUOTE],
        )
