"""``VoiceCallNotifier``: refused arguments, the values of a ring, how long it stays, and that it never raises."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from airflow.sdk.definitions.deadline import AsyncCallback, DeadlineAlert, DeadlineReference

from airflow_provider_voice.exceptions import InvalidPhoneNumber, InvalidRequest
from airflow_provider_voice.notifications import voice_call
from airflow_provider_voice.notifications.voice_call import VoiceCallNotifier
from airflow_provider_voice.outreach import escalation
from airflow_provider_voice.sandbox import Sandbox

DONE, BUSY, SILENT = "+14155552601", "+14155552602", "+14155552606"
DEADLINE = {"dag_run": {"dag_id": "etl", "dag_run_id": "r1"}, "deadline": {"id": "1", "deadline_time": "now"}}


def failed(dag: str = "etl", run: str = "r1", task: str | None = "load") -> dict[str, object]:
    """Return the context of a callback, of a task or of a DAG, as far as the notifier reads it."""
    ti = SimpleNamespace(dag_id=dag, run_id=run, task_id=task)
    more = {"ti": ti} if task else {"reason": "task_failure"}
    # As in `airflow dags test`: a serialized DAG makes no template environment.
    serialized = SimpleNamespace(dag_id=dag, render_template_as_native_obj=False)
    return {"dag": serialized, "run_id": run, **more}


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Sandbox]:
    """A sandbox behind ``voice_default``, and an Airflow home for the default ledger."""
    monkeypatch.setattr(escalation, "POLL_SECONDS", 0.05)
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path))
    with Sandbox(speed=600) as sandbox:
        monkeypatch.setenv("AIRFLOW_CONN_VOICE_DEFAULT", sandbox.connection_json("talkover"))
        yield sandbox


def rung(sandbox: Sandbox) -> list[str]:
    return [ring.number for ring in sandbox.rings]


def test_a_number_that_is_listed_twice_is_rung_once(world) -> None:
    written = [BUSY, "+1 (415) 555-2602", f"tel:{BUSY}", SILENT]
    ring = VoiceCallNotifier(to=written, agent_id="agent_sandbox", escalate_after=1, max_wait=60)
    ring(failed())
    assert rung(world) == [BUSY, SILENT]


@pytest.mark.parametrize(
    "arguments",
    [
        {"to": []},
        {"to": ""},
        {"to": " , "},
        {"to": 5},
        {"to": {"a": 1}},
        {"to": [DONE], "cooldown": 0},
        {"to": [DONE], "cooldown": 60, "escalate_after": 61},
        {"to": [DONE], "escalate_after": "soon"},
        {"to": [DONE], "success_statuses": ["ringing"]},
        {"to": [DONE], "max_wait": -1},
        {"to": [DONE], "voice_conn_id": ""},
        {"to": [DONE], "agent_id": 1.5},
        {"to": [DONE], "variables": ["name"]},
        {"to": [DONE], "dedup_key": 7},
    ],
)
def test_nonsense_is_refused_when_the_dag_is_parsed(arguments) -> None:
    with pytest.raises(InvalidRequest):
        VoiceCallNotifier(**arguments)


def test_a_number_that_is_none_is_refused_when_the_dag_is_parsed() -> None:
    with pytest.raises(InvalidPhoneNumber):
        VoiceCallNotifier(to=["+1415"])


def test_airflow_accepts_it_in_a_deadline_alert() -> None:
    alert = DeadlineAlert(
        DeadlineReference.DAGRUN_QUEUED_AT, timedelta(hours=1), AsyncCallback(VoiceCallNotifier, {"to": [DONE]})
    )
    assert alert.callback.path == "airflow_provider_voice.notifications.voice_call.VoiceCallNotifier"


def test_a_callback_places_one_call_and_returns_at_once(world) -> None:
    VoiceCallNotifier(to=[SILENT, DONE])(failed())
    assert rung(world) == [SILENT]


def test_the_call_says_what_failed(world) -> None:
    VoiceCallNotifier(to=[DONE])(failed(task=None))
    (call,) = world.calls("talkover")
    assert call.variables == {"dag_id": "etl", "run_id": "r1", "task_id": "", "reason": "task_failure"}


def test_templates_are_rendered_for_each_run_anew(world, monkeypatch) -> None:
    monkeypatch.setenv("AIRFLOW_VAR_ON_CALL", json.dumps([DONE, SILENT]))
    ring = VoiceCallNotifier(to="{{ var.json.on_call }}", variables={"run": "{{ run_id }}"}, dedup_key="{{ run_id }}")
    for run in ("r1", "r2", "r2"):
        ring(failed(run=run))
    assert rung(world) == [DONE, DONE]
    assert [call.variables for call in world.calls("talkover")] == [{"run": "r1"}, {"run": "r2"}]
    assert ring.to == "{{ var.json.on_call }}"


def test_a_variable_with_a_default(world, monkeypatch) -> None:
    # Outside of its processes Airflow 3.1 cannot tell a missing Variable from one that it cannot read.
    monkeypatch.setattr(voice_call.Variable, "get", lambda _, default, deserialize_json: default)
    VoiceCallNotifier(to="{{ var.json.get('nobody_set_it', ['" + DONE + "']) }}")(failed())
    assert rung(world) == [DONE]


def test_the_numbers_stay_out_of_the_context_of_other_callbacks(world) -> None:
    context = failed()
    VoiceCallNotifier(to=[DONE])(context)
    assert set(context) == set(failed())


def test_a_callback_of_the_task_and_one_of_the_dag_ring_once(world) -> None:
    ring = VoiceCallNotifier(to=[DONE])
    ring(failed())
    ring(failed(task=None))
    ring(failed(task="other"))
    assert rung(world) == [DONE]
    ring(failed(run="r2"))
    VoiceCallNotifier(to=[BUSY])(failed())
    assert rung(world) == [DONE, DONE, BUSY]


def test_the_next_callback_goes_on_with_the_next_number(world) -> None:
    ring = VoiceCallNotifier(to=[SILENT, DONE], escalate_after=0.2)
    ring(failed())
    time.sleep(0.25)
    ring(failed(task=None))
    assert rung(world) == [SILENT, DONE]


def test_in_a_task_it_waits_as_long_as_it_is_told(world) -> None:
    VoiceCallNotifier(to=[SILENT, DONE], escalate_after=0.2, max_wait=timedelta(minutes=5))(failed())
    assert rung(world) == [SILENT, DONE]


def test_a_synchronous_deadline_alert_stays_until_somebody_answers(world) -> None:
    VoiceCallNotifier(to=[SILENT, DONE], escalate_after=0.2)(DEADLINE)
    assert rung(world) == [SILENT, DONE]


def test_an_asynchronous_one_does_not_block_the_event_loop(world) -> None:
    async def run() -> int:
        ticks = 0

        async def count_ticks() -> None:
            nonlocal ticks
            while True:
                await asyncio.sleep(0.01)
                ticks += 1

        ticking = asyncio.create_task(count_ticks())
        world.add_fault("slow", seconds=1)
        await VoiceCallNotifier(to=[SILENT, DONE], escalate_after=0.2, context=DEADLINE)
        ticking.cancel()
        return ticks

    assert asyncio.run(run()) >= 20
    assert rung(world) == [SILENT, DONE]


def test_a_triggerer_that_takes_over_goes_on(world) -> None:
    async def run() -> None:
        arguments = {"to": [SILENT, DONE], "escalate_after": 0.2, "context": DEADLINE}
        first = asyncio.ensure_future(VoiceCallNotifier(**arguments).async_notify(DEADLINE))
        while not world.rings:  # noqa: ASYNC110 - another thread rings, and it has no event of this loop
            await asyncio.sleep(0.01)
        first.cancel()
        await VoiceCallNotifier(**arguments)

    asyncio.run(run())
    assert rung(world) == [SILENT, DONE]


def test_a_number_that_cannot_be_dialed_is_left_out(world, caplog) -> None:
    VoiceCallNotifier(to="{{ 'nobody,' }}" + DONE)(failed())
    assert rung(world) == [DONE]
    assert "left out" in caplog.text


def test_variables_whose_template_fails_are_left_out(world, caplog) -> None:
    VoiceCallNotifier(to=[DONE], variables={"a": "{{ 1 / 0 }}", "b": SILENT})(failed())
    assert world.calls("talkover")[0].variables["dag_id"] == "etl"
    assert SILENT not in caplog.text


@pytest.mark.parametrize(
    "arguments",
    [
        {"voice_conn_id": "nobody_set_it"},
        {"ledger_conn_id": "nobody_set_it"},
        {"to": "{{ 1 / 0 }}"},
        {"to": [DONE, "{{ 1 / 0 }}"]},
        {"to": "{{ '' }}"},
        {"to": "{{ [] }}"},
        {"agent_id": "no_such_agent"},
    ],
)
@pytest.mark.parametrize("is_async", [False, True])
def test_nothing_is_raised_and_no_number_is_logged(world, caplog, arguments, is_async) -> None:
    caplog.set_level(logging.DEBUG, logger="airflow_provider_voice")
    given = {"to": [DONE], **arguments}
    if is_async:
        asyncio.run(_awaited(VoiceCallNotifier(**given, context=DEADLINE)))
    else:
        VoiceCallNotifier(**given)(failed())
    assert rung(world) == []
    assert "could not be raised" in caplog.text
    assert DONE not in caplog.text
    assert world.connection("talkover")["password"] not in caplog.text


async def _awaited(notifier: VoiceCallNotifier) -> None:
    await notifier


def test_bad_arguments_of_a_deadline_alert_are_logged_when_it_rings(world, caplog) -> None:
    asyncio.run(_awaited(VoiceCallNotifier(to=[DONE], cooldown=-1, context=DEADLINE)))
    assert "could not be raised" in caplog.text


def test_a_step_that_is_under_way_when_the_trigger_is_canceled_ends_before_its_connections_are_closed(
    world, monkeypatch, caplog
) -> None:
    events: list[str] = []
    began, may_end = threading.Event(), threading.Event()

    def step(self: object) -> float:
        began.set()
        may_end.wait(20)
        events.append("step ended")
        return 0.0

    monkeypatch.setattr(escalation.Escalation, "step", step)
    monkeypatch.setattr(escalation.Escalation, "close", lambda self: events.append("closed"))

    async def cancel_during_a_step() -> None:
        task = asyncio.create_task(_awaited(VoiceCallNotifier(to=[DONE], context=DEADLINE)))
        await asyncio.to_thread(began.wait, 20)
        task.cancel()
        asyncio.get_running_loop().call_later(0.05, may_end.set)
        with suppress(asyncio.CancelledError):
            await task

    asyncio.run(cancel_during_a_step())
    assert events == ["step ended", "closed"]
    assert "could not be raised" not in caplog.text


def test_a_passing_failure_is_tried_again(world, monkeypatch, caplog) -> None:
    slept: list[float] = []
    monkeypatch.setattr(voice_call.time, "sleep", lambda seconds: slept.append(seconds))
    monkeypatch.setattr(escalation.Escalation, "step", _steps([_passing(), _passing(), 1.0, None]))
    VoiceCallNotifier(to=[DONE], max_wait=600)(failed())
    assert slept == [5.0, 10.0, 1.0]
    assert DONE not in caplog.text


def test_a_failure_that_does_not_pass_ends_it(world, monkeypatch, caplog) -> None:
    monkeypatch.setattr(voice_call.time, "sleep", lambda _: None)
    monkeypatch.setattr(escalation.Escalation, "step", _steps([_passing() for _ in range(voice_call.TRIES)]))
    VoiceCallNotifier(to=[DONE], max_wait=600)(failed())
    assert "could not be raised" in caplog.text


def _passing() -> Exception:
    from airflow_provider_voice.exceptions import LedgerFailed

    return LedgerFailed(f"Another task is placing the call of call_key {DONE!r}.")


def _steps(results: list[object]):
    waiting = iter(results)

    def step(self: object) -> object:
        result = next(waiting)
        if isinstance(result, Exception):
            raise result
        return result

    return step


def test_a_long_key_is_shortened() -> None:
    keys = {voice_call._key("k" * length) for length in (10, 199, 300, 301)}
    assert len(keys) == 4
    assert max(map(len, keys)) <= 250


@pytest.mark.parametrize("key", ["", "None", " "])
def test_a_missing_key_is_not_shared_by_all_alarms(world, key) -> None:
    for run in ("r1", "r2"):
        VoiceCallNotifier(to=[DONE], dedup_key=key)(failed(run=run))
    assert rung(world) == [DONE, DONE]
