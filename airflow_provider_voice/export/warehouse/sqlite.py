"""SQLite: times and JSON as text, and one writer at a time."""

from __future__ import annotations

from datetime import timezone
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_voice.export.warehouse.dialects import SqlDialect

if TYPE_CHECKING:
    from datetime import datetime


class SQLite(SqlDialect):
    """SQLite: times and JSON as text; one writer at a time, so the transaction begins as a writer."""

    types: ClassVar[dict[str, str]] = {
        "key": "TEXT NOT NULL",
        "text": "TEXT",
        "whole": "INTEGER",
        "number": "REAL",
        "flag": "BOOLEAN",
        "time": "TIMESTAMP",
        "json": "TEXT",
    }
    accepts: ClassVar[dict[str, tuple[str, ...]]] = {
        "key": ("text", "varchar", "char"),
        "text": ("text", "varchar", "char", "clob"),
        "whole": ("int", "bigint", "numeric", ""),
        "number": ("real", "double", "float", "numeric", "decimal"),
        "flag": ("bool", "int", "tinyint", "numeric"),
        "time": ("timestamp", "datetime", "text", "varchar"),
        "json": ("text", "json", "varchar"),
    }
    differs = "{0} IS NOT {1}"
    clock_statement = "SELECT STRFTIME('%Y-%m-%d %H:%M:%f', 'now')"

    def columns_statement(self, name: str) -> tuple[str, tuple[Any, ...]]:
        """Ask for the declared types."""
        return "SELECT name, type FROM pragma_table_info(?)", (name,)

    def index_statements(self) -> list[str]:
        """Create both; here the index has the schema, and its table none."""
        return [
            f"CREATE INDEX IF NOT EXISTS {self.named(name)} ON {self.quoted(self.name)} {what}"
            for name, what in self.indexes().items()
        ]

    def lock(self, cursor: Any, source: str) -> None:
        """Begin as a writer: a reader that turns into one may meet another."""
        del source
        cursor.execute("BEGIN IMMEDIATE")

    def named_stage(self, name: str) -> str:
        """Return the stage's name, in the connection's temporary database."""
        return f"temp.{self.quoted(name)}"

    def time(self, moment: datetime | None) -> Any:
        """Return ``YYYY-MM-DD HH:MM:SS.ffffff+00:00``, which SQLite's own functions read."""
        if moment is None:
            return None
        # Every row has three: astimezone takes its time also for what is in UTC, and strftime three times as long.
        utc = moment if moment.tzinfo is timezone.utc else moment.astimezone(timezone.utc)
        return utc.isoformat(" ", "microseconds")

    def hour(self, column: str) -> str:
        """Cut the text after the hour."""
        return f"substr({column}, 1, 13) || ':00:00.000000+00:00'"
