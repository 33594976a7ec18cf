"""Reads of a table of calls for people: the calls of the last day by status and agent, and one call by its id."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select

from airflow_provider_voice.exceptions import WarehouseFailed
from airflow_provider_voice.export.warehouse.table import Warehouse
from airflow_provider_voice.models import read_time

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import ColumnElement

    from airflow_provider_voice.export.warehouse.transaction import Transaction

#: A table holds the calls of a few connections; one with more sources than these is read without the help of an index.
_MOST_SOURCES = 50
_CALL_COLUMNS = (
    "source", "call_id", "vendor", "tag", "agent_id", "agent_name", "direction", "status", "vendor_status", "to_number",
    "from_number", "duration_seconds", "cost", "is_testing", "created_at", "ended_at",
)  # fmt: skip


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
    :raises InvalidRequest: when calls are never exported to such a database, or a name is not a plain identifier.
    """

    def __init__(self, hook: Any, table: str, schema: str | None = None) -> None:
        self._warehouse = Warehouse(hook, table, schema)
        self._dialect = self._warehouse.dialect
        self._stored = self._dialect.table.c

    def since(self, start: datetime) -> list[CallCount]:
        """Return the calls that were created from ``start`` on, by source, agent and status.

        :param start: an aware instant.
        :return: the counts, those of a source together.
        :raises WarehouseFailed: when there is no such table, or the database refuses.
        """
        return self._warehouse.read(lambda transaction: self._counts(transaction, start))

    def calls(self, call_id: str) -> list[dict[str, Any]]:
        """Return the calls of one id; their numbers are as they are stored.

        :param call_id: the vendor's id of the call; those of UnleashX are integers, so two accounts may share one.
        :return: one call by source, by the names of the columns.
        :raises WarehouseFailed: when there is no such table, or the database refuses.
        """
        query = select(*(self._stored[name] for name in _CALL_COLUMNS)).where(self._stored.call_id == call_id)
        # By source too: the key begins with it.
        rows = self._warehouse.read(lambda table: table.execute(query.where(self._is_of_known_source(table))))
        calls = (dict(zip(_CALL_COLUMNS, row, strict=True)) for row in rows)
        return [call | {name: read_time(call[name]) for name in ("created_at", "ended_at")} for call in calls]

    def _is_of_known_source(self, transaction: Transaction) -> ColumnElement[bool]:
        """Return a condition that all rows meet, by which the indexes can be used: they begin with the source."""
        if not self._dialect.stored_columns(transaction.cursor, self._dialect.table):
            raise WarehouseFailed(
                f"There is no table {self._dialect.table.name} yet. The first run of the export creates it.",
                permanent=True,
            )
        # One search of the key's index for each: DISTINCT would read the whole table.
        found: list[str] = []
        while len(found) <= _MOST_SOURCES:
            later = [self._stored.source > source for source in found[-1:]]
            ((source,),) = transaction.execute(select(func.min(self._stored.source)).where(*later))
            if source is None:
                return self._stored.source.in_(found)
            found.append(source)
        return self._stored.source >= found[0]

    def _counts(self, transaction: Transaction, start: datetime) -> list[CallCount]:
        stored, calls = self._stored, func.count()
        agent = func.coalesce(stored.agent_name, stored.agent_id, "").label("agent")
        rows = select(stored.source, agent, stored.status, stored.duration_seconds)
        # A subquery: GROUP BY takes a name for a column of the table first, and the user may have one named agent.
        of = rows.where(self._is_of_known_source(transaction), stored.created_at >= start).subquery().c
        query = select(of.source, of.agent, of.status, calls, func.sum(of.duration_seconds))
        query = query.group_by(of.source, of.agent, of.status).order_by(of.source, calls.desc())
        return [
            CallCount(source, str(name), str(status), int(count), int(seconds or 0))
            for source, name, status, count, seconds in transaction.execute(query)
        ]
