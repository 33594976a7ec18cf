"""Which dialect a hook gets."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_voice.exceptions import InvalidRequest
from airflow_provider_voice.export.warehouse.registry import DIALECTS, dialect_for, name_of


def hook(conn_type: str, **extra: Any) -> Any:
    return SimpleNamespace(conn_type=conn_type, connection=SimpleNamespace(extra_dejson=extra))


@pytest.mark.parametrize("kind", ["postgres", "sqlite", "mysql", "duckdb"])
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


def test_a_database_that_no_test_has_met_is_refused_with_the_way_by_files() -> None:
    class Broken:
        conn_type = "jdbc"

        @property
        def dialect_name(self) -> str:
            raise ValueError("no driver")

    untested = [hook(kind) for kind in ("snowflake", "gcpbigquery", "redshift", "databricks")]
    for one in (*untested, hook("postgres", redshift=True), Broken(), SimpleNamespace(dialect_name="default")):
        with pytest.raises(InvalidRequest, match="CallsToObjectStorageOperator"):
            dialect_for(name_of(one), "t", None, "?")
