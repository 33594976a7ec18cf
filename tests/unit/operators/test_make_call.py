"""The arguments of MakeCallOperator: refused and accepted values, and the texts that Airflow may show of them."""

from __future__ import annotations

import json
import math
from collections import OrderedDict
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest
import time_machine
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException, AirflowTaskTimeout, TaskDeferred
from airflow.sdk.bases.operator import ExecutorSafeguard
from hypothesis import example, given, settings
from hypothesis import strategies as st

from airflow_provider_voice.dialing.dialer import DialedCall
from airflow_provider_voice.exceptions import InvalidPhoneNumber, InvalidRequest, NotAllowedNow
from airflow_provider_voice.models import Call, CallStatus
from airflow_provider_voice.operators import make_call
from airflow_provider_voice.operators.make_call import MakeCallOperator
from airflow_provider_voice.phone import mask_number
from airflow_provider_voice.policy import ContactPolicy
from airflow_provider_voice.triggers import call_status
from airflow_provider_voice.utils.masking import plain
from tests.unit.triggers.test_call_status import wait_with

NUMBER = "+14155552601"
CIRCULAR: dict[str, Any] = {}
CIRCULAR["itself"] = [CIRCULAR]
NOW = datetime.now(timezone.utc)
CONTEXT: Any = {
    "ti": mock.MagicMock(),
    "dag_run": SimpleNamespace(run_id="r", run_type="manual", run_after=NOW, start_date=NOW, clear_number=0),
}


@pytest.fixture(autouse=True)
def connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_VOICE_DEFAULT", json.dumps({"conn_type": "talkover", "password": "t" * 20}))


class Hostile:
    """A value whose texts cannot be had."""

    def __repr__(self) -> str:
        raise RuntimeError("no text")

    __str__ = __repr__


ODD = [
    None, True, False, 0, -1, 1.5, 10**30, 10**5000, math.inf, -math.inf, math.nan, "", " ", "x", "\x00", "1e9",
    NUMBER, 14155552601, [NUMBER], (NUMBER,), {NUMBER}, {"to": NUMBER}, {1: 2}, {"a": math.nan}, {"a": {1, 2}}, CIRCULAR,
    b"bytes", object(), Hostile(), [Hostile()], Decimal("NaN"), datetime.now(timezone.utc), timedelta(0), timedelta.max,
    timedelta.min, -timedelta(days=1), Path("x"), CallStatus.BUSY, CallStatus.RINGING, [None], [["busy"]], {"busy": 1},
    "busy", ["busy"], OrderedDict(a=1), range(3), (item for item in "abc"), print, MakeCallOperator, "٣", "²", ["²"],
]  # fmt: skip
ARGUMENTS = [
    "to", "agent_id", "variables", "context", "delay_seconds", "is_testing", "voice_conn_id", "region",
    "wait_for_completion", "deferrable", "poll_interval", "timeout", "success_statuses", "redial_statuses", "on_clear",
    "stale_run", "max_run_age", "redial_when_absent_for", "end_call_on_kill", "policy", "time_zone", "jurisdiction",
    "when_closed", "call_key", "ledger_conn_id", "subject",
]  # fmt: skip
VALUES = st.one_of(
    st.sampled_from(ODD), st.text(max_size=20), st.integers(), st.floats(), st.timedeltas(), st.binary(max_size=5),
    st.recursive(st.one_of(st.none(), st.text(max_size=5), st.integers(), st.floats()), lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.one_of(st.text(max_size=5), st.integers()), inner, max_size=3)
    ), max_leaves=5),
)  # fmt: skip


def make(**arguments: Any) -> MakeCallOperator:
    return MakeCallOperator(**{"task_id": "ring", "to": NUMBER, **arguments})


@given(argument=st.sampled_from(ARGUMENTS), value=VALUES, also=st.sampled_from(ARGUMENTS), other=VALUES)
@settings(max_examples=400)
def test_a_bad_argument_raises_an_error_of_ours_and_nothing_else(
    argument: str, value: Any, also: str, other: Any
) -> None:
    try:
        make(**{argument: value, also: other})
    except (InvalidRequest, InvalidPhoneNumber) as error:
        assert "4155552601" not in error.message


