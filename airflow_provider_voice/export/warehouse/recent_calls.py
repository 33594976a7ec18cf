"""Reads of a table of calls for people: the calls of the last day by status and agent, and one call by its id."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

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
            quoted = self._dialect.quoted
            names = ", ".join(map(quoted, _CALL_COLUMNS))
            where = f"{quoted('source')} = {self._dialect.mark} AND {quoted('call_id')} = {self._dialect.mark}"
            with Transaction(self._hook, self._dialect) as cursor:
                for source in self._sources(cursor):
                    cursor.execute(f"SELECT {names} FROM {self._dialect.table} WHERE {where}", (source, call_id))
                    row = cursor.fetchone()
                    if row is not None:
                        return self._as_call(row)
            return None

        return without_row_values("the reading", self._shown, work)

    def _as_call(self, row: Sequence[Any]) -> dict[str, Any]:
        call = dict(zip(_CALL_COLUMNS, row, strict=True))
        return call | {name: self._dialect.read_time(call[name]) for name in _TIMES}

    def _sources(self, cursor: Any) -> list[str]:
        """Return the sources, one look into the key's index for each: DISTINCT would read the whole table."""
        self._check_table(cursor)
        source = self._dialect.quoted("source")
        found: list[str] = []
        while len(found) < _MOST_SOURCES:
            where = f" WHERE {source} > {self._dialect.mark}" if found else ""
            cursor.execute(f"SELECT MIN({source}) FROM {self._dialect.table}{where}", tuple(found[-1:]))
            value = cursor.fetchone()[0]
            if value is None:
                break
            found.append(value)
        return found

    def _check_table(self, cursor: Any) -> None:
        if not self._dialect.stored_columns(cursor, self._dialect.name):
            raise WarehouseFailed(
                f"There is no table {self._shown} yet. The first run of CallsToWarehouseOperator creates it.",
                permanent=True,
            )

    def _counts(self, cursor: Any, source: str, start: datetime) -> list[CallCount]:
        quoted, mark = self._dialect.quoted, self._dialect.mark
        agent = f"COALESCE({quoted('agent_name')}, {quoted('agent_id')}, '')"
        status = quoted("status")
        cursor.execute(
            f"SELECT {agent}, {status}, COUNT(*), SUM({quoted('duration_seconds')}) FROM {self._dialect.table} "
            f"WHERE {quoted('source')} = {mark} AND {quoted('created_at')} >= {mark} "
            f"GROUP BY {agent}, {status} ORDER BY COUNT(*) DESC LIMIT {_MOST_GROUPS}",
            (source, self._dialect.time(start)),
        )
        return [
            CallCount(source, str(name), str(word), int(calls), int(seconds or 0))
            for name, word, calls, seconds in cursor.fetchall()
        ]
