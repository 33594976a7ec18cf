"""``VoiceCallNotifier`` in the callbacks of a real Airflow, against the sandbox."""

from __future__ import annotations

import json
import runpy
from datetime import datetime, timezone
from pathlib import Path

import pytest
from airflow import __version__ as airflow_version
from airflow.sdk import DAG, task

from airflow_provider_voice.hooks.sql import LEDGER_FILE
from airflow_provider_voice.notifications.voice_call import VoiceCallNotifier
from airflow_provider_voice.outreach import escalation

pytestmark = pytest.mark.airflow
START = datetime(2026, 1, 1, tzinfo=timezone.utc)
DONE, SILENT = "+14155552601", "+14155552606"


@pytest.fixture(autouse=True)
def own_home(monkeypatch, tmp_path) -> None:
    """The default ledger stands in a folder of the test's own."""
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path))


def failing(name: str, ring: VoiceCallNotifier, *, tasks: int = 1) -> DAG:
    with DAG(name, schedule=None, start_date=START, on_failure_callback=ring,
             default_args={"on_failure_callback": ring}) as dag:  # fmt: skip

        @task
        def load(number: int) -> None:
            raise RuntimeError(number)

        load.expand(number=list(range(tasks)))
    return dag


def test_the_callbacks_of_task_and_dag_ring_once_a_run(fast_sandbox, connect, run_dag, tmp_path) -> None:
    connect(fast_sandbox)
    dag = failing("ring_once", VoiceCallNotifier(to=[DONE]), tasks=3)
    run = run_dag(dag)
    assert (run.state, run.states) == ("failed", {"load": ["failed"] * 3})
    assert fast_sandbox.rings_per_number() == {DONE: 1}
    assert (tmp_path / LEDGER_FILE).exists()
    run_dag(dag, run_after=datetime.now(timezone.utc))
    assert fast_sandbox.rings_per_number() == {DONE: 2}


def test_a_key_of_task_and_run_rings_for_each_task(fast_sandbox, connect, run_dag) -> None:
    connect(fast_sandbox)
    key = "{{ dag.dag_id }}/{{ run_id }}/{{ ti.task_id }}/{{ ti.map_index }}"
    with DAG("ring_each", schedule=None, start_date=START) as dag:

        @task(on_failure_callback=VoiceCallNotifier(to=[DONE], dedup_key=key))
        def load(number: int) -> None:
            raise RuntimeError(number)

        load.expand(number=[1, 2, 3])
    run_dag(dag)
    assert fast_sandbox.rings_per_number() == {DONE: 3}


def test_a_callback_that_cannot_ring_changes_nothing(fast_sandbox, connect, run_dag) -> None:
    connect(fast_sandbox, password="wrong")
    run = run_dag(failing("cannot_ring", VoiceCallNotifier(to=[DONE, SILENT])))
    assert run.states == {"load": ["failed"]}
    assert fast_sandbox.rings == []


def test_in_a_task_it_rings_until_somebody_answers(fast_sandbox, connect, run_dag) -> None:
    connect(fast_sandbox)
    with DAG("ring_in_task", schedule=None, start_date=START) as dag:

        @task
        def load() -> None:
            raise RuntimeError

        @task(trigger_rule="one_failed")
        def tell(**context: object) -> None:
            VoiceCallNotifier(to=[SILENT, DONE], escalate_after=1, max_wait=600)(context)

        load() >> tell()
    run = run_dag(dag)
    assert run.states == {"load": ["failed"], "tell": ["success"]}
    assert [ring.number for ring in fast_sandbox.rings] == [SILENT, DONE]


@pytest.mark.skipif(airflow_version.startswith("3.1."), reason="its dag.test() makes deadlines of runs not stored yet")
def test_the_example(fast_sandbox, connect, run_dag, monkeypatch) -> None:
    connect(fast_sandbox)
    monkeypatch.setattr(escalation, "POLL_SECONDS", 0.2)
    monkeypatch.setenv("AIRFLOW_VAR_VOICE_ON_CALL", json.dumps(["+14155552603", DONE]))
    example = Path(__file__).parents[2] / "dags_examples" / "ring_on_failure.py"
    run = run_dag(runpy.run_path(str(example))["ring_on_failure"]())
    assert run.state == "failed"
    assert [ring.number for ring in fast_sandbox.rings] == ["+14155552603", DONE]