@pytest.mark.parametrize("argument", ARGUMENTS)
@pytest.mark.parametrize("value", ODD, ids=lambda value: type(value).__name__)
def test_every_odd_value_in_every_argument(argument: str, value: Any) -> None:
    try:
        made = make(**{argument: value})
    except (InvalidRequest, InvalidPhoneNumber) as error:
        assert "4155552601" not in error.message
        assert isinstance(error, AirflowFailException)
    else:
        # Whatever was accepted can be shown: Airflow serializes the template fields.
        assert "4155552601" not in str([str(getattr(made, name)) for name in ("to", "variables", "context")])


@pytest.mark.parametrize(
    ("value", "meant"),
    [
        (True, True), ("True", True), ("TRUE", True), (" true", True), ("yes", True), ("1", True), (1, True), ("on", True),
        (False, False), ("False", False), ("no", False), ("0", False), (0, False), (" OFF ", False),
    ],
)  # fmt: skip
def test_is_testing_is_understood(value: Any, meant: bool) -> None:
    assert make(is_testing=value)._request().is_testing is meant


@pytest.mark.parametrize("value", ["", "maybe", "2", 2, 1.0, None, [], "Truee", "{{ x }} "])
def test_what_is_not_understood_places_no_billed_call(value: Any) -> None:
    with pytest.raises(InvalidRequest, match="is_testing"):
        make(is_testing=value)._request()


@pytest.mark.parametrize("value", [90, "90", " 90 ", 90.0, timedelta(seconds=90)])
def test_a_delay_is_a_duration(value: Any) -> None:
    assert make(delay_seconds=value)._request().delay_seconds == 90


def test_durations_are_timedeltas_or_seconds() -> None:
    made = make(
        poll_interval=timedelta(minutes=1), timeout=60, max_run_age=3600, redial_when_absent_for=timedelta(hours=1)
    )
    assert (made.poll_interval, made.timeout, made.max_run_age) == (60.0, 60.0, timedelta(hours=1))


@pytest.mark.parametrize("value", [1, timedelta(minutes=14), 899.9])
def test_nobody_is_rung_again_before_the_vendor_must_have_shown_the_call(value: Any) -> None:
    with pytest.raises(InvalidRequest, match="redial_when_absent_for"):
        make(redial_when_absent_for=value)
    assert make(redial_when_absent_for=900).redial_when_absent_for == timedelta(minutes=15)


def test_a_bad_argument_of_a_mapped_task_is_fatal_in_the_worker() -> None:
    """Airflow constructs a mapped operator in the worker, where it retries whatever is no AirflowFailException."""
    for arguments, error_class in (({"to": "+1415"}, InvalidPhoneNumber), ({"delay_seconds": 9999}, InvalidRequest)):
        with pytest.raises(error_class) as raised:
            make(**arguments)
        assert isinstance(raised.value, AirflowFailException)
        assert type(raised.value).__name__ == error_class.__name__
        assert raised.value.permanent


def test_rows_about_people_are_not_shown() -> None:
    made = make(variables={"name": "Ada", "phone": NUMBER, NUMBER: 1}, context={"order": [1, {"street": "Elm"}]})
    for name in ("to", "variables", "context"):
        value = getattr(made, name)
        for shown in (str(value), repr(value), json.dumps(value.serialize(), ensure_ascii=False)):
            assert not any(secret in shown for secret in ("Ada", "4155552601", "Elm"))
    assert str(made.to) == mask_number(NUMBER)
    assert made.variables.serialize()["name"] == "***"
    request = made._request()
    assert (request.to, request.variables["name"]) == (NUMBER, "Ada")
    assert request.context == {"order": [1, {"street": "Elm"}]}


@pytest.mark.parametrize("value", [[NUMBER], 14155552601, {"to": NUMBER}, (NUMBER,), 1.4155552601e10], ids=str)
def test_a_rendered_to_that_is_no_text_is_refused_and_not_shown(value: Any) -> None:
    made = make(to="{{ params.to }}")
    made.to = value
    assert "4155552601" not in str(made.to) + repr(made.to) + str(made.to.serialize())
    with pytest.raises(InvalidPhoneNumber, match="must be text") as error:
        made._request()
    assert "4155552601" not in error.value.message


