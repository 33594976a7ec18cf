"""PostgreSQL: COPY into a temporary stage, then the merge."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_voice.export.row_buffer import CsvRowBuffer
from airflow_provider_voice.export.rows import COLUMNS
from airflow_provider_voice.export.warehouse.dialects import SqlDialect

if TYPE_CHECKING:
    from airflow_provider_voice.export.row_buffer import RowBuffer

_BLOCK_BYTES = 128 * 1024


class PostgreSQL(SqlDialect):
    """PostgreSQL, by psycopg 3 or psycopg2."""

    types: ClassVar[dict[str, str]] = {
        "key": "text NOT NULL",
        "text": "text",
        "whole": "bigint",
        "number": "double precision",
        "flag": "boolean",
        "time": "timestamptz",
        "json": "jsonb",
    }
    accepts: ClassVar[dict[str, tuple[str, ...]]] = {
        "key": ("text", "character varying"),
        "text": ("text", "character varying"),
        "whole": ("bigint", "numeric"),
        "number": ("double precision", "numeric"),
        "flag": ("boolean",),
        "time": ("timestamp with time zone",),
        "json": ("json", "text"),
    }
    clock_statement = "SELECT CLOCK_TIMESTAMP()"
    keeps_zones = True

    def columns_statement(self, name: str) -> tuple[str, tuple[Any, ...]]:
        """Ask the catalogue for the table that the name means under the session's search path."""
        sql = (
            "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute "
            "WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped"
        )
        return sql, (self.named(name),)

    def lock(self, cursor: Any, source: str) -> None:
        """Let other loads of this source into this table wait until the end; other statements do not wait."""
        sql = "SELECT pg_advisory_xact_lock(hashtextextended(%s, %s::regclass::oid::bigint))"
        cursor.execute(sql, (source, self.table))

    def stage_statements(self) -> list[str]:
        """Create a stage that is gone with the transaction."""
        return [f"{statement} ON COMMIT DROP" for statement in super().stage_statements()]

    def unstage_statements(self) -> list[str]:
        """Return none: the commit drops the stage."""
        return []

    def named_stage(self, name: str) -> str:
        """Return the stage's name; a temporary table has no schema of ours."""
        return f"pg_temp.{self.quoted(name)}"

    def spool(self) -> RowBuffer:
        """Buffer the rows as COPY reads them."""
        return CsvRowBuffer()

    def fill(self, table: str, cursor: Any, buffer: Any) -> None:
        """COPY the rows from the buffer's file."""
        names = ", ".join(self.quoted(name) for name in COLUMNS)
        # The text is UTF-8, whatever the session's client_encoding is.
        marks = f"DELIMITER '{CsvRowBuffer.DELIMITER}', QUOTE '{CsvRowBuffer.QUOTE}', ENCODING 'UTF8'"
        sql = f"COPY {table} ({names}) FROM STDIN WITH (FORMAT csv, {marks})"
        file = buffer.file()
        if not hasattr(cursor, "copy"):
            cursor.copy_expert(sql, file, size=_BLOCK_BYTES)  # psycopg2
            return
        with cursor.copy(sql) as copy:  # psycopg 3
            while block := file.read(_BLOCK_BYTES):
                copy.write(block)
