"""One transaction with a table: its statements, its clock, and the stored calls that may still change."""

from __future__ import annotations

import time
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


class TableState:
    """A table as one transaction sees it; see :meth:`Warehouse.read`.

    :param cursor: the transaction's cursor.
    :param dialect: the database's dialect.
    """

    def __init__(self, cursor: Any, dialect: SqlDialect) -> None:
        self.cursor = cursor
        self.dialect = dialect

    def execute(self, statement: CompilerElement) -> list[Any]:
        """Run a statement in the transaction.

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
