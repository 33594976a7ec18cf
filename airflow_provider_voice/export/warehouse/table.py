"""A table of calls in a database: the choice of its dialect, its creation, reads of its state, and loads."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_provider_voice.exceptions import InvalidRequest, WarehouseFailed
from airflow_provider_voice.export.errors import without_row_values
from airflow_provider_voice.export.rows import COLUMNS, KEY
from airflow_provider_voice.export.warehouse.duckdb import DuckDB
from airflow_provider_voice.export.warehouse.mysql import MySQL
from airflow_provider_voice.export.warehouse.postgresql import PostgreSQL
from airflow_provider_voice.export.warehouse.sqlite import SQLite
from airflow_provider_voice.export.warehouse.transaction import Transaction

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_voice.export.models import Loaded
    from airflow_provider_voice.export.row_buffer import RowBuffer
    from airflow_provider_voice.export.warehouse.dialects import SqlDialect
    from airflow_provider_voice.export.warehouse.load import Load

log = logging.getLogger(__name__)
T = TypeVar("T")
#: By Airflow's connection type.
DIALECTS: dict[str, type[SqlDialect]] = {
    "postgres": PostgreSQL,
    "sqlite": SQLite,
    "duckdb": DuckDB,
    "mysql": MySQL,
}


class Warehouse:
    """A table of calls in a database, through its ``DbApiHook``.

    :param hook: the database's hook; ``get_conn`` and its connection's type are used, nothing that logs.
    :param table: the table, created where it is missing; its log is ``<table>_export_log``.
    :param schema: the schema; None: the connection's default.
    :raises InvalidRequest: when no dialect is tested with the database, or a name is no plain identifier.
    """

    def __init__(self, hook: Any, table: str, schema: str | None = None) -> None:
        self.hook = hook
        self.dialect = dialect_of(hook)(table, schema)

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

    def _create(self, transaction: Transaction) -> None:
        dialect, table = self.dialect, self.dialect.table.name
        dialect.create(transaction.cursor)
        stored = dialect.stored_columns(transaction.cursor, dialect.table)
        for name, kind in COLUMNS.items():
            found = stored.get(name)
            if found is None and name in KEY:
                raise InvalidRequest(f"The table {table} has no column {name}, so it is not a table of calls.")
            if found is None:
                transaction.cursor.execute(dialect.add_column_statement(name))
                log.info("Added the column %s to %s.", name, table)
            elif found and not found.startswith(dialect.accepts[kind]):
                raise InvalidRequest(
                    f"The column {name} of {table} is of type {found}, which cannot hold its values. "
                    f"Change it: {dialect.change_column_statement(name)}"
                )

    def read(self, ask: Callable[[Transaction], T]) -> T:
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
        is_staged = staged is not None
        return self._in_transaction("the load", lambda transaction: load.into(transaction, is_staged=is_staged), staged)

    def _in_transaction(self, doing: str, work: Callable[[Transaction], T], staged: Transaction | None = None) -> T:
        transaction = staged or Transaction(self.hook, self.dialect)

        def run() -> T:
            with transaction:
                return work(transaction)

        message = (
            f"The database broke off {doing} of {self.dialect.table.name} ({{error}}). Nothing of this load was kept. "
            "Check the connection and its rights. The database's own message is left out, because it may quote a row."
        )
        return without_row_values(run, WarehouseFailed, message)


def dialect_of(hook: Any) -> type[SqlDialect]:
    """Return the dialect of a hook's database.

    :param hook: a ``DbApiHook``.
    :return: the dialect's class.
    :raises InvalidRequest: when no dialect is tested with the database.
    """
    kind = getattr(hook, "conn_type", None)
    extra = getattr(getattr(hook, "connection", None), "extra_dejson", {})
    if kind == "postgres" and (extra.get("redshift") or extra.get("redshift-serverless")):
        kind = "redshift"  # PostgresHook reaches Redshift too, which has no COPY from a client
    if kind not in DIALECTS:
        raise InvalidRequest(
            f"Calls cannot be loaded into {kind or 'a database of this type'} directly: only PostgreSQL, MySQL, "
            "MariaDB, SQLite and DuckDB are tested. Write files with CallsToObjectStorageOperator and load them by the "
            "warehouse's own loader, such as COPY INTO of Snowflake, or a load job of BigQuery."
        )
    return DIALECTS[kind]
