"""The pace of a connection, over all who share the ledger."""

from __future__ import annotations

import threading
import time
from datetime import datetime, timedelta

import pytest

from airflow_provider_voice.dialing.deadline import Deadline
from airflow_provider_voice.outreach.attempt_outcomes import AttemptOutcomes
from airflow_provider_voice.outreach.database import Database
from airflow_provider_voice.outreach.ledger import Ledger
from airflow_provider_voice.outreach.pacing import Limits, Pacing
from airflow_provider_voice.outreach.senders import Job, Senders
from tests.integration.outreach.rig import COMPLETED, people

pytestmark = pytest.mark.once


def placed_at(rig, workers: int, seconds: float, step: float, per_minute: float = 100) -> list[float]:
    """Return when intents were stored by some workers that ask every ``step`` seconds of the ledger's time."""
    passed = 0.0
    began = rig.now() + timedelta(seconds=1)

    def clock() -> datetime:
        return began + timedelta(seconds=passed)

    ledgers = [
        Ledger(Database(rig.engine, clock=clock), rig.name, "voice_default", lease_seconds=600) for _ in range(workers)
    ]
    pacing = Pacing(ledgers[0].database, "voice_default", Limits(calls_per_minute=per_minute))
    claimed = [ledger.claim_due(300 // workers) for ledger in ledgers]
    times = []
    while passed < seconds:
        for index, ledger in enumerate(ledgers):
            intents = ledger.store_intents(claimed[index][:8], pacing, agent_id="a")
            claimed[index] = claimed[index][len(intents.stored) :]
            times += [passed] * len(intents.stored)
        passed += step
    return times


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("step", [0.37, 1.7])
def test_a_hundred_a_minute(rig, workers, step) -> None:
    rig.load(people(*[COMPLETED] * 450))
    times = placed_at(rig, workers, 130, step)
    for start in range(70):
        count = sum(start <= at < start + 60 for at in times)
        assert 97 <= count <= 105, (start, count)


def test_calls_at_once_are_counted_over_all_campaigns(any_rig) -> None:
    any_rig.load(people(*[COMPLETED] * 6))
    pacing = Pacing(any_rig.database, "voice_default", Limits(max_concurrent=4))
    ledgers = [Ledger(any_rig.new_database(), any_rig.name, "voice_default") for _ in range(2)]
    stored = [len(ledger.store_intents(ledger.claim_due(3), pacing, agent_id="a").stored) for ledger in ledgers]
    assert stored == [3, 1]


def test_a_phone_that_may_be_ringing_keeps_its_place_until_the_longest_call_has_ended(any_rig, caplog) -> None:
    any_rig.load(people(*[COMPLETED] * 2))
    pacing = Pacing(any_rig.database, "voice_default", Limits(max_concurrent=1), timedelta(hours=1))
    ledger = Ledger(any_rig.database, any_rig.name, "voice_default", lease_seconds=7200)
    claimed = ledger.claim_due(2)
    ((attempt, _),) = ledger.store_intents(claimed, pacing, agent_id="a").stored
    AttemptOutcomes(ledger).unknown([(attempt, "the answer was lost")])
    assert ledger.store_intents(claimed[1:], pacing, agent_id="a").stored == []
    assert "1 of them by calls of unknown outcome" in caplog.text
    any_rig.advance(3500)
    assert ledger.store_intents(claimed[1:], pacing, agent_id="a").stored == []
    any_rig.advance(200)
    assert len(ledger.store_intents(claimed[1:], pacing, agent_id="a").stored) == 1


def test_a_person_who_settles_an_unknown_call_frees_its_place(rig) -> None:
    rig.sandbox.add_fault("reset")
    rig.load(people(*[COMPLETED] * 2))
    # One after the other: the first one becomes unknown.
    campaign = rig.campaign(limits=Limits(max_concurrent=1))
    sleep, slept = campaign._sleep, []

    def settle_then_sleep(seconds: float) -> None:
        slept.append(rig.states())
        if len(slept) == 20:
            rig.record.resolve(next(key for key, state in rig.states().items() if state == "unknown"), rang=True)
        sleep(seconds)

    campaign._sleep = settle_then_sleep
    campaign.run()
    assert sorted(slept[19].values()) == ["pending", "unknown"]
    assert sorted(rig.states().values()) == ["exhausted", "reached"]
    assert len(rig.sandbox.rings) == 1


def test_workers_that_ask_at_once_get_no_place_twice(any_rig) -> None:
    any_rig.load(people(*[COMPLETED] * 20))
    counts = []

    def work() -> None:
        ledger = Ledger(any_rig.new_database(), any_rig.name, "voice_default")
        pacing = Pacing(ledger.database, "voice_default", Limits(max_concurrent=5))
        counts.extend(len(ledger.store_intents(ledger.claim_due(2), pacing, agent_id="a").stored) for _ in range(3))

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sum(counts) == 5


def test_the_tightest_limit_of_those_at_work_counts(rig) -> None:
    rig.load(people(*[COMPLETED] * 20))
    ledger = Ledger(rig.database, rig.name, "voice_default")
    tight = Pacing(rig.database, "voice_default", Limits(max_concurrent=1))
    wide = Pacing(rig.database, "voice_default", Limits(max_concurrent=9))
    claimed = ledger.claim_due(12)
    assert len(ledger.store_intents(claimed[:2], tight, agent_id="a").stored) == 1
    assert len(ledger.store_intents(claimed[2:6], wide, agent_id="a").stored) == 0
    rig.advance(50)
    ledger.renew([item.key for item in claimed])
    rig.advance(50)
    ledger.renew([item.key for item in claimed])
    rig.advance(50)
    assert len(ledger.store_intents(claimed[2:6], wide, agent_id="a").stored) == 4


def test_a_429_stops_everybody_for_as_long_as_it_says(rig) -> None:
    rig.load(people(*[COMPLETED] * 3))
    pacing = Pacing(rig.database, "voice_default", Limits())
    ledger = Ledger(rig.database, rig.name, "voice_default")
    claimed = ledger.claim_due(3)
    rig.database.transact(lambda connection: pacing.slow_down(connection, 20))
    intents = ledger.store_intents(claimed, pacing, agent_id="a")
    assert intents.stored == []
    assert 19 < intents.wait <= 20
    rig.advance(20)
    assert len(ledger.store_intents(claimed, pacing, agent_id="a").stored) == 3


def test_a_429_holds_back_reads_too(rig) -> None:
    pacing = Pacing(rig.database, "voice_default", Limits())
    rig.database.transact(lambda connection: pacing.slow_down(connection, 20))
    wait = rig.database.transact(lambda connection: pacing.take_request(connection, 600))
    assert 19 < wait <= 20
    rig.advance(20)
    assert rig.database.transact(lambda connection: pacing.take_request(connection, 600)) == 0


def test_requests_per_minute_is_shared_by_all_workers(rig) -> None:
    passed = 0.0
    began = rig.now()
    databases = [Database(rig.engine, clock=lambda: began + timedelta(seconds=passed)) for _ in range(3)]
    paces = [Pacing(database, "voice_default", Limits()) for database in databases]
    sent = []
    while passed < 125:
        for database, pace in zip(databases, paces, strict=True):
            if not database.transact(lambda connection, pace=pace: pace.take_request(connection, 60)):
                sent.append(passed)
        passed += 0.4
    for start in range(60):
        assert 55 <= sum(start <= at < start + 60 for at in sent) <= 60


def test_a_create_that_waited_past_its_lease_for_its_place_is_not_sent(rig) -> None:
    rig.load(people(COMPLETED))

    class Slow:
        def acquire(self) -> None:
            time.sleep(0.3)

    ledger = Ledger(rig.database, rig.name, "voice_default")
    pacing = Pacing(rig.database, "voice_default", Limits())
    ((attempt, contact),) = ledger.store_intents(ledger.claim_due(1), pacing, agent_id="agent_sandbox").stored
    hook = rig.hook()
    hook.vendor.http.limiter = Slow()
    senders = Senders(hook, 1)
    senders.send([Job(attempt, contact, Deadline(0.2))])
    senders.wait(20)
    (result,) = senders.finished()
    senders.close()
    assert result.kind == "held"
    assert rig.sandbox.rings == []


def test_no_list_is_read_while_there_is_no_place(rig) -> None:
    rig.load(people(*[COMPLETED] * 3))
    asked: list[set[str]] = []

    class Asked:
        def listed(self, numbers) -> set[str]:
            asked.append(numbers)
            return set()

    campaign = rig.campaign(limits=Limits(max_concurrent=1), do_not_call=Asked())
    for _ in range(4):
        campaign._place_at = 0.0
        campaign._call()
        campaign._senders.wait(10)
        campaign._store_outcomes()
    assert len(asked) == len(rig.rings()) == 1
    campaign._close()
