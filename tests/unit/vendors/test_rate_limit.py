from __future__ import annotations

import threading

from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_voice.vendors.rate_limit import RateLimiter, limiter_for


class FakeTime:
    """Time that passes by waiting only."""

    def __init__(self) -> None:
        self.now = 0.0
        self._lock = threading.Lock()

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        with self._lock:
            self.now += seconds


@given(st.integers(1, 20), st.lists(st.floats(0, 30), max_size=80))
def test_never_more_than_the_limit_in_any_minute(limit, pauses) -> None:
    time = FakeTime()
    limiter = RateLimiter(limit, clock=time, sleep=time.sleep)
    starts = []
    for pause in pauses:
        time.sleep(pause)
        limiter.acquire()
        starts.append(time.now)
    for start in starts:
        assert sum(start <= other < start + 60 for other in starts) <= limit


def test_shared_by_threads() -> None:
    time = FakeTime()
    limiter = RateLimiter(5, clock=time, sleep=time.sleep)
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
