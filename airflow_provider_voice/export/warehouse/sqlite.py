"""SQLite: times and JSON as text, and one writer at a time."""

from __future__ import annotations

from datetime import timezone
from typing import TYPE_CHECKING, Any, ClassVar

from sqlalchemy import Text, func
from sqlalchemy.dialects import sqlite

from airflow_provider_voice.exceptions import InvalidRequest
from airflow_provider_voice.export.warehouse.dialects import TYPES, SqlDialect
from airflow_provider_voice.phone import shown

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import ColumnElement, Table


class SQLite(SqlDialect):
    """SQLite: times and JSON as text; one writer at a time, so the transaction begins as a writer.

    :param table: the table's name.
    :param schema: None or ``main``: a file has no other schema.
    :raises InvalidRequest: when a name is not a plain identifier, or there is no such schema.
    """

    compiler = sqlite.dialect
    paramstyle = "qmark"
    # A column of SQLite holds values of any type; times are compared as texts.
    accepts = dict.fromkeys(TYPES, ("",)) | {"time": ("timestamp", "datetime", "text", "varchar")}
    clock = func.strftime("%Y-%m-%d %H:%M:%f", "now")
    stage_options: ClassVar[dict[str, Any]] = {"schema": "temp"}

    def __init__(self, table: str, schema: str | None) -> None:
        if schema not in (None, "main"):
            raise InvalidRequest(f"SQLite has no schema {shown(schema)}: leave schema out.")
        super().__init__(table, schema)

    def _columns_query(self, table: Table) -> tuple[str, tuple[Any, ...]]:
        return "SELECT name, type FROM pragma_table_info(?)", (table.name,)

    def lock(self, cursor: Any, source: str) -> None:
        """Begin the transaction as a writer: a reader that becomes one fails when there is another writer.

        :param cursor: the transaction's cursor.
        :param source: not used: there is one writer at a time.
        """
        del source
        cursor.execute("BEGIN IMMEDIATE")

    def time(self, moment: datetime) -> Any:
        """Convert an instant to text that SQLite's own functions read.

        :param moment: an aware instant.
        :return: ``YYYY-MM-DD HH:MM:SS.ffffff+00:00``.
        """
        return moment.astimezone(timezone.utc).isoformat(" ", "microseconds")

    def hour(self, column: ColumnElement[Any]) -> ColumnElement[Any]:
        """Return the SQL expression that truncates an instant to its hour.

        :param column: a column of instants, as :meth:`time` writes them.
        :return: the expression of a text in the form of :meth:`time`.
        """
        return func.substr(column, 1, 13, type_=Text()) + ":00:00.000000+00:00"
