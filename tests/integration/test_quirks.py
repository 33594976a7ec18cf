"""Place, wait, export: for each vendor, under each answer that its pages leave open.

In every case one phone rings once, a wait ends with the true status, and the table is complete.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from airflow_provider_voice.exceptions import CallOutcomeUnknown, IncompleteHistory
from airflow_provider_voice.models import CallStatus
from airflow_provider_voice.sandbox import Sandbox, SandboxCall, VendorQuirks
from tests.integration.databases import execute
from tests.integration.exporting import export
from tests.support import replace_sleep
from tests.tries import Task

pytestmark = pytest.mark.once

BUSY, FAILED = "+14155552602", "+14155552705"
HISTORY = 45
#: No wait that a vendor asks for is longer than this, in seconds.
LONGEST_PAUSE = 600
WAIT = {
    "wait_for_completion": True,
    "deferrable": False,
    "poll_interval": 0.05,
    "success_statuses": [status for status in CallStatus if status.is_terminal],
}


@dataclass
class Case:
    """One open fact with one of its answers.

    :param quirks: how the vendor answers throughout.
    :param faults: how single requests go wrong.
    :param to: the number that is called.
    :param is_found: whether a call whose create got no readable answer can be found and adopted, default True.
    :param ends: whether the vendor's statuses show that the call has ended, default True.
    :param not_for: vendors whose pages rule this answer out, with the reason.
    """

    quirks: dict[str, Any] = field(default_factory=dict)
    faults: list[dict[str, Any]] = field(default_factory=list)
    to: str = BUSY
    is_found: bool = True
    ends: bool = True
    not_for: dict[str, str] = field(default_factory=dict)


LOST = {"kind": "lost_answer"}
READS = ("find", "list")


def reads(**fault: Any) -> list[dict[str, Any]]:
    """Return the same fault for both kinds of reads."""
    return [{"operation": operation, **fault} for operation in READS]


CASES = {
    "as documented": Case(),
    "answer lost": Case(faults=[LOST]),
    "pages of 9": Case({"max_page": 9}, [LOST], not_for={"talkstack": "a page has 20 calls by default"}),
    **{f"pages of {cap}": Case({"max_page": cap}, [LOST]) for cap in (15, 19)},
    "no pagination": Case({"pagination": "missing"}, [LOST]),
    "pages of 15 without pagination": Case({"pagination": "missing", "max_page": 15}, [LOST]),
    "total one too high": Case({"pagination": "off_by_one"}, [LOST]),
    "total capped": Case({"total_cap": 20, "max_page": 10}, [LOST]),
    "date_to exclusive": Case({"excludes_last_day": True}, [LOST]),
    **{f"days of UTC{hours:+}": Case({"day_offset": timedelta(hours=hours)}, [LOST]) for hours in (-12, 5, 14)},
    **{
        f"date_to exclusive, days of UTC{hours:+}": Case(
            {"day_offset": timedelta(hours=hours), "excludes_last_day": True}, [LOST]
        )
        for hours in (-12, 14)
    },
    **{f"clock {minutes:+} min": Case({"clock_offset": timedelta(minutes=minutes)}, [LOST]) for minutes in (-40, 40)},
    "no Date header": Case({"sends_date": False}, [LOST]),
    "clock +2 min, no Date header": Case({"sends_date": False, "clock_offset": timedelta(minutes=2)}, [LOST]),
    **{f"order {order}": Case({"order": order, "max_page": 20}, [LOST]) for order in ("oldest", "changed")},
    # In one page: of a list that is in another order for each page, it is unknowable whether it is complete.
    "order shuffled": Case({"order": "shuffled"}, [LOST]),
    "listed after a delay": Case({"list_delay": 120.0}, [LOST], is_found=False),
    "new calls while paging": Case({"new_calls_per_page": 3, "max_page": 20}, [LOST]),
    "old calls change while paging": Case({"touched_per_page": 5, "order": "changed", "max_page": 20}, [LOST]),
    "updated_at missing": Case({"updated_at": "missing"}, [LOST]),
    "updated_at backwards": Case({"updated_at": "backwards"}, [LOST]),
    "unknown ending": Case({"statuses": {"busy": "line-engaged"}}, [LOST], ends=False),
    "unknown stage": Case({"statuses": {"ringing": "alerting"}}, [LOST]),
    "503 with a status": Case(faults=reads(kind="status", status=503, body={"error": "busy"}, times=2), to=FAILED),
    "500 with a status": Case(faults=reads(kind="status", status=500, body={"status": "failed"}, times=2)),
    "502 with a message": Case(faults=reads(kind="status", status=502, body={"message": "Failed"}, times=2)),
    **{
        f"interim {status} to a create": Case(faults=[{"kind": "interim", "status": status}]) for status in (100, 102, 103)
    },
    "interim 103 to reads": Case(faults=reads(kind="interim", status=103, times=0)),
    **{
        f"{status} to a create that rang": Case(
            faults=[{"kind": "status", "status": status, "accepted": True, "location": "/elsewhere"}]
        )
        for status in (302, 303, 307)
    },
    "Retry-After of a day to a create": Case(faults=[{"kind": "status", "status": 429, "retry_after": 86_400}]),
    "Retry-After of a day to reads": Case(faults=reads(kind="status", status=429, retry_after=86_400)),
    "Retry-After without an end": Case(faults=reads(kind="status", status=503, retry_after=999_999_999)),
}  # fmt: skip

#: Cases that may be refused with IncompleteHistory: Talkstack documents no second page and filters by days, so more
#: calls a day than a page holds cannot be read.
MAY_BE_REFUSED = {("talkstack", name) for name, case in CASES.items() if case.quirks.get("max_page")}


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Shorten every pause to a hundredth of a second; return the lengths that were asked for."""
    asked: list[float] = []
    sleep = time.sleep

    def short(seconds: float) -> None:
        asked.append(seconds)
        sleep(min(seconds, 0.01))

    monkeypatch.setattr(time, "sleep", short)
    replace_sleep(monkeypatch, short)
    return asked


