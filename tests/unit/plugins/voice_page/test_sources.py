"""The ledger and the call table that Airflow's configuration names; a page that reads creates nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from airflow_provider_voice.exceptions import InvalidRequest
from airflow_provider_voice.outreach.views import NoLedgerYet
from airflow_provider_voice.plugins.voice_page import sources


@pytest.fixture(autouse=True)
def option(monkeypatch: pytest.MonkeyPatch):
    """Set options of ``[voice]``; by default none is set."""

    def write(**options: str) -> None:
        for name, value in options.items():
            monkeypatch.setenv(f"AIRFLOW__VOICE__{name.upper()}", value)

    write(ledger_conn_id="", warehouse_conn_id="", warehouse_table="")
    sources._opened.cache_clear()  # the file under AIRFLOW_HOME is another one in every test
    return write


@pytest.fixture
def connection(monkeypatch: pytest.MonkeyPatch):
    def write(conn_id: str, **fields: str) -> None:
        monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(fields))

    return write


def test_an_empty_option_is_none(option) -> None:
    assert sources.ledger_conn_id() is None
    assert sources.warehouse_conn_id() is None
    assert sources.recent_calls() is None
    option(ledger_conn_id="a", warehouse_conn_id="b")
    assert (sources.ledger_conn_id(), sources.warehouse_conn_id()) == ("a", "b")


@pytest.mark.parametrize(
    ("name", "schema", "table"),
    [("", None, "voice_calls"), ("calls", None, "calls"), ("analytics.calls", "analytics", "calls")],
)
def test_the_table_may_have_a_schema(option, connection, monkeypatch, name, schema, table) -> None:
    option(warehouse_conn_id="warehouse", warehouse_table=name)
    connection("warehouse", conn_type="sqlite", host="/nowhere/warehouse.db")
    asked = []
    monkeypatch.setattr(sources, "RecentCalls", lambda hook, *names: asked.append(names))
    sources.recent_calls()
    assert asked == [(table, schema)]


def test_a_connection_without_tables_is_refused(option, monkeypatch) -> None:
    option(warehouse_conn_id="web")
    monkeypatch.setattr(sources.BaseHook, "get_hook", lambda conn_id: object())
    with pytest.raises(
        InvalidRequest, match=r"warehouse_conn_id names.*'web' is not a SQL database.*change the option"
    ):
        sources.recent_calls()


def test_a_database_that_calls_are_not_exported_to_is_named_with_its_option(option, monkeypatch) -> None:
    class Oracle:
        conn_type = "oracle"
        get_conn = None

    option(warehouse_conn_id="old")
    monkeypatch.setattr(sources.BaseHook, "get_hook", lambda conn_id: Oracle())
    refused = r"'old', which \[voice\] warehouse_conn_id names, cannot be used: Calls cannot be loaded into"
    with pytest.raises(InvalidRequest, match=refused):
        sources.recent_calls()


@pytest.mark.parametrize("name", ["calls; DROP", "a.b.c", "1st.calls"])
def test_a_table_that_is_no_name_is_named_with_its_option(option, connection, name) -> None:
    option(warehouse_conn_id="warehouse", warehouse_table=name)
    connection("warehouse", conn_type="sqlite", host="/nowhere/warehouse.db")
    with pytest.raises(InvalidRequest, match=r"\[voice\] warehouse_table must be a name"):
        sources.recent_calls()


def test_the_error_of_a_driver_is_not_quoted(option, monkeypatch) -> None:
    def get_hook(conn_id: str) -> None:
        raise ValueError("postgresql://user:geheim@host")

    option(warehouse_conn_id="warehouse")
    monkeypatch.setattr(sources.BaseHook, "get_hook", get_hook)
    with pytest.raises(InvalidRequest, match=r"warehouse_conn_id names.*\(ValueError\)") as refusal:
        sources.recent_calls()
    assert "geheim" not in refusal.value.message


def test_a_missing_connection_is_named_with_its_option_and_the_remedy(option) -> None:
    option(ledger_conn_id="gone")
    with pytest.raises(InvalidRequest, match=r"'gone', which \[voice\] ledger_conn_id names.*Admin > Connections"):
        sources.ledger_views()


def test_the_default_ledger_is_not_created_by_reading(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path))
    for read in (sources.ledger_views, sources.ledger_database):
        with pytest.raises(NoLedgerYet):
            read()
    assert list(tmp_path.iterdir()) == []


def test_a_ledger_is_opened_once_until_its_connection_is_edited(tmp_path: Path, option, connection) -> None:
    option(ledger_conn_id="ledger")
    connection("ledger", conn_type="sqlite", host=str(tmp_path / "one.db"))
    first = sources.ledger_database()
    assert sources.ledger_database() is first
    assert sources.ledger_views() is sources.ledger_views()
    connection("ledger", conn_type="sqlite", host=str(tmp_path / "two.db"))
    second = sources.ledger_database()
    assert second is not first
    assert str(second.engine.url).endswith("two.db")
