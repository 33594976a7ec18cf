"""The sandbox's arguments: the names of the vendors, durations and choices."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Literal, get_args

VendorName = Literal["talkover", "talkstack", "unleashx"]
VENDORS: tuple[VendorName, ...] = get_args(VendorName)


def seconds_of(duration: timedelta | float) -> float:
    """Return a duration in seconds.

    :param duration: seconds or a ``timedelta``.
    :return: seconds.
    """
    return duration.total_seconds() if isinstance(duration, timedelta) else float(duration)


def check_choice(name: str, value: object, choices: Any) -> None:
    """Refuse a value that is none of the choices.

    :param name: the argument, for the error text.
    :param value: the user's value.
    :param choices: a ``Literal`` type.
    :raises ValueError: when it is none of them.
    """
    if value not in get_args(choices):
        raise ValueError(f"{name} must be one of {', '.join(get_args(choices))}, not {value!r}.")
