"""What a table and its log say before a run: how far it was exported, and which calls may still change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_voice.export.models import RUN_KINDS, Window, joined
from airflow_provider_voice.models import CallRef

if TYPE_CHECKING:
    from datetime import datetime

    from airflow_provider_voice.export.models import Scope
    from airflow_provider_voice.export.warehouse.dialects import SqlDialect


class TableState:
    """What is stored, as one transaction sees it; see :meth:`Warehouse.read`.

    :param cursor: the transaction's.
    :param dialect: the database's.
    """

    def __init__(self, cursor: Any, dialect: SqlDialect) -> None:
        self._cursor = cursor
        self._dialect = dialect

    def window_of_run(self, scope: Scope, run: str) -> Window | None:
        """Return the bounds that a run has committed before, None when it has not."""
        rows = self._query(self._dialect.run_statement(), (scope.source, scope.kind("run"), run))
        start, end = (self._dialect.read_time(value) for value in (rows[0] if rows else (None, None)))
        return Window(start, end) if start is not None and end is not None else None

    def last_end(self, scope: Scope) -> datetime | None:
        """Return up to where it has been exported; None when it never was.

        By the runs that go on from each other: one with given bounds may lie ahead, with a gap before it.
        Where there are only such, by these.
        """
        for kind in RUN_KINDS:
            rows = self._query(self._dialect.last_end_statement(), (scope.source, scope.kind(kind)))
            end = self._dialect.read_time(rows[0][0]) if rows else None
            if end is not None:
                return end
        return None

    def exported(self, scope: Scope, start: datetime, end: datetime) -> list[Window]:
        """Return what was exported before of ``[start, end)``."""
        read, time = self._dialect.read_time, self._dialect.time
        rows = [
            row
            for kind in RUN_KINDS
            for row in self._query(
                self._dialect.exported_statement(), (scope.source, scope.kind(kind), time(start), time(end))
            )
        ]
        bounds = [(read(first), read(last)) for first, last in rows]
        return joined(Window(max(first, start), min(last, end)) for first, last in bounds if first and last)

    def unsettled(self, source: str) -> dict[str, CallRef]:
        """Return the stored calls that may still change, by id."""
        rows = self._query(self._dialect.unsettled_statement(), (source,))
        # A masked or hashed number helps no look-up.
        return {
            call_id: CallRef(call_id, to if _is_number(to) else None, self._dialect.read_time(created), tag, agent)
            for call_id, to, created, tag, agent in rows
        }

    def _query(self, sql: str, parameters: tuple[Any, ...]) -> list[Any]:
        self._cursor.execute(sql, parameters)
        return list(self._cursor.fetchall())


def _is_number(text: str | None) -> bool:
    return text is not None and text.startswith("+") and "•" not in text
