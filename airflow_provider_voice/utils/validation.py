"""What can be said of the operators' arguments when a DAG is parsed."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_voice.exceptions import InvalidRequest
from airflow_provider_voice.models import check_delay, json_object, statuses_of
from airflow_provider_voice.phone import parse_number
from airflow_provider_voice.utils.masking import plain

if TYPE_CHECKING:
    from airflow_provider_voice.operators.make_call import MakeCallOperator


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
    """Raise :class:`InvalidRequest` unless ``value`` is one of ``allowed``."""
    if value not in allowed:
        raise InvalidRequest(f"{name} must be one of {', '.join(map(repr, allowed))}, not {value!r:.40}.")


def seconds_of(name: str, value: float | timedelta) -> float:
    """Return seconds, given as a number or a ``timedelta``; greater than zero.

    :raises InvalidRequest: for anything else.
    """
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not seconds > 0:
        raise InvalidRequest(f"{name} must be a number of seconds greater than 0, not {value!r:.40}.")
    return float(seconds)


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
