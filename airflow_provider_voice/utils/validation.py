"""What can be said of the operators' arguments when a DAG is parsed."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_voice.exceptions import InvalidRequest
from airflow_provider_voice.models import CallStatus, check_delay, json_object, statuses_of
from airflow_provider_voice.phone import mask_numbers_in, parse_number
from airflow_provider_voice.utils.masking import plain

if TYPE_CHECKING:
    from airflow_provider_voice.operators.make_call import MakeCallOperator

_LONGEST_SECONDS = 10 * 365 * 86_400


def check_call_arguments(operator: MakeCallOperator) -> None:
    """Refuse what can be known to be wrong before the task runs.

    :raises InvalidRequest, InvalidPhoneNumber: naming the argument and what it may be.
    """
    one_of("on_clear", operator.on_clear, ("reuse", "new_call"))
    one_of("stale_run", operator.stale_run, ("fail", "skip", "call"))
    _check_statuses(operator)
    _check_span("max_run_age", operator.max_run_age)
    if operator.redial_when_absent_for is not None:
        _check_span("redial_when_absent_for", operator.redial_when_absent_for)
    if is_literal(operator.delay_seconds):
        check_delay(operator.delay_seconds)
    for name in ("variables", "context"):
        value = getattr(operator, name)
        if is_resolved(value):
            json_object(name, value)
    to = plain(operator.to)
    if isinstance(to, str) and is_literal(to) and is_literal(operator.region):
        # A number without + may get its country from the connection, which is not known here.
        is_complete = to.strip().startswith("+") or operator.region
        if is_complete or not any(char.isdigit() for char in to):
            parse_number(to, operator.region)


def _check_statuses(operator: MakeCallOperator) -> None:
    success, redial = statuses_of(operator.success_statuses), statuses_of(operator.redial_statuses)
    if not success:
        raise InvalidRequest("success_statuses is empty: no ending could be a success.")
    endless = sorted(status.value for status in success | redial if not status.is_terminal)
    if endless:
        raise InvalidRequest(f"A call does not end as {', '.join(endless)}; list endings only.")
    both = sorted(status.value for status in success & redial)
    if both:
        raise InvalidRequest(f"{', '.join(both)} is both a success and a reason to ring again.")
    if redial and not operator.wait_for_completion:
        raise InvalidRequest("redial_statuses needs wait_for_completion=True: without it no ending is seen.")


def _check_span(name: str, value: object) -> None:
    if not isinstance(value, timedelta) or value <= timedelta(0):
        raise InvalidRequest(f"{name} must be a timedelta greater than zero, not {value!r:.40}.")


def one_of(name: str, value: object, allowed: tuple[str, ...]) -> None:
    """Check an argument that is a choice.

    :param name: the argument.
    :param value: its value.
    :param allowed: the choices.
    :raises InvalidRequest: when the value is none of them.
    """
    if not isinstance(value, str) or value not in allowed:
        raise InvalidRequest(f"{name} must be one of {', '.join(map(repr, allowed))}, not {shown(value)}.")


def seconds_of(name: str, value: Any, *, minimum: float | None = None) -> float:
    """Return a duration in seconds.

    :param name: the argument.
    :param value: seconds as a number, or a ``timedelta``.
    :param minimum: the least number of seconds; None (default): more than 0.
    :raises InvalidRequest: for anything else, and for more than ten years.
    """
    seconds: Any = value.total_seconds() if isinstance(value, timedelta) else value
    is_number = isinstance(seconds, (int, float)) and not isinstance(seconds, bool)
    if not is_number or not (seconds > 0 if minimum is None else seconds >= minimum) or seconds > _LONGEST_SECONDS:
        least = "greater than 0" if minimum is None else f"of at least {minimum:g}"
        raise InvalidRequest(
            f"{name} must be a timedelta or a number of seconds {least} and at most ten years, not {shown(value)}."
        )
    return float(seconds)


def boolean(name: str, value: object) -> bool:
    """Return an argument that is True or False.

    :param name: the argument.
    :param value: its value.
    :raises InvalidRequest: for anything else, also for 1 and "true".
    """
    if not isinstance(value, bool):
        raise InvalidRequest(f"{name} must be True or False, not {shown(value)}.")
    return value


def connection_id(value: object) -> str:
    """Return the id of a voice connection.

    :param value: the value of ``voice_conn_id``.
    :raises InvalidRequest: when it is not a text, or an empty one.
    """
    if not isinstance(value, str) or not value.strip():
        raise InvalidRequest(f"voice_conn_id must be the id of a connection, not {shown(value)}.")
    return value.strip()


def endings_of(name: str, values: object) -> frozenset[CallStatus]:
    """Return the statuses that an argument lists, all of which are endings of a call.

    :param name: the argument.
    :param values: one status or a list, tuple or set of them, as :class:`CallStatus` or text.
    :raises InvalidRequest: when there is none, or one that is no status or no ending.
    """
    items = list(values) if isinstance(values, (list, tuple, set, frozenset)) else [values]
    if not items or not all(isinstance(item, str) for item in items):
        raise InvalidRequest(f"{name} must list statuses with which a call ends, not {shown(values)}.")
    try:
        statuses = statuses_of(items)
    except InvalidRequest as error:
        raise InvalidRequest(f"{name}: {mask_numbers_in(error.message)}") from None
    endless = sorted(status.value for status in statuses if not status.is_terminal)
    if endless:
        raise InvalidRequest(f"A call does not end as {', '.join(endless)}; {name} lists endings only.")
    return statuses


def shown(value: object) -> str:
    """Return a value for an error text: short, and without a phone number.

    :param value: what a user gave.
    """
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001 - a repr may raise anything; Python's own does for an integer of 5,000 digits
        return f"a value of type {type(value).__name__}"
    return mask_numbers_in(text)[:40]


def whole_or_text(name: str, value: Any) -> int:
    """Return a whole number that may have come out of a template as text.

    :raises InvalidRequest: for anything else.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    text = str(value).strip()
    if not text.isascii() or not text.isdigit():
        raise InvalidRequest(f"{name} must be a whole number, not {text!r:.30}.")
    return int(text)


def is_literal(value: object) -> bool:
    """Whether a value is itself already, and neither a template nor another task's output."""
    return not (isinstance(value, str) and ("{{" in value or "{%" in value)) and is_resolved(value)


def is_resolved(value: object) -> bool:
    """Whether no part of a value is another task's output, which Airflow resolves when the task runs."""
    if isinstance(value, dict):
        return all(is_resolved(item) for item in value.values())
    if isinstance(value, (list, tuple)):
        return all(is_resolved(item) for item in value)
    return not hasattr(value, "resolve")
