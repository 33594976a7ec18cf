"""The deadline of a create, which also holds for a process that was frozen before it sent the create."""

from __future__ import annotations

import time


class Deadline:
    """A moment after which a create must not be sent, because another try or worker may have sent it instead.

    .. code-block:: python

        deadline = Deadline(900)
        if not deadline.has_passed:
            send()

    Seconds count by two clocks, and the one that runs ahead decides: ``CLOCK_BOOTTIME`` goes on while the process is
    stopped and while its machine sleeps; the wall clock, once it is set again, shows that a virtual machine was frozen.

    :param seconds: from now on.
    """

    def __init__(self, seconds: float) -> None:
        self._boot_time, self._wall_time = _boot_time(), time.time()
        self._seconds = seconds

    def shorten(self, seconds: float) -> None:
        """Let the deadline pass sooner.

        :param seconds: from the moment the deadline was made; more than it has changes nothing.
        """
        self._seconds = min(self._seconds, seconds)

    @property
    def has_passed(self) -> bool:
        """Whether the moment has come by one of the clocks."""
        return max(_boot_time() - self._boot_time, time.time() - self._wall_time) >= self._seconds


def _boot_time() -> float:
    # macOS has no such clock; there the monotonic one stands still while the machine sleeps.
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)
