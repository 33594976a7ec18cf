"""A cursor that records statements instead of running them, and a load through it."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import IO, Any

from airflow_provider_voice.export.models import Loaded, Scope, Window
from airflow_provider_voice.export.rows import COLUMNS, RowMaker
from airflow_provider_voice.export.warehouse.dialects import SqlDialect
from airflow_provider_voice.export.warehouse.load import Load
from airflow_provider_voice.export.warehouse.transaction import Transaction
from airflow_provider_voice.export.windows import ReadPlan
from airflow_provider_voice.models import Call, CallStatus

NOW = datetime(2026, 1, 10, 12, tzinfo=timezone.utc)
HOUR = timedelta(hours=1)


class Recorder:
    """Records each statement with its values, and answers queries as a table with one stored row would.

    :param exists: whether PostgreSQL's catalogue shows the tables.
    """

    description = (("column",),)

    def __init__(self, *, exists: bool = False) -> None:
        self.exists = exists
        self.statements: list[tuple[str, Any]] = []
        self.copied = b""

    @property
    def sql(self) -> list[str]:
        """The statements on one line each."""
        return [" ".join(statement.split()) for statement, _ in self.statements]

    def execute(self, statement: str, values: Any = ()) -> None:
        self.statements.append((statement, values))

    def executemany(self, statement: str, rows: list[Any]) -> None:
        self.statements.append((statement, rows))

    def copy_expert(self, statement: str, file: IO[bytes], size: int) -> None:
        del size
        self.statements.append((statement, ()))
        self.copied += file.read()

    def fetchone(self) -> tuple[Any, ...]:
        return (1,)

    def fetchall(self) -> list[tuple[Any, ...]]:
        statement = self.sql[-1]
        if "OUTER JOIN" in statement:
            return [(3, 1, 0, 1, 0)]  # staged, stored, stale, changed, noted
        if "LIMIT" in statement and "GROUP BY" not in statement:
            return [("c1",)]
        if "pg_attribute" in statement and self.exists:
            return [(name, "text") for name in COLUMNS]
        if "min(" in statement:
            return [("s",)] if ">" not in statement else [(None,)]
        if statement.startswith("SELECT count") and "GROUP BY" not in statement:
            return [(1,)]
        return []


def transaction_on(cursor: Any, dialect: SqlDialect) -> Transaction:
    """Return a transaction that has begun on a cursor."""
    transaction = Transaction(None, dialect)
    transaction.cursor = cursor
    return transaction


def one_call() -> Call:
    return Call("c1", "talkover", CallStatus.BUSY, agent_name="a\nb", created_at=NOW - HOUR, raw={"n": 1})


def load(dialect: SqlDialect, cursor: Recorder) -> Loaded:
    """Load one call of one window, with one call that is missing."""
    window = Window(NOW - HOUR, NOW)
    maker = RowMaker("s", "plain", NOW, NOW)
    with dialect.new_buffer(None) as rows:
        rows.add(maker.row(one_call()), NOW - HOUR)
        plan = ReadPlan(window, [window], unread=[Window(NOW, NOW + HOUR)])
        one = Load(Scope("s", "a"), "run", plan, rows, NOW, HOUR, timedelta(days=7), ["c9"])
        return one.into(transaction_on(cursor, dialect))
