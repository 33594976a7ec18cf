"""The shapes of the facts pages that the sandbox does not show, and any shape at all."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_voice.dialing.reconcile import Evidence, find_call
from airflow_provider_voice.exceptions import (
    AgentNotUsable,
    AuthenticationFailed,
    CallOutcomeUnknown,
    IncompleteHistory,
    InsufficientCredits,
    InvalidPhoneNumber,
    RateLimited,
    RequestRejected,
    VendorUnavailable,
    VoiceError,
)
from airflow_provider_voice.models import CallRef, CallRequest, CallStatus
from airflow_provider_voice.vendors.base import HistoryQuery
from tests.support import NUMBER, TOKEN, Reply, ScriptedServer, vendor_at

NOW = datetime.now(timezone.utc)
WINDOW = (NOW - timedelta(hours=1), NOW + timedelta(hours=1))
REQUEST = CallRequest(NUMBER, agent_id="101")


@pytest.mark.parametrize(
    ("name", "status", "body", "error"),
    [
        (
            "talkover",
            400,
            {"error": {"code": "INVALID_PHONE_NUMBER", "message": "m", "details": {}}},
            InvalidPhoneNumber,
        ),
        ("talkover", 400, {"error": {"code": "AGENT_INACTIVE", "message": "m"}}, AgentNotUsable),
        ("talkover", 402, {"error": {"code": "INSUFFICIENT_CREDITS", "message": "m"}}, InsufficientCredits),
        (
            "talkover",
            404,
            {"success": False, "error": {"code": "AGENT_NOT_FOUND", "message": "m", "details": {}}},
            AgentNotUsable,
        ),
        ("talkover", 401, {"error": "TOKEN_EXPIRED", "message": "m", "status_code": 401}, AuthenticationFailed),
        ("talkover", 401, {"message": "Missing Bearer Token"}, AuthenticationFailed),
        ("talkover", 403, {"success": False, "message": "no", "code": "FORBIDDEN"}, AuthenticationFailed),
        ("talkover", 422, {"message": "m", "errors": {"to": ["bad"]}}, RequestRejected),
        ("talkover", 200, {"success": False, "code": "AGENT_INACTIVE", "message": "no"}, AgentNotUsable),
        ("talkstack", 400, {"message": "agentId is missing"}, AgentNotUsable),
        ("talkstack", 401, b"Unauthorized", AuthenticationFailed),
        ("talkstack", 400, b"number is missing", RequestRejected),
        ("unleashx", 200, {"error": True, "message": "Invalid Auth Key or Session Expired"}, AuthenticationFailed),
        ("unleashx", 200, {"error": True, "message": "Agent not found or not active"}, AgentNotUsable),
        ("unleashx", 404, {"error": True, "message": "Agent not found or not active"}, AgentNotUsable),
        ("unleashx", 400, {"error": True, "message": "Phone Number is required"}, InvalidPhoneNumber),
        ("unleashx", 422, {"error": True, "code": 422, "message": "text", "data": {}}, RequestRejected),
    ],
)
def test_every_error_shape_becomes_its_class(scripted, name, status, body, error) -> None:
    server = scripted(lambda seen: Reply(body, status=status))
    with pytest.raises(error) as refused:
        vendor_at(server.url, name).create(REQUEST)
    assert type(refused.value) is error
    assert refused.value.permanent
    assert refused.value.status_code == status
    assert refused.value.vendor == name
    assert len(server.seen) == 1


@pytest.mark.parametrize("name", ["talkover", "talkstack", "unleashx"])
@pytest.mark.parametrize(
    "text",
    [
        "Call placed, but the agent did not answer in time",
        "The phone number was dialed, and its status is not known yet",
        "The call to this number is queued; its confirmation timed out",
    ],
)
def test_an_error_in_a_good_response_that_only_speaks_of_agent_and_number_proves_nothing(scripted, name, text) -> None:
    server = scripted(lambda seen: {"success": False, "message": text})
    with pytest.raises(CallOutcomeUnknown, match="its response has no call id but an error"):
        vendor_at(server.url, name).create(REQUEST)
    assert len(server.seen) == 1


@pytest.mark.parametrize("name", ["talkover", "talkstack", "unleashx"])
def test_an_error_beside_a_call_id_proves_nothing(scripted, name) -> None:
    record = {"id": "c", "call_id": "c", "execution_id": "c"}
    server = scripted(lambda seen: {"success": False, "message": "Agent not found", "data": record, "call": record})
    with pytest.raises(
        CallOutcomeUnknown, match=r"its response has a call id and an error \(Agent not found\)\. It is"
    ):
        vendor_at(server.url, name).create(REQUEST)
    assert len(server.seen) == 1


def test_the_request_of_each_create(scripted) -> None:
    server = scripted(lambda seen: {"data": {"id": "c"}, "call": {"call_id": "c"}} if "agents/call" not in seen.path
                      else {"success": True, "data": {"execution_id": "c"}})  # fmt: skip
    full = CallRequest(NUMBER, agent_id="101", variables={"a": 1}, context={"b": 2}, tag="tag-1")
    vendor_at(server.url, "talkover").create(full)
    vendor_at(server.url, "unleashx").create(full)
    vendor_at(server.url, "talkstack").create(CallRequest(NUMBER, agent_id="a/1", variables={"a": 1}))
    talkover, unleashx, talkstack = server.seen
    assert talkover.path == "/agents/101/call"
    assert talkover.json == {"to": NUMBER, "payload": {"a": 1}, "context": {"b": 2, "airflow_call_tag": "tag-1"}}
    assert unleashx.path == "/agents/call"
    assert unleashx.json == {
        "agent_id": 101, "phone_number": NUMBER, "metadata": {"a": 1, "b": 2, "airflow_call_tag": "tag-1"},
    }  # fmt: skip
    assert unleashx.headers["Token"] == TOKEN
    assert talkstack.path == "/call/makeCall"
    assert talkstack.json == {
        "number": NUMBER,
        "projectId": "project-1",
        "agentId": "a/1",
        "dynamicVariables": {"a": 1},
    }
    assert talkstack.headers["X-Api-Key"] == TOKEN


@pytest.mark.parametrize("name", ["talkover", "talkstack", "unleashx"])
def test_a_number_in_a_status_or_an_id_does_not_reach_logs_and_errors(scripted, name, caplog) -> None:
    row = {"id": "c", "ID": "c", "callSid": "c", "created_at": NOW.isoformat(), "date": NOW.isoformat(),
           "CREATED_AT": NOW.isoformat(), "status": "to 415-555-2601", "STATUS": "to 415-555-2601"}  # fmt: skip
    server = scripted(
        lambda seen: {"data": [row], "datalist": [row]} if seen.query.get("page") in (None, ["1"]) else
        {"data": [], "datalist": []}
    )  # fmt: skip
    (call,) = vendor_at(server.url, name).list_calls(HistoryQuery(*WINDOW))
    assert call.status is CallStatus.UNKNOWN
    text = caplog.text + str(call.vendor_status)
    for ask in (
        lambda one: one.create(CallRequest(NUMBER, agent_id=NUMBER)),
        lambda one: one.end_call(CallRef(NUMBER)),
        lambda one: one.find(CallRef(NUMBER, placed_at=NOW)),
    ):
        try:
            ask(vendor_at(scripted(lambda seen: Reply({"message": "no"}, status=400)).url, name))
        except VoiceError as error:
            text += error.message
    assert "555-2601" not in text
    assert "5552601" not in text


@pytest.mark.parametrize("name", ["talkover", "unleashx"])
@pytest.mark.parametrize("status", [400, 404, 500, 503])
def test_a_list_under_a_bad_status_is_not_read(scripted, name, status) -> None:
    row = {"id": "call_1", "ID": 7, "status": "failed", "STATUS": "failed", "created_at": NOW.isoformat()}
    server = scripted(lambda seen: Reply({"data": [row], "datalist": [row]}, status=status))
    for ask in (
        lambda one: one.find(CallRef("call_1", NUMBER, NOW)),
        lambda one: list(one.list_calls(HistoryQuery(*WINDOW))),
    ):
        with pytest.raises(VoiceError):
            ask(vendor_at(server.url, name))


def test_rows_that_cannot_be_placed_or_told_apart_are_an_error_not_a_gap(scripted) -> None:
    bodies = {
        "talkover": [{"data": [{"id": "1"}]}, {"data": [{"created_at": NOW.isoformat()}]}],
        "talkstack": [[{"sid": "1"}], [{"date": NOW.isoformat()}]],
        "unleashx": [{"datalist": [{"ID": 1}]}, {"datalist": [{"CREATED_AT": NOW.isoformat()}]}],
    }
    for name, shapes in bodies.items():
        for body in shapes:
            with pytest.raises(IncompleteHistory):
                list(vendor_at(scripted(lambda seen, body=body: body).url, name).list_calls(HistoryQuery(*WINDOW)))


@pytest.mark.parametrize("name", ["talkover", "unleashx"])
def test_a_row_without_an_id_does_not_hide_the_others_from_a_search(scripted, name) -> None:
    rows = [{"status": "busy"}, {"status": "busy"}, {"id": "7", "ID": 7, "status": "completed", "STATUS": "completed"}]
    vendor = vendor_at(scripted(lambda seen: {"data": rows, "datalist": rows}).url, name)
    assert vendor.find(CallRef("7", NUMBER, NOW)).status == "completed"
    assert set(vendor.find_many([CallRef(key, NUMBER, NOW) for key in ("6", "7", "8", "9")])) == {"7"}


JSON = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20),
        st.sampled_from([NUMBER, TOKEN, "completed", "queued", NOW.isoformat(), "call_1"]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(
            st.one_of(
                st.sampled_from(["data", "datalist", "id", "ID", "error", "code", "message", "status", "pagination", "total", "last_page",
                                 "call", "calls", "created_at", "CREATED_AT", "date", "sid", "agent", "to", "INPUT_DATA", "success"]),
                st.text(max_size=6),
            ),
            inner,
            max_size=6,
        ),
    ),
    max_leaves=25,
)  # fmt: skip
ANSWERS = st.one_of(JSON.map(lambda value: json.dumps(value).encode()), st.binary(max_size=60))


@pytest.fixture(scope="module")
def any_server():
    box = {}
    server = ScriptedServer(lambda seen: box["reply"])
    yield server, box
    server.close()


@pytest.mark.parametrize("name", ["talkover", "talkstack", "unleashx"])
@given(content=ANSWERS, status=st.sampled_from([200, 201, 204, 301, 400, 401, 402, 403, 404, 409, 422, 429, 500, 503]))
@settings(max_examples=40)
def test_any_response_gives_a_result_or_one_of_our_errors(any_server, name, content, status) -> None:
    server, box = any_server
    box["reply"] = Reply(content if status != 204 else b"", status=status)
    vendor = vendor_at(server.url, name)
    ref = CallRef("call_1", NUMBER, NOW, "afv-1", "101")
    asks = [
        lambda: vendor.create(REQUEST),
        lambda: vendor.find(ref),
        lambda: vendor.find_many(
            [ref, CallRef("2", placed_at=NOW), CallRef("3", placed_at=NOW), CallRef("4", placed_at=NOW)]
        ),
        lambda: list(vendor.list_calls(HistoryQuery(*WINDOW))),
        vendor.check,
        lambda: vendor.end_call(ref),
    ]
    for ask in asks:
        try:
            ask()
        except VoiceError as error:
            assert NUMBER.lstrip("+") not in error.message
            assert TOKEN not in error.message
            assert error.__cause__ is None
    vendor.close()


def test_a_rate_limit_stays_one_after_all_attempts(scripted) -> None:
    server = scripted(
        lambda seen: Reply({"success": False, "message": "Too many requests. Please try again later."}, status=429)
    )
    with pytest.raises(RateLimited):
        vendor_at(server.url, "talkover").check()
    assert len(server.seen) == 5


def test_deeply_nested_json_is_one_of_our_errors(scripted) -> None:
    server = scripted(lambda seen: Reply(b'{"data":' * 100_000))
    with pytest.raises(VendorUnavailable):
        vendor_at(server.url, "talkover").find(CallRef("c", NUMBER, NOW))
    with pytest.raises(CallOutcomeUnknown):
        vendor_at(server.url, "talkover").create(REQUEST)


@pytest.mark.parametrize("created", ["2026-01-10", "2026-01-10T04:00:00", "2026-01-10 17:30:00", "10 Jan, 2026"])
@pytest.mark.parametrize("name", ["talkover", "talkstack", "unleashx"])
def test_a_lost_call_is_not_overlooked_where_rows_name_a_day_or_no_zone(scripted, name, created) -> None:
    row = {"id": "c", "ID": 7, "sid": "c", "to": NUMBER, "CALLING_NUMBER": NUMBER,
           **dict.fromkeys(("created_at", "CREATED_AT", "date"), created)}  # fmt: skip
    server = scripted(lambda seen: {"data": [row], "datalist": [row], "pagination": {"total": 1, "last_page": 1}})
    sent = datetime(2026, 1, 10, 12, tzinfo=timezone.utc)
    evidence = Evidence(since=sent, until=sent + timedelta(seconds=30), clock_offset=0.0)
    with pytest.raises(CallOutcomeUnknown, match="may or may not be"):
        find_call(vendor_at(server.url, name), CallRequest(NUMBER, "101"), evidence)
