"""A campaign from its contacts to their ends: every contact is final, and nobody is rung more than the endings allow."""

from __future__ import annotations

from airflow_provider_voice.outreach.redial import RedialRules
from tests.integration.outreach.rig import BUSY, COMPLETED, FAILED, NO_ANSWER, number, people


def test_every_contact_comes_to_its_end(any_rig) -> None:
    any_rig.load(people(COMPLETED, BUSY, NO_ANSWER, FAILED))
    result = any_rig.finish()
    assert any_rig.states() == {"c0": "reached", **{f"c{index}": "exhausted" for index in range(1, 4)}}
    assert any_rig.rings() == {number(0): 1, **{
        number(index, ending): 3 for index, ending in enumerate((BUSY, NO_ANSWER, FAILED), 1)
    }}  # fmt: skip
    assert result["contacts"] == 4
    assert result["attempts"] == 10
    assert (result["reached"], result["exhausted"], result["unknown"]) == (1, 3, 0)
    assert result["by_status"] == {"completed": 1, "busy": 3, "no_answer": 3, "failed": 3}
    assert {row.call_id for row in any_rig.rang_attempts()} == {ring.call_id for ring in any_rig.sandbox.rings}


def test_a_second_run_calls_nobody_again(rig) -> None:
    rig.load(people(COMPLETED, BUSY))
    rig.finish(rules=RedialRules.of(max_attempts=1))
    rig.load(people(COMPLETED, BUSY))
    result = rig.finish()
    assert len(rig.sandbox.rings) == 2
    assert (result["reached"], result["exhausted"]) == (1, 1)


def test_spacing_counts_from_the_ending(rig) -> None:
    rig.load(people(NO_ANSWER))
    rig.finish(rules=RedialRules.of(max_attempts=2, redial_after={"no_answer": 600}))
    first, second = rig.rang_attempts()
    # Nobody answers for 30 seconds in the sandbox.
    assert (second.intended_at - first.ended_at).total_seconds() >= 600
    assert (first.ended_at - first.placed_at).total_seconds() >= 30


def test_the_log_says_where_the_campaign_stands_and_names_nobody(rig, caplog) -> None:
    caplog.set_level("INFO")
    rig.load(people(COMPLETED))
    rig.finish()
    assert f"Campaign {rig.name}: 0 of 1 contacts done, 1 in progress, 0 waiting, 1 attempts" in caplog.text
    assert number(0) not in caplog.text


def test_a_task_that_comes_back_from_its_trigger_reads_the_calls_at_once(rig) -> None:
    # Another task's poll of the shared loop, or one of its own a moment ago, shows the endings before the next turn.
    rig.load(people(COMPLETED, COMPLETED))
    waiting = rig.turn(poll_interval=600.0)
    assert len(waiting.calls) == 2
    rig.advance(200)
    assert rig.turn(poll_interval=600.0)["reached"] == 2
