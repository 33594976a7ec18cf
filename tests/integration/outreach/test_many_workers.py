"""Several workers on one campaign, a frozen one, and a ledger that goes away: nobody is rung twice."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from airflow_provider_voice.outreach import campaign as campaign_module
from airflow_provider_voice.outreach.campaign import CampaignKilled
from airflow_provider_voice.outreach.database import Database
from airflow_provider_voice.outreach.pacing import Limits
from airflow_provider_voice.outreach.redial import RedialRules
from tests.integration.outreach.rig import BUSY, COMPLETED, number, people

pytestmark = pytest.mark.once

ONCE = RedialRules.of(max_attempts=1)


def run_together(*campaigns: Any) -> list[Any]:
    results: list[Any] = [None] * len(campaigns)

    def run(index: int) -> None:
        try:
            results[index] = campaigns[index].run()
        except BaseException as error:
            results[index] = error

    threads = [threading.Thread(target=run, args=(index,)) for index in range(len(campaigns))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    return results


def test_two_workers_share_a_campaign(any_rig) -> None:
    any_rig.load(people(*[BUSY] * 20))
    results = run_together(*(any_rig.campaign(rules=ONCE) for _ in range(2)))
    assert [result["contacts"] for result in results] == [20, 20], results
    assert any_rig.rings() == {number(index, BUSY): 1 for index in range(20)}
    assert {row.call_id for row in any_rig.rang_attempts()} == {ring.call_id for ring in any_rig.sandbox.rings}


def test_two_loads_of_one_source_make_each_contact_once(any_rig) -> None:
    rows = people(*[COMPLETED] * 30)
    loads = [threading.Thread(target=any_rig.load, args=(rows,)) for _ in range(2)]
    for load in loads:
        load.start()
    for load in loads:
        load.join(60)
    assert set(any_rig.states().values()) == {"pending"}
    assert len(any_rig.states()) == 30


@pytest.mark.parametrize("operation", ["commit", "statement"])
def test_a_ledger_that_goes_away_stops_new_calls_and_loses_none(rig, monkeypatch, operation) -> None:
    rig.load(people(*[COMPLETED] * 6))
    gone = {"calls": 0, "from": 25, "to": 60}
    plain = Database.transact

    def transact(self: Database, work: Any) -> Any:
        gone["calls"] += 1
        if gone["from"] <= gone["calls"] < gone["to"]:
            if operation == "commit":
                plain(self, work)  # committed, and the answer is lost
            raise campaign_module.LedgerFailed("gone")
        return plain(self, work)

    monkeypatch.setattr(Database, "transact", transact)
    result = rig.finish(rules=ONCE)
    assert gone["calls"] > gone["to"]
    assert rig.rings() == {number(index): 1 for index in range(6)}
    assert result["reached"] == 6
    assert result["unknown"] == 0


def test_a_database_error_says_no_number(rig) -> None:
    rig.load(people(COMPLETED))

    def work(connection: Any) -> None:
        raise OperationalError(f"SELECT {number(0)}", {"to": number(0)}, Exception(number(0)))

    with pytest.raises(campaign_module.LedgerFailed) as raised:
        rig.database.transact(work)
    assert number(0) not in str(raised.value)
    assert not raised.value.permanent


def test_a_killed_campaign_sends_nothing_more_and_goes_on_later(rig) -> None:
    rig.load(people(*[BUSY] * 8))
    campaign = rig.campaign(rules=ONCE, limits=Limits(max_concurrent=2))
    plain = campaign._store_outcomes

    def store_then_kill() -> None:
        plain()
        if rig.sandbox.rings:
            campaign.kill()

    campaign._store_outcomes = store_then_kill
    with pytest.raises(CampaignKilled):
        campaign.run()
    assert 1 <= len(rig.sandbox.rings) <= 4
    assert "dialing" not in rig.states().values()
    rig.finish(rules=ONCE)
    assert rig.rings() == {number(index, BUSY): 1 for index in range(8)}


def test_end_calls_on_kill_hangs_up(rig) -> None:
    rig.load(people(COMPLETED))
    campaign = rig.campaign(rules=ONCE, end_calls_on_kill=True, poll_interval=60)
    plain = campaign._store_outcomes

    def store_then_kill() -> None:
        plain()
        if "in_call" in rig.states().values():
            rig.advance(15)  # somebody answered
            campaign.kill()

    campaign._store_outcomes = store_then_kill
    with pytest.raises(CampaignKilled):
        campaign.run()
    (call,) = rig.sandbox.calls("talkover")
    assert call.hung_up_at is not None
