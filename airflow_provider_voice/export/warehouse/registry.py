"""The choice of a SQL dialect for a database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_voice.exceptions import InvalidRequest
from airflow_provider_voice.export.warehouse.duckdb import DuckDB
from airflow_provider_voice.export.warehouse.mysql import MySQL
from airflow_provider_voice.export.warehouse.postgresql import PostgreSQL
from airflow_provider_voice.export.warehouse.sqlite import SQLite

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_voice.export.warehouse.dialects import SqlDialect

#: By SQLAlchemy's dialect name and by Airflow's connection type.
DIALECTS: dict[str, type[SqlDialect]] = {
    "postgresql": PostgreSQL,
    "postgres": PostgreSQL,
    "sqlite": SQLite,
    "duckdb": DuckDB,
    "mysql": MySQL,
    "mariadb": MySQL,
}


def name_of(hook: Any) -> str:
    """Return the name of a hook's database.

    :param hook: a ``DbApiHook``.
    :return: a key of :data:`DIALECTS`, or SQLAlchemy's name of the database; empty when it is unknown.
    """
    kind = str(getattr(hook, "conn_type", "")).lower()
    if kind == "postgres" and _extra(hook).get("redshift"):
        return "redshift"  # PostgresHook reaches Redshift too, which has no COPY from a client
    if kind in DIALECTS:
        return kind
    try:
        # Of ODBC, JDBC and the like; some hooks ask for credentials or a driver to tell.
        return str(getattr(hook, "dialect_name", "")).lower()
    except Exception:  # noqa: BLE001 - then the database is unknown
        return ""


def _extra(hook: Any) -> Mapping[str, Any]:
    return getattr(getattr(hook, "connection", None), "extra_dejson", None) or {}


def dialect_for(name: str, table: str, schema: str | None, placeholder: str) -> SqlDialect:
    """Return the dialect of a database.

    :param name: SQLAlchemy's dialect name or Airflow's connection type.
    :param table: the table.
    :param schema: its schema, or None.
    :param placeholder: the driver's mark for a parameter.
    :return: the dialect.
    :raises InvalidRequest: when no dialect is tested with the database, or a name is not a plain identifier.
    """
    if name not in DIALECTS:
        raise InvalidRequest(
            f"Calls cannot be loaded into {name[:40] or 'a database of this type'} directly: only PostgreSQL, MySQL, "
            "MariaDB, SQLite and DuckDB are tested. Write files with CallsToObjectStorageOperator and load them by the "
            "warehouse's own loader, such as COPY INTO of Snowflake, or a load job of BigQuery."
        )
    return DIALECTS[name](table, schema, placeholder)
