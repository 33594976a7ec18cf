"""One transaction with a table: its connection, statements and clock, and the stored calls that may still change."""

from __future__ import annotations

import time
from contextlib import closing, suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, select

from airflow_provider_voice.models import CallRef, read_time

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from sqlalchemy import ColumnElement
    from sqlalchemy.sql.elements import CompilerElement

    from airflow_provider_voice.export.warehouse.dialects import SqlDialect


class Transaction:
    """A table in one transaction, on a connection of its own: committed at the end, rolled back on any error.

    :param hook: the database's hook.
    :param dialect: its dialect.
    """

    def __init__(self, hook: Any, dialect: SqlDialect) -> None:
        self._hook = hook
        self.dialect = dialect
        #: The cursor; None before the transaction begins.
        self.cursor: Any = None

    def __enter__(self) -> Any:
        """Return the cursor; connect and begin where that has not happened yet."""
        if self.cursor is None:
            self.cursor = self._begin()
        return self.cursor

    def _begin(self) -> Any:
        self._connection = self._hook.get_conn()
        if hasattr(self._connection, "isolation_level") and hasattr(self._connection, "total_changes"):
            # sqlite3: our statements begin and end the transaction, not the driver behind our back.
            self._connection.isolation_level = None
        elif hasattr(self._hook, "set_autocommit") and hasattr(self._connection, "autocommit"):
            self._hook.set_autocommit(self._connection, False)
        if hasattr(self._connection, "prepare_threshold"):
            # psycopg 3: a prepared statement outlives the transaction, in a session that a pooler hands on to others.
            self._connection.prepare_threshold = None
        cursor = self._connection.cursor()
        # A cursor of DuckDB is a connection of its own, which is the one to be committed.
        self._ends = cursor if hasattr(cursor, "commit") else self._connection
        for statement in self.dialect.begin:
            cursor.execute(statement)
        return cursor

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        """Commit, or roll back after an error."""
        with closing(self._connection):
            if kind is None:
                self._ends.commit()
            else:
                self._ends.rollback()

    def roll_back(self) -> None:
        """Roll back and close the connection, also a lost one; nothing happens where the transaction has not begun."""
        if self.cursor is not None:
            with suppress(Exception):
                self.__exit__(Exception, None, None)

    def execute(self, statement: CompilerElement) -> list[Any]:
        """Run a statement.

        :param statement: a statement of SQLAlchemy Core with its values.
        :return: the rows of a query.
        """
        return self.dialect.execute(self.cursor, statement)

    def clock(self) -> Callable[[float], datetime]:
        """Return the database's clock, which all runs share, without a query for each question.

        A change of the worker's clock does not move it.

        :return: converts a value of ``time.monotonic()``, in seconds, to the instant by the database's clock, aware.
        """
        ((now,),) = self.execute(select(self.dialect.clock))
        began: Any = read_time(now)  # a database has a time
        ticks = time.monotonic()
        return lambda moment: began + timedelta(seconds=moment - ticks)

    def is_followed(self, source: str) -> ColumnElement[bool]:
        """Return the condition of the rows that every export reads again.

        :param source: the first key column.
        :return: true for rows that are neither settled nor abandoned.
        """
        stored = self.dialect.table.c
        return and_(stored.source == source, stored.settled_at.is_(None), stored.abandoned_at.is_(None))

    def unsettled(self, source: str) -> dict[str, CallRef]:
        """Return the stored calls that may still change.

        :param source: the first key column.
        :return: a reference by call id; without the number where numbers are stored masked or hashed.
        """
        stored = self.dialect.table.c
        query = select(stored.call_id, stored.to_number, stored.created_at, stored.agent_id)
        # A masked or hashed number cannot be searched for. The tag is left out: several rows may have the same one, and
        # a row is identified by the vendor's own id.
        return {
            call_id: CallRef(call_id, to if _is_number(to) else None, read_time(created), agent_id=agent)
            for call_id, to, created, agent in self.execute(query.where(self.is_followed(source)))
        }


def _is_number(text: str | None) -> bool:
    return text is not None and text.startswith("+") and "•" not in text
