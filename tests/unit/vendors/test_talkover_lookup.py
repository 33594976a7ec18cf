"""The plan by which many of Talkover's calls are found in its lists: its cost, while the lists change."""

from __future__ import annotations

from datetime import timedelta

import pytest

from airflow_provider_voice.models import CallRef
from airflow_provider_voice.sandbox import Sandbox, VendorQuirks
from airflow_provider_voice.tracking.call_watch import CallWatch
from tests.support import vendor_for
from tests.unit.vendors.test_base import place, spent_on


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
