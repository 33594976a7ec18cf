"""The three vendors on the sandbox: the same promises for each."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from airflow_provider_voice.exceptions import (
    AgentNotUsable,
    AuthenticationFailed,
    CallOutcomeUnknown,
    CapabilityNotSupported,
    IncompleteHistory,
    InsufficientCredits,
    InvalidPhoneNumber,
    InvalidRequest,
)
from airflow_provider_voice.models import CallRef, CallRequest, CallStatus
from airflow_provider_voice.sandbox import Sandbox, VendorQuirks
from airflow_provider_voice.vendors.base import HistoryQuery
from tests.support import NUMBER, vendor_for


def test_a_call_is_placed_followed_and_found_again(sandbox, vendor) -> None:
    call = vendor.create(CallRequest("+1 (415) 555-2601", variables={"name": "Ada"}))
    assert call.to == NUMBER
    assert call.status is CallStatus.QUEUED
    assert call.created_at is not None
    (ring,) = sandbox.rings
    assert (ring.number, ring.call_id) == (NUMBER, call.id)

    statuses = []
    for _ in range(4):
        statuses.append(vendor.find(CallRef.of(call)).status)
        sandbox.advance(4)
    assert statuses == sorted(statuses, key=lambda status: status.rank)
    sandbox.advance(600)
    ended = vendor.find(CallRef.of(call.to_dict()))
    assert ended.status is CallStatus.COMPLETED
    assert ended.id == call.id
    assert ended.duration_seconds > 0
    assert ended.raw


@pytest.mark.parametrize(
    ("ending", "status"),
    [("02", "busy"), ("03", "no_answer"), ("05", "failed"), ("06", "ringing"), ("07", "in_progress")],
)
def test_magic_endings(sandbox, vendor, ending, status) -> None:
    call = vendor.create(CallRequest(f"+141555526{ending}"))
    sandbox.advance(600)
    assert vendor.find(CallRef.of(call)).status == status


def test_history_is_cut_exactly(sandbox, vendor) -> None:
    now = sandbox.now().replace(microsecond=0)
    seeded = sandbox.seed(vendor.name, 240, now - timedelta(days=4), now)
    for call in seeded:
        call.created_at = call.created_at.replace(microsecond=0)
    start, end = seeded[50].created_at, seeded[180].created_at

    rows = list(vendor.list_calls(HistoryQuery(start, end)))

    expected = [call for call in seeded if start <= call.created_at < end]
    assert len(rows) == len(expected)
    assert len({row.id for row in rows}) == len(rows)
    assert sorted(row.created_at for row in rows) == sorted(call.created_at for call in expected)
    assert not list(vendor.list_calls(HistoryQuery(end, start)))


@pytest.mark.parametrize("order", ["newest", "oldest"])
@pytest.mark.parametrize("max_page", [20, 33, 100])
def test_history_is_complete_in_any_order_and_page_size(vendor_name, order, max_page) -> None:
    with Sandbox(frozen=True, quirks=VendorQuirks(order=order, max_page=max_page)) as sandbox:
        now = sandbox.now()
        seeded = sandbox.seed(vendor_name, 90, now - timedelta(days=3), now)
        try:
            rows = list(
                vendor_for(sandbox, vendor_name).list_calls(
                    HistoryQuery(now - timedelta(days=5), now + timedelta(minutes=1))
                )
            )
        except IncompleteHistory as cut:
            # Talkstack has no second page: more calls of a day and status than one reply holds cannot be read.
            assert (vendor_name, max_page) == ("talkstack", 20)
            assert "20 calls" in cut.message
        else:
            assert len(rows) == len(seeded)


def test_a_list_without_an_order_is_complete_or_refused(vendor_name) -> None:
    """Shuffled anew in every request: pages of it overlap and miss rows, so only one reply can be complete."""
    with Sandbox(frozen=True, quirks=VendorQuirks(order="shuffled", max_page=30)) as sandbox:
        now = sandbox.now()
        sandbox.seed(vendor_name, 25, now - timedelta(hours=3), now)
        rows = list(
            vendor_for(sandbox, vendor_name).list_calls(
                HistoryQuery(now - timedelta(days=1), now + timedelta(minutes=1))
            )
        )
        assert len({row.id for row in rows}) == 25
        sandbox.seed(vendor_name, 60, now - timedelta(hours=3), now)
        try:
            rows = list(
                vendor_for(sandbox, vendor_name).list_calls(
                    HistoryQuery(now - timedelta(days=1), now + timedelta(minutes=1))
                )
            )
        except IncompleteHistory:
            return
        assert len({row.id for row in rows}) == 85


def test_filters(sandbox, vendor) -> None:
    now = sandbox.now()
    sandbox.seed(vendor.name, 40, now - timedelta(hours=5), now)
    window = (now - timedelta(days=1), now + timedelta(minutes=1))
    every = list(vendor.list_calls(HistoryQuery(*window)))
    chosen = list(vendor.list_calls(HistoryQuery(*window, status=["completed", CallStatus.BUSY])))
    assert 0 < len(chosen) < len(every)
    assert {row.id for row in chosen} == {row.id for row in every if row.status in ("completed", "busy")}
    one = every[0]
    assert {row.to for row in vendor.list_calls(HistoryQuery(*window, to=one.to))} == {one.to}


def test_agent_and_direction_filters_work_or_are_refused(sandbox, vendor) -> None:
    now = sandbox.now()
    agents = {"talkover": "agent_second", "talkstack": "agent-second", "unleashx": "103"}
    sandbox.seed(vendor.name, 5, now - timedelta(hours=5), now)
    sandbox.seed(vendor.name, 3, now - timedelta(hours=5), now, agent_id=agents[vendor.name])
    window = (now - timedelta(days=1), now + timedelta(minutes=1))
    if vendor.name == "talkstack":
        with pytest.raises(CapabilityNotSupported):
            list(vendor.list_calls(HistoryQuery(*window, agent_id=agents[vendor.name])))
    else:
        assert len(list(vendor.list_calls(HistoryQuery(*window, agent_id=agents[vendor.name])))) == 3
    if vendor.name == "unleashx":
        with pytest.raises(CapabilityNotSupported):
            list(vendor.list_calls(HistoryQuery(*window, direction="outbound")))
    else:
        assert len(list(vendor.list_calls(HistoryQuery(*window, direction="outbound")))) == 8


def test_found_by_id_alone_where_the_vendor_can(sandbox, vendor) -> None:
    call = vendor.create(CallRequest(NUMBER))
    found = vendor.find(CallRef(call.id))
    assert (found is None) == (vendor.name == "unleashx")
    assert vendor.find(CallRef("no-such-call")) is None


def test_bad_token_agent_and_number(sandbox, vendor) -> None:
    wrong = vendor_for(sandbox, vendor.name, token="wrong")
    for ask in (wrong.check, lambda: wrong.create(CallRequest(NUMBER)), lambda: wrong.find(CallRef("x", NUMBER))):
        with pytest.raises(AuthenticationFailed):
            ask()
    with pytest.raises(AgentNotUsable):
        vendor.create(CallRequest(NUMBER, agent_id="999"))
    before = len(sandbox.requests)
    with pytest.raises(InvalidPhoneNumber):
        vendor.create(CallRequest("+1415"))
    assert len(sandbox.requests) == before
    assert not sandbox.rings


def test_check_costs_nothing_and_changes_nothing(sandbox, vendor) -> None:
    assert "accepts" in vendor.check()
    assert [request.operation for request in sandbox.requests] == ["check"]
    assert not sandbox.calls(vendor.name)


def test_a_call_is_found_once_it_is_listed(sandbox, vendor) -> None:
    sandbox.world.list_delay = 30
    call = vendor.create(CallRequest(NUMBER))
    assert vendor.find(CallRef.of(call)) is None
    sandbox.advance(31)
    assert vendor.find(CallRef.of(call)).id == call.id


def test_a_lost_response_rings_once(sandbox, vendor) -> None:
    sandbox.add_fault("lost_answer")
    with pytest.raises(CallOutcomeUnknown):
        vendor.create(CallRequest(NUMBER))
    assert sandbox.rings_per_number() == {NUMBER: 1}


def test_an_account_without_credit_rings_no_phone(sandbox, vendor) -> None:
    sandbox.add_fault("refused")
    with pytest.raises(InsufficientCredits):
        vendor.create(CallRequest(NUMBER))
    assert not sandbox.rings


@pytest.mark.parametrize("fault", ["reset", "garbage", "cut"])
def test_reads_survive_a_fault(sandbox, vendor, fault) -> None:
    call = vendor.create(CallRequest(NUMBER))
    sandbox.add_fault(fault, operation="any", times=2)
    assert vendor.find(CallRef.of(call)).id == call.id


def test_a_value_without_a_field_at_the_vendor_is_refused_before_it_is_sent(sandbox, vendor) -> None:
    refused = {
        "talkover": [{"context": {"airflow_call_tag": "x"}}],
        "talkstack": [{"context": {"a": 1}}, {"delay_seconds": 5}, {"is_testing": True}],
        "unleashx": [
            {"delay_seconds": 5},
            {"is_testing": True},
            {"agent_id": "a7"},
            {"variables": {"a": 1}, "context": {"a": 2}},
        ],
    }
    for fields in [*refused[vendor.name], {"variables": {"airflow_call_tag": "x"}}]:
        with pytest.raises((CapabilityNotSupported, InvalidRequest)):
            vendor.create(CallRequest(NUMBER, **fields))
    assert not sandbox.requests


@pytest.mark.parametrize("end", [datetime(2026, 1, 1), datetime.max.replace(tzinfo=timezone(timedelta(hours=-5)))])  # noqa: DTZ001 - the point
def test_windows_that_make_no_sense_are_refused_at_once(vendor, end) -> None:
    with pytest.raises(InvalidRequest):
        vendor.list_calls(HistoryQuery(datetime(2025, 1, 1, tzinfo=timezone.utc), end))


def test_a_window_from_the_beginning_of_the_calendar_is_refused(vendor) -> None:
    with pytest.raises(InvalidRequest):
        list(
            vendor.list_calls(
                HistoryQuery(datetime.min.replace(tzinfo=timezone.utc), datetime(2026, 1, 1, tzinfo=timezone.utc))
            )
        )
