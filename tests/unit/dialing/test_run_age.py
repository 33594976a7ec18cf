"""How old a run is, and since when its tasks may have placed calls."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace

import pytest
import time_machine

from airflow_provider_voice.dialing.run_age import check_run_age, run_began_at
from airflow_provider_voice.exceptions import StaleRun

NOW = datetime(2026, 1, 10, tzinfo=timezone.utc)
DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def _now() -> Iterator[None]:
    with time_machine.travel(NOW, tick=False):
        yield


def run(kind: str, **values: datetime | None) -> SimpleNamespace:
    return SimpleNamespace(run_id="r", run_type=kind, **{"run_after": NOW, "data_interval_end": None, **values})


def test_a_backfill_is_always_stale() -> None:
    with pytest.raises(StaleRun, match="backfill"):
        check_run_age(run("backfill"), DAY)


@pytest.mark.parametrize("kind", ["manual", "operator_triggered", "asset_triggered", "asset_materialization"])
def test_a_run_that_was_asked_for_is_as_old_as_the_asking(kind: str) -> None:
    check_run_age(run(kind, data_interval_end=NOW - 9 * DAY), DAY)
    with pytest.raises(StaleRun):
        check_run_age(run(kind, run_after=NOW - 2 * DAY, data_interval_end=NOW), DAY)


def test_a_scheduled_run_is_as_old_as_the_end_of_its_interval() -> None:
    check_run_age(run("scheduled", data_interval_end=NOW - DAY), DAY)
    with pytest.raises(StaleRun, match="more than"):
        check_run_age(run("scheduled", data_interval_end=NOW - DAY - timedelta(seconds=1)), DAY)


def test_a_run_begins_no_earlier_than_the_scheduler_may_start_it() -> None:
    moved = SimpleNamespace(run_after=NOW - DAY, start_date=NOW, logical_date=NOW - 999 * DAY)
    assert run_began_at(moved) == NOW - DAY
    assert run_began_at(SimpleNamespace(run_after=NOW + DAY, start_date=NOW)) == NOW
    assert run_began_at(SimpleNamespace(run_after=NOW, start_date=None)) == NOW


def test_the_last_moment_to_ring_agrees_with_the_check() -> None:
    for young in (run("manual"), run("scheduled", data_interval_end=NOW - DAY / 2)):
        last = check_run_age(young, DAY)
        with time_machine.travel(last, tick=False):
            check_run_age(young, DAY)
        with time_machine.travel(last + timedelta(seconds=1), tick=False), pytest.raises(StaleRun):
            check_run_age(young, DAY)
    assert check_run_age(run("scheduled"), DAY) == NOW + DAY
