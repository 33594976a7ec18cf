"""A plan: when each contact would be called or why not, within windows, pace and end; nobody is called."""

from __future__ import annotations

import itertools
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from airflow_provider_voice.outreach.database import Database
from airflow_provider_voice.outreach.gate import Gate, ListedNumbers
from airflow_provider_voice.outreach.ledger import Ledger
from airflow_provider_voice.outreach.pacing import Limits
from airflow_provider_voice.outreach.plan import Planner
from airflow_provider_voice.policy import ContactPolicy, Person
from tests.integration.outreach.rig import BUSY, Rig, number, people

# A Monday, and nine in the evening in New York.
EVENING = datetime(2026, 3, 3, 2, tzinfo=timezone.utc)
ZONES = ("America/New_York", "America/Chicago", "America/Los_Angeles", "Pacific/Honolulu", "Nowhere")
RULES = """title: test
as_of: 2026-01-01
rules:
  - {id: hours, hours: {mon-fri: ["08:00-21:00"]}}
  - {id: cap, at_most: {attempts: 1, hours: 48}}
"""


@pytest.fixture
def policy(tmp_path) -> ContactPolicy:
    path = tmp_path / "rules.yaml"
    path.write_text(RULES)
    return ContactPolicy.load(path)


def plan(rig: Rig, policy: ContactPolicy | None = None, **more: Any) -> dict[str, Any]:
    ledger = Ledger(Database(rig.engine, clock=lambda: EVENING), rig.name, "voice_default")
    gate = Gate(ledger, policy, more.pop("do_not_call", None), 3)
    return Planner(ledger, gate, more.pop("limits", Limits()), more.pop("ends_at", None)).plan()


def rows(count: int, zones: tuple[str, ...] = ZONES[:4]) -> list[dict[str, Any]]:
    return [
        {"contact_id": f"c{index:03}", "to": number(index % 80), "time_zone": zones[index % len(zones)]}
        for index in range(count)
    ]


def test_every_planned_call_is_allowed_and_no_faster_than_the_pace(any_rig, policy) -> None:
    any_rig.load(rows(80))
    result = plan(any_rig, policy, limits=Limits(calls_per_minute=0.5))
    planned = {key: row.planned_at for key, row in any_rig.contacts().items()}
    for key, at in planned.items():
        zone = ZONES[int(key[1:]) % 4]
        # An answer of the policy counts for five minutes.
        earlier = at - timedelta(minutes=5)
        assert policy.decide(Person(number(int(key[1:])), zone), at).allowed or (
            policy.decide(Person(number(int(key[1:])), zone), earlier).allowed
        ), (key, at)
    times = sorted(planned.values())
    assert all(later - at >= timedelta(minutes=2) for at, later in itertools.pairwise(times))
    # Eighty calls two minutes apart: Honolulu and Los Angeles are still open, the others are called the next morning.
    assert times[0] == EVENING
    assert times[-1] - EVENING > timedelta(hours=10)
    assert (result["planned"], result["not_called"]) == (80, 0)
    assert result["finish_at"] == times[-1].isoformat().replace("+00:00", "Z")
    assert any_rig.sandbox.rings == []
    assert set(any_rig.states().values()) == {"pending"}


def test_it_says_why_a_contact_is_not_called(rig, policy) -> None:
    found = [*rows(4), {"contact_id": "nowhere", "to": "+80012345678"}, {"contact_id": "listed", "to": number(9)},
             {"contact_id": "again", "to": number(0)}, {"contact_id": "bad", "to": "1"}]  # fmt: skip
    rig.load(found)
    result = plan(rig, policy, do_not_call=ListedNumbers(lambda: [number(9)]), limits=Limits(calls_per_minute=0.1),
                  ends_at=EVENING + timedelta(minutes=15))  # fmt: skip
    contacts = rig.contacts()
    assert contacts["listed"].reason == "plan: on the do-not-call list"
    assert "needs a time zone" in contacts["nowhere"].reason
    assert contacts["c000"].reason == "plan: the campaign ends before its turn"  # New York opens the next morning
    assert (contacts["again"].state, contacts["bad"].state) == ("merged", "rejected")
    assert contacts["c002"].planned_at is not None
    assert sum(result["reasons"].values()) == result["not_called"] == 4
    assert result["planned"] == 2


def test_an_attempt_of_another_campaign_counts_for_the_cap(rig, policy) -> None:
    rig.moved = (EVENING - timedelta(hours=1) - rig.now()).total_seconds()
    rig.load(people(BUSY))
    rig.turn()
    made = rig.attempts()[0].intended_at
    rig.name = "other"
    rig.record = type(rig.record)(rig.database, "other")
    rig.load([{**people(BUSY)[0], "time_zone": "America/Los_Angeles"}])
    assert plan(rig, policy)["planned"] == 1
    assert rig.contacts()["c0"].planned_at >= made + timedelta(hours=48)


def test_a_plan_without_a_policy_follows_the_pace_alone(rig) -> None:
    rig.load(rows(10))
    result = plan(rig, limits=Limits(max_concurrent=2))
    # A call is taken to last a minute: two at once are two a minute.
    assert max(row.planned_at for row in rig.contacts().values()) == EVENING + timedelta(seconds=270)
    assert result["first_call_at"] == "2026-03-03T02:00:00Z"


def test_a_plan_leaves_the_reason_of_a_contact_that_a_run_has_called_meanwhile(rig) -> None:
    rig.load(rows(3))

    class RunInProgress:
        """A do-not-call list during whose reading a run of the campaign calls everybody."""

        def listed(self, numbers):
            rig.finish()
            return {number(1)} & set(numbers)

    plan(rig, do_not_call=RunInProgress())
    assert {(row.state, row.reason) for row in rig.contacts().values()} == {("reached", "the call ended as completed")}
