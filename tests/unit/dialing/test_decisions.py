"""The tables of dialing cover every situation, and nobody is rung where somebody may have been."""

from __future__ import annotations

from itertools import product
from typing import get_args

import pytest

from airflow_provider_voice.dialing.decisions import (
    OUTCOMES,
    STEPS,
    Finding,
    Occasion,
    RecordedState,
    Situation,
    Step,
    step_for,
)

SITUATIONS = [
    Situation(record, same, occasion)
    for record, same, occasion in product(get_args(RecordedState), (True, False), get_args(Occasion))
]


@pytest.mark.parametrize("situation", SITUATIONS, ids=str)
def test_every_situation_has_a_step(situation: Situation) -> None:
    assert step_for(situation) in get_args(Step)


@pytest.mark.parametrize("situation", [item for item in SITUATIONS if item.occasion != "new call"], ids=str)
def test_a_call_is_placed_without_a_look_only_when_nobody_can_have_been_rung(situation: Situation) -> None:
    if step_for(situation) == "place":
        assert (situation.record, situation.occasion) in {("none", "first"), ("ended", "redial")} or (
            situation.record == "refused" and situation.same_request
        )


@pytest.mark.parametrize("record", ["intent", "placed", "ended"])
@pytest.mark.parametrize("occasion", ["first", "again", "redial"])
def test_the_record_of_another_request_rings_nobody(record: RecordedState, occasion: Occasion) -> None:
    assert step_for(Situation(record, False, occasion)) == "refuse"


def test_every_row_of_the_table_is_needed() -> None:
    first_rows = {next(number for number, row in enumerate(STEPS) if row.fits(item)) for item in SITUATIONS}
    assert first_rows == set(range(len(STEPS)))


def test_the_table_of_outcomes_is_complete() -> None:
    looks = ("look, then place", "look, then fail")
    wanted = {(step, finding) for step, finding in product(looks, get_args(Finding))}
    # redial_when_absent_for concerns a stored intent only.
    assert wanted - OUTCOMES.keys() == {("look, then place", "nothing for long")}
    assert all(OUTCOMES[step, finding] == "fail" for step in looks for finding in ("unclear", "unreadable"))
