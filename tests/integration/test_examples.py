"""The example DAGs and the demo, as a new user runs them."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from airflow_provider_voice.sandbox import Sandbox
from dev.demo import airflow_environment, main

pytestmark = pytest.mark.airflow
DAGS = Path(__file__).parents[2] / "dags_examples"


def test_the_demo_with_each_vendor(vendor_name, tmp_path, capsys) -> None:
    assert main(["--vendor", vendor_name, "--dags", str(DAGS), "--home", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert f"10 calls placed with {vendor_name}, 10 rows" in shown
    assert "People rung twice: 0" in shown
    with closing(sqlite3.connect(tmp_path / "warehouse.db")) as connection:
        statuses = {row[0] for row in connection.execute("SELECT DISTINCT status FROM voice_calls")}
    assert len(statuses) >= 4


@pytest.mark.parametrize("dag_id", ["make_one_call", "call_history_etl"])
def test_the_other_examples(dag_id, tmp_path) -> None:
    with Sandbox(speed=120) as sandbox:
        environment = airflow_environment(tmp_path, DAGS, sandbox, "talkover")
        for arguments in (["db", "migrate"], ["dags", "test", dag_id]):
            command = [sys.executable, "-m", "airflow", *arguments]
            done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        assert len(sandbox.rings) == (dag_id == "make_one_call")


def test_one_bad_row_of_the_contacts_leaves_the_others_watched_and_loaded(tmp_path) -> None:
    dags = tmp_path / "dags"
    shutil.copytree(DAGS, dags)
    contacts = dags / "contacts.csv"
    contacts.write_text(contacts.read_text().replace("+1 415 555 2603", "no number"))
    example = dags / "scheduled_outreach.py"
    example.write_text(example.read_text().replace('retry_delay": timedelta(seconds=30)', 'retry_delay": timedelta(0)'))
    with Sandbox(speed=120) as sandbox:
        environment = airflow_environment(tmp_path, dags, sandbox, "talkover")
        for arguments in (["db", "migrate"], ["dags", "test", "scheduled_outreach"]):
            command = [sys.executable, "-m", "airflow", *arguments]
            done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        shown = done.stdout + done.stderr
        assert done.returncode != 0, "a run that could not call everybody does not look complete"
        assert "1 of 10 people have no ended call" in shown, shown[-3000:]
        assert len(sandbox.rings) == 9
    with closing(sqlite3.connect(tmp_path / "warehouse.db")) as connection:
        statuses = [row[0] for row in connection.execute("SELECT status FROM voice_calls")]
    assert len(statuses) == 9
    assert not {"queued", "ringing", "in_progress"} & set(statuses)
