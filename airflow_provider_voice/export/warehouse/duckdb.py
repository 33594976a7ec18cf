"""DuckDB: rows are read from the buffer's file, because inserting them one by one is slow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy.dialects.postgresql.base import PGDialect

from airflow_provider_voice.export.row_buffer import CsvRowBuffer
from airflow_provider_voice.export.rows import COLUMNS
from airflow_provider_voice.export.warehouse.dialects import ACCEPTED_TYPES, SqlDialect

if TYPE_CHECKING:
    from sqlalchemy import Table

    from airflow_provider_voice.export.row_buffer import RowBuffer

# Bytes; a vendor's record with a long transcript is one line of the file.
_LONGEST_LINE = 16 * 1024 * 1024


class _DuckDBSql(PGDialect):
    """PostgreSQL's SQL, which DuckDB takes over, without its own types."""

    name = "duckdb"
    supports_statement_cache = True


class DuckDB(SqlDialect):
    """DuckDB, by its own driver."""

    compiler = _DuckDBSql
    paramstyle = "qmark"
    accepts = ACCEPTED_TYPES | {"time": ("timestamp with time zone",)}
    keeps_zones = True
    has_indexes = False  # columns are read fast without one
    begin = ("BEGIN TRANSACTION",)  # the driver commits every statement by itself otherwise

    def _columns_query(self, table: Table) -> tuple[str, tuple[Any, ...]]:
        sql = (
            "SELECT column_name, data_type FROM duckdb_columns() WHERE database_name = current_database() "
            "AND lower(schema_name) = lower(COALESCE(?, current_schema())) AND lower(table_name) = lower(?)"
        )
        return sql, (self._schema, table.name)

    def new_buffer(self, hook: Any) -> RowBuffer:
        """Return a buffer of rows in the form that DuckDB reads.

        :param hook: not used.
        :return: the buffer.
        """
        del hook
        return CsvRowBuffer()

    def fill(self, table: Table, cursor: Any, buffer: Any) -> None:
        """Let DuckDB read the buffer's file in one statement.

        :param table: the stage, or the table itself.
        :param cursor: the transaction's cursor.
        :param buffer: the rows.
        """
        types = ", ".join(f"'{name}': '{self.type_of(name)}'" for name in COLUMNS)
        cursor.execute(
            f"INSERT INTO {self.full_name(table)} ({', '.join(COLUMNS)}) SELECT * FROM read_csv(?, header = false, "
            "auto_detect = false, delim = ?, quote = ?, escape = ?, nullstr = '', new_line = '\\n', "
            f"max_line_size = {_LONGEST_LINE}, columns = {{{types}}})",
            # The file has no name, only a descriptor.
            [f"/dev/fd/{buffer.file().fileno()}", CsvRowBuffer.DELIMITER, CsvRowBuffer.QUOTE, CsvRowBuffer.QUOTE],
        )
