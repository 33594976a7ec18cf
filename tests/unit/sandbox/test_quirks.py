"""Each quirk shows in the responses of the vendors that can have it."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
import requests

from airflow_provider_voice.models import CallRef
from airflow_provider_voice.sandbox import Sandbox, VendorQuirks
from airflow_provider_voice.sandbox.talkover import PREFIX as TALKOVER
from airflow_provider_voice.sandbox.unleashx import PREFIX as UNLEASHX
from airflow_provider_voice.vendors.base import HistoryQuery
from tests.support import vendor_for

START = datetime(2026, 11, 2, 15, tzinfo=timezone.utc)


def get_list(sandbox: Sandbox, vendor: str = "talkover", **params: Any) -> tuple[dict[str, Any], dict[str, str]]:
    """Request one page of a vendor's list; return its body and its headers."""
    token = sandbox.connection(vendor)["password"]
    if vendor == "talkstack":
        body = {"projectId": "project-sandbox", "pageSize": params.pop("pageSize", 1000)}
        url, headers = f"{sandbox.url}/call/get-call-history", {"x-api-key": token}
        response = requests.post(url, json=body, params=params, headers=headers, timeout=30)
    elif vendor == "unleashx":
        url = f"{sandbox.url}{UNLEASHX}/agents/executions/list"
        response = requests.get(url, params=params, headers={"token": token}, timeout=30)
    else:
        headers = {"Authorization": f"Bearer {token}"}
        response = requests.get(f"{sandbox.url}{TALKOVER}/calls", params=params, headers=headers, timeout=30)
    assert response.status_code == 200, response.text
    return response.json(), {name.title(): value for name, value in response.headers.items()}


def rows_of(body: dict[str, Any]) -> list[dict[str, Any]]:
    return body.get("datalist") or body.get("data") or []


def quirky(count: int = 25, vendor: str = "talkover", **quirks: Any) -> Sandbox:
    """Return a sandbox with a history of the day before its frozen start."""
    sandbox = Sandbox(frozen=True, start=START, quirks=VendorQuirks(**quirks))
    sandbox.seed(vendor, count, START - timedelta(hours=10), START - timedelta(hours=1))
    return sandbox


def test_a_read_of_a_list_changes_nothing_where_no_quirk_asks_for_it() -> None:
    ids = []
    for reads in (0, 2):
        with quirky() as sandbox:
            for _ in range(reads):
                get_list(sandbox)
            calls = sandbox.calls("talkover")
            assert not any(call.touched_at for call in calls)
            ids.append([call.id for call in sandbox.seed("talkover", 2, START - timedelta(hours=1), START)])
    assert ids[0] == ids[1]


def test_a_delay_that_is_no_duration_is_refused_when_the_sandbox_is_made() -> None:
    with pytest.raises(ValueError, match="soon"):
        Sandbox(quirks=VendorQuirks(list_delay="soon"))  # type: ignore[arg-type]  # that is the test


@pytest.mark.parametrize("cap", [9, 15, 19])
@pytest.mark.parametrize(
    ("vendor", "size"), [("talkover", "per_page"), ("talkstack", "pageSize"), ("unleashx", "limit")]
)
def test_pages_are_smaller_than_requested(vendor, size, cap) -> None:
    with quirky(vendor=vendor, max_page=cap) as sandbox:
        body, _ = get_list(sandbox, vendor, **{size: 100})
    assert len(rows_of(body)) == cap


def test_a_pagination_object_may_be_missing_or_wrong() -> None:
    with quirky(pagination="missing") as sandbox:
        assert "pagination" not in get_list(sandbox)[0]
    with quirky(pagination="off_by_one") as sandbox:
        assert get_list(sandbox)[0]["pagination"]["total"] == 26
    with quirky(total_cap=20) as sandbox:
        pagination = get_list(sandbox, per_page=10)[0]["pagination"]
        assert (pagination["total"], pagination["last_page"]) == (20, 2)
        assert rows_of(get_list(sandbox, per_page=10, page=3)[0])


@pytest.mark.parametrize(("vendor", "last"), [("talkover", "date_to"), ("unleashx", "todate")])
def test_the_last_day_may_be_left_out(vendor, last) -> None:
    today = START.date().isoformat()
    with quirky(vendor=vendor) as sandbox:
        assert rows_of(get_list(sandbox, vendor, **{last: today})[0])
    with quirky(vendor=vendor, excludes_last_day=True) as sandbox:
        assert not rows_of(get_list(sandbox, vendor, **{last: today})[0])


