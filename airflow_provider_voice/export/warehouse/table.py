"""A table of calls in a database: its creation, reads of its state, and loads."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_provider_voice.exceptions import InvalidRequest, WarehouseFailed
from airflow_provider_voice.export.rows import COLUMNS, KEY
from airflow_provider_voice.export.warehouse.errors import without_row_values
from airflow_provider_voice.export.warehouse.load import Load, Loading, Transaction
from airflow_provider_voice.export.warehouse.registry import dialect_for, name_of
from airflow_provider_voice.export.warehouse.table_state import TableState

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_voice.export.models import Loaded
    from airflow_provider_voice.export.row_buffer import RowBuffer
    from airflow_provider_voice.export.warehouse.dialects import SqlDialect

log = logging.getLogger(__name__)
T = TypeVar("T")


class Warehouse:
    """A table of calls in a database, through its ``DbApiHook``.

    :param hook: the database's hook; ``get_conn``, ``placeholder`` and its dialect's name are used, nothing that logs.
    :param table: the table, created where it is missing; its log is ``<table>_export_log``.
    :param schema: the schema; None: the connection's default.
    """

    def __init__(self, hook: Any, table: str, schema: str | None = None) -> None:
        self.hook = hook
        self.dialect: SqlDialect = dialect_for(name_of(hook), table, schema, str(getattr(hook, "placeholder", "%s")))
        self._shown = table

    def spool(self) -> RowBuffer:
        """Return an empty buffer for the rows of a load."""
        return self.dialect.spool()

    def prepare(self) -> None:
        """Create the table and its log where they are missing, and the columns an older version did not have.

        :raises InvalidRequest: when a column has a type that cannot hold its values, with the statement to change it.
        :raises WarehouseFailed: when the database refuses.
        """

        def create() -> None:
            with Transaction(self.hook, self.dialect) as cursor:
                self.dialect.create(cursor)
                self._add_columns(cursor)

        try:
            without_row_values("the creation", self._shown, create)
        except WarehouseFailed:
            # Two first exports at once: both find no table, and the second to end finds it made.
            without_row_values("the creation", self._shown, create)

    def _add_columns(self, cursor: Any) -> None:
        stored = self.dialect.stored_columns(cursor, self.dialect.table)
        self._check_types(stored)
        for name in COLUMNS:
            if name not in stored:
                cursor.execute(self.dialect.add_column_statement(name))
                log.info("Added the column %s to %s.", name, self._shown)

    def _check_types(self, stored: dict[str, str]) -> None:
        for name, kind in COLUMNS.items():
            found = stored.get(name)
            if found is None and name in KEY:
                raise InvalidRequest(f"The table {self._shown} has no column {name}, so it is not a table of calls.")
            if found and not found.startswith(self.dialect.accepts[kind]):
                raise InvalidRequest(
                    f"The column {name} of {self._shown} is of type {found}, which cannot hold its values. "
                    f"Change it: {self.dialect.change_column_statement(name)}"
                )

    def read(self, ask: Callable[[TableState], T]) -> T:
        """Read the state of the table in one transaction.

        :param ask: reads it.
        :return: the result of ``ask``.
        :raises WarehouseFailed: when the database refuses.
        """

        def work() -> T:
            with Transaction(self.hook, self.dialect) as cursor:
                return ask(TableState(cursor, self.dialect))

        return without_row_values("the reading", self._shown, work)

    def load(self, load: Load) -> Loaded:
        """Merge the rows and write the log, in one transaction.

        :param load: the rows and what is known of them.
        :return: the counts.
        :raises WarehouseFailed: when the database refuses; then nothing of the load is kept.
        """

        def work() -> Loaded:
            with Transaction(self.hook, self.dialect) as cursor:
                return Loading(cursor, self.dialect, load).run()

        return without_row_values("the load", self._shown, work)
