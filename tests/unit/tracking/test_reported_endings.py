"""Each ending is reported once, whatever the order in which calls are listed and end."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_voice.models import Call, CallStatus
from airflow_provider_voice.tracking.reported_endings import MAX_CATCH_UP, ReportedEndings

NOW = datetime(2026, 11, 20, 12, tzinfo=timezone.utc)
LOOK_BACK, LISTING_DELAY = timedelta(days=1), timedelta(minutes=10)


def call(name: str, created: datetime, *, ended: bool) -> Call:
    status = CallStatus.COMPLETED if ended else CallStatus.RINGING
    return Call(name, "talkover", status, created_at=created)


def cursor(state=None) -> ReportedEndings:
    return ReportedEndings(look_back=LOOK_BACK, listing_delay=LISTING_DELAY, state=state)


def test_calls_that_ended_before_the_first_poll_are_not_reported() -> None:
    endings = cursor()
    old, going = call("old", NOW, ended=True), call("going", NOW, ended=False)
    assert endings.take([old, going], NOW) == []
    ended = endings.take([old, call("going", NOW, ended=True)], NOW + timedelta(minutes=1))
    assert [item.id for item in ended] == ["going"]
    assert endings.take([old, call("going", NOW, ended=True)], NOW + timedelta(minutes=2)) == []


def test_a_list_that_shows_an_older_state_once_does_not_report_the_ending_again() -> None:
    endings = cursor()
    endings.take([call("one", NOW, ended=False)], NOW)
    shown = []
    for minute, ended in enumerate([True, False, False, True], start=1):
        now = NOW + timedelta(minutes=minute)
        shown += endings.take([call("one", NOW, ended=ended)], now)
    assert [item.id for item in shown] == ["one"]


def test_the_window_begins_with_the_oldest_call_that_goes_on_and_the_state_stays_small() -> None:
    endings = cursor()
    started = NOW - timedelta(hours=3)
    done = [call(f"c{number}", NOW - timedelta(hours=4, seconds=number), ended=True) for number in range(500)]
    endings.take([*done, call("long", started, ended=False), call("newest", NOW, ended=True)], NOW)
    assert endings.start(NOW) == started
    assert endings.state["reported"] == ["newest"]
    later = NOW + timedelta(minutes=1)
    endings.take([call("long", started, ended=True), call("new", later, ended=True)], later)
    assert endings.start(later) == later - LISTING_DELAY


@pytest.mark.parametrize("behind", [timedelta(hours=3), timedelta(hours=-5)])
def test_endings_are_reported_although_the_vendors_times_are_hours_off_its_clock(behind) -> None:
    """No Date header shows such a clock, and times without a zone may be local ones."""
    endings, reported = cursor(), []
    for hour in range(48):
        now = NOW + timedelta(hours=hour)
        shown = [call(str(one), NOW + timedelta(hours=one) - behind, ended=True) for one in range(hour + 1)]
        reported += endings.take([one for one in shown if one.created_at >= endings.start(now)], now)
    assert [one.id for one in reported] == [str(one) for one in range(1, 48)]


def test_a_call_that_never_ends_is_given_up_after_the_look_back() -> None:
    endings = cursor()
    endings.take([call("stuck", NOW, ended=False)], NOW)
    later = NOW + timedelta(days=3)
    endings.take([call("stuck", NOW, ended=False)], later)
    assert endings.start(later) == later - LOOK_BACK


@given(
    st.lists(st.tuples(st.integers(0, 300), st.integers(0, 200), st.integers(0, 9)), min_size=1, max_size=25),
    st.lists(st.integers(1, 30), min_size=1, max_size=40),
    st.sets(st.integers(0, 39)),
)
def test_every_ending_is_reported_once_and_after_a_restart_at_least_once(calls, steps, restarts) -> None:
    """Calls (created at minute m, ended after d minutes, listed after l minutes) and polls at growing minutes."""
    endings, minute, reported = cursor(), 0, []
    stored = None

    def poll(at: int) -> list[str]:
        now = NOW + timedelta(minutes=at)
        start = endings.start(now)
        shown = [
            call(str(index), NOW + timedelta(minutes=created), ended=created + lasts <= at)
            for index, (created, lasts, delay) in enumerate(calls)
            if created + delay <= at and NOW + timedelta(minutes=created) >= start
        ]
        return [item.id for item in endings.take(shown, now)]

    baseline = {str(index) for index, (created, lasts, delay) in enumerate(calls) if created + max(lasts, delay) <= 0}
    poll(0)
    stored = endings.state
    for number, step in enumerate(steps):
        minute += step
        reported += poll(minute)
        if number in restarts:
            endings = cursor(stored)  # died after it reported and before it stored the state
        else:
            stored = endings.state
    reported += poll(minute)
    ended = {str(index) for index, (created, lasts, delay) in enumerate(calls) if created + max(lasts, delay) <= minute}
    assert set(reported) == ended - baseline
    if not restarts & set(range(len(steps))):
        assert len(reported) == len(set(reported))


def test_an_outage_longer_than_the_look_back_loses_no_ending() -> None:
    """60 hours without a triggerer: three of eight endings were reported."""
    first = cursor()
    active = [call("active", NOW - timedelta(hours=2), ended=False)]
    first.take(active, NOW)
    during = [call(f"c{hours}", NOW + timedelta(hours=hours), ended=True) for hours in (1, 10, 20, 30, 40, 50, 59)]

    again, later = cursor(first.state), NOW + timedelta(hours=60)
    calls = [call("active", NOW - timedelta(hours=2), ended=True), *during]
    shown = [item for item in calls if item.created_at >= again.start(later)]
    assert [item.id for item in again.take(shown, later)] == [item.id for item in calls]


def test_a_cursor_older_than_the_maximum_names_the_hole(caplog) -> None:
    first = cursor()
    first.take([call("newest", NOW, ended=True)], NOW)
    later = NOW + timedelta(days=40)
    again = cursor(first.state)
    assert again.start(later) == later - MAX_CATCH_UP
    again.take([], later)
    assert "from 2026-11-20T11:50:00Z to 2026-11-29T12:00:00Z are not reported" in caplog.text
    caplog.clear()
    again.take([], later + timedelta(minutes=1))
    assert not caplog.text


def test_a_call_that_is_followed_no_longer_is_named(caplog) -> None:
    endings = cursor()
    endings.take([call("stuck", NOW, ended=False)], NOW)
    endings.take([call("stuck", NOW, ended=False)], NOW + timedelta(hours=25))
    assert "will not be reported: stuck" in caplog.text


def test_a_state_that_is_no_state_starts_anew() -> None:
    for state in ({}, {"since": [], "reported": None}, {"since": "soon", "reported": {"a": 1}}):
        assert cursor(state).take([call("old", NOW, ended=True)], NOW) == []
