"""Talkover: the shapes of its responses, ids in paths, and the request that ends a call."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from airflow_provider_voice.exceptions import CallNotFound, InvalidRequest, RequestRejected
from airflow_provider_voice.models import CallRef, CallRequest
from airflow_provider_voice.vendors.base import HistoryQuery
from tests.support import NUMBER, Reply, ScriptedServer, vendor_at, vendor_for

REQUEST = CallRequest(NUMBER, agent_id="101")


@pytest.mark.parametrize(
    "body",
    [
        {"success": True, "data": {"id": "c1"}},
        {"call_id": "c1", "status": "initiated"},
        {"id": "c1", "sid": "s", "from": "+1"},
    ],
)
def test_the_three_documented_responses_to_a_create(scripted, body) -> None:
    assert vendor_at(scripted(lambda seen: body).url, "talkover").create(REQUEST).id == "c1"


def test_ids_from_users_are_quoted_in_paths(scripted) -> None:
    server = scripted(lambda seen: {"data": {"id": "c"}})
    vendor_at(server.url, "talkover").create(CallRequest(NUMBER, agent_id="../../admin?x=1#"))
    assert server.seen[0].path == "/agents/..%2F..%2Fadmin%3Fx%3D1%23/call"
    for agent_id in (".", "..", " .. "):
        # A campaign checks its agent before its first call.
        with pytest.raises(InvalidRequest):
            vendor_at(server.url, "talkover").check_request(CallRequest(NUMBER, agent_id=agent_id))
        with pytest.raises(InvalidRequest):
            vendor_at(server.url, "talkover").end_call(CallRef("c", agent_id=agent_id))
    assert len(server.seen) == 1


def test_ending_a_call(scripted) -> None:
    server = scripted(lambda seen: {"success": True})
    vendor_at(server.url, "talkover").end_call(CallRef("c/1", agent_id="a 1"))
    assert server.seen[0].path == "/agents/a%201/end-call"
    assert server.seen[0].json == {"call_sid": "c/1"}
    gone = scripted(lambda seen: Reply({"success": False, "message": "Call not found for this agent"}, status=404))
    with pytest.raises(CallNotFound):
        vendor_at(gone.url, "talkover").end_call(CallRef("c", agent_id="a"))
    over = scripted(lambda seen: Reply({"success": False, "message": "x", "code": "CALL_NOT_ACTIVE"}, status=409))
    with pytest.raises(RequestRejected) as ended:
        vendor_at(over.url, "talkover").end_call(CallRef("c", agent_id="a"))
    assert ended.value.code == "CALL_NOT_ACTIVE"


@pytest.mark.parametrize("status", [404, 409])
def test_a_call_that_a_request_with_a_lost_response_ended_counts_as_ended(scripted, status) -> None:
    over = Reply(
        {"success": False, "message": "Call not found for this agent", "code": "CALL_NOT_ACTIVE"}, status=status
    )
    replies = [Reply({}, hang_up=True), over]
    server = scripted(lambda seen: replies.pop(0))
    vendor_at(server.url, "talkover").end_call(CallRef("c", agent_id="a"))
    assert len(server.seen) == 2


def test_a_bare_id_is_found_on_older_days_too(sandbox) -> None:
    vendor = vendor_for(sandbox, "talkover")
    old = sandbox.seed("talkover", 6, sandbox.now() - timedelta(days=20), sandbox.now() - timedelta(days=15))
    assert set(vendor.find_many([CallRef(call.id) for call in old])) == {call.id for call in old}


def test_ids_that_differ_in_blanks_around_them_are_different_calls() -> None:
    """Ids are opaque: no page of the docs says that blanks do not count."""
    now = datetime.now(timezone.utc)
    rows = [{"id": key, "status": "busy", "created_at": now.isoformat()} for key in ("c1", " c1", "c1 ")]
    server = ScriptedServer(lambda seen: {"data": rows, "pagination": {"current_page": 1, "last_page": 1, "total": 3}})
    try:
        calls = vendor_at(server.url, "talkover").list_calls(
            HistoryQuery(now - timedelta(hours=1), now + timedelta(hours=1))
        )
        assert sorted(call.id for call in calls) == [" c1", "c1", "c1 "]
    finally:
        server.close()
