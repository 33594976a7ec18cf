"""The tables of dialing cover every situation, and nobody is rung where somebody may have been."""

from __future__ import annotations

from itertools import product
from typing import get_args

import pytest

from airflow_provider_voice.dialing import decisions
from airflow_provider_voice.dialing.decisions import STEPS, Occasion, Step, step_for
from airflow_provider_voice.dialing.record import RecordState

SITUATIONS = list(product(("none", *get_args(RecordState)), (True, False), get_args(Occasion)))


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
def test_the_record_of_another_request_rings_nobody(record: RecordState, occasion: Occasion) -> None:
    assert step_for(record, False, occasion) == "refuse"


@pytest.mark.parametrize("row", STEPS, ids=str)
def test_every_row_of_the_table_is_needed(monkeypatch: pytest.MonkeyPatch, row: tuple) -> None:
    steps = [step_for(*situation) for situation in SITUATIONS]
    monkeypatch.setattr(decisions, "STEPS", [other for other in STEPS if other is not row])
    changed = []
    for situation in SITUATIONS:
        try:
            changed.append(step_for(*situation))
        except StopIteration:
            changed.append(None)
    assert changed != steps
