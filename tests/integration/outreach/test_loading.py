"""Loading a source: rows merge, change, leave and come back; half a list is not called."""

from __future__ import annotations

import pytest

from airflow_provider_voice.outreach import contact_loading
from airflow_provider_voice.outreach.gate import ListedNumbers
from airflow_provider_voice.outreach.redial import RedialRules
from tests.integration.outreach.rig import BUSY, COMPLETED, number, people

pytestmark = pytest.mark.once


def row(key: str | None, index: int = 0, **more) -> dict:
    return {"contact_id": key, "to": number(index), **more}


def test_a_second_row_of_a_number_is_merged_and_said(any_rig) -> None:
    counts = any_rig.load([row("a"), row("b"), row("c", 1)])
    assert any_rig.states() == {"a": "pending", "b": "merged", "c": "pending"}
    assert any_rig.contacts()["b"].merged_into == "a"
    assert (counts.rows, counts.merged) == (3, 1)
    any_rig.load([row("b"), row("a"), row("c", 1)])
    assert any_rig.states() == {"a": "pending", "b": "merged", "c": "pending"}


def test_a_second_row_of_a_key_is_not_lost(any_rig) -> None:
    any_rig.load([row("a"), row("a"), row("a", 1), row("A", 2)])
    assert any_rig.states() == {"a": "pending", "a#2": "merged", "a#3": "rejected", "A": "pending"}


def test_contacts_that_left_are_canceled_and_may_come_back(rig) -> None:
    rig.load([row("a"), row("b", 1)])
    rig.load([row("b", 1)])
    assert rig.states() == {"a": "canceled", "b": "pending"}
    rig.load([row("a"), row("b", 1), row("new", 2)])
    assert rig.states() == {"a": "pending", "b": "pending", "new": "pending"}


def test_who_was_called_is_not_called_again_under_another_key(rig) -> None:
    rig.load([row("a")])
    rig.finish()
    rig.load([row("b")])
    assert rig.states() == {"a": "reached", "b": "merged"}


def test_a_merged_contact_takes_the_place_of_the_one_that_left(rig) -> None:
    rig.load([row("a"), row("b"), row("c")])
    rig.load([row("b"), row("c")])
    assert rig.states() == {"a": "canceled", "b": "pending", "c": "merged"}
    assert rig.contacts()["c"].merged_into == "b"


def test_a_changed_row_changes_who_waits_and_nobody_else(rig) -> None:
    rig.load([row("a", name="x"), row("bad") | {"to": "12"}, row("done", 5)])
    rig.load([row("a", 3, name="y"), row("bad", 4), row("done", 6)])
    assert rig.contacts()["a"].to_number == number(3)
    assert '"y"' in rig.contacts()["a"].variables
    assert rig.states()["bad"] == "pending"


def test_a_claimed_contact_whose_number_changes_is_not_called_by_the_old_one(rig) -> None:
    rig.load([row("a")])
    campaign = rig.campaign()
    claimed = campaign.ledger.claim_due(1)
    rig.load([row("a", 3)])
    assert campaign.ledger.store_intents(claimed, campaign._pacing, agent_id="x").stored == []


def test_half_a_list_is_not_called(rig, monkeypatch) -> None:
    monkeypatch.setattr(contact_loading, "CHUNK", 1)
    rig.load([row("a")])

    def broken():
        yield row("a")
        yield row("b", 1)
        raise ValueError("line 3")

    with pytest.raises(ValueError):
        rig.load(broken())
    result = rig.finish()
    assert rig.states() == {"a": "reached", "b": "pending"}
    assert rig.rings() == {number(0): 1}
    assert result["pending"] == 1


def test_attempts_survive_a_change_of_key(rig) -> None:
    rig.load(people(BUSY))
    rig.turn(rules=RedialRules.of(max_attempts=2))
    rig.advance(100)
    rig.turn(rules=RedialRules.of(max_attempts=2))
    rig.load([{"contact_id": "other", "to": number(0, BUSY)}])
    rig.finish(rules=RedialRules.of(max_attempts=2))
    assert rig.rings() == {number(0, BUSY): 2}


def test_thousands_of_rows(any_rig) -> None:
    rows = [{"contact_id": f"c{index}", "to": number(index % 2500)} for index in range(2600)]
    counts = any_rig.load(rows)
    assert (counts.rows, counts.merged) == (2600, 100)
    assert len(any_rig.states()) == 2600
    any_rig.load(rows[:2500])
    assert list(any_rig.states().values()).count("pending") == 2500


def test_empty_source_cancels_all(rig) -> None:
    rig.load(people(COMPLETED))
    rig.load([])
    assert rig.states() == {"c0": "canceled"}


def test_a_wish_not_to_be_called_outlives_a_source_and_a_list_that_were_empty_for_a_minute(rig) -> None:
    rig.load(people(COMPLETED))
    rig.finish(do_not_call=ListedNumbers(lambda: [number(0)]))
    rig.load([])
    rig.load([{**people(COMPLETED)[0], "name": "changed"}])
    rig.finish(do_not_call=ListedNumbers(list))
    assert rig.states() == {"c0": "excluded"}
    # Another number is another wish.
    rig.load([{**people(COMPLETED)[0], "to": number(1)}])
    rig.finish(do_not_call=ListedNumbers(list))
    assert rig.rings() == {number(1): 1}
