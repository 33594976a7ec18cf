"""Do-not-call, policy, caps, pause, cancel, end: asked again right before each call."""

from __future__ import annotations

import time
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest

from airflow_provider_voice.dialing import deadline
from airflow_provider_voice.exceptions import AgentNotUsable, InvalidRequest
from airflow_provider_voice.outreach import ledger
from airflow_provider_voice.outreach.campaign import Waiting
from airflow_provider_voice.outreach.gate import Gate, ListedNumbers
from airflow_provider_voice.outreach.ledger import Ledger
from airflow_provider_voice.outreach.redial import RedialRules
from airflow_provider_voice.outreach.views import LedgerViews
from airflow_provider_voice.policy import ContactPolicy
from tests.integration.outreach.rig import BUSY, COMPLETED, number, people

pytestmark = pytest.mark.once

TWICE = RedialRules.of(max_attempts=2, redial_after={"busy": 900})


def policy_of(tmp_path, text: str) -> ContactPolicy:
    path = tmp_path / "rules.yaml"
    path.write_text(f"title: test\nas_of: 2026-01-01\nrules:\n{text}")
    return ContactPolicy.load(path)


def test_who_is_listed_between_two_attempts_is_not_called_again(rig) -> None:
    listed: list[str] = []
    rig.load(people(BUSY, COMPLETED))
    again = {"rules": TWICE, "do_not_call": ListedNumbers(lambda: listed)}
    assert isinstance(rig.turn(**again), Waiting)
    rig.advance(30)
    listed.append("(415) 555-2002")
    rig.finish(**again)
    assert rig.states() == {"c0": "excluded", "c1": "reached"}
    assert rig.rings() == {number(0, BUSY): 1, number(1): 1}


def test_a_list_that_cannot_be_read_allows_nobody(rig) -> None:
    tries = []

    def read() -> list[str]:
        tries.append(1)
        if len(tries) < 4:
            raise OSError("gone")
        assert rig.sandbox.rings == []
        return []

    rig.load(people(COMPLETED))
    rig.finish(do_not_call=ListedNumbers(read))
    assert rig.states() == {"c0": "reached"}


def test_policy_postpones_and_excludes(rig, tmp_path) -> None:
    # A clock on which it is noon, so that the hours begin later on the same day whenever this test runs.
    hour_of_utc = rig.now().hour
    zone = f"Etc/GMT{hour_of_utc - 12:+d}" if hour_of_utc != 12 else "Etc/GMT"
    policy = policy_of(tmp_path, '  - {id: h, hours: {mon-sun: ["14:00-24:00"]}}\n')
    rows = [{**people(COMPLETED)[0], "time_zone": zone}, {"contact_id": "nowhere", "to": "+80012345678"}]
    rig.load(rows)
    waiting = rig.turn(policy=policy)
    assert isinstance(waiting, Waiting)
    assert rig.sandbox.rings == []
    rig.finish(policy=policy)
    assert rig.states() == {"c0": "reached", "nowhere": "excluded"}
    assert rig.attempts()[0].intended_at.astimezone(ZoneInfo(zone)).hour == 14


def test_a_cap_counts_the_attempts_of_every_campaign(rig, tmp_path) -> None:
    policy = policy_of(tmp_path, "  - {id: cap, at_most: {attempts: 1, hours: 24}}\n")
    rows = [{**people(BUSY)[0], "time_zone": "UTC"}]
    rig.load(rows)
    rig.finish(policy=policy, subject="s", rules=RedialRules.of(max_attempts=1))
    rig.name = rig.record.campaign = "other"
    rig.record = type(rig.record)(rig.database, "other")
    rig.load(rows)
    waiting = rig.turn(policy=policy, subject="s", rules=TWICE)
    assert isinstance(waiting, Waiting)
    assert len(rig.sandbox.rings) == 1
    rig.finish(most=200, policy=policy, subject="s", rules=TWICE)
    first, second, third = (ring.at for ring in rig.sandbox.rings)
    # The ledger counts from the intent, the sandbox from the ring some milliseconds later.
    assert second - first > timedelta(hours=24) - timedelta(seconds=1)
    assert third - second > timedelta(hours=24) - timedelta(seconds=1)


def test_a_cap_counts_an_attempt_that_was_stored_after_the_clock_was_read(rig, tmp_path, monkeypatch) -> None:
    policy = policy_of(tmp_path, "  - {id: cap, at_most: {attempts: 1, hours: 24}}\n")
    rig.load([{**people(COMPLETED)[0], "time_zone": "UTC"}])
    own = Ledger(rig.new_database(), rig.name, "voice_default")
    (claimed,) = own.claim_due(1)
    # As of another worker, whose intent is committed between the two queries.
    monkeypatch.setattr(ledger, "attempt_times", lambda *_: {claimed.to: [rig.now() + timedelta(milliseconds=1)]})
    assert Gate(own, policy, None, 3).check([claimed]).allowed == []


def test_pause_and_resume(rig) -> None:
    rig.load(people(COMPLETED))
    rig.record.set_state("paused")
    assert isinstance(rig.turn(), Waiting)
    assert rig.sandbox.rings == []
    rig.record.set_state("running")
    assert rig.finish()["reached"] == 1


