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


def check_choices(arguments: object, **choices: Any) -> None:
    """Refuse values that are none of their choices.

    :param arguments: the object that has the user's values as its attributes.
    :param choices: a ``Literal`` type by the name of each attribute.
    :raises ValueError: for the first one that is none of them.
    """
    for name, choice in choices.items():
        value = getattr(arguments, name)
        if value not in get_args(choice):
            raise ValueError(f"{name} must be one of {', '.join(get_args(choice))}, not {value!r}.")
