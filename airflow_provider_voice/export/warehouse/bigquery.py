"""BigQuery through Airflow's own cursor, which takes named parameters and writes them into the statement as text."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_voice.export.warehouse.merge_sql import TableStage

if TYPE_CHECKING:
    from collections.abc import Sequence


class BigQuery(TableStage):
    """BigQuery: every statement is a job of its own, so there is no session and no transaction.

    The ``schema`` is the dataset, and is needed unless the connection names one.
    """

    types: ClassVar[dict[str, str]] = {
        "key": "STRING NOT NULL",
        "text": "STRING",
        "whole": "INT64",
        "number": "FLOAT64",
        "flag": "BOOL",
        "time": "TIMESTAMP",
        "json": "STRING",
    }
    # A stage that was left behind is gone after a day.
    stage_word = "CREATE TABLE"
    _EXPIRES = " OPTIONS (expiration_timestamp = TIMESTAMP_ADD(CURRENT_TIMESTAMP(), INTERVAL 1 DAY))"

    def __init__(self, table: str, schema: str | None, placeholder: str) -> None:
        del placeholder  # see PositionalCursor
        super().__init__(table, schema, "%s")

    def cursor(self, connection: Any) -> Any:
        """Return a cursor that takes values in order."""
        return PositionalCursor(connection.cursor())

    def stage_statements(self) -> list[str]:
        """Create a stage that expires."""
        return [statement + self._EXPIRES for statement in super().stage_statements()]

    def time(self, moment: datetime | None) -> Any:
        """Return text, which BigQuery reads as TIMESTAMP; the cursor would write a ``datetime`` without quotes."""
        return None if moment is None else moment.astimezone(timezone.utc).isoformat(" ", "microseconds")

    def hour(self, column: str) -> str:
        """Cut to the hour in UTC."""
        return f"TIMESTAMP_TRUNC({column}, HOUR)"


class PositionalCursor:
    """Gives Airflow's ``BigQueryCursor``, whose parameters have names, values in order.

    :param cursor: Airflow's.
    """

    def __init__(self, cursor: Any) -> None:
        cursor.use_legacy_sql = False  # what a BigQueryHook says unless the connection says otherwise
        self._cursor = cursor

    def execute(self, sql: str, values: Sequence[Any] = ()) -> None:
        """Run a statement with a ``%s`` for each value."""
        if not values:
            self._cursor.execute(sql)
            return
        names = [f"p{number}" for number in range(len(values))]
        self._cursor.execute(sql % tuple(f"%({name})s" for name in names), dict(zip(names, values, strict=True)))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cursor, name)
