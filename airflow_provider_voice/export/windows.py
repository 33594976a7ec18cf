"""Which calls a run exports: ``[start, end)`` by the creation time, without a gap between runs."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from airflow_provider_voice.exceptions import InvalidRequest
from airflow_provider_voice.export.models import Window
from airflow_provider_voice.models import read_time, write_time

if TYPE_CHECKING:
    from collections.abc import Mapping

FIRST_SPAN = timedelta(days=1)


def bound_of(name: str, value: object) -> datetime | None:
    """Return a bound that a user wrote, as an aware UTC instant; text without a zone is UTC.

    :raises InvalidRequest: when it can not be read.
    """
    if value is None or (isinstance(value, str) and value.strip() in ("", "None")):
        return None
    moment = read_time(value)
    if moment is None or isinstance(value, (int, float)):
        raise InvalidRequest(f"{name} must be a datetime or an ISO 8601 text, not {value!r:.60}.")
    return moment


def check_bounds(start: datetime | None, end: datetime | None) -> None:
    """Refuse bounds with nothing between them: an export of nothing would look like one of everything.

    :raises InvalidRequest: when there is an end without a start, or one that is not after it.
    """
    if end is None:
        return
    if start is None:
        raise InvalidRequest("end needs a start: give both bounds, or none for the run's own interval.")
    if start >= end:
        raise InvalidRequest(
            f"end ({write_time(end)}) must be after start ({write_time(start)}). A cron schedule gives a data interval "
            "without a length in Airflow 3: leave both bounds out, and a run exports from where the last one ended."
        )


def window_of(
    context: Mapping[str, Any],
    start: datetime | None,
    end: datetime | None,
    *,
    own: Window | None,
    last_end: datetime | None,
    now: datetime,
) -> Window:
    """Return the window of a run.

    Explicit bounds are taken as they are. Without them: the data interval when it has a length; otherwise what this
    run committed before (a rerun); otherwise from the end of the source's last committed export to the moment the run
    was due, or the last day when there was none. A cron schedule gives an empty interval in Airflow 3, a manual run may
    give none.

    No window of ours reaches into the future: what is committed as read must have been readable.

    :param context: the task's context.
    :param start: the explicit start, or None.
    :param end: the explicit end, or None: now, where there is a start.
    :param own: what this run committed before.
    :param last_end: the end of the source's last committed export.
    :param now: the time by the vendor's clock.
    :raises InvalidRequest: see :func:`check_bounds`.
    """
    check_bounds(start, end)
    due = min(_due(context) or now, now)
    if start is not None:
        return Window(start, max(start, min(end or now, now)))
    first, last = _moment(context, "data_interval_start"), _moment(context, "data_interval_end")
    if first is not None and last is not None and first < last:
        return Window(first, min(last, now))
    if own is not None:
        return own
    return Window(last_end if last_end is not None else due - FIRST_SPAN, due)


def _moment(context: Mapping[str, Any], name: str) -> datetime | None:
    return read_time(context.get(name) or getattr(context.get("dag_run"), name, None))


def _due(context: Mapping[str, Any]) -> datetime | None:
    run = context.get("dag_run")
    moments = (getattr(run, name, None) for name in ("run_after", "logical_date", "start_date"))
    return next((moment.astimezone(timezone.utc) for moment in moments if moment is not None), None)
