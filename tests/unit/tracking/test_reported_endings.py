from __future__ import annotations

from datetime import datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_voice.models import Call, CallStatus
from airflow_provider_voice.tracking.reported_endings import ReportedEndings

NOW = datetime(2026, 11, 20, 12, tzinfo=timezone.utc)
LOOK_BACK, LATE = timedelta(days=1), timedelta(minutes=10)


def call(name: str, created: datetime, *, ended: bool) -> Call:
    status = CallStatus.COMPLETED if ended else CallStatus.RINGING
    return Call(name, "talkover", status, created_at=created)


def cursor(state=None) -> ReportedEndings:
    return ReportedEndings(look_back=LOOK_BACK, late=LATE, state=state)


def test_what_had_ended_before_the_first_look_is_no_news() -> None:
    looks = cursor()
    old, going = call("old", NOW, ended=True), call("going", NOW, ended=False)
    assert looks.take([old, going], NOW) == []
    news = looks.take([old, call("going", NOW, ended=True)], NOW + timedelta(minutes=1))
    assert [item.id for item in news] == ["going"]
    assert looks.take([old, call("going", NOW, ended=True)], NOW + timedelta(minutes=2)) == []


def test_the_window_begins_with_the_oldest_call_that_goes_on_and_the_state_stays_small() -> None:
    looks = cursor()
    started = NOW - timedelta(hours=3)
    done = [call(f"c{number}", NOW - timedelta(hours=4, seconds=number), ended=True) for number in range(500)]
    looks.take([*done, call("long", started, ended=False)], NOW)
    assert looks.start(NOW) == started
    assert looks.state["told"] == []
    looks.take([call("long", started, ended=True)], NOW + timedelta(minutes=1))
    assert looks.start(NOW + timedelta(minutes=1)) == NOW + timedelta(minutes=1) - LATE


def test_a_call_that_never_ends_is_given_up_after_the_look_back() -> None:
    looks = cursor()
    looks.take([call("stuck", NOW, ended=False)], NOW)
    assert looks.start(NOW + timedelta(days=3)) == NOW + timedelta(days=2)


@given(
    st.lists(st.tuples(st.integers(0, 300), st.integers(0, 200), st.integers(0, 9)), min_size=1, max_size=25),
    st.lists(st.integers(1, 30), min_size=1, max_size=40),
    st.sets(st.integers(0, 39)),
)
def test_every_ending_is_told_once_and_after_a_restart_at_least_once(calls, steps, restarts) -> None:
    """Calls (created at minute m, ended after d minutes, listed l minutes late) and looks at growing minutes."""
    looks, minute, told = cursor(), 0, []
    stored = None

    def look(at: int) -> list[str]:
        now = NOW + timedelta(minutes=at)
        start = looks.start(now)
        shown = [
            call(str(index), NOW + timedelta(minutes=created), ended=created + lasts <= at)
            for index, (created, lasts, late) in enumerate(calls)
            if created + late <= at and NOW + timedelta(minutes=created) >= start
        ]
        return [item.id for item in looks.take(shown, now)]

    baseline = {str(index) for index, (created, lasts, late) in enumerate(calls) if created + max(lasts, late) <= 0}
    look(0)
    stored = looks.state
    for number, step in enumerate(steps):
        minute += step
        told += look(minute)
        if number in restarts:
            looks = cursor(stored)  # died before it wrote what it told
        else:
            stored = looks.state
    told += look(minute)
    ended = {str(index) for index, (created, lasts, late) in enumerate(calls) if created + max(lasts, late) <= minute}
    assert set(told) == ended - baseline
    if not restarts & set(range(len(steps))):
        assert len(told) == len(set(told))