def listed_id(call: SandboxCall) -> str:
    """Return the id under which the vendor's list shows a call."""
    return str(call.key) if call.vendor == "unleashx" else call.id


@pytest.mark.parametrize("name", CASES)
def test_place_wait_export(vendor_name, name, connect, database_hook, pauses) -> None:
    case = CASES[name]
    if vendor_name in case.not_for:
        pytest.skip(f"{vendor_name} documents otherwise: {case.not_for[vendor_name]}")
    with Sandbox(speed=120, quirks=VendorQuirks(**case.quirks)) as sandbox:
        connect(sandbox, vendor_name)
        for fault in case.faults:
            sandbox.add_fault(**fault)
        # On two days at least, whatever the hour: Talkstack's history of a day that has every call may be refused.
        start = sandbox.now() - timedelta(hours=30)
        sandbox.seed(vendor_name, HISTORY, start, sandbox.now() - timedelta(hours=1))

        check_that_one_phone_rang_and_the_ending_is_true(sandbox, case)
        sandbox.clear_faults()
        for call in sandbox.calls(vendor_name):
            # A minute later: every call is listed, and older than the second that a Date header leaves open.
            call.shown_from, call.created_at = None, call.created_at - timedelta(minutes=1)
        hook = database_hook("sqlite")
        may_refuse = (vendor_name, name) in MAY_BE_REFUSED
        sends_its_time = case.quirks.get("sends_date", True)
        check_that_the_table_is_complete(
            sandbox, vendor_name, hook, start, may_refuse=may_refuse, sends_its_time=sends_its_time
        )
    assert max(pauses, default=0) <= LONGEST_PAUSE


def check_that_one_phone_rang_and_the_ending_is_true(sandbox: Sandbox, case: Case) -> None:
    task = Task(sandbox, to=case.to, timeout=20 if case.ends else 1, **WAIT)
    task.started = datetime.now(timezone.utc)  # Airflow has our clock, not the vendor's
    outcome = task.finish()
    shown = f"{outcome} {task.errors}"
    assert sandbox.rings_per_number() == {case.to: 1}, shown
    if outcome.state == "success":
        assert outcome.result["status"] == ("busy" if case.to == BUSY else "failed"), shown
        assert case.ends, "an unknown status is not an ending"
    elif case.ends:
        assert isinstance(outcome.error, CallOutcomeUnknown), shown
        assert not case.is_found, shown


def check_that_the_table_is_complete(
    sandbox: Sandbox, vendor: str, hook: Any, start: datetime, *, may_refuse: bool, sends_its_time: bool
) -> None:
    # Without a Date header the vendor's time is unknown, and calls after this machine's time are left to a later run.
    end = sandbox.now() if sends_its_time else min(sandbox.now(), datetime.now(timezone.utc))
    end -= timedelta(seconds=30)
    expected = {listed_id(call) for call in sandbox.calls(vendor) if start <= call.created_at < end}
    refusal = None
    try:
        result = export(hook, start, end)
    except Exception as error:  # the operator chains ours
        refusal = error
    if refusal is not None:
        assert may_refuse, refusal
        assert isinstance(refusal, IncompleteHistory) or isinstance(refusal.__cause__, IncompleteHistory), refusal
        return
    in_table = [row[0] for row in execute(hook, "SELECT call_id FROM voice_calls")]
    assert sorted(in_table) == sorted(expected)
    assert result["fetched"] >= len(expected)
