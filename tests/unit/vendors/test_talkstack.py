"""Talkstack: which responses hold the status of a call, and the two forms of a history row."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from airflow_provider_voice.exceptions import (
    AgentNotUsable,
    AuthenticationFailed,
    InvalidRequest,
    RequestRejected,
    VendorUnavailable,
)
from airflow_provider_voice.models import CallRef, CallRequest, CallStatus
from airflow_provider_voice.vendors.base import HistoryQuery
from airflow_provider_voice.vendors.talkstack import Talkstack
from airflow_provider_voice.vendors.vendor_settings import Settings
from tests.support import NUMBER, Reply, vendor_at, vendor_for
from tests.unit.vendors.test_base import place, spent_on

NOW = datetime.now(timezone.utc)
WINDOW = (NOW - timedelta(hours=1), NOW + timedelta(hours=1))


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (200, {"status": "in-progress", "callSid": "s", "seconds": 3}, "in_progress"),
        (200, {"status": "silence", "callSid": "s"}, "voicemail"),
        (200, {"status": "completed", "to": NUMBER, "date": NOW.isoformat()}, "completed"),
        (200, {"status": "brand-new-status", "callSid": "s"}, "unknown"),
        (400, {"status": "queued"}, "queued"),
        (404, {"status": "in-progress"}, "in_progress"),
        (400, {"status": "voicemail"}, "voicemail"),
        (404, {"status": "Silence", "message": "call ended"}, "voicemail"),
        (400, {"status": "busy", "callSid": "s", "seconds": 0}, "busy"),
    ],
)
def test_talkstack_reads_a_status_from_the_record_of_a_call(scripted, status, body, expected) -> None:
    server = scripted(lambda seen: Reply(body, status=status))
    assert vendor_at(server.url, "talkstack").find(CallRef("s")).status == expected
    assert len(server.seen) == 1


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (503, {"error": "busy"}),
        (500, {"status": "failed"}),
        (500, {"status": "failed", "callSid": "s", "to": NUMBER}),
        (502, {"message": "Failed"}),
        (400, {"status": "failed"}),
        (400, {"status": "busy", "message": "try later"}),
        (400, {"status": "completed"}),
        (400, {"status": "error", "message": "silence"}),
        (400, {"message": "no such agent"}),
        (200, {"status": "success", "data": {"status": "busy"}}),
        (200, {"status": "failed", "message": "Internal error"}),
        (200, "failed"),
    ],
)
def test_an_error_body_of_talkstack_is_not_an_ending(scripted, status, body) -> None:
    server = scripted(lambda seen: Reply(body, status=status))
    vendor = vendor_at(server.url, "talkstack")
    with pytest.raises((VendorUnavailable, RequestRejected, AgentNotUsable)):
        vendor.find(CallRef("s"))
    if status == 400:
        assert vendor.find_many([CallRef("s"), CallRef("t")]) == {}  # one bad call leaves the others


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"agentId is missing", AgentNotUsable),
        (b"number is missing\n", RequestRejected),
        (b'"projectId is missing"', RequestRejected),
    ],
)
def test_an_error_in_plain_text_is_quoted_and_classed(scripted, body, expected) -> None:
    server = scripted(lambda seen: Reply(body, status=400, headers={"Content-Type": "text/plain"}))
    with pytest.raises(expected, match="is missing") as refused:
        vendor_at(server.url, "talkstack").create(CallRequest(NUMBER))
    assert type(refused.value) is expected


def test_a_connection_without_a_project_is_refused_before_any_request() -> None:
    with pytest.raises(InvalidRequest, match="set project_id"):
        Talkstack(Settings(token="t", base_url="http://127.0.0.1:1"))


def test_talkstack_not_found_and_refused(scripted) -> None:
    assert (
        vendor_at(scripted(lambda seen: Reply({"message": "call not found"}, status=404)).url, "talkstack").find(
            CallRef("s")
        )
        is None
    )
    with pytest.raises(AuthenticationFailed):
        vendor_at(scripted(lambda seen: Reply({"message": "queued"}, status=401)).url, "talkstack").find(CallRef("s"))
    with pytest.raises(VendorUnavailable):
        vendor_at(scripted(lambda seen: {"message": "hello"}).url, "talkstack").find(CallRef("s"))


@pytest.mark.parametrize(
    "wrap",
    [
        lambda rows: rows,
        lambda rows: {"data": rows},
        lambda rows: {"calls": rows},
        lambda rows: {"status": "success", "data": {"calls": rows}},
    ],
)
@pytest.mark.parametrize(
    "row",
    [
        {"callSid": "CA1", "status": "completed", "seconds": 5, "cost": 0.07, "to": NUMBER, "date": "WHEN"},
        {
            "sid": "CA1",
            "status": "completed",
            "duration": "5",
            "price": "0.07",
            "to": NUMBER,
            "date_created": "WHEN",
            "direction": "outbound-api",
        },
    ],
)
def test_talkstack_history_rows_of_either_likeness(scripted, wrap, row) -> None:
    rows = [
        {
            name: (value if value != "WHEN" else NOW.strftime("%a, %d %b %Y %H:%M:%S +0000"))
            for name, value in row.items()
        }
    ]
    (call,) = vendor_at(scripted(lambda seen: wrap(rows)).url, "talkstack").list_calls(HistoryQuery(*WINDOW))
    assert (call.id, call.status, call.duration_seconds, call.cost, call.to) == ("CA1", "completed", 5, 0.07, NUMBER)


def test_talkstack_reads_active_calls_from_the_history_and_requests_the_others(sandbox) -> None:
    vendor = vendor_for(sandbox, "talkstack")
    refs = place(vendor, 20)
    for call in sandbox.calls("talkstack")[:3]:
        call.hung_up_at = sandbox.now()
    found, spent = spent_on(sandbox, vendor, refs)
    assert spent == 4
    assert {call.id for call in found.values() if call.status.is_terminal} == {ref.id for ref in refs[:3]}


def test_an_ending_without_a_status_in_the_history_comes_from_the_call(sandbox) -> None:
    vendor = vendor_for(sandbox, "talkstack")
    refs = [CallRef.of(vendor.create(CallRequest(f"+141555500{number}3"))) for number in range(10)]
    sandbox.advance(3600)
    statuses = {vendor.find(ref).status for ref in refs}
    assert {call.status for call in vendor.find_many(refs).values()} == statuses


def test_a_history_that_is_refused_costs_one_request(scripted) -> None:
    def answer(seen):
        if seen.path.endswith("get-call-history"):
            return Reply({"message": "no"}, 400)
        return {"callSid": seen.json["sid"], "status": "in-progress"}

    server = scripted(answer)
    vendor = vendor_at(server.url, "talkstack")
    now = datetime.now(timezone.utc)
    found = vendor.find_many([CallRef(f"c{number}", placed_at=now) for number in range(8)])
    assert {call.status for call in found.values()} == {CallStatus.IN_PROGRESS}
    assert len(server.seen) == 9


def test_a_call_that_brings_a_server_error_does_not_hide_the_others(scripted) -> None:
    """All waits of a connection share a poll: one such call would end each of them once the tolerated outage is over."""
    broken: set[str] = set()

    def answer(seen):
        sid = seen.json.get("sid")
        return Reply({}, status=500) if sid in broken or sid is None else {"callSid": sid, "status": "busy"}

    vendor, refs = vendor_at(scripted(answer).url, "talkstack"), [CallRef(f"s{number}") for number in range(8)]
    broken |= {"s0", "s1", "s5"}
    assert set(vendor.find_many(refs)) == {"s2", "s3", "s4", "s6", "s7"}
    assert set(vendor.find_many(refs[:3])) == {"s2"}
    for outage in (refs[:1], refs[:2], refs[5:6]):
        with pytest.raises(VendorUnavailable):
            vendor.find_many(outage)
    broken |= {ref.id for ref in refs[:6]}
    with pytest.raises(VendorUnavailable):
        vendor.find_many(refs)


def test_a_record_without_a_status_is_a_call_that_has_not_ended(scripted) -> None:
    server = scripted(
        lambda seen: {"callSid": "s", "status": None, "to": None, "from": None, "date": None, "seconds": None}
    )
    assert vendor_at(server.url, "talkstack").find(CallRef("s")).status is CallStatus.UNKNOWN


def test_the_calls_to_one_number_cost_two_requests_where_the_project_has_other_calls(sandbox) -> None:
    # Without the calls to other numbers, no reply is larger than this one, and each day is asked for by each status.
    vendor = vendor_for(sandbox, "talkstack")
    calls = [vendor.create(CallRequest(number)) for number in (NUMBER, "+14155552602")]
    found = list(vendor.list_calls(HistoryQuery(*WINDOW, to=NUMBER)))
    assert [call.id for call in found] == [calls[0].id]
    assert [request.operation for request in sandbox.requests] == ["create", "create", "list", "list"]
