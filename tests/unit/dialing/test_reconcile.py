"""Which of a vendor's calls can be the one of a create whose outcome is not known."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any

import pytest
import time_machine

from airflow_provider_voice.dialing.reconcile import CLOCK_TOLERANCE, LATE_ARRIVAL, MOST_DOUBT, Evidence, find_call
from airflow_provider_voice.exceptions import CallOutcomeUnknown
from airflow_provider_voice.models import Call, CallRequest, CallStatus

SENT = datetime(2026, 1, 10, 12, tzinfo=timezone.utc)
GIVEN_UP = SENT + timedelta(seconds=30)
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
REQUEST = CallRequest("+14155552601", "agent_1")
EVIDENCE = Evidence(since=SENT, until=GIVEN_UP, clock_offset=0.0, tag="afv-mine")


def call(call_id: str = "a", at: datetime = SENT, **values: Any) -> Call:
    return Call(**{"id": call_id, "vendor": "v", "status": CallStatus.QUEUED, "to": REQUEST.to, "agent_id": "agent_1",
                   "direction": "outbound", "created_at": at, **values})  # fmt: skip


def search(
    *calls: Call,
    request: CallRequest = REQUEST,
    evidence: Evidence = EVIDENCE,
    keeps_tags: bool = False,
    doubt: timedelta = timedelta(0),
) -> Call | None:
    def candidates(start: datetime, end: datetime, *, to: str, tag: str | None) -> Iterator[Call]:
        assert to == REQUEST.to
        assert tag in (evidence.tag, evidence.tag_prefix)
        return (item for item in calls if start <= item.created_at < end)

    vendor = SimpleNamespace(
        candidates=candidates, time_doubt=lambda call: doubt, keeps_tags=keeps_tags, name="v", title="V"
    )
    with time_machine.travel(SENT + HOUR, tick=False):
        return find_call(vendor, request, evidence)


@pytest.mark.parametrize("at", [SENT - CLOCK_TOLERANCE, SENT, GIVEN_UP, GIVEN_UP + CLOCK_TOLERANCE])
def test_a_call_that_was_created_while_the_create_was_under_way_is_ours(at: datetime) -> None:
    found = search(call(at=at))
    assert found is not None
    assert (found.id, found.tag) == ("a", "afv-mine")


@pytest.mark.parametrize("at", [GIVEN_UP + CLOCK_TOLERANCE + SECOND, GIVEN_UP + LATE_ARRIVAL - SECOND])
def test_a_later_call_may_be_another_tasks(at: datetime) -> None:
    with pytest.raises(CallOutcomeUnknown, match=r"may or may not be .* a \("):
        search(call(at=at))
    with pytest.raises(CallOutcomeUnknown, match="each of 2 calls"):
        search(call("b"), call(at=at))


@pytest.mark.parametrize("at", [SENT - CLOCK_TOLERANCE - SECOND, GIVEN_UP + LATE_ARRIVAL])
def test_a_call_of_another_time_is_not_ours(at: datetime) -> None:
    assert search(call(at=at)) is None


@pytest.mark.parametrize(
    "values",
    [{"to": "+14155552602"}, {"agent_id": "agent_2"}, {"direction": "inbound"}, {"call_id": "earlier"}],
    ids=str,
)
def test_another_call_is_not_ours(values: dict[str, Any]) -> None:
    evidence = Evidence(since=SENT, until=GIVEN_UP, clock_offset=0.0, not_these=frozenset({"earlier"}))
    assert search(call(**values), evidence=evidence) is None


def test_what_the_vendor_does_not_say_does_not_speak_against_a_call() -> None:
    assert search(call(agent_id=None, direction=None)) is not None


@pytest.mark.parametrize(
    "values",
    [{"agent_id": "AGENT_1"}, {"agent_id": " agent_1"}, {"direction": "OUTBOUND"}, {"direction": "outbound-api"}],
    ids=str,
)
def test_a_vendors_spelling_does_not_speak_against_a_call(values: dict[str, Any]) -> None:
    assert search(call(**values)) is not None


@pytest.mark.parametrize("written", [None, "4155552601", "(415) 555-2601", "04155552601", "00 1 415 555 2601"])
def test_a_number_that_is_missing_or_written_otherwise_may_be_the_persons(written: str | None) -> None:
    with pytest.raises(CallOutcomeUnknown, match=r"may or may not be .* a \("):
        search(call(to=written))
    found = search(call(to=written, tag="afv-mine"), keeps_tags=True)
    assert found is not None
    assert found.to == REQUEST.to


def test_a_tag_of_the_task_counts_whatever_else_the_row_says() -> None:
    of_the_task = Evidence(since=SENT, until=None, clock_offset=0.0, tag_prefix="afv-task-")
    odd = call(tag="afv-task-1", agent_id="0101", to=None, direction=None)
    assert search(odd, evidence=of_the_task, keeps_tags=True) is not None


def test_two_calls_that_fit_are_named() -> None:
    with pytest.raises(CallOutcomeUnknown, match="a, b"):
        search(call("a"), call("b"))


def test_the_window_moves_with_the_vendors_clock() -> None:
    behind = Evidence(since=SENT, until=GIVEN_UP, clock_offset=-3600.0)
    assert search(call(at=SENT - HOUR), evidence=behind) is not None
    assert search(call(at=SENT), evidence=behind) is None


def test_a_delayed_call_may_be_dated_by_its_ringing() -> None:
    delayed = replace(REQUEST, delay_seconds=3600)
    assert search(call(at=GIVEN_UP + HOUR), request=delayed) is not None
    assert search(call(at=GIVEN_UP + HOUR)) is None


def test_before_somebody_is_rung_again_every_later_call_counts() -> None:
    until_now = Evidence(since=SENT, until=GIVEN_UP, clock_offset=0.0, latest=SENT + 9 * HOUR)
    with pytest.raises(CallOutcomeUnknown):
        search(call(at=SENT + 8 * HOUR), evidence=until_now)


def test_where_the_vendor_keeps_tags_the_tag_decides() -> None:
    found = search(call("a", tag="afv-other"), call("b", tag="afv-mine"), keeps_tags=True)
    assert found is not None
    assert found.id == "b"
    assert search(call(tag="afv-other"), keeps_tags=True) is None


def test_a_call_without_a_tag_where_tags_are_kept_may_be_ours() -> None:
    """That UnleashX shows our metadata is inferred: a row without it proves nothing."""
    with pytest.raises(CallOutcomeUnknown):
        search(call(tag=None), keeps_tags=True)


def test_the_beginning_of_a_tag_tells_the_task_but_not_the_try() -> None:
    of_the_task = Evidence(since=SENT, until=None, clock_offset=0.0, tag_prefix="afv-task-")
    found = search(call("a", tag="afv-other-1"), call("b", tag="afv-task-1"), evidence=of_the_task, keeps_tags=True)
    assert found is not None
    assert found.id == "b"
    with pytest.raises(CallOutcomeUnknown, match="a, b"):
        search(call("a", tag="afv-task-1"), call("b", tag="afv-task-2"), evidence=of_the_task, keeps_tags=True)


def test_numbers_are_masked_in_the_error() -> None:
    with pytest.raises(CallOutcomeUnknown) as unknown:
        search(call("a"), call("b"))
    assert "4155552601" not in unknown.value.message
    assert unknown.value.permanent


@pytest.mark.parametrize("hours", [-8, 5.5])
def test_a_call_dated_in_another_time_zone_is_never_taken_for_absent(hours: float) -> None:
    at, doubt = SENT + timedelta(hours=hours), timedelta(hours=14)
    unrecorded = Evidence(since=SENT, until=None, clock_offset=0.0, tag_prefix="afv-")
    for evidence in (EVIDENCE, unrecorded):
        found = search(call(tag="afv-mine", at=at), evidence=evidence, keeps_tags=True, doubt=doubt)
        assert found is not None
        with pytest.raises(CallOutcomeUnknown, match="may or may not be"):
            search(call(at=at), evidence=evidence, keeps_tags=True, doubt=doubt)
        with pytest.raises(CallOutcomeUnknown, match="may or may not be"):
            search(call(at=at), evidence=evidence, doubt=doubt)
        assert search(call(tag="somebody's", at=at), evidence=evidence, keeps_tags=True, doubt=doubt) is None
        assert search(call(at=at), evidence=evidence) is None


def test_a_call_of_which_the_list_states_the_day_only_is_never_taken_for_absent() -> None:
    day = call(at=SENT.replace(hour=0, minute=0, second=0))
    with pytest.raises(CallOutcomeUnknown, match="may or may not be"):
        search(day, doubt=MOST_DOUBT)


def test_a_call_with_the_whole_tag_is_ours_whatever_its_time_says() -> None:
    at = SENT - 20 * HOUR
    assert search(call(at=at, tag="afv-mine"), keeps_tags=True) is not None
    assert search(call(at=at), keeps_tags=True) is None


def test_a_tag_that_a_call_before_a_clear_shares_decides_within_the_window_only() -> None:
    shared, doubt = replace(EVIDENCE, tag_decides=False), timedelta(hours=14)
    assert search(call(tag="afv-mine"), evidence=shared, keeps_tags=True, doubt=doubt) is not None
    assert search(call(at=SENT - HOUR, tag="afv-mine"), evidence=shared, keeps_tags=True, doubt=doubt) is None
