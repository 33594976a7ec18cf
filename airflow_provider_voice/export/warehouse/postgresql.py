"""PostgreSQL: COPY into a temporary stage, then the merge."""

from __future__ import annotations

import io
import logging
import math
import shutil
import time
from typing import IO, TYPE_CHECKING, Any, ClassVar

from sqlalchemy import func
from sqlalchemy.dialects.postgresql.base import PGDialect

from airflow_provider_voice.export.row_buffer import CsvRowBuffer
from airflow_provider_voice.export.rows import COLUMNS
from airflow_provider_voice.export.warehouse.dialects import ACCEPTED_TYPES, SqlDialect
from airflow_provider_voice.export.warehouse.transaction import Transaction

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Table

    from airflow_provider_voice.export.row_buffer import RowBuffer

log = logging.getLogger(__name__)
#: Seconds that a stage is kept open while the vendor is read: an open transaction holds back VACUUM.
MOST_STAGE_SECONDS = 60.0
_BLOCK_BYTES = 128 * 1024


class PostgreSQL(SqlDialect):
    """PostgreSQL, by psycopg 3 or psycopg2."""

    compiler = PGDialect
    # JSONB alone can be compared with JSONB: JSON has no equality, and text none with JSONB.
    accepts = ACCEPTED_TYPES | {"time": ("timestamp with time zone",), "json": ("jsonb",)}
    clock = func.clock_timestamp()
    begin = (
        # A snapshot for each statement: those after the lock see the loads that it waited for.
        "SET TRANSACTION ISOLATION LEVEL READ COMMITTED",
        # psycopg 3 cannot read times in another DateStyle, and no driver a time that is before the year 1 or after 9999
        # in the session's time zone.
        "SELECT set_config('DateStyle', 'ISO', true), set_config('TimeZone', 'UTC', true)",
    )
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

    def new_buffer(self, hook: Any) -> RowBuffer:
        """Return a buffer of rows in the form that COPY reads.

        :param hook: the database's hook.
        :return: the buffer.
        """
        return StagedRowBuffer(hook, self)

    def fill(self, table: Table, cursor: Any, buffer: Any) -> None:
        """COPY the rows from the buffer's file.

        :param table: the stage, or the table itself.
        :param cursor: the transaction's cursor.
        :param buffer: the rows.
        """
        self.copy(table, cursor, buffer.file())

    def copy(self, table: Table, cursor: Any, file: IO[bytes]) -> None:
        """COPY rows into a table.

        :param table: the stage, or the table itself.
        :param cursor: the transaction's cursor.
        :param file: the rows in the form of :class:`CsvRowBuffer`.
        """
        # The text is UTF-8, whatever the session's client_encoding is.
        marks = f"DELIMITER '{CsvRowBuffer.DELIMITER}', QUOTE '{CsvRowBuffer.QUOTE}', ENCODING 'UTF8'"
        sql = f"COPY {self.full_name(table)} ({', '.join(COLUMNS)}) FROM STDIN WITH (FORMAT csv, {marks})"
        if not hasattr(cursor, "copy"):
            cursor.copy_expert(sql, file, size=_BLOCK_BYTES)  # psycopg2
            return
        with cursor.copy(sql) as copy:  # psycopg 3
            shutil.copyfileobj(file, copy, _BLOCK_BYTES)


class StagedRowBuffer(CsvRowBuffer):
    """Rows that COPY puts into the stage while the vendor is still being read; the file has all of them as well.

    COPY of 100,000 calls takes a second, and an export of them 14 seconds at 50 ms a request (2 cores).

    One transaction holds the stage until the merge, because a pooler may run the next one on another connection. Before
    the merge it neither reads nor locks the table. After any error, or when the reading takes too long, it is rolled
    back, and the load copies the file.

    :param hook: the database's hook.
    :param dialect: its dialect.
    """

    def __init__(self, hook: Any, dialect: PostgreSQL) -> None:
        super().__init__()
        self._dialect = dialect
        self._transaction: Transaction | None = Transaction(hook, dialect)
        self._close_at = math.inf

    def __exit__(self, *error: object) -> None:
        """Delete the file, and the stage where no load has taken it over."""
        self._roll_back()
        super().__exit__(*error)

    def staged(self) -> Transaction | None:
        """Return the open transaction whose stage has all rows.

        :return: the transaction, which the caller ends; None: only the file has the rows.
        """
        if self._transaction is not None and self._transaction.cursor is None:
            self._transaction = None  # less than a batch: copied once, from the file
        self._flush()
        self._in_stage(lambda cursor: cursor.execute("SELECT 1"))  # fails where the connection was lost meanwhile
        staged, self._transaction = self._transaction, None
        return staged

    def _write(self, block: bytes) -> None:
        super()._write(block)
        self._in_stage(lambda cursor: self._dialect.copy(self._dialect.stage, cursor, io.BytesIO(block)))
        if time.monotonic() > self._close_at:
            self._roll_back()

    def _in_stage(self, work: Callable[[Any], None]) -> None:
        """Work in the transaction of the stage, where there still is one, and roll it back when that fails."""
        if self._transaction is None:
            return
        try:
            if self._transaction.cursor is None:
                self._begin(self._transaction.__enter__())
            work(self._transaction.cursor)
        except Exception as error:  # noqa: BLE001 - drivers share no base class, and the file has the rows
            log.info(
                "The rows could not be staged while calls are read (%s); they are staged afterwards.",
                type(error).__name__,
            )
            self._roll_back()

    def _begin(self, cursor: Any) -> None:
        self._close_at = time.monotonic() + MOST_STAGE_SECONDS
        # A limit of a whole transaction (PostgreSQL 17) is meant for a load; with the reading in it, each try may fail.
        cursor.execute("SELECT current_setting('transaction_timeout', true)")
        if cursor.fetchone()[0] not in (None, "", "0"):
            raise TimeoutError
        # While the vendor keeps us waiting the transaction is idle. A limit of the database's own stays.
        limit = "idle_in_transaction_session_timeout"
        sql = f"SELECT set_config('{limit}', '{MOST_STAGE_SECONDS:.0f}s', true) WHERE current_setting('{limit}') = '0'"
        cursor.execute(sql)
        self._dialect.create_stage(cursor)

    def _roll_back(self) -> None:
        if self._transaction is not None:
            self._transaction.roll_back()
        self._transaction = None
