"""The parts of the documentation that need Airflow's database or a warehouse: its SQL and its test file."""

from __future__ import annotations

import os
import re
import runpy
import shutil
import subprocess
import sys
import textwrap
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.integration.databases import execute

pytestmark = [pytest.mark.airflow, pytest.mark.thorough]
ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


def test_the_sql_of_the_exports_page(fast_sandbox, connect, run_dag, database_hook) -> None:
    from airflow.sdk import DAG

    from airflow_provider_voice.transfers.calls_to_warehouse import CallsToWarehouseOperator

    hook = database_hook("postgres")
    connect(fast_sandbox)
    now = fast_sandbox.now()
    fast_sandbox.seed("talkover", 30, now - timedelta(days=3), now - timedelta(hours=1))
    with DAG("docs_sql", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=now.tzinfo)) as dag:
        # Two stretches with a day between them: a hole.
        for number, (first, last) in enumerate([(72, 48), (24, 1)]):
            CallsToWarehouseOperator(
                task_id=f"load_{number}",
                warehouse_conn_id="warehouse",
                start=now - timedelta(hours=first),
                end=now - timedelta(hours=last),
            )
        dag.get_task("load_0") >> dag.get_task("load_1")
    assert run_dag(dag).state == "success"

    found = re.findall(r"\.\. code-block:: sql\n\n((?:   .*\n|\n)+)", (DOCS / "exports.rst").read_text("utf-8"))
    view, differing, holes = (textwrap.dedent(block).strip() for block in found)
    execute(hook, "DROP VIEW IF EXISTS voice_calls_daily")
    execute(hook, view)
    (stored,) = execute(hook, "SELECT COUNT(*) FROM voice_calls")[0]
    assert execute(hook, "SELECT SUM(calls) FROM voice_calls_daily") == [(stored,)]
    assert execute(hook, differing) == []
    assert len(execute(hook, holes)) == 1
    execute(hook, "DROP VIEW voice_calls_daily")


def test_the_test_file_of_the_testing_page(airflow_db, tmp_path) -> None:
    """Run it as a user does: beside the DAG file, in a process of its own."""
    shutil.copy(DOCS / "examples" / "test_make_one_call.py", tmp_path)
    shutil.copy(ROOT / "dags_examples" / "make_one_call.py", tmp_path)
    environment = {**os.environ, "AIRFLOW__CORE__DAGS_FOLDER": str(tmp_path)}
    tests = ["pytest", "-q", "-p", "no:cacheprovider", "test_make_one_call.py"]
    for arguments in (["airflow", "dags", "reserialize"], tests):
        command = [sys.executable, "-m", *arguments]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-3000:]
    assert "3 passed" in done.stdout


def test_the_files_example(fast_sandbox, connect, run_dag, monkeypatch, tmp_path) -> None:
    connect(fast_sandbox)
    monkeypatch.setenv("CALL_ARCHIVE", f"file://{tmp_path}/archive")
    day = fast_sandbox.now().replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=1)
    fast_sandbox.seed("talkover", 12, day, day + timedelta(days=1))
    run = run_dag(runpy.run_path(str(ROOT / "dags_examples" / "archive_calls.py"))["archive_calls"]())
    assert run.state == "success"
    assert run.result("archive")["rows"] == 12
    (written,) = (tmp_path / "archive" / "source=voice_default" / f"day={day:%Y-%m-%d}").iterdir()
    assert written.name.endswith(".jsonl.gz")
