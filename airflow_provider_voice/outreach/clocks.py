"""The clocks of a worker: when something is due again, and until when a create may be sent."""

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


class Deadline:
    """A moment after which a create must not be sent, because its lease may belong to another worker.

    Seconds count by two clocks, and the one that runs ahead decides: ``CLOCK_BOOTTIME`` goes on while the process is
    stopped and while its machine sleeps; the wall clock, once it is set again, shows that a virtual machine was frozen.

    :param seconds: from now on.
    """

    def __init__(self, seconds: float) -> None:
        self._boot_time, self._wall_time = _boot_time(), time.time()
        self._seconds = seconds

    def shorten(self, seconds: float) -> None:
        """Let it pass sooner.

        :param seconds: from the moment it was made; more than it has changes nothing.
        """
        self._seconds = min(self._seconds, seconds)

    @property
    def has_passed(self) -> bool:
        """Whether the moment has come by one of the clocks."""
        passed = max(_boot_time() - self._boot_time, time.time() - self._wall_time)
        return passed >= self._seconds


def _boot_time() -> float:
    # macOS has no such clock; there the monotonic one stands still while the machine sleeps.
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)
