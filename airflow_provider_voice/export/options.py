"""What can be said of an export's arguments: when a DAG is parsed, and once templates are rendered."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Protocol

from airflow_provider_voice.exceptions import InvalidRequest
from airflow_provider_voice.export.models import NUMBER_MODES, Scope
from airflow_provider_voice.export.windows import bound_of, check_bounds
from airflow_provider_voice.utils.validation import is_literal, one_of

if TYPE_CHECKING:
    from datetime import datetime

_DIRECTIONS = ("inbound", "outbound")


class Export(Protocol):
    """What every export has."""

    voice_conn_id: str
    start: Any
    end: Any
    agent_id: str | None
    direction: str | None
    source: str | None
    numbers: str
    page_concurrency: int


def check_export_arguments(export: Export) -> None:
    """Refuse what can be known to be wrong before the task runs.

    :raises InvalidRequest: naming the argument and what it may be.
    """
    one_of("numbers", export.numbers, NUMBER_MODES)
    at_once = export.page_concurrency
    if isinstance(at_once, bool) or not isinstance(at_once, int) or at_once < 1:
        raise InvalidRequest(f"page_concurrency must be a whole number from 1 on, not {at_once!r:.40}.")
    if is_literal(export.direction):
        _check_direction(export.direction)
    if is_literal(export.start) and is_literal(export.end):
        bounds_of(export)


def check_settling(settle_after: object, recheck_hours: object) -> None:
    """Refuse what is no span of time.

    :raises InvalidRequest: naming the argument and what it may be.
    """
    if not isinstance(settle_after, timedelta) or settle_after < timedelta(0):
        raise InvalidRequest(f"settle_after must be a timedelta, not negative, and not {settle_after!r:.40}.")
    if isinstance(recheck_hours, bool) or not isinstance(recheck_hours, (int, float)) or not recheck_hours >= 0:
        raise InvalidRequest(f"recheck_hours must be a number from 0 on, not {recheck_hours!r:.40}.")


def bounds_of(export: Export) -> tuple[datetime | None, datetime | None]:
    """Return the bounds that a user gave, as aware UTC instants, of arguments that are rendered.

    :raises InvalidRequest: when one can not be read, or nothing is between them.
    """
    start, end = bound_of("start", export.start), bound_of("end", export.end)
    check_bounds(start, end)
    return start, end


def scope_of(export: Export) -> Scope:
    """Return what is exported, of arguments that are rendered.

    :raises InvalidRequest: for a direction there is not.
    """
    _check_direction(export.direction)
    return Scope(export.source or export.voice_conn_id, export.agent_id or None, export.direction or None)


def _check_direction(direction: object) -> None:
    if direction:  # a template may come to nothing: then it is both
        one_of("direction", direction, _DIRECTIONS)
