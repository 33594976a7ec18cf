"""The limit of a connection over its threads, and the waits that a vendor asks for."""

from __future__ import annotations

import logging
import threading
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_voice.vendors import rate_limit
from airflow_provider_voice.vendors.rate_limit import MAX_RETRY_AFTER_SECONDS, RateLimiter, limiter_for, retry_after_of


class FakeTime:
    """Time that passes by waiting only."""

    def __init__(self) -> None:
        self.now = 0.0
        self._lock = threading.Lock()

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        with self._lock:
            self.now += seconds


@given(st.integers(1, 20), st.lists(st.floats(0, 30), max_size=80))
def test_never_more_than_the_limit_in_any_minute(monkeypatch, limit, pauses) -> None:
    time = FakeTime()
    monkeypatch.setattr(rate_limit, "time", time)
    limiter = RateLimiter(limit)
    starts = []
    for pause in pauses:
        time.sleep(pause)
        limiter.acquire()
        starts.append(time.now)
    for start in starts:
        assert sum(start <= other < start + 60 for other in starts) <= limit


def test_shared_by_threads(monkeypatch) -> None:
    time = FakeTime()
    monkeypatch.setattr(rate_limit, "time", time)
    limiter = RateLimiter(5)
    threads = [threading.Thread(target=limiter.acquire) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert time.now >= 120


def test_one_limiter_a_connection() -> None:
    assert limiter_for("talkover voice_a", 60) is limiter_for("talkover voice_a", 60)
    assert limiter_for("talkover voice_a", 60) is not limiter_for("talkover voice_b", 60)
    assert limiter_for("talkover voice_a", None) is None


NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("headers", "body", "wait"),
    [
        ({"Retry-After": "12"}, None, 12),
        ({"Retry-After": format_datetime(NOW + timedelta(seconds=30), usegmt=True)}, None, 30),
        ({"Retry-After": format_datetime(NOW - timedelta(seconds=30), usegmt=True)}, None, 0),
        ({}, {"error": {"details": {"retry_after": 60}}}, 60),
        ({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "17"}, None, 17),
        ({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int(NOW.timestamp()) + 9)}, None, 9),
        ({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int(NOW.timestamp() + 9) * 1000)}, None, 9),
        ({"X-RateLimit-Remaining": "5", "X-RateLimit-Reset": "17"}, None, None),
        ({"Retry-After": "soon"}, {"error": "x"}, None),
        ({}, {"error": {"details": {"retry_after": "nan"}}}, None),
        ({}, [1], None),
    ],
)
def test_what_the_vendor_says_about_waiting(headers, body, wait) -> None:
    assert retry_after_of(headers, body, now=NOW) == wait


@given(st.dictionaries(st.sampled_from(["Retry-After", "X-RateLimit-Remaining", "X-RateLimit-Reset"]), st.text()))
def test_any_header_gives_seconds_or_nothing(headers) -> None:
    wait = retry_after_of(headers, None, now=NOW)
    assert wait is None or 0 <= wait <= MAX_RETRY_AFTER_SECONDS


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({"Retry-After": "86400"}, None),
        ({"Retry-After": "1e300"}, None),
        ({"Retry-After": format_datetime(NOW + timedelta(days=999), usegmt=True)}, None),
        ({}, {"error": {"details": {"retry_after": 999_999_999}}}),
        ({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int(NOW.timestamp()) + 86_400)}, None),
    ],
)
def test_a_wait_of_days_is_cut_with_a_warning(headers, body, caplog) -> None:
    with caplog.at_level(logging.WARNING):
        assert retry_after_of(headers, body, now=NOW) == MAX_RETRY_AFTER_SECONDS
    assert "cut to 600 s" in caplog.text
