"""Which try this is, and whether a user's clear made it."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest

from airflow_provider_voice.dialing.record import Record
from airflow_provider_voice.dialing.task_facts import TaskFacts


def facts(**values: Any) -> TaskFacts:
    return TaskFacts("d", "r", "t", **values)


def record(**values: Any) -> Record:
    begun = datetime(2026, 1, 1, tzinfo=timezone.utc)
    return Record(1, "key", "placed", begun, "f", **{"max_tries": 2, "try_number": 1, "clear_number": 0, **values})


@pytest.mark.parametrize(
    ("values", "is_cleared"),
    [
        ({"try_number": 2, "max_tries": 2}, False),  # a retry
        ({"try_number": 2, "max_tries": 3}, True),  # a clear after the first try: 1 + 2 retries
        ({"try_number": 2, "max_tries": 2, "clear_number": 1}, False),  # some task was cleared, perhaps this one
        ({"try_number": 4, "max_tries": 2, "clear_number": 1}, True),  # no retry was left: cleared while it ran
        ({"try_number": 1, "max_tries": 2}, False),
    ],
)
def test_a_clear_is_told_from_a_retry_by_the_record(values: dict[str, int], is_cleared: bool) -> None:
    assert facts(retries=2, **values).was_cleared_since(record()) is is_cleared


def test_a_clear_counts_once() -> None:
    cleared = facts(try_number=2, max_tries=3, retries=2)
    assert cleared.was_cleared_since(None)
    assert not facts(try_number=3, max_tries=3, retries=2).was_cleared_since(None)
    assert not facts(try_number=3, max_tries=3, retries=2).was_cleared_since(record(max_tries=3, try_number=2))


def test_a_try_beyond_the_last_one_is_a_clear_only_in_a_run_that_was_cleared() -> None:
    """A scheduler that dies leaves running tasks behind; another one resets them, and Airflow counts one try more."""
    assert facts(try_number=2, max_tries=0, clear_number=1).was_cleared_since(record(max_tries=0))
    assert not facts(try_number=2, max_tries=0, clear_number=0).was_cleared_since(record(max_tries=0))
    assert not facts(try_number=2, max_tries=0, clear_number=1).was_cleared_since(record(max_tries=0, try_number=2))


@pytest.mark.parametrize(
    ("values", "may"),
    [
        ({}, False),
        ({"try_number": 2}, True),
        ({"map_index": 3}, False),
        ({"map_index": 3, "clear_number": 1}, True),
        ({"clear_number": 1}, False),
    ],
)
def test_who_may_have_been_rung_before(values: dict[str, int], may: bool) -> None:
    assert facts(**values).may_follow_a_call is may


def test_the_last_try() -> None:
    assert facts(try_number=3, max_tries=2).is_last_try
    assert not facts(try_number=2, max_tries=2).is_last_try
