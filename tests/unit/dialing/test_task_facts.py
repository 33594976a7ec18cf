"""Which try this is, and whether a user's clear made it."""

from __future__ import annotations

from datetime import datetime, timezone
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_voice.dialing.record import Record
from airflow_provider_voice.dialing.task_facts import TaskFacts, calls_of_other_tasks

RUN_AFTER = datetime(2026, 1, 1, tzinfo=timezone.utc)


def facts(**values: Any) -> TaskFacts:
    return TaskFacts("d", "r", "t", **values)


def record(**values: Any) -> Record:
    return Record(1, "key", "placed", RUN_AFTER, "f", **{"max_tries": 2, "try_number": 1, "clear_number": 0, **values})


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


def test_a_retry_is_one_of_the_task_that_stored_the_record() -> None:
    mine = facts(try_number=2, max_tries=2)
    assert mine.is_retry_since(record(owner=mine.instance))
    assert not mine.is_retry_since(record(owner=mine.instance, max_tries=1))
    assert not facts(try_number=2, max_tries=2, map_index=1).is_retry_since(record(owner=mine.instance))
    assert not mine.is_retry_since(record())


def test_tasks_with_one_call_key_have_one_name_and_are_told_apart() -> None:
    one, other = TaskFacts("d", "r", "t", call_key="k"), TaskFacts("d2", "r", "t", call_key="k")
    assert one.name == other.name
    assert one.name != TaskFacts("d", "r", "t", call_key="other").name
    assert one.instance != other.instance


class Ring:
    """A task that places calls."""

    def __init__(self, task_id: str) -> None:
        self.task_id = task_id


def run_context(map_index: int = -1, clear_number: int = 0, broken: bool = False) -> dict[str, Any]:
    published = {"ring": ["a", "b"], "other": ["c"], "mapped": ["d"]}

    def xcom_pull(task_ids: list[str], key: str) -> list[str]:
        assert key == "call_id"
        if broken:
            raise RuntimeError("no XCom")
        return [call_id for task_id in task_ids for call_id in published[task_id]]

    tasks = [
        Ring("ring"),
        Ring("other"),
        SimpleNamespace(task_id="mapped", operator_class=Ring),
        SimpleNamespace(task_id="load", operator_class=dict),
        SimpleNamespace(task_id="plain"),
    ]
    run = SimpleNamespace(clear_number=clear_number, run_after=RUN_AFTER, start_date=None)
    ti = SimpleNamespace(dag_id="d", run_id="r", task_id="ring", map_index=map_index, try_number=2, max_tries=3,
                         xcom_pull=xcom_pull)  # fmt: skip
    return {"ti": ti, "dag": SimpleNamespace(tasks=tasks), "dag_run": run}


def test_the_calls_of_the_runs_other_tasks_are_known() -> None:
    assert calls_of_other_tasks(run_context(), Ring) == {"c", "d"}
    assert calls_of_other_tasks(run_context(map_index=1), Ring) == {"a", "b", "c", "d"}
    # The list of a mapped task may have changed with the clear, so another index's call may be this person's.
    assert calls_of_other_tasks(run_context(map_index=1, clear_number=1), Ring) == {"c", "d"}
    assert calls_of_other_tasks(run_context(broken=True), Ring) == frozenset()
    assert calls_of_other_tasks(run_context(map_index=None), Ring) == {"c", "d"}
    alone = run_context()
    del alone["dag"].tasks[1:]
    assert calls_of_other_tasks(alone, Ring) == frozenset()


def test_the_facts_of_a_task() -> None:
    facts = TaskFacts.of(run_context(map_index=None), 2)
    assert (facts.map_index, facts.try_number, facts.max_tries, facts.retries) == (-1, 2, 3, 2)
    assert (facts.run_began_at, facts.run_started_at) == (RUN_AFTER, None)
