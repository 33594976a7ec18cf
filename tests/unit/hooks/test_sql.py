"""Engines of SQL connections keep the values of a statement out of their errors."""

from __future__ import annotations

import pytest
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from airflow_provider_voice.exceptions import InvalidRequest
from airflow_provider_voice.hooks.sql import LEDGER_FILE, ledger_engine, shared_ledger_engine, sql_engine

NUMBER = "+14155552601"


@pytest.mark.parametrize("conn_id", ["ledger", None])
def test_an_error_does_not_show_the_values_of_a_statement(conn_id, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_LEDGER", f"sqlite:///{tmp_path}/own.db")
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path))
    engine = ledger_engine(conn_id)
    with engine.connect() as connection, pytest.raises(SQLAlchemyError) as failed:
        connection.execute(text("SELECT * FROM nowhere WHERE number = :number"), {"number": NUMBER})
    assert NUMBER not in str(failed.value)
    engine.dispose()


def test_without_a_connection_the_ledger_is_a_file_in_the_home_of_airflow(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path))
    assert ledger_engine().url.database == str(tmp_path / LEDGER_FILE)


def test_a_connection_that_is_no_database_is_refused(monkeypatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_VOICE", "talkover://:token@")
    with pytest.raises(InvalidRequest, match="'voice' is not a SQL database"):
        sql_engine("voice")


@pytest.mark.parametrize(
    "executor",
    [
        "CeleryExecutor",
        "LocalExecutor,KubernetesExecutor",
        "airflow.providers.amazon.aws.executors.ecs.ecs_executor.AwsEcsExecutor",
    ],
)
def test_a_ledger_in_a_file_is_refused_where_a_retry_may_not_find_it(executor, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path))
    monkeypatch.setenv("AIRFLOW_CONN_LEDGER", f"sqlite:///{tmp_path}/own.db")
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", executor)
    with pytest.raises(InvalidRequest, match="Set ledger_conn_id"):
        shared_ledger_engine()
    assert str(shared_ledger_engine("ledger").url.database).endswith("/own.db")
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", "LocalExecutor")
    assert shared_ledger_engine().url.database == str(tmp_path / LEDGER_FILE)


@pytest.mark.parametrize("mark", ["AIRFLOW_IS_K8S_EXECUTOR_POD", "AIRFLOW_IS_EXECUTOR_CONTAINER"])
def test_a_ledger_in_a_file_is_refused_in_a_container_of_one_task(mark, tmp_path, monkeypatch) -> None:
    # Airflow's Helm chart tells a worker pod of the KubernetesExecutor that the executor is the LocalExecutor.
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path))
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", "LocalExecutor")
    monkeypatch.setenv(mark, "True")
    with pytest.raises(InvalidRequest, match="Set ledger_conn_id"):
        shared_ledger_engine()


def test_a_connection_whose_provider_is_missing_names_the_remedy(monkeypatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_ELSEWHERE", '{"conn_type": "no_such_database", "password": "geheim"}')
    with pytest.raises(InvalidRequest, match=r"no_such_database.* Install the provider") as raised:
        sql_engine("elsewhere")
    assert "geheim" not in str(raised.value)
