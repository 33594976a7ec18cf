"""The sensor's ``call`` in a real Airflow: as text that a template rendered, as an empty list, and wrong."""

from __future__ import annotations

import json
import logging
from datetime import datetime, timedelta, timezone

import pytest
from airflow.sdk import DAG, task

from airflow_provider_voice.operators.make_call import MakeCallOperator
from airflow_provider_voice.sensors.call_status import CallStatusSensor

pytestmark = pytest.mark.airflow
NUMBER = "+14155552601"
MODES = {"sync": {"deferrable": False}, "deferred": {"deferrable": True}}


def make_dag(name: str) -> DAG:
    return DAG(name, schedule=None, start_date=datetime(2026, 1, 1, tzinfo=timezone.utc))


def rendered_fields(dag_id: str) -> str:
    from airflow.models.renderedtifields import RenderedTaskInstanceFields
    from airflow.utils.session import create_session

    with create_session() as session:
        rows = session.query(RenderedTaskInstanceFields).filter_by(dag_id=dag_id)
        return json.dumps([row.rendered_fields for row in rows])


@pytest.mark.parametrize("mode", MODES)
def test_a_call_that_a_template_rendered_to_text_is_found_and_never_shown(
    fast_sandbox, connect, run_dag, caplog, capfd, mode
) -> None:
    connect(fast_sandbox)
    dag_id = f"text_{mode}"
    with caplog.at_level(logging.DEBUG), make_dag(dag_id) as dag:
        ring = MakeCallOperator(task_id="ring", to=NUMBER)
        common = {"poke_interval": 0.3, "soft_fail": False, **MODES[mode]}
        texts = {
            "repr": "{{ ti.xcom_pull(task_ids='ring') }}",
            "json": "{{ ti.xcom_pull(task_ids='ring') | tojson }}",
            "list": "[{{ ti.xcom_pull(task_ids='ring') }}]",
            "call_id": "{{ ti.xcom_pull(task_ids='ring', key='call_id') }}",
        }
        for name, text in texts.items():
            ring >> CallStatusSensor(task_id=name, call=text, **common)
        no_call = "Call {{ ti.xcom_pull(task_ids='ring') }}"
        ring >> CallStatusSensor(task_id="no_call", call=no_call, retries=3, retry_delay=timedelta(0), **common)
        run = run_dag(dag)
    assert {name: run.states[name] for name in texts} == {name: ["success"] for name in texts}
    assert run.states["no_call"] == ["failed"]
    assert run.result("repr")["to"] == run.result("json")["to"] == run.result("list")[0]["to"] == NUMBER
    shown = caplog.text + "".join(capfd.readouterr()) + rendered_fields(dag_id)
    assert "+1415•••••01" in json.dumps(shown, ensure_ascii=False).replace("\\\\u2022", "•").replace("\\u2022", "•")
    assert NUMBER.lstrip("+") not in shown


@pytest.mark.parametrize("mode", MODES)
def test_an_empty_list_and_a_wrong_call(fast_sandbox, connect, run_dag, mode) -> None:
    connect(fast_sandbox)
    with make_dag(f"empty_{mode}") as dag:

        @task
        def no_calls() -> list[dict]:
            return []

        @task
        def numbers() -> list[str]:
            return [NUMBER]

        calls = no_calls()
        for on_empty in ("skip", "succeed", "fail"):
            CallStatusSensor(task_id=on_empty, call=calls, on_empty=on_empty, retries=3, **MODES[mode])
        # Constructed in the worker: a refusal by the constructor is not tried again.
        CallStatusSensor.partial(task_id="mapped", retries=3, **MODES[mode]).expand(call=numbers())
    run = run_dag(dag)
    states = {name: run.states[name] for name in ("skip", "succeed", "fail", "mapped")}
    assert states == {"skip": ["skipped"], "succeed": ["success"], "fail": ["failed"], "mapped": ["failed"]}
    assert run.result("succeed") == []
