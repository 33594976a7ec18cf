"""Tests of the example DAG ``make_one_call``; ``docs/testing.rst`` shows this file."""

# [START test_make_one_call]
import importlib.util
from pathlib import Path

import pytest

DAG_FILE = Path(__file__).with_name("make_one_call.py")


@pytest.fixture
def dag(voice_sandbox, monkeypatch):
    """Return the DAG, with a connection to the sandbox."""
    monkeypatch.setenv("AIRFLOW_CONN_VOICE_DEFAULT", voice_sandbox.connection_json("talkover"))
    spec = importlib.util.spec_from_file_location("make_one_call", DAG_FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    dag = module.make_one_call()
    dag.get_task("ring").poll_interval = 1  # calls of the sandbox end within seconds
    return dag


def test_one_call_is_placed(dag, voice_sandbox):
    run = dag.test(run_conf={"to": "+14155552601"})
    assert run.state == "success"
    assert voice_sandbox.rings_per_number() == {"+14155552601": 1}


def test_a_lost_answer_does_not_ring_twice(dag, voice_sandbox):
    voice_sandbox.add_fault("lost_answer")
    run = dag.test(run_conf={"to": "+14155552601"})
    assert run.state == "success"
    assert voice_sandbox.rings_per_number() == {"+14155552601": 1}


def test_a_busy_number_fails_the_run(dag, voice_sandbox):
    run = dag.test(run_conf={"to": "+14155552602"})
    assert run.state == "failed"
    assert voice_sandbox.rings_per_number() == {"+14155552602": 1}


# [END test_make_one_call]
