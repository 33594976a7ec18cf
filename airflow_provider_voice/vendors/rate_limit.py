"""Rate limits: the requests a minute of a connection, and how long a vendor asks to wait."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Protocol

from airflow_provider_voice.models import read_time
from airflow_provider_voice.vendors.parsing import as_float, as_object

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping
    from datetime import datetime

log = logging.getLogger(__name__)

#: The longest wait that a vendor may ask for, in seconds. A longer one is cut to this, so that one bad header cannot
#: stop a connection for days; a vendor that is still busy then answers 429 once more.
MAX_RETRY_AFTER_SECONDS = 600.0

_WINDOW = 60.0
_EPOCH_SECONDS = 1_000_000_000
_EPOCH_MILLISECONDS = 100_000_000_000


class Limiter(Protocol):
    """Holds requests back."""

    def acquire(self) -> None:
        """Wait until a request may be sent; raise when it may not."""


class RateLimiter:
    """Lets at most ``per_minute`` requests start in any 60 seconds, over all threads that share it.

    :param per_minute: requests in any 60 seconds.
    """

    def __init__(self, per_minute: int) -> None:
        self._starts: deque[float] = deque(maxlen=per_minute)
        self._lock = threading.Lock()

    def acquire(self) -> None:
        """Wait until a request may start, and count it."""
        while True:
            # Not held while waiting: a signal may interrupt the wait, and its handler send a request that ends a call.
            with self._lock:
                now = time.monotonic()
                wait = self._starts[0] + _WINDOW - now if len(self._starts) == self._starts.maxlen else 0.0
                if wait <= 0:
                    self._starts.append(now)
                    return
            time.sleep(max(wait, 0.001))


_limiters: dict[tuple[Hashable, int], RateLimiter] = {}


def limiter_for(key: Hashable, per_minute: int | None) -> RateLimiter | None:
    """Return the limiter that all users of ``key`` share in this process.

    :param key: the vendor's address and the token, for example: vendors count the requests of a token.
    :param per_minute: requests in any 60 seconds; None: no limit.
    :return: the limiter, or None when there is no limit.
    """
    if not per_minute:
        return None
    return _limiters.setdefault((key, per_minute), RateLimiter(per_minute))


def retry_after_of(headers: Mapping[str, str], body: Any, *, now: datetime) -> float | None:
    """Return the seconds a vendor asks to wait, at most :data:`MAX_RETRY_AFTER_SECONDS`.

    Read in this order: ``Retry-After`` (seconds or an HTTP date), ``error.details.retry_after`` of the body (Talkover
    docs: make-call), ``X-RateLimit-Reset`` (epoch or seconds: its unit is documented nowhere) when
    ``X-RateLimit-Remaining`` is 0.

    :param headers: the response's headers, case-insensitive.
    :param body: the parsed body, of any shape.
    :param now: the vendor's time (its ``Date`` header), or this machine's.
    :return: seconds, never negative; None when nothing readable is stated.
    """
    details = as_object(as_object(as_object(body).get("error")).get("details"))
    stated = [headers.get("Retry-After"), details.get("retry_after")]
    if str(headers.get("X-RateLimit-Remaining", "")).strip() == "0":
        stated.append(headers.get("X-RateLimit-Reset"))
    wait = next((wait for wait in (_seconds_until(value, now) for value in stated) if wait is not None), None)
    if wait is None or wait <= MAX_RETRY_AFTER_SECONDS:
        return wait
    log.warning("The vendor asks to wait for %.0f s; the wait is cut to %.0f s.", wait, MAX_RETRY_AFTER_SECONDS)
    return MAX_RETRY_AFTER_SECONDS


def _seconds_until(value: Any, now: datetime) -> float | None:
    """Read seconds to wait, a date, or the seconds or milliseconds of the epoch."""
    seconds, moment = as_float(value), read_time(value)
    if seconds is None:
        return None if moment is None else max(0.0, (moment - now).total_seconds())
    if seconds >= _EPOCH_SECONDS:
        epoch = seconds / 1000 if seconds >= _EPOCH_MILLISECONDS else seconds
        return max(0.0, epoch - now.timestamp())
    return seconds if seconds >= 0 else None
