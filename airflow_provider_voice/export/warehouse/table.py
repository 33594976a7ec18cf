"""A table of calls in a database: its creation, reads of its state, and loads."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_provider_voice.exceptions import InvalidRequest, WarehouseFailed
from airflow_provider_voice.export.errors import without_row_values
from airflow_provider_voice.export.rows import COLUMNS, KEY
from airflow_provider_voice.export.warehouse.load import Transaction
from airflow_provider_voice.export.warehouse.registry import dialect_of
from airflow_provider_voice.export.warehouse.table_state import TableState

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_voice.export.models import Loaded
    from airflow_provider_voice.export.row_buffer import RowBuffer
    from airflow_provider_voice.export.warehouse.dialects import SqlDialect
    from airflow_provider_voice.export.warehouse.load import Load

log = logging.getLogger(__name__)
T = TypeVar("T")


class Warehouse:
    """A table of calls in a database, through its ``DbApiHook``.

    :param hook: the database's hook; ``get_conn`` and its connection's type are used, nothing that logs.
    :param table: the table, created where it is missing; its log is ``<table>_export_log``.
    :param schema: the schema; None: the connection's default.
    :raises InvalidRequest: when no dialect is tested with the database, or a name is no plain identifier.
    """

    def __init__(self, hook: Any, table: str, schema: str | None = None) -> None:
        self.hook = hook
        self.dialect: SqlDialect = dialect_of(hook)(table, schema)

    def new_buffer(self) -> RowBuffer:
        """Return an empty buffer for the rows of a load."""
        return self.dialect.new_buffer(self.hook)

    def prepare(self) -> None:
        """Create the table and its log where they are missing, and the columns an older version did not have.

        :raises InvalidRequest: when a column has a type that cannot hold its values, with the statement to change it.
        :raises WarehouseFailed: when the database refuses.
        """
        try:
            self._in_transaction("the creation", self._create)
        except WarehouseFailed:
            # Two first exports at once: both find no table, and the second to end finds it made.
            self._in_transaction("the creation", self._create)

    def _create(self, state: TableState) -> None:
        dialect, table = self.dialect, self.dialect.table.name
        dialect.create(state.cursor)
        stored = dialect.stored_columns(state.cursor, dialect.table)
        for name, kind in COLUMNS.items():
            found = stored.get(name)
            if found is None and name in KEY:
                raise InvalidRequest(f"The table {table} has no column {name}, so it is not a table of calls.")
            if found is None:
                state.cursor.execute(dialect.add_column_statement(name))
                log.info("Added the column %s to %s.", name, table)
            elif found and not found.startswith(dialect.accepts[kind]):
                raise InvalidRequest(
                    f"The column {name} of {table} is of type {found}, which cannot hold its values. "
                    f"Change it: {dialect.change_column_statement(name)}"
                )

    def read(self, ask: Callable[[TableState], T]) -> T:
        """Read the state of the table in one transaction.

        :param ask: reads it.
        :return: the result of ``ask``.
        :raises WarehouseFailed: when the database refuses.
        """
        return self._in_transaction("the reading", ask)

    def load(self, load: Load) -> Loaded:
        """Merge the rows and write the log, in one transaction.

        :param load: the rows, and the run that read them.
        :return: the counts.
        :raises WarehouseFailed: when the database refuses; then nothing of the load is kept.
        """
        staged = load.rows.staged()
        return self._in_transaction("the load", lambda state: load.into(state, is_staged=staged is not None), staged)

    def _in_transaction(self, doing: str, work: Callable[[TableState], T], transaction: Any = None) -> T:
        def run() -> T:
            with transaction or Transaction(self.hook, self.dialect) as cursor:
                return work(TableState(cursor, self.dialect))

        message = (
            f"The database broke off {doing} of {self.dialect.table.name} ({{error}}). Nothing of this load was kept. "
            "Check the connection and its rights. The database's own message is left out, because it may quote a row."
        )
        return without_row_values(run, WarehouseFailed, message)
