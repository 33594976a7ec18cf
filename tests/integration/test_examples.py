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
from tests.airflow_database import copy_migrated_database

pytestmark = pytest.mark.airflow
DAGS = Path(__file__).parents[2] / "dags_examples"


@pytest.mark.parametrize(
    "vendor_name",
    ["talkover", *(pytest.param(name, marks=pytest.mark.thorough) for name in ("talkstack", "unleashx"))],
)
def test_the_demo_with_each_vendor(vendor_name, tmp_path, capsys) -> None:
    assert main(["--vendor", vendor_name, "--dags", str(DAGS), "--home", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert f"10 calls placed with {vendor_name}, 10 rows" in shown
    assert "People rung twice: 0" in shown
    statuses = {status for _, status in rows_of(tmp_path / "warehouse.db", "voice_calls")}
    assert len(statuses) >= 4


def run_airflow(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "airflow", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def rows_of(warehouse: Path, table: str) -> list[tuple[str, str]]:
    with closing(sqlite3.connect(warehouse)) as connection:
        return connection.execute(f"SELECT call_id, status FROM {table}").fetchall()


def test_a_call_of_a_fast_sandbox_is_in_the_history_at_once(tmp_path) -> None:
    # The clock of the sandbox once ran as fast as its calls, and this export then read an empty hour.
    with Sandbox(speed=600) as sandbox:
        environment = airflow_environment(tmp_path, DAGS, sandbox, "talkover")
        copy_migrated_database(tmp_path)
        for arguments in (["dags", "test", "make_one_call"], ["dags", "test", "call_history_etl"]):
            done = run_airflow(environment, *arguments)
            assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        (ring,) = sandbox.rings
    assert rows_of(tmp_path / "warehouse.db", "call_history") == [(ring.call_id, "completed")]


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
            done = run_airflow(environment, *arguments)
        shown = done.stdout + done.stderr
        assert done.returncode != 0, "a run that could not call everybody does not look complete"
        assert "1 of 10 people have no ended call" in shown, shown[-3000:]
        assert len(sandbox.rings) == 9
    statuses = [status for _, status in rows_of(tmp_path / "warehouse.db", "voice_calls")]
    assert len(statuses) == 9
    assert not {"queued", "ringing", "in_progress"} & set(statuses)
