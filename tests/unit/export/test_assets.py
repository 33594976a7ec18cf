"""Lineage of an export: the address that Airflow's own handlers of the database, and OpenLineage, understand."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.lineage import hook as lineage
from airflow.providers.common.compat.sdk import BaseHook

from airflow_provider_voice.export.assets import database_uri, report_lineage

pytestmark = pytest.mark.airflow
POSTGRES = {"conn_type": "postgres", "host": "db.example.com", "schema": "marts", "login": "u", "password": "secret"}


def hook_of(monkeypatch: pytest.MonkeyPatch, **changes: Any) -> Any:
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps(POSTGRES | changes))
    return BaseHook.get_hook("warehouse")


class Collector:
    """A stand-in for the collector of a process with a reader."""

    def __init__(self) -> None:
        self.outputs: list[dict[str, Any]] = []

    def add_output_asset(self, **output: Any) -> None:
        self.outputs.append(output)


def test_a_postgres_table_is_named_as_its_provider_names_it(monkeypatch) -> None:
    from airflow.sdk import Asset

    uri = database_uri(hook_of(monkeypatch), "voice_calls", None)
    assert uri == "postgres://db.example.com:5432/marts/public/voice_calls"
    assert Asset(uri=uri).uri == uri


@pytest.mark.parametrize(
    ("changes", "uri"),
    [
        ({"port": 6543}, "postgres://db.example.com:6543/marts/other/voice_calls"),
        ({"host": "/run/postgresql"}, None),
        ({"host": ""}, None),
        ({"conn_type": "sqlite", "host": "/data/calls.db"}, None),
    ],
)
def test_what_the_connection_says_and_nothing_made_up(monkeypatch, changes, uri) -> None:
    assert database_uri(hook_of(monkeypatch, **changes), "voice_calls", "other") == uri


def test_mysql_has_no_schema_beside_its_database() -> None:
    connection = SimpleNamespace(host="db", port=None, schema="marts")
    hook = SimpleNamespace(
        conn_type="mysql", conn_name_attr="mysql_conn_id", mysql_conn_id="w", get_connection=lambda _: connection
    )
    assert database_uri(hook, "voice_calls", None) == "mysql://db:3306/marts/voice_calls"


def test_lineage_receives_the_table_and_the_counts_without_a_secret(monkeypatch) -> None:
    collector = Collector()
    monkeypatch.setattr(lineage, "get_hook_lineage_collector", lambda: collector)
    report_lineage(hook_of(monkeypatch), "voice_calls", None, {"inserted": 3})
    (output,) = collector.outputs
    assert output["uri"].endswith("/marts/public/voice_calls")
    assert output["asset_extra"] == {"inserted": 3}
    assert "secret" not in str({**output, "context": None})


def test_a_plugin_that_fails_does_not_fail_a_committed_load(monkeypatch, caplog) -> None:
    def broken() -> Any:
        raise RuntimeError("secret")

    monkeypatch.setattr(lineage, "get_hook_lineage_collector", broken)
    report_lineage(hook_of(monkeypatch), "voice_calls", None, {})
    assert "could not be reported (RuntimeError)" in caplog.text
    assert "secret" not in caplog.text
