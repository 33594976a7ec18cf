"""Types of the sandbox's arguments: the names of the vendors, and durations."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

VendorName = Literal["talkover", "talkstack", "unleashx"]


def seconds_of(duration: timedelta | float) -> float:
    """Return a duration in seconds.

    :param duration: seconds or a ``timedelta``.
    :return: seconds.
    """
    return duration.total_seconds() if isinstance(duration, timedelta) else float(duration)
