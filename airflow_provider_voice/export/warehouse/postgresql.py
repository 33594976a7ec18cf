"""PostgreSQL: COPY into a temporary stage, then the merge."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from sqlalchemy import func
from sqlalchemy.dialects.postgresql.base import PGDialect

from airflow_provider_voice.export.row_buffer import CsvRowBuffer
from airflow_provider_voice.export.rows import COLUMNS
from airflow_provider_voice.export.warehouse.dialects import ACCEPTED_TYPES, SqlDialect

if TYPE_CHECKING:
    from sqlalchemy import Table

    from airflow_provider_voice.export.row_buffer import RowBuffer

_BLOCK_BYTES = 128 * 1024


class PostgreSQL(SqlDialect):
    """PostgreSQL, by psycopg 3 or psycopg2."""

    compiler = PGDialect
    # JSONB alone can be compared with JSONB: JSON has no equality, and text none with JSONB.
    accepts = ACCEPTED_TYPES | {"time": ("timestamp with time zone",), "json": ("jsonb",)}
    clock = func.clock_timestamp()
    keeps_zones = True
    # Gone with the transaction: a connection pooler hands the connection on to others.
    stage_options: ClassVar[dict[str, Any]] = {"schema": "pg_temp", "postgresql_on_commit": "DROP"}

    def _columns_query(self, table: Table) -> tuple[str, tuple[Any, ...]]:
        # to_regclass: the table that the name means under the session's search path.
        sql = (
            "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute "
            "WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped"
        )
        return sql, (self.full_name(table),)

    def change_column_statement(self, name: str) -> str:
        """Return the statement by which a user changes a column of the wrong type; some types need its cast.

        :param name: the column.
        :return: the SQL text.
        """
        return f"{super().change_column_statement(name)} USING {name}::{self.type_of(name)}"

    def lock(self, cursor: Any, source: str) -> None:
        """Let other loads of this source into this table wait until the end; other statements do not wait.

        :param cursor: the transaction's cursor.
        :param source: the source.
        """
        sql = "SELECT pg_advisory_xact_lock(hashtextextended(%s, %s::regclass::oid::bigint))"
        cursor.execute(sql, (source, self.full_name(self.table)))

    def new_buffer(self) -> RowBuffer:
        """Return a buffer of rows in the form that COPY reads."""
        return CsvRowBuffer()

    def fill(self, table: Table, cursor: Any, buffer: Any) -> None:
        """COPY the rows from the buffer's file.

        :param table: the stage, or the table itself.
        :param cursor: the transaction's cursor.
        :param buffer: the rows.
        """
        # The text is UTF-8, whatever the session's client_encoding is.
        marks = f"DELIMITER '{CsvRowBuffer.DELIMITER}', QUOTE '{CsvRowBuffer.QUOTE}', ENCODING 'UTF8'"
        sql = f"COPY {self.full_name(table)} ({', '.join(COLUMNS)}) FROM STDIN WITH (FORMAT csv, {marks})"
        file = buffer.file()
        if not hasattr(cursor, "copy"):
            cursor.copy_expert(sql, file, size=_BLOCK_BYTES)  # psycopg2
            return
        with cursor.copy(sql) as copy:  # psycopg 3
            while block := file.read(_BLOCK_BYTES):
                copy.write(block)
