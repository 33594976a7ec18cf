"""Checks of arguments, each for one value: durations, choices, numbers, moments, booleans, statuses.

Operators, sensors and transfers call these when a DAG is parsed, and again for values that a template rendered.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from airflow_provider_voice.exceptions import InvalidRequest
from airflow_provider_voice.models import CallStatus, statuses_of
from airflow_provider_voice.phone import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: The longest duration any argument may have: it keeps inf and overflowing numbers out.
LONGEST_DURATION = timedelta(days=3660)

_TRUE = frozenset({"true", "yes", "on", "1", "y", "t"})
_FALSE = frozenset({"false", "no", "off", "0", "n", "f"})


def one_of(name: str, value: object, allowed: tuple[str, ...]) -> None:
    """Check an argument that is a choice.

    :param name: the argument, for the error text.
    :param value: the user's value.
    :param allowed: the choices; of a ``Literal`` type, ``typing.get_args()``.
    :raises InvalidRequest: when the value is none of them.
    """
    if not isinstance(value, str) or value not in allowed:
        raise InvalidRequest(f"{name} must be one of {', '.join(map(repr, allowed))}, not {shown(value)}.")


def duration(name: str, value: object, *, minimum: timedelta | None = None) -> timedelta:
    """Return a duration that was given as a ``timedelta`` or as a number of seconds.

    :param name: the argument, for the error text.
    :param value: the user's value.
    :param minimum: the shortest duration allowed; None (default): longer than zero.
    :return: the duration, at most ten years.
    :raises InvalidRequest: for anything else.
    """
    result = value if isinstance(value, timedelta) else None
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        with suppress(OverflowError, ValueError):  # a number out of reach, and nan
            result = timedelta(seconds=value)
    is_long_enough = result is not None and (result > timedelta(0) if minimum is None else result >= minimum)
    if result is None or not is_long_enough or result > LONGEST_DURATION:
        least = "greater than 0" if minimum is None else f"of at least {minimum.total_seconds():g} s"
        raise InvalidRequest(
            f"{name} must be a timedelta or a number of seconds {least} and at most ten years, not {shown(value)}."
        )
    return result


def seconds_of(name: str, value: object, *, minimum: float | None = None) -> float:
    """Return a duration in seconds; see :func:`duration`.

    :param name: the argument, for the error text.
    :param value: the user's value.
    :param minimum: the least number of seconds; None (default): more than 0.
    :return: seconds.
    :raises InvalidRequest: when the value is not such a duration.
    """
    least = None if minimum is None else timedelta(seconds=minimum)
    return duration(name, value, minimum=least).total_seconds()


def positive_or_text(name: str, value: object, kind: Callable[[str], float] = float) -> float:
    """Return a number greater than 0 that may have come out of a template as text.

    :param name: the argument, for the error text.
    :param value: what the user gave.
    :param kind: ``float`` (default), or ``int`` for a whole number.
    :return: the number.
    :raises InvalidRequest: for anything else, also for infinity.
    """
    try:
        number = kind(str(value))
    except ValueError:
        number = 0
    if not 0 < number < float("inf"):
        kind_name = "a whole number" if kind is int else "a number"
        raise InvalidRequest(f"{name} must be {kind_name} greater than 0, not {shown(value)}.")
    return number


def moment_or_text(name: str, value: object) -> datetime:
    """Return a moment that may have come out of a template as text.

    :param name: the argument, for the error text.
    :param value: an aware ``datetime``, or ISO 8601 text with a time zone.
    :return: the moment in UTC.
    :raises InvalidRequest: for anything else.
    """
    try:
        # fromisoformat does not know "Z" before Python 3.11.
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value).replace("Z", "+00:00"))
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise InvalidRequest(f"{name} must be an aware datetime or ISO 8601 text with a time zone, not {shown(value)}.")
    return moment.astimezone(timezone.utc)


def boolean(name: str, value: object) -> bool:
    """Return an argument that is True or False.

    :param name: the argument, for the error text.
    :param value: the user's value.
    :return: the value.
    :raises InvalidRequest: for anything else, also for 1 and ``"true"``.
    """
    if not isinstance(value, bool):
        raise InvalidRequest(f"{name} must be True or False, not {shown(value)}.")
    return value


def boolean_or_text(name: str, value: object) -> bool:
    """Return a boolean that may have come out of a template as text: ``True``, ``yes``, ``on``, ``1`` and the like.

    :param name: the argument, for the error text.
    :param value: the user's value.
    :return: the boolean.
    :raises InvalidRequest: when the value is not understood; nothing is guessed.
    """
    text = str(value).strip().lower() if isinstance(value, str) or (isinstance(value, int) and value in (0, 1)) else ""
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    raise InvalidRequest(f"{name} must be true or false (also yes, no, on, off, 1, 0), not {shown(value)}.")


def connection_id(value: object, name: str = "voice_conn_id") -> str:
    """Return the id of a connection.

    :param value: the user's value.
    :param name: the argument, for the error text.
    :return: the id without blanks around it.
    :raises InvalidRequest: when it is not text, or is empty.
    """
    if not isinstance(value, str) or not value.strip():
        raise InvalidRequest(f"{name} must be the id of a connection, not {shown(value)}.")
    return value.strip()


def endings_of(name: str, values: object, *, may_be_empty: bool = False) -> frozenset[CallStatus]:
    """Return the statuses that an argument lists, all of which are endings of a call.

    :param name: the argument, for the error text.
    :param values: one status or a list, tuple or set of them, as :class:`CallStatus` or text.
    :param may_be_empty: whether ``None`` and an empty list are understood, default False.
    :return: the statuses.
    :raises InvalidRequest: when there is none, or one that is not a status or not an ending.
    """
    try:
        statuses = statuses_of(values)
    except InvalidRequest as error:
        raise InvalidRequest(f"{name}: {error.message}") from None
    if not statuses and not may_be_empty:
        raise InvalidRequest(f"{name} must list statuses with which a call ends, and it lists none.")
    endless = sorted(status.value for status in statuses if not status.is_terminal)
    if endless:
        raise InvalidRequest(f"A call does not end as {', '.join(endless)}; {name} lists endings only.")
    return statuses


def is_literal(value: object) -> bool:
    """Return whether a value is final: no part of it is a template or another task's output.

    :param value: an argument of an operator; it may hold itself.
    :return: whether neither Airflow's rendering nor another task changes any of it.
    """
    return not any(_is_template(part) or _is_output(part) for part in _parts_of(value))


def _is_template(value: object) -> bool:
    return isinstance(value, str) and ("{{" in value or "{%" in value)


def _is_output(value: object) -> bool:
    return hasattr(value, "resolve") and hasattr(value, "iter_references")


def _parts_of(value: object) -> Iterator[object]:
    """Yield a value and all that its mappings and sequences hold, each object once."""
    waiting, seen = [value], set()
    while waiting:
        part = waiting.pop()
        if id(part) in seen:
            continue
        seen.add(id(part))
        yield part
        if isinstance(part, Mapping):
            waiting.extend(part.values())
        elif isinstance(part, (list, tuple, set, frozenset)):
            waiting.extend(part)
