"""A real Airflow database, and DAGs run in it by ``dag.test()``."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_provider_voice.export import row_buffer
from airflow_provider_voice.sandbox import Sandbox
from airflow_provider_voice.vendors import pagination
from tests.airflow_database import copy_migrated_database
from tests.integration.databases import (
    MARIADBD,
    DuckDBHook,
    MariaDBHook,
    Psycopg2Hook,
    execute,
    mariadb_server,
    postgres_server,
)
from tests.support import replace_sleep


@pytest.fixture(scope="session")
def airflow_db() -> None:
    """Make the database of the tests' Airflow home."""
    copy_migrated_database(Path(os.environ["AIRFLOW_HOME"]))


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait milliseconds between two passes over a list and two attempts of a request.

    How long both are has tests of its own: tests/unit/vendors/test_pagination.py and test_http.py.
    """
    monkeypatch.setattr(pagination, "PAUSES", (0.02, 0.04, 0.08))
    replace_sleep(monkeypatch, lambda seconds: time.sleep(seconds / 20))


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """Run a PostgreSQL and give an Airflow connection to it."""
    with postgres_server(tmp_path_factory.mktemp("pg")) as fields:
        yield fields


@pytest.fixture(scope="session")
def mariadb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if not MARIADBD:
        pytest.skip("no MariaDB server is installed")
    pytest.importorskip("pymysql")
    with mariadb_server(tmp_path_factory.mktemp("my")) as address:
        yield address


@pytest.fixture
def database_hook(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], Any]:
    """Return a hook for a database by its name, without our tables in it."""

    def hook_of(name: str) -> Any:
        from airflow.sdk import BaseHook

        if name == "duckdb":
            pytest.importorskip("duckdb")
        mine = {"duckdb": DuckDBHook, "mariadb": MariaDBHook, "psycopg2": Psycopg2Hook}.get(name)
        fields = {"conn_type": "sqlite", "host": str(tmp_path / "warehouse.db")}
        if name == "postgres":
            fields = request.getfixturevalue("postgres")
        elif mine is not None:
            fields = {"conn_type": mine.conn_type}
        monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps(fields))
        hook = BaseHook.get_hook("warehouse") if mine is None else mine("warehouse")
        if name == "psycopg2":
            hook.fields = request.getfixturevalue("postgres")
        elif name == "duckdb":
            hook.path = str(tmp_path / "warehouse.duckdb")
        elif name == "mariadb":
            hook.socket = request.getfixturevalue("mariadb")
        for table in ("voice_calls", "voice_calls_export_log"):
            execute(hook, f"DROP TABLE IF EXISTS {table}")
        return hook

    return hook_of


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a batch of a few rows, so that a load of a test has as many batches as one of a hundred thousand."""
    monkeypatch.setattr(row_buffer, "BATCH", 7)


@pytest.fixture
def fast_sandbox() -> Iterator[Sandbox]:
    """A sandbox in which a usual call takes a second or two."""
    with Sandbox(speed=120) as sandbox:
        yield sandbox


@dataclass
class Run:
    """The result of a DAG run."""

    state: str
    states: dict[str, list[str]]
    results: dict[str, list[Any]]

    def result(self, task: str) -> Any:
        (only,) = self.results[task]
        return only


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Define ``voice_default`` as a vendor of a sandbox."""

    def set_connection(sandbox: Sandbox, vendor: str = "talkover", **changes: Any) -> None:
        value = json.dumps({**sandbox.connection(vendor), **changes})
        monkeypatch.setenv("AIRFLOW_CONN_VOICE_DEFAULT", value)

    return set_connection


def register(dag: DAG) -> None:
    """Put a DAG made in a test where Airflow looks for the DAGs of runs."""
    from airflow.dag_processing.bundles.manager import DagBundlesManager

    try:
        from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db
    except ImportError:  # Airflow 3.1
        from airflow.models.dagbag import DagBag, sync_bag_to_db
    DagBundlesManager().sync_bundles_to_db()
    bag = DagBag(os.devnull)
    bag.bag_dag(dag)
    sync_bag_to_db(bag, "dags-folder", None)


@pytest.fixture
def run_dag(airflow_db: None) -> Callable[[DAG], Run]:
    """Run a DAG to its end and return its result."""

    def run(dag: DAG, **arguments: Any) -> Run:
        register(dag)
        from airflow.models.xcom import XComModel
        from airflow.utils.session import create_session

        done = dag.test(**arguments)
        states: dict[str, list[str]] = {}
        results: dict[str, list[Any]] = {}
        with create_session() as session:
            for task in sorted(
                done.get_task_instances(session=session), key=lambda item: (item.task_id, item.map_index)
            ):
                states.setdefault(task.task_id, []).append(str(getattr(task.state, "value", task.state)))
            found = session.query(XComModel).filter_by(run_id=done.run_id, dag_id=dag.dag_id, key="return_value")
            for row in found.order_by(XComModel.task_id, XComModel.map_index):
                results.setdefault(row.task_id, []).append(XComModel.deserialize_value(row))
        return Run(str(getattr(done.state, "value", done.state)), states, results)

    return run
