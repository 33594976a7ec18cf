"""When a wait for calls is over, continues or fails."""

from __future__ import annotations

import json

import pytest

from airflow_provider_voice.exceptions import AuthenticationFailed, CallNotCompleted, CallNotFound, VendorUnavailable
from airflow_provider_voice.models import Call, CallRef, CallStatus
from airflow_provider_voice.tracking import call_watch
from airflow_provider_voice.tracking.call_watch import CallWatch, check_ending


class Clock:
    now = 0.0

    def time(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Replace the clock of the watches."""
    clock = Clock()
    monkeypatch.setattr(call_watch, "time", clock)
    return clock


def call(call_id: str, status: str, to: str | None = None) -> Call:
    return Call(call_id, "talkover", CallStatus(status), to=to, agent_id="a")


def test_results_in_the_order_asked_for() -> None:
    watch = CallWatch([CallRef("b"), CallRef("a"), CallRef("b")])
    watch.take({"a": call("a", "completed"), "b": call("b", "ringing")})
    assert [ref.id for ref in watch.pending] == ["b"]
    watch.take({"b": call("b", "unknown")})
    assert not watch.is_over
    watch.take({"b": call("b", "busy")})
    assert watch.is_over
    assert [(item.id, item.status) for item in watch.results] == [("b", "busy"), ("a", "completed"), ("b", "busy")]


def test_the_number_the_vendor_reports_makes_the_next_poll_cheaper() -> None:
    watch = CallWatch([CallRef("a")])
    watch.take({"a": call("a", "ringing", to="+14155552601")})
    assert watch.pending == [CallRef("a", "+14155552601", None, None, "a")]


def test_a_call_not_shown_yet_gets_its_grace(clock) -> None:
    watch = CallWatch([CallRef("a")], grace=300)
    watch.take({})
    clock.now = 299
    watch.take({})
    clock.now = 301
    with pytest.raises(CallNotFound):
        watch.take({})


def test_a_call_that_appears_and_disappears_again_gets_a_new_grace(clock) -> None:
    watch = CallWatch([CallRef("a")], grace=300)
    watch.take({})
    clock.now = 200
    watch.take({"a": call("a", "queued")})
    clock.now = 400
    watch.take({})
    assert not watch.is_over


def test_outages_are_tolerated_up_to_a_limit(clock) -> None:
    watch = CallWatch([CallRef("a")], outage=3600)
    for clock.now in (0, 1800, 3599):
        watch.fail(VendorUnavailable("503"))
    watch.take({"a": call("a", "ringing")})
    for clock.now in (5000, 8599):
        watch.fail(VendorUnavailable("503"))
    clock.now = 8601
    with pytest.raises(VendorUnavailable):
        watch.fail(VendorUnavailable("503"))
    with pytest.raises(AuthenticationFailed):
        CallWatch([CallRef("a")]).fail(AuthenticationFailed("401"))


def test_the_state_outlives_the_process(clock) -> None:
    first = CallWatch([CallRef("a")], grace=300)
    first.take({})
    clock.now = 301
    second = CallWatch([CallRef("a")], grace=300, state=json.loads(json.dumps(first.state)))
    with pytest.raises(CallNotFound):
        second.take({})


def test_endings() -> None:
    check_ending(call("a", "completed"), frozenset({CallStatus.COMPLETED}))
    with pytest.raises(CallNotCompleted) as failed:
        check_ending(call("a", "busy"), frozenset({CallStatus.COMPLETED}))
    assert failed.value.permanent
    assert failed.value.status == "busy"
    with pytest.raises(CallNotCompleted) as again:
        check_ending(call("a", "busy"), frozenset({CallStatus.COMPLETED}), retryable=frozenset({CallStatus.BUSY}))
    assert not again.value.permanent


def test_a_call_that_has_not_ended_in_time_has_no_ending() -> None:
    watch = CallWatch([CallRef("a")])
    watch.take({"a": call("a", "ringing")})
    assert watch.timed_out().status is None
    assert "a (ringing)" in watch.timed_out().message


def test_a_number_in_a_vendors_status_is_masked(caplog) -> None:
    busy = Call("a", "talkover", CallStatus.BUSY, "busy +14155552671")
    with caplog.at_level("INFO"):
        CallWatch([CallRef("a")]).take({"a": busy})
    with pytest.raises(CallNotCompleted) as failed:
        check_ending(busy, frozenset({CallStatus.COMPLETED}))
    assert "4155552671" not in caplog.text + failed.value.message
    assert "busy" in failed.value.message


def test_a_number_given_as_an_id_is_masked(caplog, clock) -> None:
    watch = CallWatch([CallRef("+14155552671")], grace=300)
    with caplog.at_level("INFO"):
        watch.take({})
    clock.now = 301
    with pytest.raises(CallNotFound) as missing:
        watch.take({})
    assert "4155552671" not in caplog.text + missing.value.message + watch.timed_out().message + repr(watch.refs)
    assert "+1415•••••71" in missing.value.message
