"""The operator and the sensor in a real Airflow, against the sandbox."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from datetime import datetime, timedelta, timezone

import pytest
from airflow.sdk import DAG, task

from airflow_provider_voice.exceptions import InvalidPhoneNumber, InvalidRequest
from airflow_provider_voice.hooks.voice import VoiceHook
from airflow_provider_voice.models import CallRef, CallRequest
from airflow_provider_voice.operators.make_call import MakeCallOperator
from airflow_provider_voice.sensors.call_status import CallStatusSensor
from airflow_provider_voice.triggers.call_status import CallStatusTrigger

pytestmark = pytest.mark.airflow
DONE, BUSY, FOREVER = "+14155552601", "+14155552602", "+14155552606"
START = datetime(2026, 1, 1, tzinfo=timezone.utc)
MODES = {"sync": {"deferrable": False}, "deferred": {"deferrable": True}}


def make_dag(name: str, **arguments) -> DAG:
    return DAG(name, schedule=None, start_date=START, **arguments)


def test_fire_and_forget_with_each_vendor(fast_sandbox, connect, run_dag, vendor_name) -> None:
    connect(fast_sandbox, vendor_name)
    with make_dag("fire") as dag:
        MakeCallOperator(task_id="ring", to=DONE, variables={"name": "Ada"})
    run = run_dag(dag)
    (ring,) = fast_sandbox.rings
    result = run.result("ring")
    assert run.state == "success"
    assert (result["id"], result["to"], result["how"], result["generation"]) == (ring.call_id, DONE, "placed", 1)
    assert result["vendor"] == vendor_name


@pytest.mark.parametrize("mode", MODES)
def test_waits_for_the_end(fast_sandbox, connect, run_dag, vendor_name, mode) -> None:
    connect(fast_sandbox, vendor_name)
    with make_dag(f"wait_{mode}") as dag:
        MakeCallOperator(task_id="ring", to=DONE, wait_for_completion=True, poll_interval=0.3, **MODES[mode])
    run = run_dag(dag)
    result = run.result("ring")
    assert (run.state, result["status"], result["to"]) == ("success", "completed", DONE)
    assert result["duration_seconds"] > 0
    assert fast_sandbox.rings_per_number() == {DONE: 1}


@pytest.mark.parametrize("mode", MODES)
def test_another_ending_fails_without_a_retry(fast_sandbox, connect, run_dag, mode) -> None:
    connect(fast_sandbox)
    with make_dag(f"busy_{mode}") as dag:
        MakeCallOperator(
            task_id="ring", to=BUSY, wait_for_completion=True, poll_interval=0.3, retries=3,
            retry_delay=timedelta(0), **MODES[mode],
        )  # fmt: skip
    assert run_dag(dag).states == {"ring": ["failed"]}
    assert fast_sandbox.rings_per_number() == {BUSY: 1}


def test_a_timeout_fails_and_hangs_nobody_up(fast_sandbox, connect, run_dag) -> None:
    connect(fast_sandbox)
    for mode, how in MODES.items():
        with make_dag(f"timeout_{mode}") as dag:
            MakeCallOperator(task_id="ring", to=FOREVER, wait_for_completion=True, poll_interval=0.2, timeout=1, **how)
        assert run_dag(dag).state == "failed"
    assert not [request for request in fast_sandbox.requests if request.operation == "end"]


@pytest.mark.parametrize("mode", MODES)
def test_execution_timeout_ends_the_call(fast_sandbox, connect, run_dag, mode) -> None:
    connect(fast_sandbox)
    with make_dag(f"execution_{mode}") as dag:
        MakeCallOperator(
            task_id="ring", to=FOREVER, wait_for_completion=True, poll_interval=0.2,
            execution_timeout=timedelta(seconds=2), end_call_on_kill=True, **MODES[mode],
        )  # fmt: skip
    assert run_dag(dag).state == "failed"
    assert [request.operation for request in fast_sandbox.requests].count("end") == 1


def test_mapped_templated_and_chained(fast_sandbox, connect, run_dag) -> None:
    connect(fast_sandbox)
    with make_dag("mapped", params={"name": "Ada"}) as dag:

        @task
        def contacts() -> list[dict]:
            return [{"to": DONE}, {"to": "(415) 555-2603", "region": "US"}, {"to": BUSY}]

        ring = MakeCallOperator.partial(task_id="ring", variables={"name": "{{ params.name }}"}).expand_kwargs(
            contacts()
        )
        wait = CallStatusSensor.partial(task_id="wait", poke_interval=0.3).expand(call=ring.output)
        together = CallStatusSensor(task_id="together", call=ring.output, poke_interval=0.3)

        @task
        def statuses(calls: list[dict]) -> list[str]:
            return [call["status"] for call in calls]

        statuses.override(task_id="each")(wait.output)
        statuses.override(task_id="all")(together.output)
    run = run_dag(dag)
    assert run.state == "success"
    assert run.result("each") == run.result("all") == ["completed", "no_answer", "busy"]
    assert [call.variables for call in fast_sandbox.calls("talkover")] == [{"name": "Ada"}] * 3
    assert set(fast_sandbox.rings_per_number().values()) == {1}


def test_a_bad_row_of_a_mapped_task_fails_at_once_and_the_others_are_called(fast_sandbox, connect, run_dag) -> None:
    connect(fast_sandbox)
    constructed = []

    class Counted(MakeCallOperator):
        def __init__(self, **arguments) -> None:
            constructed.append(arguments.get("to"))
            super().__init__(**arguments)

    with make_dag("bad_rows") as dag:

        @task
        def contacts() -> list[dict]:
            return [{"to": DONE}, {"to": "+1415"}, {"to": BUSY, "is_testing": "perhaps"}, {"to": [BUSY]}]

        Counted.partial(task_id="ring", retries=2, retry_delay=timedelta(0)).expand_kwargs(contacts())
    run = run_dag(dag)
    assert run.states["ring"] == ["success", "failed", "failed", "failed"]
    assert fast_sandbox.rings_per_number() == {DONE: 1}
    assert constructed.count("+1415") == 1


def test_the_values_of_mapped_tasks_are_masked_also_with_braces_in_them(fast_sandbox, connect, run_dag) -> None:
    from airflow.sdk.execution_time.task_runner import _serialize_rendered_fields

    connect(fast_sandbox)
    shown = []

    class Shown(MakeCallOperator):
        def execute(self, context) -> dict:
            shown.append(str(_serialize_rendered_fields(self)))
            return super().execute(context)

    with make_dag("braces", params={"to": DONE}) as dag:

        @task
        def people() -> list[dict]:
            return [{"name": "Ada {{ nickname }}"}]

        Shown.partial(task_id="ring", to="{{ params.to }}").expand(variables=people())
    assert run_dag(dag).state == "success"
    assert [call.variables for call in fast_sandbox.calls("talkover")] == [{"name": "Ada {{ nickname }}"}]
    assert len(shown) == 1
    assert not {"Ada", DONE} & set(shown[0].replace("'", " ").split())


@pytest.mark.parametrize("mode", [{"mode": "poke"}, {"mode": "reschedule"}, {"deferrable": True}], ids=str)
def test_sensor_modes(fast_sandbox, connect, run_dag, vendor_name, mode) -> None:
    connect(fast_sandbox, vendor_name)
    with make_dag("sense") as dag:
        ring = MakeCallOperator(task_id="ring", to=DONE)
        CallStatusSensor(task_id="wait", call=ring.output, poke_interval=0.5, timeout=60, **mode)
    run = run_dag(dag)
    assert run.state == "success"
    assert run.result("wait")["status"] == "completed"
    assert run.result("wait")["to"] == DONE


@pytest.mark.parametrize("mode", MODES)
def test_sensor_expectations_and_soft_fail(fast_sandbox, connect, run_dag, mode) -> None:
    connect(fast_sandbox)
    with make_dag(f"expect_{mode}") as dag:
        ring = MakeCallOperator(task_id="ring", to=BUSY)
        common = {"call": ring.output, "poke_interval": 0.3, "retries": 2, "retry_delay": timedelta(0), **MODES[mode]}
        CallStatusSensor(task_id="any", **common)
        CallStatusSensor(task_id="busy", expected_statuses=["busy", "no_answer"], **common)
        CallStatusSensor(task_id="strict", expected_statuses=["completed"], **common)
        CallStatusSensor(task_id="soft", expected_statuses=["completed"], soft_fail=True, **common)
        CallStatusSensor(task_id="unknown", soft_fail=True, grace_period=0.1, **{**common, "call": "no-such-call"})
    states = {name: state for name, (state,) in run_dag(dag).states.items()}
    assert states == {
        "ring": "success", "any": "success", "busy": "success", "strict": "failed", "soft": "skipped", "unknown": "skipped",
    }  # fmt: skip


@pytest.mark.parametrize("mode", MODES)
def test_a_refused_token_is_never_a_skip(fast_sandbox, connect, run_dag, mode) -> None:
    connect(fast_sandbox, password="wrong-token")
    with make_dag(f"token_{mode}") as dag:
        for name in ("soft_fail", "never_fail"):
            CallStatusSensor(task_id=name, call="x", poke_interval=0.2, retries=2, **{name: True}, **MODES[mode])
    before = len(fast_sandbox.requests)
    assert run_dag(dag).states == {"soft_fail": ["failed"], "never_fail": ["failed"]}
    assert len(fast_sandbox.requests) - before == 2


def test_an_outage_is_waited_out(fast_sandbox, connect, run_dag) -> None:
    connect(fast_sandbox)
    fast_sandbox.add_fault("status", status=503, operation="list", times=7)
    with make_dag("outage") as dag:
        ring = MakeCallOperator(task_id="ring", to=DONE)
        CallStatusSensor(task_id="wait", call=ring.output, poke_interval=0.2)
    assert run_dag(dag).state == "success"


def test_no_number_and_no_token_in_any_log(fast_sandbox, connect, run_dag, caplog, capfd) -> None:
    connect(fast_sandbox)
    fast_sandbox.add_fault("status", status=503, operation="list", times=2)
    with caplog.at_level(logging.DEBUG), make_dag("quiet") as dag:
        ring = MakeCallOperator(task_id="ring", to=DONE, wait_for_completion=True, deferrable=True, poll_interval=0.3)
        CallStatusSensor(task_id="wait", call=ring.output, expected_statuses=["failed"], poke_interval=0.3)
        MakeCallOperator(task_id="bad", to="{{ '+1415' ~ '5552' }}")
        assert run_dag(dag).state == "failed"
    shown = caplog.text + "".join(capfd.readouterr())
    assert "4155552601" not in shown
    assert fast_sandbox.connection("talkover")["password"] not in shown
    assert "+1415•••••01" in shown


@pytest.mark.parametrize(
    "arguments",
    [
        {"delay_seconds": 9999},
        {"on_clear": "ring"},
        {"stale_run": "maybe"},
        {"success_statuses": []},
        {"success_statuses": ["hung up"]},
        {"success_statuses": ["ringing"]},
        {"wait_for_completion": True, "redial_statuses": ["completed"]},
        {"redial_statuses": ["busy"]},
        {"max_run_age": 0},
        {"redial_when_absent_for": timedelta(minutes=14)},
        {"redial_when_absent_for": timedelta(0)},
        {"poll_interval": 0},
        {"timeout": -1},
        {"variables": {"when": START}},
    ],
)
def test_what_can_be_known_is_refused_when_the_dag_is_parsed(arguments) -> None:
    with make_dag("parse"), pytest.raises(InvalidRequest):
        MakeCallOperator(task_id="ring", to=DONE, **arguments)


def test_numbers_are_checked_when_the_dag_is_parsed_and_templates_are_not() -> None:
    with make_dag("numbers"):
        for task_id, number in {"short": "+1415", "country": "+99912345678", "letters": "nobody"}.items():
            with pytest.raises(InvalidPhoneNumber):
                MakeCallOperator(task_id=task_id, to=number)
        MakeCallOperator(task_id="templated", to="{{ params.to }}")
        MakeCallOperator(task_id="local", to="(415) 555-2601")
        with pytest.raises(InvalidRequest):
            CallStatusSensor(task_id="wait", call="x", expected_statuses=["ringing"])


def test_a_kill_hangs_up_where_the_vendor_can(sandbox, connect, vendor_name) -> None:
    connect(sandbox, vendor_name)
    for end in (True, False):
        operator = MakeCallOperator(task_id="ring", to=FOREVER, end_call_on_kill=end)
        operator.on_kill()  # before there is a call: nothing to end, and nobody will be rung
        assert operator._killed
        operator._placed = operator.hook.make_call(CallRequest(FOREVER))
        operator.on_kill()
    ends = [request for request in sandbox.requests if request.operation == "end"]
    assert len(ends) == (vendor_name == "talkover")


@pytest.mark.once  # Airflow calls a trigger's on_kill from 3.3 on
def test_a_kill_of_a_deferred_task_hangs_up_too(sandbox, connect, vendor_name) -> None:
    connect(sandbox, vendor_name)
    for end in (True, False):
        ref = CallRef.of(VoiceHook.for_connection().make_call(CallRequest(DONE)))
        trigger = CallStatusTrigger(
            voice_conn_id="voice_default", calls=[ref.to_dict()], deadline=time.time() + 60, end_call_on_kill=end
        )
        asyncio.run(trigger.on_kill())
    ends = [request for request in sandbox.requests if request.operation == "end"]
    assert len(ends) == (vendor_name == "talkover")


def test_trigger_arguments_are_json_without_a_number(sandbox, connect) -> None:
    connect(sandbox)
    ref = CallRef.of(VoiceHook.for_connection().make_call(CallRequest(DONE)))
    trigger = CallStatusTrigger(voice_conn_id="voice_default", calls=[ref.to_dict()], deadline=time.time() + 60)
    path, arguments = trigger.serialize()
    assert CallStatusTrigger(**json.loads(json.dumps(arguments))).serialize() == (path, arguments)
    assert "4155552601" not in json.dumps(arguments) + repr(trigger)
