"""Which dialect a hook gets."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_voice.exceptions import InvalidRequest
from airflow_provider_voice.export.warehouse.registry import DIALECTS, dialect_of


def hook(conn_type: str, **extra: Any) -> Any:
    return SimpleNamespace(conn_type=conn_type, connection=SimpleNamespace(extra_dejson=extra))


@pytest.mark.parametrize("kind", ["postgres", "sqlite", "mysql", "duckdb"])
def test_the_connection_type_says_it(kind: str) -> None:
    assert dialect_of(hook(kind)) is DIALECTS[kind]


def test_a_postgres_connection_may_be_redshift() -> None:
    assert dialect_of(hook("postgres", redshift=False)) is DIALECTS["postgres"]
    with pytest.raises(InvalidRequest, match="Calls cannot be loaded into redshift directly"):
        dialect_of(hook("postgres", redshift=True))


@pytest.mark.parametrize("kind", ["snowflake", "gcpbigquery", "redshift", "databricks", "odbc", "jdbc", "http"])
def test_a_database_that_no_test_has_met_is_refused_with_the_way_by_files(kind: str) -> None:
    """Also one that is reached by ODBC or JDBC, whose drivers have neither COPY nor the marks for parameters."""
    with pytest.raises(InvalidRequest, match=f"into {kind} directly.*CallsToObjectStorageOperator"):
        dialect_of(hook(kind))


def test_a_connection_that_is_no_database_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="into a database of this type directly"):
        dialect_of(SimpleNamespace())
