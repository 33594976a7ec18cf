"""The common part of the routes: order of checks, the request log, faults and responses."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest
import requests

from airflow_provider_voice.sandbox import VendorQuirks
from airflow_provider_voice.sandbox.talkover import PREFIX, TalkoverRoutes
from airflow_provider_voice.sandbox.world import World
from tests.unit.sandbox.exchange import ask

DONE = "+14155552601"
CREATES = {
    "talkover": (f"{PREFIX}/agents/agent_sandbox/call", {"to": DONE}),
    "talkstack": ("/call/makeCall", {"projectId": "project-sandbox", "agentId": "agent-sandbox", "number": DONE}),
    "unleashx": ("/api/v1/global/agents/call", {"agent_id": 101, "phone_number": DONE}),
}


def create(sandbox, vendor, **more):
    path, body = CREATES[vendor]
    return ask(sandbox, vendor, "POST", path, json=body, **more)


def test_a_refused_token_is_logged_and_uses_up_no_fault(sandbox, vendor_name) -> None:
    sandbox.add_fault("status", status=503)
    refused = create(sandbox, vendor_name, headers={"token": "wrong"})
    assert refused.status_code == 401
    assert create(sandbox, vendor_name).status_code == 503
    assert not sandbox.rings
    assert create(sandbox, vendor_name).status_code == 200
    assert [(entry.vendor, entry.operation) for entry in sandbox.requests] == [(vendor_name, "create")] * 3
    assert len(sandbox.rings) == 1


def test_a_fault_hits_the_number_it_is_for(sandbox, vendor_name) -> None:
    sandbox.add_fault("refused", number="+14155552602")
    sandbox.add_fault("reset", number=DONE, after=1)
    assert create(sandbox, vendor_name).status_code == 200
    with pytest.raises(requests.ConnectionError):
        create(sandbox, vendor_name)
    assert len(sandbox.rings) == 1


@pytest.mark.parametrize("kind", ["lost_answer", "cut", "slow", "garbage"])
def test_a_call_is_placed_although_its_response_goes_wrong(sandbox, kind) -> None:
    sandbox.add_fault(kind, accepted=True, seconds=timedelta(milliseconds=200))
    began = time.monotonic()
    try:
        response = create(sandbox, "talkover")
    except requests.RequestException:
        assert kind in ("lost_answer", "cut")
    else:
        assert kind == "garbage" or time.monotonic() - began >= 0.2
        assert (response.headers["Content-Type"] == "application/json") == (kind == "slow")
    assert sandbox.rings_per_number() == {DONE: 1}


@pytest.mark.parametrize("retry_after", [90, timedelta(seconds=90)])
def test_a_429_names_its_wait_in_the_vendors_form(sandbox, vendor_name, retry_after) -> None:
    sandbox.add_fault("status", status=429, retry_after=retry_after)
    response = create(sandbox, vendor_name)
    assert response.headers["Retry-After"] == "90"
    details = response.json().get("error") if vendor_name == "talkover" else None
    assert details is None or details["details"] == {"retry_after": 90}


@pytest.mark.parametrize(
    ("first", "last", "offset", "is_in"),
    [
        (None, None, 0, True),
        ("2026-11-02", "2026-11-02", 0, True),
        ("2026-11-03", None, 0, False),
        (None, "2026-11-01", 0, False),
        ("2026-11-03", "2026-11-03", 2, True),
        ("2026-11-02T00:00:00", "2026-11-02T23:00:00", 0, True),
    ],
)
def test_a_date_filter_counts_days_as_the_vendor_does(first, last, offset, is_in) -> None:
    from datetime import datetime, timezone

    world = World(frozen=True, start=datetime(2026, 11, 2, 23, tzinfo=timezone.utc))
    routes = TalkoverRoutes(world, VendorQuirks(day_offset=offset * 3600))
    call = world.place("talkover", DONE, "agent_sandbox")
    assert routes.in_days(call, first, last) is is_in
    open_ended = TalkoverRoutes(world, VendorQuirks(excludes_last_day=True))
    assert open_ended.in_days(call, first, last) is (is_in and last is None)
