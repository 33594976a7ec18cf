"""Which dialect a hook gets."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_voice.export.warehouse.dialects import SqlDialect
from airflow_provider_voice.export.warehouse.registry import DIALECTS, dialect_for, name_of


def hook(conn_type: str, **extra: Any) -> Any:
    return SimpleNamespace(conn_type=conn_type, connection=SimpleNamespace(extra_dejson=extra))


@pytest.mark.parametrize(
    "kind", ["postgres", "sqlite", "mysql", "snowflake", "gcpbigquery", "redshift", "databricks", "duckdb"]
)
def test_the_connection_type_says_it(kind: str) -> None:
    assert name_of(hook(kind)) == kind
    assert type(dialect_for(name_of(hook(kind)), "t", None, "?")) is DIALECTS[kind]


def test_a_postgres_connection_may_be_redshift() -> None:
    assert name_of(hook("postgres", redshift=True)) == "redshift"
    assert name_of(hook("postgres", redshift=False)) == "postgres"


def test_other_connections_are_asked_for_their_dialect() -> None:
    class Odbc:
        conn_type = "odbc"
        dialect_name = "postgresql"

    assert name_of(Odbc()) == "postgresql"


def test_what_nobody_can_tell_is_standard_sql() -> None:
    class Broken:
        conn_type = "jdbc"

        @property
        def dialect_name(self) -> str:
            raise ValueError("no driver")

    assert type(dialect_for(name_of(Broken()), "t", None, "?")) is SqlDialect
    assert type(dialect_for(name_of(SimpleNamespace(dialect_name="default")), "t", None, "?")) is SqlDialect