def test_cancel(rig) -> None:
    rig.load(people(BUSY, COMPLETED))
    rig.turn(rules=TWICE)
    rig.advance(60)
    rig.record.set_state("canceled")
    result = rig.finish(rules=TWICE)
    assert rig.states() == {"c0": "canceled", "c1": "reached"}
    assert result["canceled"] == 1
    assert len(rig.sandbox.rings) == 2


def test_the_end_expires_who_waits(rig) -> None:
    rig.load(people(BUSY))
    rig.finish(rules=TWICE, ends_at=rig.now() + timedelta(minutes=10))
    assert rig.states() == {"c0": "expired"}
    assert len(rig.sandbox.rings) == 1


def test_a_create_that_waits_for_its_place_beyond_the_end_is_not_sent(rig) -> None:
    rig.load(people(COMPLETED))
    ends_at = rig.now() + timedelta(seconds=3)
    campaign = rig.campaign(ends_at=ends_at)

    class Slow:
        def acquire(self) -> None:
            while rig.now() <= ends_at:
                time.sleep(0.05)

    campaign._hook.vendor.http.limiter = Slow()
    campaign.run()
    assert rig.states() == {"c0": "expired"}
    assert rig.sandbox.rings == []


def test_a_verdict_that_is_half_a_lease_old_when_it_is_stored_sends_nothing(rig, monkeypatch) -> None:
    rig.load(people(COMPLETED))
    campaign = rig.campaign()
    decide, late = campaign.ledger.decide, []

    def decide_late(decisions) -> None:
        decide(decisions)
        if not late:
            # The ledger's locks are waited for as long as a verdict counts.
            late.append(deadline._boot_time() + 31)
            monkeypatch.setattr(deadline, "_boot_time", lambda: late[0])

    monkeypatch.setattr(campaign.ledger, "decide", decide_late)
    real, send = deadline._boot_time, campaign._senders.send
    sent = []

    def send_and_go_on(jobs) -> None:
        sent.extend(job.deadline.has_passed for job in jobs)
        send(jobs)
        campaign._senders.wait(60)
        monkeypatch.setattr(deadline, "_boot_time", real)

    monkeypatch.setattr(campaign._senders, "send", send_and_go_on)
    campaign.run()
    assert sent == [True, False]
    assert rig.rings() == {number(0): 1}


def test_an_unknown_contact_is_settled_by_a_person(rig) -> None:
    rig.sandbox.add_fault("reset")
    rig.load(people(COMPLETED))
    result = rig.finish()
    assert (result["unknown"], rig.rings()) == (1, {})
    (row,) = LedgerViews(rig.database).undecided()
    assert "searched" in row.evidence
    assert number(0) not in row.evidence
    with pytest.raises(InvalidRequest, match="may still be under way"):
        rig.record.resolve("c0", rang=False)
    rig.advance(900)
    assert rig.record.resolve("c0", rang=False) == "redial"
    assert rig.finish()["reached"] == 1
    assert rig.rings() == {number(0): 1}
    with pytest.raises(InvalidRequest, match="nothing to resolve"):
        rig.record.resolve("c0", rang=True)


def test_a_call_that_shows_late_is_adopted_by_the_next_run(rig) -> None:
    rig.sandbox.add_fault("lost_answer")
    rig.sandbox.world.list_delay = 600
    rig.load(people(COMPLETED))
    assert rig.finish()["unknown"] == 1
    rig.advance(700)
    assert rig.finish()["reached"] == 1
    assert len(rig.sandbox.rings) == 1


def test_a_refused_number_is_rejected_and_the_others_are_called(rig) -> None:
    rig.sandbox.add_fault("status", status=422, number=number(0))
    rig.load(people(COMPLETED, COMPLETED))
    rig.finish()
    assert rig.states() == {"c0": "rejected", "c1": "reached"}


def test_an_agent_that_does_not_exist_stops_the_campaign_and_settles_nobody(rig) -> None:
    rig.load(people(*[COMPLETED] * 5))
    with pytest.raises(AgentNotUsable):
        rig.finish(agent_id="nobody")
    assert set(rig.states().values()) == {"pending"}
    assert rig.finish()["reached"] == 5
    assert {row.attempts for row in rig.contacts().values()} == {1}


def test_too_many_requests_slow_everybody_and_lose_nobody(rig) -> None:
    rig.sandbox.add_fault("status", status=429, retry_after=7, times=3)
    rig.load(people(*[COMPLETED] * 4))
    assert rig.finish()["reached"] == 4
    refused = [row for row in rig.attempts() if row.state == "refused"]
    placed = [row for row in rig.attempts() if row.state == "ended"]
    assert len(refused) == 3
    assert min(row.intended_at for row in placed if row.intended_at > refused[0].intended_at) >= refused[0].intended_at
    assert rig.rings() == {number(index): 1 for index in range(4)}


def test_too_many_polls_slow_down_the_calls_of_all_workers(rig) -> None:
    rig.load(people(*[COMPLETED] * 2))
    rig.turn(poll_interval=3600)
    rig.advance(3600)
    # As often as one poll is repeated.
    rig.sandbox.add_fault("status", operation="list", status=429, retry_after=40, times=5)
    campaign = rig.campaign()
    slowed = []
    campaign._slow_down = slowed.append
    campaign.run(may_defer=True)
    assert [error.retry_after for errors in slowed for error in errors] == [40]
    assert rig.finish()["reached"] == 2
