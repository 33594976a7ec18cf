"""The tables of dialing cover every situation, and nobody is rung where somebody may have been."""

from __future__ import annotations

from itertools import product
from typing import Any, get_args

import pytest

from airflow_provider_voice.dialing.decisions import (
    OUTCOMES,
    STEPS,
    Finding,
    Occasion,
    RecordedState,
    Step,
    row_for,
)

SITUATIONS = list(product(get_args(RecordedState), (True, False), get_args(Occasion)))


def step_for(*situation: Any) -> Step:
    return STEPS[row_for(*situation)][-1]


@pytest.mark.parametrize("situation", SITUATIONS, ids=str)
def test_every_situation_has_a_step(situation: tuple) -> None:
    assert step_for(*situation) in get_args(Step)


@pytest.mark.parametrize("situation", [item for item in SITUATIONS if item[2] != "new call"], ids=str)
def test_a_call_is_placed_without_a_search_only_when_nobody_can_have_been_rung(situation: tuple) -> None:
    record, same_request, occasion = situation
    if step_for(*situation) == "place":
        is_new = (record, occasion) in {("none", "first"), ("ended", "redial")}
        assert is_new or (record == "refused" and same_request)


@pytest.mark.parametrize("record", ["intent", "placed", "ended"])
@pytest.mark.parametrize("occasion", ["first", "again", "redial"])
def test_the_record_of_another_request_rings_nobody(record: RecordedState, occasion: Occasion) -> None:
    assert step_for(record, False, occasion) == "refuse"


def test_every_row_of_the_table_is_needed() -> None:
    assert {row_for(*situation) for situation in SITUATIONS} == set(range(len(STEPS)))


def test_the_table_of_outcomes_is_complete() -> None:
    searches = ("search, then place", "search, then fail")
    wanted = set(product(searches, get_args(Finding)))
    # redial_when_absent_for concerns a stored intent only.
    assert wanted - OUTCOMES.keys() == {("search, then place", "nothing for long")}
    assert all(OUTCOMES[step, finding] == "fail" for step in searches for finding in ("unclear", "unreadable"))