@pytest.mark.parametrize(("hours", "day"), [(0, 0), (14, 1), (-12, -1)])
@pytest.mark.parametrize(
    ("vendor", "first", "last"), [("talkover", "date_from", "date_to"), ("unleashx", "fromdate", "todate")]
)
def test_days_are_those_of_the_vendors_zone(vendor, first, last, hours, day) -> None:
    with Sandbox(frozen=True, start=START, quirks=VendorQuirks(day_offset=timedelta(hours=hours))) as sandbox:
        noon = START.replace(hour=11)
        sandbox.seed(vendor, 3, noon, noon + timedelta(minutes=1))
        shown = (noon + timedelta(days=day)).date().isoformat()
        assert len(rows_of(get_list(sandbox, vendor, **{first: shown, last: shown})[0])) == 3


def test_the_clock_may_be_off_and_its_header_missing() -> None:
    ahead = timedelta(hours=3)
    with Sandbox(frozen=True, start=START, quirks=VendorQuirks(clock_offset=ahead)) as sandbox:
        assert sandbox.now() == START + ahead
        assert get_list(sandbox)[1]["Date"] == "Mon, 02 Nov 2026 18:00:00 GMT"
    with Sandbox(quirks=VendorQuirks(sends_date=False)) as sandbox:
        assert "Date" not in get_list(sandbox)[1]


def test_lists_are_in_any_order() -> None:
    seen = {}
    for order in ("newest", "oldest", "changed", "shuffled"):
        with quirky(order=order) as sandbox:
            sandbox.world.touch_oldest("talkover", 1)
            seen[order] = [row["id"] for row in rows_of(get_list(sandbox, per_page=100)[0])]
    assert seen["oldest"] == seen["newest"][::-1]
    assert seen["changed"][0] == seen["oldest"][0]
    assert sorted(seen["shuffled"]) == sorted(seen["newest"])
    assert seen["shuffled"] not in (seen["newest"], seen["oldest"])


@pytest.mark.parametrize("vendor", ["talkover", "talkstack", "unleashx"])
def test_lists_change_while_they_are_read(vendor) -> None:
    with quirky(vendor=vendor, new_calls_per_page=3, touched_per_page=5) as sandbox:
        counts = [len(rows_of(get_list(sandbox, vendor, per_page=100, limit=100)[0])) for _ in range(2)]
        assert counts == [28, 31]
        assert sum(call.touched_at == sandbox.now() for call in sandbox.calls(vendor)) == 5


def test_updated_at_may_be_missing_or_go_backwards() -> None:
    with quirky(updated_at="missing") as sandbox:
        assert "updated_at" not in rows_of(get_list(sandbox)[0])[0]
    with Sandbox(frozen=True, start=START, quirks=VendorQuirks(updated_at="backwards")) as sandbox:
        sandbox.world.place("talkover", "+14155552601", "agent_sandbox")
        seen = []
        for _ in range(3):
            seen.append(rows_of(get_list(sandbox)[0])[0]["updated_at"])
            sandbox.advance(5)
    assert seen == sorted(seen, reverse=True)
    assert len(set(seen)) == 3


@pytest.mark.parametrize("vendor", ["talkover", "talkstack", "unleashx"])
def test_statuses_may_be_unknown(vendor) -> None:
    with Sandbox(frozen=True, start=START, quirks=VendorQuirks(statuses={"busy": "Line-Engaged"})) as sandbox:
        sandbox.world.place(vendor, "+14155552602", "101")
        sandbox.advance(60)
        row = rows_of(get_list(sandbox, vendor)[0])[0]
    assert "Line-Engaged" in (row.get("status"), row.get("STATUS"))


@pytest.mark.parametrize(
    "wrong", [{"order": "sorted"}, {"max_page": 0}, {"day_offset": timedelta(hours=15)}, {"pagination": "meta"}]
)
def test_impossible_quirks_are_refused(wrong) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        VendorQuirks(**wrong)


def test_an_inbound_call_of_unleashx_is_found_again() -> None:
    # Its row shows the caller as CALLING_NUMBER, so the filter of this name must compare with the caller.
    with Sandbox(frozen=True, start=START) as sandbox:
        sandbox.seed("unleashx", 3, START - timedelta(hours=1), START, direction="inbound")
        vendor = vendor_for(sandbox, "unleashx")
        listed = list(vendor.list_calls(HistoryQuery(START - timedelta(hours=1), START)))
        assert len(listed) == 3
        assert [vendor.find(CallRef.of(call)) for call in listed] == listed
        vendor.close()
