"""The code that all vendors share: searches of one and of many calls, filters, placeholders for times."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_voice.exceptions import CallNotFound, RequestRejected, VendorUnavailable
from airflow_provider_voice.models import CallRef, CallRequest, CallStatus
from airflow_provider_voice.sandbox import Sandbox, VendorQuirks
from airflow_provider_voice.tracking import call_watch
from airflow_provider_voice.tracking.call_watch import CallWatch
from airflow_provider_voice.vendors.base import HistoryQuery
from airflow_provider_voice.vendors.http import ApiResponse
from airflow_provider_voice.vendors.pagination import Page
from tests.support import NUMBER, Reply, vendor_at, vendor_for

NOW = datetime.now(timezone.utc)
WINDOW = (NOW - timedelta(hours=1), NOW + timedelta(hours=1))
REQUEST = CallRequest(NUMBER, agent_id="101")


# Every status of the vendors' documentation, and ours for it.
VENDOR_STATUSES = {
    "talkover": {
        "initiated": "queued", "ringing": "ringing", "answered": "in_progress", "in-progress": "in_progress",
        "completed": "completed", "failed": "failed", "busy": "busy", "no-answer": "no_answer", "no_answer": "no_answer",
    },
    "talkstack": {
        "queued": "queued", "initiated": "queued", "ringing": "ringing", "in-progress": "in_progress",
        "completed": "completed", "busy": "busy", "failed": "failed", "no-answer": "no_answer", "voicemail": "voicemail",
        "silence": "voicemail", "canceled": "canceled",
    },
    "unleashx": {
        "initiated": "queued", "queued": "queued", "ringing": "ringing", "answered": "in_progress",
        "in_progress": "in_progress", "running": "in_progress", "completed": "completed", "failed": "failed",
        "busy": "busy", "no_answer": "no_answer", "No Answer": "no_answer", "cancelled": "canceled", "rejected": "failed",
        "timeout": "failed", "AGENT_ENDED": "completed", "USER_ENDED": "completed", "COMPLETED": "completed",
        "ANSWER": "completed", "Unanswered": "no_answer", "user-ended": "completed", "voicemail": "voicemail",
    },
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "text", "status"),
    [(name, text, status) for name, statuses in VENDOR_STATUSES.items() for text, status in statuses.items()],
)
@pytest.mark.parametrize("write", [str, str.upper, str.title, lambda text: f" {text.replace('-', ' ')} "])
def test_every_documented_status_maps_however_it_is_written(name, text, status, write) -> None:
    fields = vendor_at("http://127.0.0.1:1", name).status_fields(write(text))
    assert fields == {"status": CallStatus(status), "vendor_status": write(text)}


def test_an_unknown_status_is_not_ended_and_logged_once(caplog) -> None:
    vendor = vendor_at("http://127.0.0.1:1", "talkover")
    with caplog.at_level(logging.WARNING):
        fields = [vendor.status_fields("Beamed-Up to 415-555-2601") for _ in range(3)]
    assert {one["status"] for one in fields} == {CallStatus.UNKNOWN}
    assert not CallStatus.UNKNOWN.is_terminal
    assert len([record for record in caplog.records if "beamed_up" in record.getMessage()]) == 1
    assert "5552601" not in caplog.text + str(fields).replace("-", "")
    assert vendor.status_fields(None) == {"status": CallStatus.UNKNOWN, "vendor_status": None}


def place(vendor, count):
    return [
        CallRef.of(vendor.create(CallRequest(f"+1415555{number}"))) for number in range(2611, 2611 + count)
    ]  # no magic ending


def spent_on(sandbox, vendor, refs):
    before = len(sandbox.requests)
    found = vendor.find_many(refs)
    return found, len(sandbox.requests) - before


@pytest.mark.parametrize(
    "written", ["0001-01-01T00:00:00Z", "1970-01-02T00:00:00Z", "2999-01-01T00:00:00Z", 1e308, None]
)
def test_a_call_whose_creation_time_is_a_placeholder_is_found(scripted, written) -> None:
    """The call is searched for on the day of its creation, and no vendor lists calls of the year 1."""
    server = scripted(
        lambda seen: {"success": True, "data": {"id": "c1", "status": "initiated", "created_at": written}}
    )
    call = vendor_at(server.url, "talkover").create(REQUEST)
    assert abs(call.created_at - datetime.now(timezone.utc)) < timedelta(minutes=1)


@pytest.mark.parametrize("written", [NUMBER.removeprefix("+1"), f"00{NUMBER[1:]}", None])
def test_a_search_keeps_a_number_of_another_form_and_a_list_does_not(scripted, written) -> None:
    row = {"id": "c1", "status": "ringing", "to": written, "created_at": NOW.isoformat()}
    paging = {"current_page": 1, "last_page": 1, "total": 1, "per_page": 100}
    vendor = vendor_at(scripted(lambda seen: {"data": [row], "pagination": paging}).url, "talkover")
    assert len(list(vendor.candidates(*WINDOW, to=NUMBER, tag=None))) == 1
    assert list(vendor.list_calls(HistoryQuery(*WINDOW, to=NUMBER))) == []


def test_many_are_found_with_few_requests(sandbox, vendor) -> None:
    refs = place(vendor, 30)
    found, spent = spent_on(sandbox, vendor, [*refs, CallRef("missing", placed_at=refs[0].placed_at)])
    assert set(found) == {ref.id for ref in refs}
    assert spent <= 3


def test_two_references_to_one_call_are_worth_what_they_know_together(vendor) -> None:
    """A sensor over a bare id shares its poll with the task that knows the tag: UnleashX finds the call by the tag."""
    (ref,) = place(vendor, 1)
    for refs in ([CallRef(ref.id), replace(ref, to=None)], [ref, CallRef(ref.id)], [CallRef(ref.id, ref.to), ref]):
        assert set(vendor.find_many(refs)) == {ref.id}


def test_few_are_searched_one_by_one(sandbox, vendor) -> None:
    refs = place(vendor, 3)
    sandbox.seed(vendor.name, 500, sandbox.now() - timedelta(hours=5), sandbox.now())
    found, spent = spent_on(sandbox, vendor, refs)
    assert set(found) == {ref.id for ref in refs}
    assert spent == 3


def test_the_cost_is_logged_in_one_line_without_a_number(sandbox, vendor, caplog) -> None:
    refs = place(vendor, 12)
    caplog.clear()
    with caplog.at_level(logging.INFO):
        vendor.find_many([*refs, CallRef("missing", placed_at=refs[0].placed_at)])
    (line,) = [record.getMessage() for record in caplog.records if record.getMessage().startswith("Asked ")]
    assert "13 call(s): 12 found with " in line
    assert not any((ref.to or "?").lstrip("+") in caplog.text for ref in refs)


@settings(max_examples=30)
@given(
    st.sampled_from(["talkover", "unleashx"]),
    st.sampled_from(["newest", "oldest", "shuffled"]),
    st.integers(10, 40),
    st.integers(5, 60),
    st.integers(0, 120),
    st.data(),
)
def test_no_call_is_missed_while_the_list_changes(monkeypatch, name, order, page, waiting, others, data) -> None:
    """Between two pages calls are added, touched and end; some are listed after a delay. Two searches without a change find all."""
    with Sandbox(frozen=True, quirks=VendorQuirks(max_page=page, order=order)) as sandbox:
        vendor = vendor_for(sandbox, name)
        if others:
            sandbox.seed(name, others, sandbox.now() - timedelta(hours=3), sandbox.now())
        refs = place(vendor, waiting)
        delayed = data.draw(st.integers(0, 3))
        for call in sandbox.calls(name)[len(sandbox.calls(name)) - delayed :]:
            call.shown_from = sandbox.now() + timedelta(seconds=60)
        watch = CallWatch(refs)
        monkeypatch.setattr(call_watch, "time", SimpleNamespace(time=lambda: sandbox.now().timestamp()))
        page_of = type(vendor.http).request

        def request(self, *args, **kwargs):
            if data.draw(st.booleans()):
                kind = data.draw(st.sampled_from(["add", "end", "touch", "time"]))
                calls = sandbox.calls(name)
                call = calls[data.draw(st.integers(0, len(calls) - 1))]
                if kind == "add":
                    sandbox.seed(name, 1, sandbox.now() - timedelta(minutes=1), sandbox.now())
                elif kind == "end" and call.shown_from is not None and not call.status(sandbox.now()).is_terminal:
                    call.hung_up_at = sandbox.now()
                elif kind == "touch":
                    call.touched_at = sandbox.now()
                else:
                    sandbox.advance(1)
            return page_of(self, *args, **kwargs)

        vendor.http.request = request.__get__(vendor.http)
        for _ in range(3):
            try:
                watch.take(vendor.find_many(watch.pending))
            except CallNotFound:
                pytest.fail("a call was missed for longer than its grace")
            sandbox.advance(61)
        del vendor.http.request
        sandbox.advance(7200)
        # A list in no order at all shows a page of anything with every request: some searches find calls that one misses.
        found = {}
        for _ in range(60 if order == "shuffled" else 1):
            found.update(vendor.find_many([ref for ref in watch.pending if ref.id not in found]))
        watch.take(found)
        assert watch.is_over
        shown = {call.id: call.status(sandbox.now()) for call in sandbox.calls(name)}
        if name == "talkover":
            assert [call.status for call in watch.results] == [
                CallStatus.COMPLETED if shown[ref.id] is CallStatus.VOICEMAIL else shown[ref.id] for ref in refs
            ]


@pytest.mark.parametrize("name", ["talkover", "talkstack", "unleashx"])
def test_a_redirect_is_no_rejection_of_one_call(scripted, name) -> None:
    server = scripted(lambda seen: Reply({}, status=301, headers={"Location": "https://example.org/"}))
    with pytest.raises(RequestRejected, match=r"redirected .* to example\.org"):
        vendor_at(server.url, name).find_many([CallRef("c1", NUMBER, NOW), CallRef("c2", NUMBER, NOW)])


def test_a_call_whose_agent_is_gone_leaves_the_others(scripted) -> None:
    gone = Reply({"error": {"code": "AGENT_NOT_FOUND", "message": "no such agent"}}, status=404)
    row = {"id": "c2", "status": "completed", "created_at": NOW.isoformat()}
    rows = {"data": [row], "pagination": {"last_page": 1, "total": 1}}
    server = scripted(lambda seen: gone if seen.query["agent_id"] == ["a1"] else rows)
    refs = [CallRef("c1", NUMBER, NOW, agent_id="a1"), CallRef("c2", NUMBER, NOW, agent_id="a2")]
    assert set(vendor_at(server.url, "talkover").find_many(refs)) == {"c2"}


@pytest.mark.parametrize("name", ["talkover", "talkstack", "unleashx"])
def test_the_clock_is_read_off_a_refusal_too(scripted, name) -> None:
    vendor = vendor_at(scripted(lambda seen: Reply({"message": "no"}, status=403)).url, name)
    assert abs(vendor.now() - datetime.now(timezone.utc)) < timedelta(minutes=1)
    with pytest.raises(VendorUnavailable):
        vendor_at(scripted(lambda seen: Reply({}, hang_up=True)).url, name).now()


def test_connections_with_one_token_share_its_rate_limit() -> None:
    """Vendors count the requests of a token."""
    one, same = (vendor_at("http://127.0.0.1:1", "talkover", requests_per_minute=60) for _ in range(2))
    assert one.http.limiter is same.http.limiter
    other = type(one)(replace(one.settings, token="another-token"))
    assert other.http.limiter is not one.http.limiter


def test_what_a_debugger_shows_of_a_request_and_its_response_holds_no_row() -> None:
    row = {"to": NUMBER, "name": "Ada"}
    response = ApiResponse(200, {"X-To": NUMBER}, body=[row], text=str(row))
    shown = f"{HistoryQuery(*WINDOW, to=NUMBER)} {response} {Page([row], replace)}"
    assert NUMBER not in shown
    assert "Ada" not in shown
