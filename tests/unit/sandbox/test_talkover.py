"""Talkover's routes answer as its pages describe."""

from __future__ import annotations

from datetime import timedelta

import pytest

from airflow_provider_voice.sandbox.talkover import PREFIX
from tests.unit.sandbox.exchange import ask

CREATE = f"{PREFIX}/agents/agent_sandbox/call"
BUSY, DONE = "+14155552602", "+14155552601"


@pytest.mark.parametrize(
    ("agent", "body", "status", "code"),
    [
        ("no_agent", {"to": DONE}, 404, "AGENT_NOT_FOUND"),
        ("agent_draft", {"to": DONE}, 400, "AGENT_INACTIVE"),
        ("agent_sandbox", {}, 400, "MISSING_PHONE_NUMBER"),
        ("agent_sandbox", {"to": "415 555 2601"}, 400, "INVALID_PHONE_NUMBER"),
    ],
)
def test_a_create_is_refused_with_the_documented_code(sandbox, agent, body, status, code) -> None:
    response = ask(sandbox, "talkover", "POST", f"{PREFIX}/agents/{agent}/call", json=body)
    assert response.status_code == status
    assert response.json()["error"]["code"] == code
    assert not sandbox.rings


def test_a_create_rings_once_and_keeps_what_was_sent(sandbox) -> None:
    body = {"to": DONE, "payload": {"name": "Ada"}, "context": {"airflow_call_tag": "t"}, "is_testing": True}
    data = ask(sandbox, "talkover", "POST", CREATE, json=body).json()["data"]
    (call,) = sandbox.calls("talkover")
    (ring,) = sandbox.rings
    assert (data["id"], data["status"], data["to"]) == (call.id, "initiated", DONE)
    assert (ring.call_id, ring.tag, ring.number) == (call.id, "t", DONE)
    assert (call.variables, call.context, call.is_testing) == (body["payload"], body["context"], True)


def test_a_list_is_filtered_and_paged(sandbox) -> None:
    now = sandbox.now()
    sandbox.seed("talkover", 30, now - timedelta(hours=3), now)
    sandbox.seed("talkover", 4, now - timedelta(hours=3), now, direction="inbound", agent_id="agent_second")
    body = ask(sandbox, "talkover", "GET", f"{PREFIX}/calls", params={"per_page": 20, "page": 2}).json()
    assert len(body["data"]) == 14
    assert body["pagination"] == {
        "current_page": 2, "last_page": 2, "per_page": 20, "total": 34, "from": 21, "to": 34,
    }  # fmt: skip
    inbound = ask(sandbox, "talkover", "GET", f"{PREFIX}/calls", params={"direction": "inbound"}).json()["data"]
    assert {row["agent"]["id"] for row in inbound} == {"agent_second"}
    one = sandbox.calls("talkover")[0]
    found = ask(sandbox, "talkover", "GET", f"{PREFIX}/calls", params={"search": one.sid}).json()["data"]
    assert [row["id"] for row in found] == [one.id]


def test_a_row_has_no_more_fields_than_the_page_shows(sandbox) -> None:
    sandbox.seed("talkover", 1, sandbox.now() - timedelta(hours=1), sandbox.now())
    (row,) = ask(sandbox, "talkover", "GET", f"{PREFIX}/calls").json()["data"]
    assert set(row) == {
        "id", "sid", "to", "to_formatted", "from", "from_formatted", "is_testing", "direction", "status", "duration",
        "agent", "created_at", "updated_at",
    }  # fmt: skip


def test_ending_a_call_needs_an_active_call_of_the_agent(sandbox) -> None:
    call = sandbox.world.place("talkover", DONE, "agent_sandbox")
    end = f"{PREFIX}/agents/agent_sandbox/end-call"
    unknown = ask(sandbox, "talkover", "POST", end, json={"call_sid": "no-such-call"})
    other = ask(sandbox, "talkover", "POST", f"{PREFIX}/agents/agent_second/end-call", json={"call_sid": call.id})
    assert (unknown.status_code, other.status_code) == (404, 404)
    sandbox.advance(10)
    ended = ask(sandbox, "talkover", "POST", end, json={"call_sid": call.id})
    assert ended.json()["data"]["ended_reason"] == "ended_by_api"
    again = ask(sandbox, "talkover", "POST", end, json={"call_sid": call.id})
    assert (again.status_code, again.json()["code"]) == (409, "CALL_NOT_ACTIVE")


def test_agents_are_paged_under_meta(sandbox) -> None:
    body = ask(sandbox, "talkover", "GET", f"{PREFIX}/agents", params={"per_page": 2, "page": 2}).json()
    assert len(body["data"]) == 1
    assert body["meta"] == {"current_page": 2, "per_page": 2, "total": 3, "last_page": 2}
