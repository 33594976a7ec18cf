"""How fast we may ask: a requests-per-minute limit per connection, and what a vendor says about waiting."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_WINDOW = 60.0
_EPOCH_SECONDS = 1_000_000_000
_EPOCH_MILLISECONDS = 100_000_000_000


class Limiter(Protocol):
    """Holds requests back."""

    def acquire(self) -> None:
        """Wait until a request may be sent; raise when it may not."""


class RateLimiter:
    """Lets at most ``per_minute`` requests start in any 60 seconds, over all threads that share it."""

    def __init__(
        self,
        per_minute: int,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._per_minute = per_minute
        self._clock = clock
        self._sleep = sleep
        self._starts: deque[float] = deque()
        self._lock = threading.Lock()

    def acquire(self) -> None:
        """Wait for a place and take it."""
        while True:
            with self._lock:
                now = self._clock()
                while self._starts and self._starts[0] <= now - _WINDOW:
                    self._starts.popleft()
                if len(self._starts) < self._per_minute:
                    self._starts.append(now)
                    return
                wait = self._starts[0] + _WINDOW - now
            self._sleep(max(wait, 0.001))


_limiters: dict[tuple[str, int], RateLimiter] = {}
_limiters_lock = threading.Lock()


def limiter_for(key: str, per_minute: int | None) -> RateLimiter | None:
    """Return the limiter that everybody in this process shares under ``key``; None when there is no limit."""
    if not per_minute:
        return None
    with _limiters_lock:
        return _limiters.setdefault((key, per_minute), RateLimiter(per_minute))


def wait_asked(headers: Mapping[str, str], body: Any, *, now: datetime) -> float | None:
    """Return how many seconds a vendor asks to wait.

    Read in this order: ``Retry-After`` (seconds or an HTTP date), ``error.details.retry_after`` of the body (Talkover),
    ``X-RateLimit-Reset`` (epoch or seconds: its unit is documented nowhere) when ``X-RateLimit-Remaining`` is 0.

    :param headers: the answer's headers, case-insensitive.
    :param body: the parsed body, of any shape.
    :param now: the time at the vendor (its ``Date`` header) or here.
    :return: seconds, never negative; None when nothing readable is said.
    """
    for wait in (_retry_after(headers.get("Retry-After"), now), _body_wait(body)):
        if wait is not None:
            return wait
    if str(headers.get("X-RateLimit-Remaining", "")).strip() == "0":
        return _reset(headers.get("X-RateLimit-Reset"), now)
    return None


def _retry_after(value: str | None, now: datetime) -> float | None:
    if not value:
        return None
    seconds = _seconds(value)
    if seconds is not None:
        return seconds
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)
    return max(0.0, (moment - now).total_seconds())


def _body_wait(body: Any) -> float | None:
    for path in (("error", "details", "retry_after"), ("details", "retry_after"), ("retry_after",)):
        value = body
        for name in path:
            value = value.get(name) if isinstance(value, dict) else None
        seconds = _seconds(value)
        if seconds is not None:
            return seconds
    return None


def _reset(value: str | None, now: datetime) -> float | None:
    seconds = _seconds(value)
    if seconds is None or seconds < _EPOCH_SECONDS:
        return seconds
    epoch = seconds / 1000 if seconds >= _EPOCH_MILLISECONDS else seconds
    return max(0.0, epoch - now.timestamp())


def _seconds(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        seconds = float(value)
    except (ValueError, OverflowError):
        return None
    return seconds if math.isfinite(seconds) and seconds >= 0 else None
