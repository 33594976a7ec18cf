"""How old a DAG run is, and whether it is young enough to ring people for it."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

from airflow_provider_voice.exceptions import StaleRun
from airflow_provider_voice.models import write_time

_ASKED_FOR = ("manual", "operator_triggered", "asset_triggered", "asset_materialization")


def check_run_age(run: Any, max_age: timedelta, *, now: datetime | None = None) -> None:
    """Refuse to ring for a backfill run, and for any run that was due longer ago than ``max_age``.

    A scheduled run is due at the end of its data interval. A manual or asset-triggered run is due when it was asked for
    (``run_after``), whatever its logical date is.

    :param run: the DAG run of the task's context.
    :param max_age: how long ago the run may have been due.
    :param now: the time; None: now.
    :raises StaleRun: with the time at which the run was due, and what to do.
    """
    kind = _kind(run)
    advice = "Set stale_run='call' to ring all the same, or 'skip' to skip such runs."
    if kind == "backfill":
        raise StaleRun(f"Run {run.run_id} is a backfill: nobody is rung for the past. {advice}")
    due = _due(run, kind)
    if due is None:
        return
    age = (now or datetime.now(timezone.utc)) - due
    if age > max_age:
        raise StaleRun(f"Run {run.run_id} was due at {write_time(due)}, longer than {max_age} ago. {advice}")


def latest_start(run: Any, max_age: timedelta) -> datetime | None:
    """Return the last moment at which :func:`check_run_age` lets a run ring somebody.

    :param run: the DAG run of the task's context.
    :param max_age: how long ago the run may have been due.
    :return: the moment; None when the run does not say when it was due.
    """
    due = _due(run, _kind(run))
    return None if due is None else due + max_age


def run_began_at(run: Any) -> datetime | None:
    """Return the earliest moment at which a task of the run can have placed a call.

    The scheduler starts no run before its ``run_after``, which a clear does not move. ``start_date`` is moved by a
    clear of a finished run; it counts only where it is earlier (``dag.test()`` with a later ``run_after``). The logical
    date is no bound: it may lie years before a run that a user triggers now.

    :param run: the DAG run of the task's context; None: there is none.
    :return: the moment; None when the run says neither.
    """
    moments = [moment for moment in (getattr(run, "run_after", None), getattr(run, "start_date", None)) if moment]
    return min(moments, default=None)


def _kind(run: Any) -> str:
    return str(getattr(run.run_type, "value", run.run_type))


def _due(run: Any, kind: str) -> datetime | None:
    run_after: datetime | None = getattr(run, "run_after", None)
    if kind in _ASKED_FOR:
        return run_after or getattr(run, "start_date", None)
    interval_end: datetime | None = getattr(run, "data_interval_end", None)
    return interval_end or run_after