@pytest.mark.parametrize("name", ["variables", "context"])
@pytest.mark.parametrize(
    "value", [f"{{'phone': '{NUMBER}'}}", [NUMBER], 14155552601, json.dumps({"to": NUMBER})], ids=str
)
def test_rendered_values_that_are_no_mapping_are_refused_and_not_shown(name: str, value: Any) -> None:
    """A template in a text renders to the text of a mapping, and Airflow would show it with everything in it."""
    made = make(**{name: "{{ params.row }}"})
    setattr(made, name, value)
    shown = getattr(made, name)
    assert "4155552601" not in str(shown) + repr(shown) + str(shown.serialize())
    with pytest.raises(InvalidRequest, match=f"{name} must be a mapping") as error:
        made._request()
    assert "4155552601" not in error.value.message


def test_airflow_stores_rendered_fields_without_them() -> None:
    from airflow.sdk.execution_time.task_runner import _serialize_rendered_fields

    made = make(variables={"name": "Ada"}, context={"phone": NUMBER}, agent_id=7)
    stored = _serialize_rendered_fields(made)
    assert (stored["to"], stored["variables"], stored["agent_id"]) == (mask_number(NUMBER), {"name": "***"}, 7)
    assert "4155552601" not in json.dumps(stored)
    assert "Ada" not in json.dumps(stored)


def test_templates_stay_what_they_are_until_they_are_rendered() -> None:
    made = make(to="{{ params.to }}", variables={"name": "{{ params.name }}"}, agent_id="{{ params.agent }}")
    assert made.to == "{{ params.to }}"
    assert made.variables == {"name": "{{ params.name }}"}
    made.render_template_fields({"params": {"to": NUMBER, "name": "Ada", "agent": 7}})
    assert (str(made.to), str(made.variables)) == (mask_number(NUMBER), "{'name': '***'}")
    assert made._request().agent_id == "7"


def test_rendered_values_with_braces_in_them_are_masked() -> None:
    """They are data, which is never rendered a second time."""
    values = {"name": "Ada {{ nickname }}", "note": f"{{% {NUMBER} %}}"}
    made = make(to="{{ params.to }}", variables={name: f"{{{{ params.{name} }}}}" for name in values})
    made.render_template_fields({"params": {"to": f"{NUMBER} {{{{", **values}})
    assert "4155552601" not in f"{made.to}{made.variables}"
    assert "Ada" not in str(made.variables)
    assert plain(made.variables) == values


@example(NUMBER)
@given(st.sampled_from(["+1 (415) 555-2601", "415-555-2601", NUMBER]))
def test_a_number_that_was_given_as_another_argument_is_masked(number: str) -> None:
    for argument in ("region", "on_clear", "stale_run", "success_statuses", "is_testing", "delay_seconds"):
        with pytest.raises(InvalidRequest) as error:
            make(**{argument: number, "to": NUMBER})
        assert "555-2601" not in error.value.message
        assert "5552601" not in error.value.message


def test_a_killed_task_is_retried_and_hangs_nobody_up() -> None:
    made = make()
    made.on_kill()
    with pytest.raises(AirflowException) as killed:
        made._dialer(CONTEXT, made._request()).before_ringing([])
    assert not isinstance(killed.value, AirflowFailException)
    assert not made.end_call_on_kill


