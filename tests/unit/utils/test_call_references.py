from __future__ import annotations

import json
import re

import pytest
from airflow.sdk import BaseOperator
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_voice.exceptions import InvalidRequest
from airflow_provider_voice.models import Call, CallRef, CallStatus
from airflow_provider_voice.utils.call_references import call_refs, masked_calls
from airflow_provider_voice.utils.validation import is_literal
from tests.unit.utils.test_call_arguments import set_in_a_field

NUMBER = "+14155552671"
CALL = Call("call_1", "talkover", CallStatus.QUEUED, to=NUMBER, from_="+14155550100", agent_id="agent_1").to_dict()
FORMS = {
    "dict": CALL,
    "repr": repr(CALL),
    "json": json.dumps(CALL),
    "indented": f"\n  {json.dumps(CALL, indent=2)}\n",
    "reference": CallRef("call_1", to=NUMBER),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_call_in_any_form_is_found_and_shown_masked(form) -> None:
    masked = masked_calls(FORMS[form])
    (ref,) = call_refs(masked)
    assert (ref.id, ref.to) == ("call_1", NUMBER)
    if form != "reference":
        shown = f"{masked} {masked!r} {masked.serialize()}"
        assert "5552671" not in shown
        assert "5550100" not in shown
        assert "+1415•••••71" in shown


@pytest.mark.parametrize("text", [repr([CALL, "call_2"]), json.dumps([CALL, "call_2"]), [repr(CALL), "'call_2'"]])
def test_lists_of_calls_as_text(text) -> None:
    masked = masked_calls(text)
    assert isinstance(masked, list)
    assert [ref.id for ref in call_refs(masked)] == ["call_1", "call_2"]
    assert "5552671" not in repr(masked)
    assert call_refs("[]") == []


REFUSED_TEXTS = [
    NUMBER, f" {NUMBER} ", "(415) 555-2671", "1 415 555 2671", f"{{'id': '{NUMBER}'}}", f"{{'to': '{NUMBER}'}}", f"Call(to='{NUMBER}')",
    f"{{'to': '{NUMBER}', ", f"LazySequence([{NUMBER}, ...])", "None", "null", "", "  ", "{}", "[" * 100_000, f"{{*'{NUMBER}'}}",
    f"[['{NUMBER}']]", "%2B14155552671", {"id": NUMBER}, {"to": NUMBER}, [[NUMBER]], [NUMBER],
]  # fmt: skip
REFUSED_OBJECTS = [b"call_1", NUMBER.encode(), 10**5000, {"id": 10**5000}, None, True, 1.5, object(), {1: 2}, [None]]


def test_a_value_that_is_no_call_is_refused_and_never_shown() -> None:
    for value in REFUSED_TEXTS:
        masked = masked_calls(value)
        with pytest.raises(InvalidRequest) as refused:
            call_refs(masked)
        assert "5552671" not in re.sub(r"\W", "", f"{refused.value} {masked!r}"), value
    for value in REFUSED_OBJECTS:
        with pytest.raises(InvalidRequest):
            call_refs(masked_calls(value))


def test_an_id_with_blanks_around_it_is_waited_for_as_the_vendor_wrote_it() -> None:
    (ref,) = call_refs([CallRef(" call_1 ").to_dict()])
    assert ref.id == " call_1 "
    for value in ({"id": f" {NUMBER}"}, {"id": "call 1"}):
        with pytest.raises(InvalidRequest):
            call_refs(value)


def test_trigger_arguments_hold_no_number_whatever_the_call_says() -> None:
    (ref,) = call_refs({"id": "call_1", "to": NUMBER, "tag": NUMBER, "agent_id": f"ask {NUMBER}", "placed_at": NUMBER})
    assert "5552671" not in json.dumps(ref.to_dict())


def test_templates_and_outputs_of_other_tasks_wait_for_their_values() -> None:
    output = BaseOperator(task_id="ring").output
    for value in ("{{ ti.xcom_pull(task_ids='ring') }}", output, ["call_1", output], {"id": "{{ params.id }}"}):
        assert not is_literal(value)
        assert set_in_a_field(masked_calls, value) is value


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just(NUMBER), lambda children: st.lists(children, max_size=3) | st.dictionaries(st.sampled_from(["id", "to", "tag", "raw"]) | st.text(max_size=3), children, max_size=3)))  # fmt: skip
def test_whatever_the_value_is_it_is_parsed_or_refused(value) -> None:
    for form in (value, repr(value), json.dumps(value)):
        masked = masked_calls(form)
        try:
            refs = call_refs(masked)
        except InvalidRequest as refused:
            assert "5552671" not in str(refused)
        else:
            assert "5552671" not in json.dumps([ref.to_dict() for ref in refs])
            assert "5552671" not in repr(masked)
