"""The clock of a worker: when something is due again."""

from __future__ import annotations

import time


class Interval:
    """Something that is due every so many seconds, and at once for the first time.

    :param seconds: the time between two turns.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._next_at = 0.0

    def is_due(self) -> bool:
        """Return whether it is due now; if so, the next turn is an interval from now."""
        now = time.monotonic()
        if now < self._next_at:
            return False
        self._next_at = now + self._seconds
        return True
