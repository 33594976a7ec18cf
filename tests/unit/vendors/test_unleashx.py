"""UnleashX: rows, the two statuses of a row, and which row belongs to a call."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone

import pytest

from airflow_provider_voice.dialing.no_ring_proof import proves_no_ring
from airflow_provider_voice.exceptions import (
    AgentNotUsable,
    AuthenticationFailed,
    CallOutcomeUnknown,
    InvalidPhoneNumber,
    RateLimited,
    VendorUnavailable,
    VoiceError,
)
from airflow_provider_voice.models import CallRef, CallRequest, CallStatus
from airflow_provider_voice.vendors.base import HistoryQuery
from tests.support import NUMBER, Reply, vendor_at

NOW = datetime.now(timezone.utc)
WINDOW = (NOW - timedelta(hours=1), NOW + timedelta(hours=1))


@pytest.mark.parametrize(
    "wrap", [lambda rows: {"datalist": rows}, lambda rows: {"error": False, "code": 200, "data": {"datalist": rows}}]
)
def test_unleashx_rows(scripted, wrap) -> None:
    row = {
        "ID": 7, "AGENT_ID": 101, "agent_name": "A", "CALLING_NUMBER": "14155552601", "PROVIDER_NUMBER": "+14155550100",
        "STATUS": "completed", "CALL_STATUS": "AGENT-ENDED", "TOTAL_DURATION": 65, "total_duration": "1m:5s",
        "CREATED_AT": NOW.isoformat(), "FILE_PATH": "https://x/y.mp3", "INPUT_DATA": {"airflow_call_tag": "t"},
    }  # fmt: skip
    (call,) = vendor_at(
        scripted(lambda seen: wrap([row] if seen.query["page"] == ["1"] else [])).url, "unleashx"
    ).list_calls(HistoryQuery(*WINDOW))
    assert (call.id, call.tag, call.status, call.duration_seconds, call.agent_id) == ("7", "t", "completed", 65, "101")
    assert call.raw["TOTAL_DURATION"] == 65
    assert call.raw["total_duration"] == "1m:5s"
    assert call.direction == "outbound"


@pytest.mark.parametrize(
    ("call_status", "status", "expected"),
    [
        ("No Answer", "completed", "no_answer"),
        ("completed", "failed", "failed"),
        ("answered", "completed", "completed"),
        ("beamed up", "completed", "unknown"),
        ("beamed up", "failed", "failed"),
        ("running", None, "in_progress"),
        (None, "Busy", "busy"),
        (None, None, "unknown"),
    ],
)
def test_unleashx_two_statuses(scripted, call_status, status, expected) -> None:
    row = {"ID": 7, "CALL_STATUS": call_status, "STATUS": status, "CREATED_AT": NOW.isoformat()}
    (call,) = vendor_at(
        scripted(lambda seen: {"datalist": [row] if seen.query["page"] == ["1"] else []}).url, "unleashx"
    ).list_calls(HistoryQuery(*WINDOW))
    assert call.status is CallStatus(expected)


def test_unleashx_empty_history_may_be_a_404(scripted) -> None:
    body = {"error": True, "message": "No call history found for the given filters"}
    assert (
        list(
            vendor_at(scripted(lambda seen: Reply(body, status=404)).url, "unleashx").list_calls(HistoryQuery(*WINDOW))
        )
        == []
    )


@pytest.mark.parametrize("where", ["INPUT_DATA", "text", "metadata"])
def test_unleashx_finds_its_tag_and_keeps_the_execution_id(scripted, where) -> None:
    data = {"airflow_call_tag": "afv-1", "name": "Ada"}
    field = {"text": {"INPUT_DATA": json.dumps(data)}}.get(where, {where: data})
    rows = [{"ID": 6, "STATUS": "failed"}, {"ID": 7, "STATUS": "completed", "CREATED_AT": NOW.isoformat(), **field}]
    server = scripted(lambda seen: {"datalist": rows})
    call = vendor_at(server.url, "unleashx").find(CallRef("exec-uuid", NUMBER, NOW, "afv-1", "101"))
    assert (call.id, call.status, call.tag) == ("exec-uuid", "completed", "afv-1")
    assert server.seen[0].query["input_data"] == ["afv-1"]


@pytest.mark.parametrize(("tag", "to"), [("afv-1", NUMBER), (None, "4155552601")])
def test_a_call_placed_here_keeps_the_number_that_was_rung(scripted, tag, to) -> None:
    row = {"ID": 7, "CALLING_NUMBER": "4155552601", "INPUT_DATA": {"airflow_call_tag": "afv-1"}, "call_id": "exec-uuid"}
    vendor = vendor_at(scripted(lambda seen: {"datalist": [row]}).url, "unleashx")
    assert vendor.find(CallRef("exec-uuid", NUMBER, NOW, tag)).to == to


def test_unleashx_finds_its_call_also_where_the_filter_finds_nothing(scripted) -> None:
    row = {"ID": 7, "STATUS": "busy", "CREATED_AT": NOW.isoformat(), "EXECUTION_ID": "exec-uuid"}
    server = scripted(lambda seen: {"datalist": [] if "input_data" in seen.query else [row]})
    assert vendor_at(server.url, "unleashx").find(CallRef("exec-uuid", NUMBER, NOW, "afv-1", "101")).status == "busy"


@pytest.mark.parametrize(
    "other",
    [
        {"TOTAL_DURATION": 242},
        {"INPUT_DATA": {"previous_call_id": "exec-242"}},
        {"INPUT_DATA": {"previous_call_id": 242, "note": "afv-1"}},
        {"INPUT_DATA": {"airflow_call_tag": "afv-2", "previous": "afv-1"}},
        {"SUMMARY": "exec-242", "DISPOSITION": "afv-1"},
        {"AGENT_ID": 242},
        {"RETURN_DATA": {"call_id": 242}},
        {"CALL_ID": 242},  # a number of another sequence
        {"track_id": "242"},
        {"ID": None, "CALL_ID": 242},
    ],
)
def test_unleashx_never_takes_another_row_for_the_call(scripted, other) -> None:
    row = {"ID": 7, "STATUS": "failed", "CREATED_AT": NOW.isoformat(), **other}
    server = scripted(lambda seen: {"datalist": [row] if seen.query["page"] == ["1"] else []})
    vendor = vendor_at(server.url, "unleashx")
    refs = [
        CallRef("242", NUMBER, NOW),
        CallRef("exec-242", NUMBER, NOW, "afv-1"),
        CallRef("7", NUMBER, NOW, "afv-1"),  # an execution id that equals the list's integer of another call
        *(CallRef(f"other-{number}", NUMBER, NOW) for number in range(3)),
    ]
    assert [vendor.find(ref) for ref in refs] == [None] * len(refs)
    assert vendor.find_many(refs) == {}


def test_an_exported_row_is_found_again_also_where_its_id_is_no_number(scripted) -> None:
    row = {"ID": "row-242", "STATUS": "busy", "CREATED_AT": NOW.isoformat()}
    vendor = vendor_at(
        scripted(lambda seen: {"datalist": [row] if seen.query["page"] == ["1"] else []}).url, "unleashx"
    )
    refs = [CallRef("row-242", NUMBER, NOW), *(CallRef(f"other-{number}", NUMBER, NOW) for number in range(3))]
    assert vendor.find(refs[0]).status == "busy"
    assert list(vendor.find_many(refs)) == ["row-242"]
    assert vendor.find(CallRef("row-242", NUMBER, NOW, "afv-1")) is None  # with our tag it is an execution id


def test_calls_that_are_months_apart_are_searched_for_in_lists_of_less_than_three_months(scripted) -> None:
    server = scripted(lambda seen: {"datalist": []})
    ages = [0, 1, 2, 3, 25, 100, 101, 102, 103, 400]
    vendor_at(server.url, "unleashx").find_many([CallRef(str(age), NUMBER, NOW - timedelta(days=age)) for age in ages])
    spans = {
        datetime.fromisoformat(seen.query["todate"][0]) - datetime.fromisoformat(seen.query["fromdate"][0])
        for seen in server.seen
    }
    assert spans == {timedelta(days=days) for days in (4, 4 + 3, 4 + 25)}


def test_a_call_with_our_tag_is_found_before_its_row_has_a_number(scripted) -> None:
    row = {"ID": 7, "AGENT_ID": 101, "CREATED_AT": NOW.isoformat(), "STATUS": "initiated", "CALLING_NUMBER": None,
           "INPUT_DATA": {"airflow_call_tag": "afv-mine-1"}}  # fmt: skip

    def answer(seen):
        is_first = seen.query["page"] == ["1"]
        return {"datalist": [row] if "input_data" in seen.query and is_first else []}

    found = list(vendor_at(scripted(answer).url, "unleashx").candidates(*WINDOW, to=NUMBER, tag="afv-mine-"))
    assert [call.tag for call in found] == ["afv-mine-1"]


def test_a_row_with_our_tag_and_no_id_is_no_candidate(scripted) -> None:
    """It would be stored as a call without an id."""
    row = {"CREATED_AT": NOW.isoformat(), "STATUS": "initiated", "INPUT_DATA": {"airflow_call_tag": "afv-mine-1"}}

    def answer(seen):
        return {"datalist": [row] if "input_data" in seen.query and seen.query["page"] == ["1"] else []}

    assert not list(vendor_at(scripted(answer).url, "unleashx").candidates(*WINDOW, to=NUMBER, tag="afv-mine-"))


@pytest.mark.parametrize(
    ("code", "expected", "requests"),
    [(401, AuthenticationFailed, 1), (429, RateLimited, 5), (500, VendorUnavailable, 5)],
)
def test_an_error_in_a_good_response_is_read_by_its_code(scripted, code, expected, requests) -> None:
    server = scripted(lambda seen: {"error": True, "code": code, "message": "no", "data": {}})
    with pytest.raises(expected) as failed:
        vendor_at(server.url, "unleashx").find_many([CallRef("u-1", NUMBER, NOW, "afv-1")])
    assert failed.value.permanent is (code == 401)
    assert len(server.seen) == requests


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Agent not found or not active", AgentNotUsable),
        ("Agent ID is required", AgentNotUsable),
        ("Phone Number is required", InvalidPhoneNumber),
        ("phone_number rings; agent_id was not stored with it", CallOutcomeUnknown),
        ("Agent not found for the summary of the call", CallOutcomeUnknown),
        ("Invalid Auth Key or Session Expired", AuthenticationFailed),
        ("The call was queued, but the agent did not connect", CallOutcomeUnknown),
        ("Telephony timed out", CallOutcomeUnknown),
    ],
)
def test_only_a_documented_text_in_a_good_response_proves_that_nobody_was_rung(scripted, text, expected) -> None:
    for stated in ({}, {"code": 422}, {"code": "404"}):
        server = scripted(lambda seen, stated=stated: {"error": True, "message": text, **stated})
        with pytest.raises(VoiceError) as failed:
            vendor_at(server.url, "unleashx").create(CallRequest(NUMBER, agent_id="101"))
        assert type(failed.value) is expected
        assert proves_no_ring(failed.value) is (expected is not CallOutcomeUnknown)


def test_a_refusal_names_the_field_that_is_wrong(scripted) -> None:
    server = scripted(lambda seen: Reply({"error": True, "message": "phone_number must be a string"}, status=422))
    with pytest.raises(InvalidPhoneNumber) as failed:
        vendor_at(server.url, "unleashx").create(CallRequest(NUMBER, agent_id="101"))
    assert proves_no_ring(failed.value)
