"""One call for each business key, whoever asks."""

from __future__ import annotations

import threading

import pytest

from airflow_provider_voice.dialing.dialer import Dialer
from airflow_provider_voice.dialing.task_facts import TaskFacts
from airflow_provider_voice.exceptions import InvalidRequest, LedgerFailed
from airflow_provider_voice.models import CallRequest
from airflow_provider_voice.outreach.call_key import CallKeyStore, KeyedCall
from airflow_provider_voice.outreach.ledger import Ledger
from airflow_provider_voice.outreach.pacing import Limits, Pacing
from tests.integration.outreach.rig import COMPLETED, number, people

pytestmark = pytest.mark.once


def store(rig, key: str = "invoice-1", **more) -> CallKeyStore:
    keyed = KeyedCall(key, number(0), "voice_default", "agent_sandbox", **more)
    return CallKeyStore(rig.new_database(), keyed, sleep=rig.sleep)


def dial(rig, dag: str, key: str = "invoice-1"):
    keyed = KeyedCall(key, number(0), "voice_default", "agent_sandbox")
    facts = keyed.facts_of(TaskFacts(dag_id=dag, run_id="r", task_id="t"))
    return Dialer(rig.hook(), store(rig, key), facts).dial(CallRequest(to=number(0)))


def test_a_second_task_attaches_to_the_call(any_rig) -> None:
    first, second = dial(any_rig, "one"), dial(any_rig, "two")
    assert first.call.id == second.call.id
    assert second.how == "reattached"
    assert len(any_rig.sandbox.rings) == 1
    dial(any_rig, "one", "invoice-2")
    assert len(any_rig.sandbox.rings) == 2


def test_tasks_that_come_at_once_ring_once(any_rig) -> None:
    any_rig.database.transact(any_rig.database.now)
    errors: list[BaseException] = []

    def run(name: str) -> None:
        try:
            dial(any_rig, name)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(f"dag{index}",)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert len(any_rig.sandbox.rings) == 1
    assert all(isinstance(error, LedgerFailed) or "not known" in str(error) for error in errors), errors
    assert dial(any_rig, "later").how == "reattached"


def test_it_counts_for_caps_and_concurrency(rig) -> None:
    dial(rig, "one")
    ledger = Ledger(rig.database, rig.name, "voice_default")
    assert list(ledger.history([number(0)])[0]) == [number(0)]
    rig.load(people(COMPLETED))
    pacing = Pacing(rig.database, "voice_default", Limits(max_concurrent=1))
    assert ledger.store_intents(ledger.claim_due(1), pacing, agent_id="a").stored == []


def test_it_keeps_the_pace_of_its_connection(rig) -> None:
    rig.load(people(COMPLETED))
    pacing = Pacing(rig.database, "voice_default", Limits())
    rig.database.transact(lambda connection: pacing.slow_down(connection, 30))
    before = rig.now()
    dial(rig, "one")
    assert (rig.now() - before).total_seconds() >= 30


def test_a_key_must_be_a_key() -> None:
    with pytest.raises(InvalidRequest):
        KeyedCall("", number(0), "v")
