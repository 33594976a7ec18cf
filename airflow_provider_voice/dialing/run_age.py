"""How old a DAG run is, and whether it is young enough to ring people for it."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any, Literal

from airflow_provider_voice.exceptions import StaleRun
from airflow_provider_voice.models import write_time

#: What becomes of a task whose run is too old: it fails, is skipped, or rings all the same.
StaleRunAction = Literal["fail", "skip", "call"]


def check_run_age(run: Any, max_age: timedelta) -> datetime:
    """Refuse to ring for a backfill run, and for any run that was due longer ago than ``max_age``.

    A scheduled run is due at the end of its data interval. A manual or asset-triggered run is due when it was asked for
    (``run_after``), whatever its logical date is.

    :param run: the DAG run of the task's context.
    :param max_age: how long ago the run may have been due.
    :return: the last moment at which the run may ring somebody.
    :raises StaleRun: with the time at which the run was due, and what to do.
    """
    advice = "Set stale_run='call' to ring all the same, or 'skip' to skip such runs."
    if run.run_type == "backfill":
        raise StaleRun(f"Run {run.run_id} is a backfill: nobody is rung for the past. {advice}")
    due: datetime = (run.data_interval_end if run.run_type == "scheduled" else None) or run.run_after
    if datetime.now(timezone.utc) > due + max_age:
        age = f"more than max_run_age ({max_age}) ago"
        raise StaleRun(f"Run {run.run_id} was due at {write_time(due)}, {age}. {advice}")
    return due + max_age


def run_began_at(run: Any) -> datetime:
    """Return the earliest moment at which a task of the run can have placed a call.

    The scheduler starts no run before its ``run_after``, which a clear does not move. ``start_date`` is moved by a
    clear of a finished run; it counts only where it is earlier (``dag.test()`` with a later ``run_after``). The logical
    date is no bound: it may lie years before a run that a user triggers now.

    :param run: the DAG run of the task's context.
    :return: the moment.
    """
    began: datetime = min(run.run_after, run.start_date or run.run_after)
    return began
