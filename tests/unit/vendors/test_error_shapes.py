"""The documented error bodies, each with its text, its code and its class; see also ``test_shapes.py``."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_voice.exceptions import (
    AgentNotUsable,
    AuthenticationFailed,
    InsufficientCredits,
    InvalidPhoneNumber,
    RateLimited,
    RequestRejected,
    VendorUnavailable,
)
from airflow_provider_voice.vendors.error_shapes import HINTS, error_class, error_text, states_error
from airflow_provider_voice.vendors.talkover import Talkover
from airflow_provider_voice.vendors.talkstack import Talkstack
from airflow_provider_voice.vendors.unleashx import UnleashX

MARKS = {"agent_inactive": AgentNotUsable, "phone": InvalidPhoneNumber, "phone number of the agent": AgentNotUsable}


@pytest.mark.parametrize(
    ("body", "text", "code"),
    [
        ({"error": {"code": "INVALID_TOKEN", "message": "m", "details": {}}}, "m", "INVALID_TOKEN"),
        ({"success": False, "error": {"code": "C", "message": "m"}}, "m", "C"),
        ({"success": False, "message": "m", "code": "CALL_NOT_ACTIVE"}, "m", "CALL_NOT_ACTIVE"),
        ({"error": "TOKEN_EXPIRED", "message": "m", "status_code": 401}, "m", "TOKEN_EXPIRED"),
        ({"message": "m", "errors": {"to": ["bad"], "a": []}}, "m (fields: a, to)", None),
        ({"errors": {"to": ["bad"]}}, "invalid (fields: to)", None),
        ({"error": True, "code": 422, "message": "m", "data": {}}, "m", "422"),
        ({"message": "Missing Bearer Token"}, "Missing Bearer Token", None),
        ("text", None, None),
        (None, None, None),
    ],
)
def test_text_and_code_of_each_documented_shape(body, text, code) -> None:
    assert error_text(body) == (text, code)


@pytest.mark.parametrize(
    ("body", "is_error"),
    [
        ({"success": False}, True),
        ({"error": True}, True),
        ({"error": {"code": "C"}}, True),
        ({"error": False, "code": 200, "data": {}}, False),
        ({"error": {}}, False),
        ({"success": True, "data": {}}, False),
        ([], False),
        (None, False),
    ],
)
def test_a_good_status_may_carry_an_error(body, is_error) -> None:
    assert states_error(body) is is_error


@pytest.mark.parametrize(
    ("status", "text", "expected"),
    [
        (401, "AGENT_INACTIVE", AuthenticationFailed),
        (402, "", InsufficientCredits),
        (403, "", AuthenticationFailed),
        (429, "phone", RateLimited),
        (408, "", VendorUnavailable),
        (500, "phone", VendorUnavailable),
        (101, "", VendorUnavailable),
        (400, "AGENT_INACTIVE The agent has no phone.", AgentNotUsable),
        (400, "Phone Number is required", InvalidPhoneNumber),
        (400, "another text", RequestRejected),
    ],
)
def test_the_status_decides_before_the_text(status, text, expected) -> None:
    assert error_class(status, "", text, MARKS) is expected


def test_in_a_good_response_a_part_of_the_text_does_not_count() -> None:
    assert error_class(200, "", "No phone.", MARKS, is_ok=True) is RequestRejected
    assert error_class(422, "", "No phone.", MARKS, is_ok=True) is RequestRejected
    assert error_class(200, "", "Phone.", MARKS, is_ok=True) is InvalidPhoneNumber
    assert error_class(200, "AGENT_INACTIVE", "No phone.", MARKS, is_ok=True) is AgentNotUsable


@given(st.integers(100, 599), st.text(), st.text(), st.booleans())
def test_every_class_of_error_that_needs_one_has_a_remedy(status, code, text, is_ok) -> None:
    cls = error_class(status, code, text, MARKS, is_ok=is_ok)
    assert cls is RequestRejected or cls in HINTS


def test_every_class_that_a_vendor_marks_has_a_remedy() -> None:
    assert {cls for vendor in (Talkover, Talkstack, UnleashX) for cls in vendor.error_marks.values()} <= HINTS.keys()
