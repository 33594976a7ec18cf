"""The plan by which many of Talkover's calls are found in its lists: its cost, while the lists change."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace

import pytest

from airflow_provider_voice.models import Call, CallRef, CallStatus
from airflow_provider_voice.sandbox import Sandbox, VendorQuirks
from airflow_provider_voice.tracking import call_watch
from airflow_provider_voice.tracking.call_watch import CallWatch
from airflow_provider_voice.vendors.pagination import Page
from airflow_provider_voice.vendors.talkover_lookup import ACTIVE_STATUSES, find_in_lists
from tests.support import vendor_for
from tests.unit.vendors.test_base import place, spent_on


def test_few_active_ones_among_a_long_day_cost_little(sandbox) -> None:
    vendor = vendor_for(sandbox, "talkover")
    refs = place(vendor, 40)
    sandbox.seed("talkover", 3000, sandbox.now() - timedelta(hours=5), sandbox.now() - timedelta(hours=1))
    found, spent = spent_on(sandbox, vendor, refs)
    assert set(found) == {ref.id for ref in refs}
    assert spent <= 6, "the full list has 31 pages"
    for call in sandbox.calls("talkover")[:5]:
        call.hung_up_at = sandbox.now()
    found, spent = spent_on(sandbox, vendor, refs)
    assert {call.id for call in found.values() if call.status.is_terminal} >= {
        call.id for call in sandbox.calls("talkover")[:5]
    }
    assert len(found) == 40
    assert spent <= 11, "and one search for each that has ended"


@pytest.mark.parametrize("order", ["newest", "changed"])
def test_a_thousand_calls_that_change_during_a_search_cost_thirteen_requests(order, monkeypatch) -> None:
    with Sandbox(frozen=True, quirks=VendorQuirks(order=order)) as sandbox:
        vendor = vendor_for(sandbox, "talkover")
        numbers = (f"+1415{5_550_000 + number}" for number in range(10, 10_000) if number % 100 >= 10)
        calls = [sandbox.world.place("talkover", next(numbers), "agent_sandbox", tag="t") for _ in range(1000)]
        monkeypatch.setattr(call_watch, "time", SimpleNamespace(time=lambda: sandbox.now().timestamp()))
        watch = CallWatch([CallRef(call.id, call.to, call.created_at, "t", call.agent_id) for call in calls])
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


def test_the_active_lists_are_read_in_the_order_of_a_calls_statuses(sandbox) -> None:
    vendor = vendor_for(sandbox, "talkover")
    refs = place(vendor, 40)
    sandbox.seed("talkover", 3000, sandbox.now() + timedelta(seconds=1), sandbox.now() + timedelta(hours=1))
    asked, request = [], vendor.http.request

    def noted(*args, **kwargs):
        asked.append(kwargs["params"].get("status"))
        return request(*args, **kwargs)

    vendor.http.request = noted
    assert set(vendor.find_many(refs)) == {ref.id for ref in refs}
    statuses_asked = list(dict.fromkeys(status for status in asked if status))
    assert statuses_asked == ["initiated", "ringing", "answered"][: len(statuses_asked)]
    assert statuses_asked


class Lists:
    """The call lists of a vendor as pages, by status; counts the pages that are read.

    :param calls: status -> number of calls.
    """

    def __init__(self, **calls):
        self.calls = {
            status: [Call(f"{status}-{number}", "talkover", CallStatus.UNKNOWN, status) for number in range(count)]
            for status, count in calls.items()
        }
        self.pages, self.searched = [], []

    def read_page(self, status, number):
        self.pages.append((status, number))
        every = [call for calls in self.calls.values() for call in calls]
        listed = every if status is None else self.calls.get(status, [])
        rows, last_page = listed[(number - 1) * 100 : number * 100], max(1, -(-len(listed) // 100))
        return Page(rows, lambda call: call, len(listed), last_page)

    def search(self, refs):
        self.searched += refs
        return {call.id: call for calls in self.calls.values() for call in calls if call.id in refs}

    def find(self, *ids, to="+14155552601"):
        return find_in_lists({name: CallRef(name, to) for name in ids}, self.read_page, self.search)


def test_a_short_list_is_read_until_every_call_was_seen() -> None:
    lists = Lists(ringing=50, completed=200)
    assert set(lists.find("ringing-3", "ringing-4", "completed-2")) == {"ringing-3", "ringing-4", "completed-2"}
    assert (lists.pages, lists.searched) == ([(None, 1)], [])


def test_of_a_long_list_the_active_calls_are_read_and_the_ended_ones_searched_for() -> None:
    lists = Lists(completed=3000, ringing=4, answered=2)
    found = lists.find("ringing-0", "ringing-1", "answered-1", "completed-2999")
    assert set(found) == {"ringing-0", "ringing-1", "answered-1", "completed-2999"}
    assert lists.searched == ["completed-2999"]
    assert {status for status, number in lists.pages} == {None, *ACTIVE_STATUSES}
    assert len(lists.pages) <= 7


def test_without_a_number_nothing_is_searched_for() -> None:
    lists = Lists(completed=1500, ringing=1)
    assert set(lists.find("completed-1400", to=None)) == {"completed-1400"}
    assert lists.searched == []


def test_a_call_that_no_list_shows_is_absent() -> None:
    lists = Lists(completed=1500)
    assert lists.find("elsewhere") == {}
    assert lists.searched == ["elsewhere"]


@pytest.mark.parametrize("wanted", [17, 19, 20])
def test_a_call_that_stands_still_is_never_absent(wanted) -> None:
    lists = Lists(completed=1950, ringing=50)
    ids = [f"completed-{number}" for number in range(1000, 1000 + wanted)]
    assert set(lists.find(*ids)) == set(ids), "an export marks an absent call as missing"
    assert len(lists.pages) + len(lists.searched) <= 20 + len(ACTIVE_STATUSES) + 1
