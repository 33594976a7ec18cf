"""Which calls a run exports: ``[start, end)`` by the creation time, without a gap between runs."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from airflow_provider_voice.exceptions import InvalidRequest
from airflow_provider_voice.export.models import Window, fitting, joined, without
from airflow_provider_voice.models import read_time, write_time
from airflow_provider_voice.phone import shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

log = logging.getLogger(__name__)
FIRST_SPAN = timedelta(days=1)
# The end of the hour that an instant lies in is the hour of this much later; that of a whole hour is itself.
_TO_NEXT_HOUR = timedelta(hours=1) - timedelta.resolution
#: Bounds before it are refused: no vendor existed, and date arithmetic would end before the year 1.
EARLIEST = datetime(1970, 1, 1, tzinfo=timezone.utc)


def bound_of(name: str, value: object) -> datetime | None:
    """Return a bound that a user wrote, as an aware UTC instant; a time without a zone is UTC.

    :param name: the argument's name, for the error.
    :param value: a ``datetime``, an ISO 8601 text, or None; the texts ``""`` and ``"None"`` are a template's None.
    :return: the instant, or None.
    :raises InvalidRequest: when the value is not a point in time, or lies before 1970.
    """
    if value is None or (isinstance(value, str) and value.strip() in ("", "None")):
        return None
    moment = read_time(value) if isinstance(value, (str, datetime)) else None
    if moment is None:
        raise InvalidRequest(f"{name} must be a datetime or an ISO 8601 text, not {shown(value)}.")
    if moment < EARLIEST:
        raise InvalidRequest(f"{name} must be in 1970 or later, not {write_time(moment)}.")
    return moment


def check_bounds(start: datetime | None, end: datetime | None) -> None:
    """Refuse bounds with no instant between them: an empty export would look like a successful one.

    :param start: the explicit start, or None.
    :param end: the explicit end, or None.
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


def run_name(context: Mapping[str, Any]) -> str:
    """Return a name that the tries of one task instance share and no other task instance has.

    :param context: the task's context.
    :return: the ids of DAG, task, map index and run; a long name is shortened and hashed.
    """
    ti = context["ti"]
    return fitting(f"{ti.dag_id}/{ti.task_id}/{-1 if ti.map_index is None else ti.map_index}/{ti.run_id}")


def due_time(context: Mapping[str, Any]) -> datetime | None:
    """Return when the run was due by Airflow's clock; all tries of a task have the same time.

    :param context: the task's context.
    :return: the instant in UTC; None outside a DAG run.
    """
    run = context.get("dag_run")
    return run.run_after.astimezone(timezone.utc) if run else None


def requested_window(
    context: Mapping[str, Any],
    start: datetime | None,
    end: datetime | None,
    *,
    own: Window | None = None,
    covered: Iterable[Window] = (),
    open_end: datetime | None = None,
) -> Window:
    """Return the window that a run is to export; a retry of the run gets the same one.

    The first that applies: explicit bounds; the data interval when it has a length; the window this run was given
    before (a rerun); from where the exports before it ended (:func:`_resume_at`) to the moment it was due. A cron
    schedule gives an empty interval in Airflow 3, a manual run may have none.

    :param context: the task's context.
    :param start: the explicit start, or None; see :func:`check_bounds`.
    :param end: the explicit end; None: ``open_end``.
    :param own: the window of an earlier try of this run.
    :param covered: the stretches that were exported.
    :param open_end: where a window with a start and no end ends; None: at the moment the run was due. A table takes
        the present, so that a run can load the calls it has placed; files do not, because a rerun replaces them.
    :return: the window; empty when there is nothing new. It may end later than the vendor's clock.
    """
    due = due_time(context) or datetime.now(timezone.utc)
    if start is not None:
        return Window(start, max(start, end or open_end or due))
    run = context.get("dag_run")
    first, last = (read_time(getattr(run, f"data_interval_{bound}", None)) for bound in ("start", "end"))
    if first is not None and last is not None and first < last:
        return Window(first, last)
    return own or Window(_resume_at(covered, due), due)


def _resume_at(covered: Iterable[Window], due: datetime) -> datetime:
    """Return where a run without bounds begins.

    It begins where the last covered stretch before its due time ends. Where several end within the day before the due
    time, it begins at the end of the first of them, so that holes of that day are filled. Where nothing was exported
    earlier, it begins a day before the due time.
    """
    a_day_ago = due - FIRST_SPAN
    ends = [min(stretch.end, due) for stretch in joined(covered) if stretch.start < due]
    recent = [end for end in ends if end >= a_day_ago]
    return (recent[:1] or ends[-1:] or [a_day_ago])[0]


def before_the_previous_run(context: Mapping[str, Any]) -> Iterator[Window]:
    """Yield the stretch that earlier runs were to export, for exports that keep no log; see :func:`_resume_at`.

    It ends when the previous run of the DAG was due, at least a day before this one. That run counts in every
    state: a rerun of it has the same window as before.

    :param context: the task's context.
    :return: one window; none when there was no run before.
    """
    due = due_time(context)
    if due is None:
        return
    if getattr(context["dag_run"], "logical_date", None) is None:
        log.warning(
            "This run has no logical date (it was triggered by an asset or by hand), so the run before it is unknown: "
            "the last day is exported. Give start and end for another window."
        )
        return
    previous = context["ti"].get_previous_dagrun()
    if previous is not None:
        yield Window(EARLIEST, min(previous.run_after.astimezone(timezone.utc), due - FIRST_SPAN))


@dataclass(frozen=True)
class ReadPlan:
    """The windows that one run reads.

    :param requested: the run's own window.
    :param windows: the stretches that are read and then covered: the requested window, and those that earlier runs
        could not read yet, both up to the vendor's present.
    :param rechecked: covered stretches before these windows, and the rest of their hours, that are read once more.
    :param unread: the part of the requested window that lies in the vendor's future; a later run reads it.
    """

    requested: Window
    windows: Sequence[Window]
    rechecked: Sequence[Window] = ()
    unread: Sequence[Window] = ()


def plan_reading(
    requested: Window,
    *,
    now: datetime,
    present: datetime,
    recheck: timedelta = timedelta(0),
    covered: Sequence[Window] = (),
    unread: Iterable[Window] = (),
) -> ReadPlan:
    """Decide which windows a run reads.

    No window reaches into the vendor's future: a window counts as covered only when its calls could be there.

    :param requested: the run's own window.
    :param now: the vendor's time, by which its calls are dated.
    :param present: the latest of the clocks concerned. The part of the window after it is everybody's future, and is
        no hole.
    :param recheck: how far before a window covered stretches are read once more; after it, to the end of the hour.
    :param covered: the stretches that were exported.
    :param unread: stretches that earlier runs were asked for and could not read yet.
    :return: the windows to read, to read again, and to leave to a later run.
    """
    wanted = requested.cut(requested.start, max(present, now))
    windows = joined(window.cut(window.start, now) for window in [wanted, *unread])
    # Whole hours: the log counts calls by the hour, and a part of one must not replace the count of the whole.
    read = windows or [wanted]
    around = [Window(_hour(window.start - recheck), _hour(window.end + _TO_NEXT_HOUR)) for window in read]
    beside = without(around, windows)
    return ReadPlan(wanted, windows, without(beside, without(beside, covered)), without([wanted], windows))


def _hour(moment: datetime) -> datetime:
    return moment.replace(minute=0, second=0, microsecond=0)