def test_a_call_that_was_hung_up_stays_so_when_the_task_is_killed_again() -> None:
    made = make(end_call_on_kill=True)
    made.__dict__["hook"] = hook = mock.Mock()
    made._placed = Call("c7", "talkover", CallStatus.RINGING, to=NUMBER)
    hook.hang_up.side_effect = [True, False]
    for _ in range(2):
        made.on_kill()
    assert made._hung_up
    hook.hang_up.assert_called_once()


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"call_key": "k"}, "needs ledger_conn_id"),
        ({"call_key": "", "ledger_conn_id": "ledger"}, "call_key must be"),
        ({"call_key": "None", "ledger_conn_id": "ledger"}, "call_key must be"),
        ({"call_key": "k", "ledger_conn_id": ""}, "ledger_conn_id must be"),
        ({"call_key": "k", "ledger_conn_id": "ledger", "on_clear": "new_call"}, "another key"),
        ({"call_key": "k", "ledger_conn_id": "ledger", "end_call_on_kill": True}, "end_call_on_kill"),
        ({"subject": "invoices"}, "needs ledger_conn_id"),
    ],
)
def test_what_contradicts_a_key_is_refused(arguments: dict[str, Any], problem: str) -> None:
    with pytest.raises(InvalidRequest, match=problem):
        make(**arguments)


def test_a_key_and_a_ledger_are_templated_and_checked_when_they_are_rendered() -> None:
    made = make(call_key="{{ params.key }}", ledger_conn_id="{{ params.ledger }}")
    made.render_template_fields({"params": {"key": "", "ledger": ""}})
    with pytest.raises(InvalidRequest, match="call_key"):
        made._dialer(CONTEXT, made._request())
    made.call_key = "order 7"
    with pytest.raises(InvalidRequest, match="ledger_conn_id"):
        made._dialer(CONTEXT, made._request())


def test_a_number_in_a_key_is_masked() -> None:
    made = make(call_key=f"reminder {NUMBER}", ledger_conn_id="ledger")
    assert "4155552601" not in str(made.call_key) + repr(made.call_key) + str(made.call_key.serialize())
    assert make(call_key="invoice 7", ledger_conn_id="ledger").call_key == "invoice 7"


def test_a_wait_for_a_call_that_was_never_reported_names_the_call(monkeypatch) -> None:
    made = make(agent_id="a", wait_for_completion=True, deferrable=True)
    placed = Call("c7", "talkover", CallStatus.QUEUED, to=NUMBER)
    with pytest.raises(TaskDeferred) as deferred:
        made._defer(DialedCall(placed, "placed", 1))
    trigger = deferred.value.trigger
    trigger.deadline = 0
    monkeypatch.setattr(call_status, "_FIRST_POLL_SECONDS", 0.01)
    event = wait_with(trigger)
    assert event["timed_out"]
    with pytest.raises(AirflowFailException, match=r"1 call\(s\): c7 \(never reported\)"):
        made.execute_complete(CONTEXT, event)


def test_a_call_that_was_never_reported_is_hung_up_when_the_execution_timeout_passes(monkeypatch) -> None:
    ended = []
    monkeypatch.setattr(make_call.VoiceHook, "hang_up", lambda _hook, ref: ended.append(ref) or True)
    arguments = {"wait_for_completion": True, "deferrable": True, "end_call_on_kill": True}
    made = make(agent_id="a", execution_timeout=timedelta(seconds=1), **arguments)
    with pytest.raises(TaskDeferred) as deferred:
        made._defer(DialedCall(Call("c7", "talkover", CallStatus.QUEUED, to=NUMBER, agent_id="a"), "placed", 1))
    deferred.value.trigger.deadline = 0
    monkeypatch.setattr(call_status, "_FIRST_POLL_SECONDS", 0.01)
    event = wait_with(deferred.value.trigger)
    assert "4155552601" not in json.dumps(event)
    again = make(agent_id="a", execution_timeout=timedelta(seconds=1), **arguments)
    with pytest.raises(AirflowTaskTimeout):
        again.execute_complete(CONTEXT, event)
    again.on_kill()  # as Airflow does after this error
    assert [(call.id, call.agent_id) for call in ended] == [("c7", "a")]


@pytest.mark.parametrize(
    "arguments",
    [
        {"time_zone": "Asia/Tokyo"},
        {"time_zone": "{{ params.zone }}"},
        {"jurisdiction": "US-FL"},
        {"when_closed": "skip"},
    ],
    ids=str,
)
def test_arguments_that_only_a_policy_reads_are_refused_without_one(arguments: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest, match=r"Add policy=") as refused:
        make(**arguments)
    assert next(iter(arguments)) in refused.value.message
    assert make(policy="us", **arguments).policy is not None
    assert make(time_zone="", jurisdiction=None).policy is None


