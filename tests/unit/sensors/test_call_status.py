"""The arguments of CallStatusSensor, and its waits in each mode."""

from __future__ import annotations

import json
import logging
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import (
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    AirflowTaskTimeout,
    TaskDeferred,
)
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_voice.exceptions import (
    AuthenticationFailed,
    CallNotCompleted,
    CallNotFound,
    InvalidRequest,
    VendorUnavailable,
)
from airflow_provider_voice.models import Call, CallStatus
from airflow_provider_voice.sensors.call_status import CallStatusSensor

NUMBER = "+14155552671"
RESULT = {"id": "call_1", "to": NUMBER, "from": "+14155550100", "status": "queued", "vendor": "talkover", "tag": NUMBER}


class Hook:
    """Answers polls from a script: each entry is the status of every call, or an error."""

    def __init__(self, *script: Any) -> None:
        self.script, self.polls = list(script), []

    def get_calls(self, refs: Any) -> dict[str, Call]:
        self.polls.append([ref.id for ref in refs])
        status = self.script.pop(0)
        if isinstance(status, Exception):
            raise status
        return {ref.id: Call(ref.id, "talkover", CallStatus(status), to=ref.to) for ref in refs}


def sensor(call: Any = RESULT, *script: Any, **arguments: Any) -> CallStatusSensor:
    made = CallStatusSensor(task_id="wait", call=call, **arguments)
    made.__dict__["hook"] = Hook(*script)
    return made


ODD = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.just(NUMBER), st.binary(max_size=3),
    st.just(10**5000), st.just(timedelta.max), st.timedeltas(), st.just([NUMBER]), st.just({NUMBER: 1}), st.just({NUMBER}), st.builds(object),
    st.sampled_from([["completed"], ("busy", CallStatus.FAILED), ["ringing"], "completed", [], [None], float("inf"), "skip", "poke"]),
)  # fmt: skip
ARGUMENTS = (
    "call", "voice_conn_id", "expected_statuses", "on_empty", "grace_period", "tolerated_outage", "poke_interval", "timeout",
    "mode", "deferrable",
)  # fmt: skip


@given(st.dictionaries(st.sampled_from(ARGUMENTS), ODD, max_size=3))
def test_odd_arguments_are_refused_with_invalid_request_and_nothing_else(arguments) -> None:
    try:
        CallStatusSensor(task_id="wait", **{"call": "call_1", **arguments})
    except InvalidRequest as refused:
        assert "5552671" not in str(refused)


@pytest.mark.parametrize("name", ["grace_period", "tolerated_outage", "poke_interval", "timeout"])
def test_durations_are_seconds_or_a_timedelta(name) -> None:
    assert sensor(**{name: timedelta(minutes=2)}).__dict__[name] in (120.0, timedelta(minutes=2))
    assert sensor(**{name: 120}).__dict__[name] in (120.0, timedelta(minutes=2))
    for value in (float("inf"), float("nan"), -1, timedelta(seconds=-1), "5", True, timedelta.max, 10**400):
        with pytest.raises(InvalidRequest, match=name):
            sensor(**{name: value})


@pytest.mark.parametrize("deferrable", [False, True])
@pytest.mark.parametrize("empty", [[], (), "[]", "{{ nothing }}"])
def test_an_empty_list_skips_succeeds_or_fails(deferrable, empty) -> None:
    def made(**arguments: Any) -> CallStatusSensor:
        task = sensor(empty, deferrable=deferrable, **arguments)
        if empty == "{{ nothing }}":
            task.call = []  # as Airflow does with a rendered field
        return task

    with pytest.raises(AirflowSkipException):
        made().execute({})
    assert made(on_empty="succeed").execute({}) == []
    with pytest.raises(AirflowFailException, match="empty"):
        made(on_empty="fail").execute({})
    with pytest.raises(AirflowSkipException):
        made(on_empty="fail", soft_fail=True).execute({})


@pytest.mark.parametrize("text", [repr(RESULT), json.dumps(RESULT)])
def test_a_call_as_text_is_polled_and_shown_nowhere(text, caplog) -> None:
    """A template renders to the text of a call, with its numbers."""
    task = sensor("{{ ti.xcom_pull(task_ids='ring') }}", VendorUnavailable("away"), "ringing", deferrable=True)
    task.call = text
    with caplog.at_level(logging.DEBUG), pytest.raises(TaskDeferred) as deferred:
        task.execute({})
    shown = [
        caplog.text,
        str(task.call),
        repr(task.call),
        json.dumps(task.call.serialize()),
        repr(deferred.value.trigger),
    ]
    assert "5552671" not in "".join(shown)
    assert "5550100" not in "".join(shown)
    task.deferrable, task.hook.script = False, ["completed"]
    assert task.execute({})["to"] == NUMBER


