"""The choice of a SQL dialect for a database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_voice.exceptions import InvalidRequest
from airflow_provider_voice.export.warehouse.duckdb import DuckDB
from airflow_provider_voice.export.warehouse.mysql import MySQL
from airflow_provider_voice.export.warehouse.postgresql import PostgreSQL
from airflow_provider_voice.export.warehouse.sqlite import SQLite

if TYPE_CHECKING:
    from airflow_provider_voice.export.warehouse.dialects import SqlDialect

#: By Airflow's connection type.
DIALECTS: dict[str, type[SqlDialect]] = {
    "postgres": PostgreSQL,
    "sqlite": SQLite,
    "duckdb": DuckDB,
    "mysql": MySQL,
}


def dialect_of(hook: Any) -> type[SqlDialect]:
    """Return the dialect of a hook's database.

    :param hook: a ``DbApiHook``.
    :return: the dialect's class.
    :raises InvalidRequest: when no dialect is tested with the database.
    """
    kind = getattr(hook, "conn_type", None)
    extra = getattr(getattr(hook, "connection", None), "extra_dejson", {})
    if kind == "postgres" and extra.get("redshift"):
        kind = "redshift"  # PostgresHook reaches Redshift too, which has no COPY from a client
    if kind not in DIALECTS:
        raise InvalidRequest(
            f"Calls cannot be loaded into {kind or 'a database of this type'} directly: only PostgreSQL, MySQL, "
            "MariaDB, SQLite and DuckDB are tested. Write files with CallsToObjectStorageOperator and load them by the "
            "warehouse's own loader, such as COPY INTO of Snowflake, or a load job of BigQuery."
        )
    return DIALECTS[kind]