@pytest.mark.parametrize("arguments", [{"time_zone": "Mars/Base"}, {"jurisdiction": "XX-99"}], ids=str)
def test_a_zone_or_jurisdiction_that_does_not_exist_is_refused_at_parse(arguments: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest, match="does not exist"):
        make(policy="us", **arguments)


def test_a_subclass_may_template_less() -> None:
    class Ring(MakeCallOperator):
        template_fields = ("to",)

    assert Ring(task_id="ring", to=NUMBER).to == NUMBER
    with pytest.raises(InvalidRequest, match="agent_id"):
        Ring(task_id="ring", to=NUMBER, agent_id=["a"])


# 2 o'clock at night in Tokyo; the rules open at 9, which is midnight in UTC.
NIGHT = datetime(2026, 11, 24, 17, tzinfo=timezone.utc)
OPENS = datetime(2026, 11, 25, tzinfo=timezone.utc)
HOUR = timedelta(hours=1)


@pytest.fixture
def policy(tmp_path) -> ContactPolicy:
    rules = "rules:\n  - id: hours\n    hours: {mon-sun: ['09:00-17:00']}\n  - id: cap\n    at_most: {attempts: 1, hours: 2}\n"
    (tmp_path / "ours.yaml").write_text(f"title: Ours\nas_of: 2026-11-01\n{rules}")
    return ContactPolicy.load(str(tmp_path / "ours.yaml"))


def check_may_ring(policy: ContactPolicy, at: datetime, *attempts: datetime, **arguments: Any) -> None:
    made = make(policy=policy, time_zone="Asia/Tokyo", **arguments)
    run = SimpleNamespace(run_id="r", run_type="manual", run_after=NIGHT)
    with time_machine.travel(at, tick=False):
        made._check_may_ring({"dag_run": run}, made._request(), attempts)


def test_by_night_the_task_waits_until_the_hours_open(policy) -> None:
    with pytest.raises(TaskDeferred) as closed:
        check_may_ring(policy, NIGHT)
    assert closed.value.trigger.moment == OPENS
    check_may_ring(policy, OPENS)


def test_a_task_that_has_waited_goes_on_where_airflow_alone_may_call_execute(policy, monkeypatch) -> None:
    monkeypatch.setattr(ExecutorSafeguard, "test_mode", False)
    made = make(policy=policy, time_zone="Asia/Tokyo", allow_nested_operators=False)
    monkeypatch.setattr(made, "_dialer", mock.Mock(side_effect=TaskDeferred(trigger=mock.Mock(), method_name="again")))
    with pytest.raises(TaskDeferred):
        made.execute_when_open({}, event={})


def test_a_delayed_call_is_placed_so_that_it_rings_when_the_hours_open(policy) -> None:
    with pytest.raises(TaskDeferred) as closed:
        check_may_ring(policy, NIGHT, delay_seconds=3600)
    assert closed.value.trigger.moment == OPENS - HOUR
    check_may_ring(policy, OPENS - HOUR, delay_seconds=3600)


@pytest.mark.parametrize(
    "limit", [{"max_run_age": OPENS - HOUR - NIGHT}, {"when_closed": "fail"}, {"when_closed": "skip"}], ids=str
)
def test_a_task_that_may_not_wait_is_told_when_the_hours_open(policy, limit) -> None:
    with pytest.raises(NotAllowedNow) as refused:
        check_may_ring(policy, NIGHT, **limit)
    assert refused.value.next_at == OPENS


def test_attempts_count_also_those_of_a_machine_whose_clock_is_ahead(policy) -> None:
    at = OPENS + HOUR
    check_may_ring(policy, at, at - 3 * HOUR)
    for attempt in (at - HOUR, at + HOUR):
        with pytest.raises(TaskDeferred) as closed:
            check_may_ring(policy, at, attempt)
        assert closed.value.trigger.moment == min(attempt, at) + 2 * HOUR
