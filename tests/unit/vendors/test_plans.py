"""The plans by which many calls are found: what they cost, and that none is missed while the list changes."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_voice.exceptions import CallNotFound
from airflow_provider_voice.models import CallRef, CallRequest, CallStatus
from airflow_provider_voice.sandbox import Sandbox, VendorQuirks
from airflow_provider_voice.tracking.call_watch import CallWatch
from tests.support import Reply, vendor_at, vendor_for


def place(vendor, count):
    return [
        CallRef.of(vendor.create(CallRequest(f"+1415555{number}"))) for number in range(2611, 2611 + count)
    ]  # no magic ending


def spent_on(sandbox, vendor, refs):
    before = len(sandbox.requests)
    found = vendor.find_many(refs)
    return found, len(sandbox.requests) - before


def test_many_are_found_with_few_requests(sandbox, vendor) -> None:
    refs = place(vendor, 30)
    found, spent = spent_on(sandbox, vendor, [*refs, CallRef("missing", placed_at=refs[0].placed_at)])
    assert set(found) == {ref.id for ref in refs}
    assert spent <= 3


def test_few_are_searched_one_by_one(sandbox, vendor) -> None:
    refs = place(vendor, 3)
    sandbox.seed(vendor.name, 500, sandbox.now() - timedelta(hours=5), sandbox.now())
    found, spent = spent_on(sandbox, vendor, refs)
    assert set(found) == {ref.id for ref in refs}
    assert spent == 3


def test_few_active_ones_among_a_long_day_cost_little(sandbox) -> None:
    vendor = vendor_for(sandbox, "talkover")
    refs = place(vendor, 40)
    sandbox.seed("talkover", 3000, sandbox.now() - timedelta(hours=5), sandbox.now() - timedelta(hours=1))
    found, spent = spent_on(sandbox, vendor, refs)
    assert set(found) == {ref.id for ref in refs}
    assert spent <= 6, "the whole list has 31 pages"
    for call in sandbox.calls("talkover")[:5]:
        call.hung_up_at = sandbox.now()
    found, spent = spent_on(sandbox, vendor, refs)
    assert {call.id for call in found.values() if call.status.is_terminal} >= {
        call.id for call in sandbox.calls("talkover")[:5]
    }
    assert len(found) == 40
    assert spent <= 11, "and one search for each that has ended"


@pytest.mark.parametrize("order", ["newest", "changed"])
def test_a_thousand_calls_that_change_while_they_are_looked_for_cost_thirteen_requests(order) -> None:
    with Sandbox(frozen=True, quirks=VendorQuirks(order=order)) as sandbox:
        vendor = vendor_for(sandbox, "talkover")
        numbers = (f"+1415{5_550_000 + number}" for number in range(10, 10_000) if number % 100 >= 10)
        calls = [sandbox.world.place("talkover", next(numbers), "agent_sandbox", tag="t") for _ in range(1000)]
        watch = CallWatch(
            [CallRef(call.id, call.to, call.created_at, "t", call.agent_id) for call in calls],
            clock=lambda: sandbox.now().timestamp(),
        )
        request = vendor.http.request

        def slow_request(*args, **kwargs):
            sandbox.advance(0.5)
            return request(*args, **kwargs)

        vendor.http.request = slow_request
        spent = []
        while not watch.is_over:
            before = vendor.http.sent
            watch.take(vendor.find_many(watch.pending))
            spent.append(vendor.http.sent - before)
            sandbox.advance(30)
        assert max(spent) <= 13
        assert len(spent) <= 15


def test_the_active_lists_are_read_in_the_order_in_which_calls_go_through_them(sandbox) -> None:
    vendor = vendor_for(sandbox, "talkover")
    refs = place(vendor, 40)
    sandbox.seed("talkover", 3000, sandbox.now() + timedelta(seconds=1), sandbox.now() + timedelta(hours=1))
    asked, request = [], vendor.http.request

    def noted(*args, **kwargs):
        asked.append(kwargs["params"].get("status"))
        return request(*args, **kwargs)

    vendor.http.request = noted
    assert set(vendor.find_many(refs)) == {ref.id for ref in refs}
    words = list(dict.fromkeys(word for word in asked if word))
    assert words == ["initiated", "ringing", "answered"][: len(words)]
    assert words


def test_talkstack_asks_the_history_which_calls_go_on_and_the_calls_that_ended(sandbox) -> None:
    vendor = vendor_for(sandbox, "talkstack")
    refs = place(vendor, 20)
    for call in sandbox.calls("talkstack")[:3]:
        call.hung_up_at = sandbox.now()
    found, spent = spent_on(sandbox, vendor, refs)
    assert spent == 4
    assert {call.id for call in found.values() if call.status.is_terminal} == {ref.id for ref in refs[:3]}


def test_an_ending_the_history_has_no_word_for_comes_from_the_call(sandbox) -> None:
    vendor = vendor_for(sandbox, "talkstack")
    refs = [CallRef.of(vendor.create(CallRequest(f"+141555500{number}3"))) for number in range(10)]
    sandbox.advance(3600)
    statuses = {vendor.find(ref).status for ref in refs}
    assert {call.status for call in vendor.find_many(refs).values()} == statuses


def test_a_history_that_does_not_serve_costs_one_request_and_nothing_else(scripted) -> None:
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


def test_the_cost_is_said_in_one_line_without_a_number(sandbox, vendor, caplog) -> None:
    refs = place(vendor, 12)
    caplog.clear()
    with caplog.at_level(logging.INFO):
        vendor.find_many([*refs, CallRef("missing", placed_at=refs[0].placed_at)])
    (line,) = [record.getMessage() for record in caplog.records if "was asked for" in record.getMessage()]
    assert "13 call(s): 12 found, by " in line
    assert not any((ref.to or "?").lstrip("+") in caplog.text for ref in refs)


def test_a_bare_id_is_found_on_older_days_too(sandbox) -> None:
    vendor = vendor_for(sandbox, "talkover")
    old = sandbox.seed("talkover", 6, sandbox.now() - timedelta(days=20), sandbox.now() - timedelta(days=15))
    assert set(vendor.find_many([CallRef(call.id) for call in old])) == {call.id for call in old}


@settings(max_examples=30)
@given(
    st.sampled_from(["talkover", "unleashx"]),
    st.sampled_from(["newest", "oldest", "shuffled"]),
    st.integers(10, 40),
    st.integers(5, 60),
    st.integers(0, 120),
    st.data(),
)
def test_no_call_is_missed_while_the_list_changes(name, order, page, waiting, others, data) -> None:
    """Between two pages calls are added, touched and end; some appear late. Two looks without a change find all."""
    with Sandbox(frozen=True, quirks=VendorQuirks(max_page=page, order=order)) as sandbox:
        vendor = vendor_for(sandbox, name)
        if others:
            sandbox.seed(name, others, sandbox.now() - timedelta(hours=3), sandbox.now())
        refs = place(vendor, waiting)
        late = data.draw(st.integers(0, 3))
        for call in sandbox.calls(name)[len(sandbox.calls(name)) - late :]:
            call.shown_from = sandbox.now() + timedelta(seconds=60)
        watch = CallWatch(refs, clock=lambda: sandbox.now().timestamp())
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
        # A list in no order at all shows a page of anything with every request: some looks find what one does not.
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
