"""Which dialect a database speaks."""

from __future__ import annotations

from airflow_provider_voice.warehouse.bigquery import BigQuery
from airflow_provider_voice.warehouse.dialects import Dialect
from airflow_provider_voice.warehouse.duckdb import DuckDB
from airflow_provider_voice.warehouse.merging import Databricks, Redshift, Snowflake
from airflow_provider_voice.warehouse.mysql import MySQL
from airflow_provider_voice.warehouse.postgresql import PostgreSQL
from airflow_provider_voice.warehouse.sqlite import SQLite

#: By SQLAlchemy's dialect name and by Airflow's connection type.
DIALECTS: dict[str, type[Dialect]] = {
    "postgresql": PostgreSQL,
    "postgres": PostgreSQL,
    "sqlite": SQLite,
    "duckdb": DuckDB,
    "mysql": MySQL,
    "mariadb": MySQL,
    "snowflake": Snowflake,
    "bigquery": BigQuery,
    "gcpbigquery": BigQuery,
    "google_cloud_platform": BigQuery,
    "redshift": Redshift,
    "redshift_connector": Redshift,
    "databricks": Databricks,
}


def dialect_for(name: str, table: str, schema: str | None, placeholder: str) -> Dialect:
    """Return the dialect of a database.

    :param name: SQLAlchemy's dialect name or Airflow's connection type.
    :param table: the table.
    :param schema: its schema, or None.
    :param placeholder: the driver's mark for a parameter.
    """
    return DIALECTS.get(name, Dialect)(table, schema, placeholder)