def test_text_that_is_no_call_fails_at_once_without_repeating_it() -> None:
    with pytest.raises(InvalidRequest) as refused:
        sensor(f"Call(to='{NUMBER}')")
    assert "5552671" not in str(refused.value)
    task = sensor("{{ ti.xcom_pull(task_ids='ring') }}")
    task.call = f"<LazySequence {NUMBER}>"
    with pytest.raises(AirflowFailException) as failed:
        task.execute({})
    assert "5552671" not in f"{failed.value}{task.call!r}"
    assert not task.hook.polls


def event_of(*statuses: str, **more: Any) -> dict[str, Any]:
    calls = [Call(f"call_{number}", "talkover", CallStatus(status)) for number, status in enumerate(statuses, 1)]
    memo = {"cut_short": False}
    return {"calls": [call.to_dict() for call in calls], "error": None, "timed_out": False, "memo": memo, **more}


def test_a_list_is_judged_by_the_endings_of_the_event() -> None:
    calls = ["call_1", "call_2"]
    over = sensor(calls, deferrable=True).execute_complete({}, event_of("busy", "busy"))
    assert [call["status"] for call in over] == ["busy", "busy"]
    unexpected = sensor(calls, deferrable=True, expected_statuses=["completed"])
    with pytest.raises(AirflowFailException, match="ended as busy"):
        unexpected.execute_complete({}, event_of("completed", "busy"))


@pytest.mark.parametrize(("cut_short", "failure"), [(False, AirflowSensorTimeout), (True, AirflowTaskTimeout)])
def test_calls_that_did_not_end_in_time_are_a_timeout(cut_short: bool, failure: type[Exception]) -> None:
    error = CallNotCompleted("Not ended within the timeout: call call_1 (ringing).").to_dict()
    event = event_of("ringing", error=error, timed_out=True, memo={"cut_short": cut_short})
    with pytest.raises(failure):
        sensor(deferrable=True).execute_complete({}, event)


def test_a_template_in_a_list_of_statuses_is_checked_when_it_is_rendered() -> None:
    task = sensor("call_1", "busy", expected_statuses=["{{ params.status }}"])
    task.expected_statuses = ["no_answer"]  # as Airflow does with a rendered field
    with pytest.raises(AirflowFailException, match="ended as busy"):
        task.execute({})


def test_calls_are_left_to_the_shared_poll() -> None:
    """A thousand mapped sensors would otherwise send a thousand requests before they wait."""
    for call in ("call_1", RESULT, [RESULT], ["call_1", "call_2"]):
        task = sensor(call, deferrable=True)
        with pytest.raises(TaskDeferred):
            task.execute({})
        assert not task.hook.polls


@pytest.mark.parametrize("skip", [{"soft_fail": True}, {"never_fail": True}])
def test_a_refused_token_is_never_turned_into_a_skip(skip) -> None:
    refused = AuthenticationFailed("HTTP 401")
    with pytest.raises(AirflowFailException):
        sensor("call_1", refused, **skip).execute({})
    deferred, event = sensor("call_1", deferrable=True, **skip), event_of("queued", error=refused.to_dict())
    with pytest.raises(AirflowFailException):
        deferred.resume_execution("execute_complete", {"event": event}, {})


def test_a_call_that_is_not_found_may_be_a_skip() -> None:
    deferred = sensor("call_1", deferrable=True, soft_fail=True)
    event = event_of("queued", error=CallNotFound("no such call").to_dict())
    with pytest.raises(AirflowSkipException):
        deferred.resume_execution("execute_complete", {"event": event}, {})


def test_the_deadline_is_the_shorter_of_timeout_and_execution_timeout() -> None:
    for execution_timeout, cut_short in ((timedelta(seconds=5), True), (timedelta(hours=5), False), (None, False)):
        task = sensor(deferrable=True, timeout=60, execution_timeout=execution_timeout)
        with pytest.raises(TaskDeferred) as deferred:
            task.execute({})
        assert deferred.value.trigger.memo == {"cut_short": cut_short}


def test_reschedule_keeps_the_state_between_two_pokes() -> None:
    store: dict[str, Any] = {}

    class Store:
        get, set = store.get, store.__setitem__

    def poke(try_number: int) -> Any:
        task = sensor(RESULT, VendorUnavailable("away"), mode="reschedule", tolerated_outage=3600)
        return task.poke({"task_state_store": Store, "ti": SimpleNamespace(try_number=try_number)})

    assert poke(1) is False
    store["voice_watch_1"]["failing_since"] -= 3500
    assert poke(1) is False
    store["voice_watch_1"]["failing_since"] -= 100
    with pytest.raises(VendorUnavailable):
        poke(1)
    assert poke(2) is False  # a retry waits anew, as in the other modes
