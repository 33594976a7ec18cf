"""The state of a table before a run: its clock, and the calls that may still change."""

from __future__ import annotations

import time
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, select

from airflow_provider_voice.export.warehouse.coverage_log import CoverageLog
from airflow_provider_voice.models import CallRef

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement
    from sqlalchemy.sql.elements import CompilerElement

    from airflow_provider_voice.export.models import Scope
    from airflow_provider_voice.export.warehouse.dialects import SqlDialect


class DatabaseClock:
    """The database's time, which all runs share, without a query for each question.

    :param now: the database's time at this moment.
    """

    def __init__(self, now: datetime) -> None:
        self._began = now
        self._ticks = time.monotonic()

    def now(self) -> datetime:
        """Return the database's time; a change of the worker's clock does not move it."""
        return self.at(time.monotonic())

    def at(self, ticks: float) -> datetime:
        """Return the database's time at a moment of this process.

        :param ticks: the value of ``time.monotonic()`` at that moment, in seconds.
        :return: the instant by the database's clock, aware.
        """
        return self._began + timedelta(seconds=ticks - self._ticks)


class TableState:
    """The stored rows as one transaction sees them; see :meth:`Warehouse.read`.

    :param cursor: the transaction's cursor.
    :param dialect: the database's dialect.
    """

    def __init__(self, cursor: Any, dialect: SqlDialect) -> None:
        self._cursor = cursor
        self._dialect = dialect

    def exists(self) -> bool:
        """Return whether there is such a table."""
        return bool(self._dialect.stored_columns(self._cursor, self._dialect.table))

    def query(self, statement: CompilerElement) -> list[Any]:
        """Run a query in the transaction.

        :param statement: a SELECT statement of SQLAlchemy Core.
        :return: its rows.
        """
        return self._dialect.execute(self._cursor, statement)

    def coverage(self, scope: Scope) -> CoverageLog:
        """Return the log of exports.

        :param scope: the calls whose export is logged.
        :return: the log of this scope, in the same transaction.
        """
        return CoverageLog(self._cursor, self._dialect, scope)

    def clock(self) -> DatabaseClock:
        """Return the database's clock."""
        ((now,),) = self.query(select(self._dialect.clock))
        return DatabaseClock(self._dialect.read_time(now) or datetime.now(timezone.utc))

    def unsettled(self, source: str) -> dict[str, CallRef]:
        """Return the stored calls that may still change.

        :param source: the first key column.
        :return: a reference by call id; without the number where numbers are stored masked or hashed.
        """
        stored = self._dialect.table.c
        query = select(stored.call_id, stored.to_number, stored.created_at, stored.agent_id)
        rows = self.query(query.where(is_followed(self._dialect, source)))
        # A masked or hashed number cannot be searched for. The tag is left out: several rows may have the same one, and
        # a row is identified by the vendor's own id.
        return {
            call_id: CallRef(call_id, to if _is_number(to) else None, self._dialect.read_time(created), agent_id=agent)
            for call_id, to, created, agent in rows
        }


def is_followed(dialect: SqlDialect, source: str) -> ColumnElement[bool]:
    """Return the condition of the rows that every export reads again.

    :param dialect: the table's dialect.
    :param source: the first key column.
    :return: true for rows that are neither settled nor abandoned.
    """
    stored = dialect.table.c
    return and_(stored.source == source, stored.settled_at.is_(None), stored.abandoned_at.is_(None))


def _is_number(text: str | None) -> bool:
    return text is not None and text.startswith("+") and "•" not in text
