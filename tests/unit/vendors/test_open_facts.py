"""Facts that the vendors' pages leave open, one server for each possibility: page sizes, days, clocks, order, delays.

The servers are built from the facts, not from the sandbox: a double that shares our reading would share our errors.
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler

import pytest

from airflow_provider_voice.exceptions import IncompleteHistory
from airflow_provider_voice.models import CallRef, CallRequest
from airflow_provider_voice.vendors.base import HistoryQuery
from tests.support import NUMBER, Reply, vendor_at

NOW = datetime.now(timezone.utc).replace(microsecond=0)
MIDNIGHT = NOW.replace(hour=0, minute=0, second=0) - timedelta(days=3)


@dataclass(frozen=True)
class Facts:
    """Answers that a vendor may give; its page suggests the defaults."""

    page: int = 100
    counts: str = "right"  # right, absent, capped, one too high
    states: str = "its size"  # of a page: or the one asked for, or nothing
    zone: int = 0  # hours east of UTC in which the vendor's days are
    last_day: str = "included"  # or excluded
    order: str = "created down"  # created up, changed, random
    times: str = "kept"  # of a filter with a time of day: or cut to the day


ALTERNATIVES = [
    *(Facts(page=page, counts=counts) for page in (9, 15, 19) for counts in ("right", "absent", "capped")),
    *(Facts(zone=zone, last_day=last_day) for zone in (-12, 0, 14) for last_day in ("included", "excluded")),
    *(Facts(page=page, counts="capped", states=states) for page in (1, 6, 45) for states in ("asked for", "nothing")),
    *(Facts(order=order, page=19) for order in ("created up", "changed")),
    Facts(counts="one too high"),
    Facts(page=9, counts="absent", zone=14, last_day="excluded", order="created up"),
    Facts(page=15, counts="absent", zone=-12, last_day="excluded", order="changed"),
]


def rows_around(start: datetime, count: int) -> list[dict]:
    """Return rows, one every 47 minutes from ``start`` on, each with its own number."""
    return [
        {
            "key": number + 1,
            "at": start + timedelta(minutes=47 * number),
            "to": f"+1415555{2000 + number}",
            "status": ("completed", "busy", "failed", "no-answer")[number % 4],
        }
        for number in range(count)
    ]


class Double:
    """Answers a list request by the facts."""

    def __init__(self, rows: list[dict], facts: Facts) -> None:
        self.rows, self.facts = rows, facts
        self.random = random.Random(1)

    def selected(self, first: str | None, last: str | None, number: str | None) -> list[dict]:
        rows = [row for row in self.rows if self._in(row["at"], first, last) and (number or "") in row["to"]]
        if self.facts.order == "random":
            self.random.shuffle(rows)
        key = {"changed": lambda row: -row["key"] * 7919 % 101, "created up": lambda row: row["key"]}
        return (
            sorted(rows, key=key.get(self.facts.order, lambda row: -row["key"]))
            if self.facts.order != "random"
            else rows
        )

    def _in(self, at: datetime, first: str | None, last: str | None) -> bool:
        local = (at + timedelta(hours=self.facts.zone)).replace(tzinfo=None)
        start = datetime.fromisoformat(first or "1900-01-01")
        end = datetime.fromisoformat(last or "2900-01-01")
        if self.facts.times == "cut to the day":
            start, end = (moment.replace(hour=0, minute=0, second=0) for moment in (start, end))
        is_day = (end.hour, end.minute, end.second) == (0, 0, 0)
        if is_day and self.facts.last_day == "included":
            end += timedelta(days=1)
        return start <= local < end

    def __call__(self, seen):
        query = {name: values[0] for name, values in seen.query.items()}
        if "get-call-history" in seen.path:
            return self.talkstack(query, seen.json["pageSize"])
        return self.unleashx(query) if "executions" in seen.path else self.talkover(query)

    def talkover(self, query):
        rows = self.selected(query["date_from"], query["date_to"], query.get("search"))
        rows = [row for row in rows if query.get("status") in (None, row["status"])]
        size, page = min(int(query["per_page"]), self.facts.page), int(query["page"])
        data = [
            {"id": f"c{row['key']}", "to": row["to"], "status": row["status"], "created_at": row["at"].isoformat(),
             "direction": "outbound", "agent": {"id": "101"}}
            for row in rows[(page - 1) * size : page * size]
        ]  # fmt: skip
        counted = {"right": len(rows), "capped": min(len(rows), 2 * size), "one too high": len(rows) + 1}
        if self.facts.counts == "absent":
            return {"data": data}
        total = counted[self.facts.counts]
        stated = {"its size": size, "asked for": int(query["per_page"]), "nothing": None}[self.facts.states]
        return {"data": data, "pagination": {"total": total, "last_page": -(-total // size), "per_page": stated}}

    def unleashx(self, query):
        rows = self.selected(query["fromdate"], query["todate"], query.get("calling_number"))
        size, page = min(int(query["limit"]), self.facts.page), int(query["page"])
        if "input_data" in query:
            return {"datalist": []}
        return {"datalist": [
            {"ID": row["key"], "CALLING_NUMBER": row["to"], "STATUS": row["status"], "AGENT_ID": 101,
             "CREATED_AT": row["at"].isoformat(), "execution_id": f"c{row['key']}"}
            for row in rows[(page - 1) * size : page * size]
        ]}  # fmt: skip

    def talkstack(self, query, page_size):
        def fits(row) -> bool:
            day = row["at"].date()
            return (
                query.get("status") in (None, row["status"])
                and query.get("startTime") in (None, day.isoformat())
                and day >= date.fromisoformat(query.get("startTimeAfter", "2000-01-01"))
                and day < date.fromisoformat(query.get("startTimeBefore", "2100-01-01"))
            )

        rows = [row for row in self.selected(None, None, None) if fits(row)]
        return [
            {"callSid": f"c{row['key']}", "to": row["to"], "status": row["status"], "date": row["at"].isoformat()}
            for row in rows[: min(page_size, self.facts.page)]
        ]


@pytest.mark.parametrize("facts", ALTERNATIVES, ids=str)
@pytest.mark.parametrize("name", ["talkover", "unleashx", "talkstack"])
def test_a_window_is_read_completely_or_refused(scripted, name, facts) -> None:
    rows = rows_around(MIDNIGHT - timedelta(days=1), 90)
    vendor = vendor_at(scripted(Double(rows, facts)).url, name)
    start, end = MIDNIGHT - timedelta(hours=3), MIDNIGHT + timedelta(hours=20, minutes=1)
    try:
        got = [call.created_at for call in vendor.list_calls(HistoryQuery(start, end))]
    except IncompleteHistory:
        # Talkstack has no pages: calls that do not fit into one reply cannot be read.
        assert name == "talkstack"
        assert facts.page < 20
    else:
        assert sorted(got) == [row["at"] for row in rows if start <= row["at"] < end]


@pytest.mark.parametrize("name", ["talkover", "unleashx"])
def test_pages_in_random_order_are_read_in_smaller_windows(scripted, name) -> None:
    rows = rows_around(MIDNIGHT - timedelta(days=1), 90)
    vendor = vendor_at(scripted(Double(rows, Facts(page=40, counts="absent", order="random"))).url, name)
    try:
        got = list(vendor.list_calls(HistoryQuery(MIDNIGHT, MIDNIGHT + timedelta(hours=12))))
    except IncompleteHistory:
        assert name == "talkover"  # two of its days do not fit on a page
    else:
        assert len(got) == len({call.id for call in got}) == 15


def test_a_long_list_without_an_order_costs_requests_and_no_hours(scripted, page_pauses) -> None:
    """Each pause before a further pass is made once for the window, not for each of its hundred parts."""
    rows = [
        {**row, "at": MIDNIGHT + timedelta(minutes=number)} for number, row in enumerate(rows_around(MIDNIGHT, 600))
    ]
    facts = Facts(page=19, counts="absent", order="random", last_day="excluded")
    vendor = vendor_at(scripted(Double(rows, facts)).url, "unleashx")
    got = list(vendor.list_calls(HistoryQuery(MIDNIGHT, MIDNIGHT + timedelta(hours=12))))
    assert len(got) == len({call.id for call in got}) == 600
    assert sum(page_pauses) == 14


@pytest.mark.parametrize("name", ["talkover", "unleashx", "talkstack"])
def test_a_row_has_the_time_at_which_its_page_was_read(scripted, name) -> None:
    """Pages are read ahead of the table: by this time, not by that of the loading, one picture is newer than another."""
    vendor = vendor_at(scripted(Double(rows_around(MIDNIGHT, 9), Facts())).url, name)
    began = time.monotonic()
    calls = vendor.list_calls(HistoryQuery(MIDNIGHT, MIDNIGHT + timedelta(hours=12)))
    first, asked = next(calls), time.monotonic()
    assert all(began <= call.read_at <= asked for call in (first, *calls))


def test_a_vendor_that_cuts_times_to_days_is_noticed(scripted) -> None:
    """Windows below a day are only asked for when larger ones cannot be read, and must show the calls of the larger one."""
    rows = rows_around(MIDNIGHT - timedelta(days=1), 90)
    facts = Facts(page=7, order="random", times="cut to the day", last_day="excluded")
    vendor = vendor_at(scripted(Double(rows, facts)).url, "unleashx")
    try:
        got = list(vendor.list_calls(HistoryQuery(MIDNIGHT, MIDNIGHT + timedelta(hours=12))))
    except IncompleteHistory:
        return
    assert len(got) == 15


@pytest.mark.parametrize("zone", [-12, 0, 14])
@pytest.mark.parametrize("last_day", ["included", "excluded"])
@pytest.mark.parametrize("name", ["talkover", "unleashx"])
def test_a_call_beside_midnight_is_found_wherever_the_vendors_days_begin(scripted, name, zone, last_day) -> None:
    rows = rows_around(MIDNIGHT - timedelta(hours=14), 40)
    vendor = vendor_at(scripted(Double(rows, Facts(zone=zone, last_day=last_day, page=15))).url, name)
    refs = [CallRef(f"c{row['key']}", row["to"], row["at"], "afv-1", "101") for row in rows]
    assert set(vendor.find_many(refs)) == {ref.id for ref in refs}
    assert all(vendor.find(ref) is not None for ref in refs[::10])


DATES = {
    "absent": lambda: "",
    "unreadable": lambda: "yesterday",
    "ahead": lambda: _http_date(NOW + timedelta(hours=5)),
    "behind": lambda: _http_date(NOW - timedelta(hours=5)),
    "first year": lambda: "Mon, 01 Jan 0001 00:00:00 GMT",
    "last year": lambda: "Fri, 31 Dec 9999 23:59:59 GMT",
}


def _http_date(moment: datetime) -> str:
    return moment.strftime("%a, %d %b %Y %H:%M:%S GMT")


@pytest.mark.parametrize("clock", DATES)
@pytest.mark.parametrize("name", ["talkover", "unleashx", "talkstack"])
def test_any_date_header_is_accepted(scripted, monkeypatch, name, clock) -> None:
    monkeypatch.setattr(BaseHTTPRequestHandler, "date_time_string", lambda *args: DATES[clock]())
    double = Double(rows_around(NOW - timedelta(hours=5), 7), Facts())
    created = {
        "talkover": {"success": True, "data": {"id": "c1"}},
        "unleashx": {"success": True, "data": {"execution_id": "c1"}},
        "talkstack": {"status": "success", "call": {"call_id": "c1"}},
    }[name]

    def answer(seen):
        if seen.path.endswith(("/call", "makeCall")) and "sid" not in (seen.json or {}):
            return created
        if seen.path == "/call":
            return {"callSid": "c1", "status": "completed"}
        if seen.path in ("/agents", "/verify", "/voices"):
            return {"data": [], "voices": []}
        return double(seen)

    vendor = vendor_at(scripted(answer).url, name)
    call = vendor.create(CallRequest(NUMBER, agent_id="101"))
    ref = replace(CallRef.of(call), to=None)
    assert vendor.find(ref).id == "c1"
    assert len(list(vendor.list_calls(HistoryQuery(NOW - timedelta(days=1), NOW + timedelta(days=1))))) == 7
    assert abs(vendor.now() - datetime.now(timezone.utc)) < timedelta(hours=6)


@pytest.mark.parametrize("name", ["talkover", "unleashx", "talkstack"])
def test_a_row_that_is_listed_after_a_delay_is_found_then(scripted, name) -> None:
    rows = []
    double = Double(rows, Facts())

    def answer(seen):
        if seen.path == "/call":
            return {"callSid": "c1", "status": "completed"} if rows else Reply({"message": "no such call"}, status=404)
        return double(seen)

    vendor = vendor_at(scripted(answer).url, name)
    ref = CallRef("c1", "+14155552000", NOW)
    assert vendor.find(ref) is None
    assert vendor.find_many([ref]) == {}
    rows.extend(rows_around(NOW, 1))
    assert vendor.find(ref).status == "completed"
    assert set(vendor.find_many([ref])) == {"c1"}
