"""Reads of a table of calls for people: the calls of the last day by status and agent, and one call by its id."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select

from airflow_provider_voice.exceptions import WarehouseFailed
from airflow_provider_voice.export.warehouse.errors import without_row_values
from airflow_provider_voice.export.warehouse.load import Transaction
from airflow_provider_voice.export.warehouse.registry import dialect_for, name_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

#: A table holds the calls of a few connections; one with more sources than these is read in part.
_MOST_SOURCES = 50
_MOST_GROUPS = 500
_CALL_COLUMNS = (
    "source", "call_id", "vendor", "tag", "agent_id", "agent_name", "direction", "status", "vendor_status", "to_number",
    "from_number", "duration_seconds", "cost", "is_testing", "created_at", "ended_at",
)  # fmt: skip
_TIMES = ("created_at", "ended_at")


@dataclass(frozen=True)
class CallCount:
    """How many calls of one agent have one status.

    :param source: the connection the calls were exported from.
    :param agent: the agent's name, else its id; empty: neither is known.
    :param status: the status.
    :param calls: how many.
    :param seconds: how long they lasted together.
    """

    source: str
    agent: str
    status: str
    calls: int
    seconds: int


class RecentCalls:
    """One table of calls, only read.

    :param hook: a ``DbApiHook``.
    :param table: the table of ``CallsToWarehouseOperator``.
    :param schema: its schema; ``None``: the connection's default.
    :raises InvalidRequest: when the database is not one that calls are exported to, or a name is no plain identifier.
    """

    def __init__(self, hook: Any, table: str, schema: str | None = None) -> None:
        self._hook = hook
        self._dialect = dialect_for(name_of(hook), table, schema, str(getattr(hook, "placeholder", "%s")))
        self._stored = self._dialect.table.c
        self._shown = table

    def since(self, start: datetime) -> list[CallCount]:
        """Return the calls that were created from ``start`` on, by source, agent and status.

        :raises WarehouseFailed: when there is no such table, or the database refuses.
        """

        def work() -> list[CallCount]:
            with Transaction(self._hook, self._dialect) as cursor:
                sources = self._sources(cursor)
                return [count for source in sources for count in self._counts(cursor, source, start)]

        return without_row_values("the reading", self._shown, work)

    def call(self, call_id: str) -> dict[str, Any] | None:
        """Return one call by its id; its numbers are as they are stored. ``None``: the table does not hold it.

        :raises WarehouseFailed: when there is no such table, or the database refuses.
        """

        def work() -> dict[str, Any] | None:
            with Transaction(self._hook, self._dialect) as cursor:
                for source in self._sources(cursor):
                    query = select(*(self._stored[name] for name in _CALL_COLUMNS))
                    is_wanted = (self._stored.source == source, self._stored.call_id == call_id)
                    for row in self._dialect.execute(cursor, query.where(*is_wanted)):
                        return self._as_call(row)
            return None

        return without_row_values("the reading", self._shown, work)

    def _as_call(self, row: Sequence[Any]) -> dict[str, Any]:
        call = dict(zip(_CALL_COLUMNS, row, strict=True))
        return call | {name: self._dialect.read_time(call[name]) for name in _TIMES}

    def _sources(self, cursor: Any) -> list[str]:
        """Return the sources, by one search of the key's index for each: DISTINCT would read the whole table."""
        if not self._dialect.stored_columns(cursor, self._dialect.table):
            raise WarehouseFailed(
                f"There is no table {self._shown} yet. The first run of CallsToWarehouseOperator creates it.",
                permanent=True,
            )
        found: list[str] = []
        while len(found) < _MOST_SOURCES:
            later = [self._stored.source > source for source in found[-1:]]
            ((source,),) = self._dialect.execute(cursor, select(func.min(self._stored.source)).where(*later))
            if source is None:
                break
            found.append(source)
        return found

    def _counts(self, cursor: Any, source: str, start: datetime) -> list[CallCount]:
        stored, calls = self._stored, func.count()
        agent = func.coalesce(stored.agent_name, stored.agent_id, "").label("agent")
        query = select(agent, stored.status, calls, func.sum(stored.duration_seconds))
        query = query.where(stored.source == source, stored.created_at >= start).group_by("agent", stored.status)
        return [
            CallCount(source, str(name), str(word), int(count), int(seconds or 0))
            for name, word, count, seconds in self._dialect.execute(
                cursor, query.order_by(calls.desc()).limit(_MOST_GROUPS)
            )
        ]
