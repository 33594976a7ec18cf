"""Whether a DAG run is young enough to ring people for it."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

from airflow_provider_voice.exceptions import StaleRun
from airflow_provider_voice.models import write_time

_ASKED_FOR = ("manual", "operator_triggered", "asset_triggered", "asset_materialization")


def check_run_age(run: Any, max_age: timedelta, *, now: datetime | None = None) -> None:
    """Raise for a backfill run, and for any run whose interval ended longer ago than ``max_age``.

    A manual or asset-triggered run counts by when it was asked for (``run_after``), whatever its logical date is.

    :param run: the DAG run of the task's context.
    :param max_age: how old it may be.
    :param now: the time; None: now.
    :raises StaleRun: with the run's age and what to do.
    """
    kind = getattr(run.run_type, "value", str(run.run_type))
    advice = "Set stale_run='call' to ring all the same, or 'skip' to pass over such runs."
    if kind == "backfill":
        raise StaleRun(f"Run {run.run_id} is a backfill: nobody is rung for the past. {advice}")
    due = _due(run, kind)
    if due is None:
        return
    age = (now or datetime.now(timezone.utc)) - due
    if age > max_age:
        raise StaleRun(f"Run {run.run_id} was due at {write_time(due)}, longer than {max_age} ago. {advice}")


def _due(run: Any, kind: str) -> datetime | None:
    run_after: datetime | None = getattr(run, "run_after", None)
    if kind in _ASKED_FOR:
        return run_after or getattr(run, "start_date", None)
    interval_end: datetime | None = getattr(run, "data_interval_end", None)
    return interval_end or run_after
