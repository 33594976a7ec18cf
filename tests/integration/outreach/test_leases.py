"""Leases and fences: a worker that lost a claim can neither store an intent nor give up another one's search."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy.exc import DBAPIError

from airflow_provider_voice.dialing.deadline import Deadline
from airflow_provider_voice.outreach import database
from airflow_provider_voice.outreach.attempt_outcomes import AttemptOutcomes
from airflow_provider_voice.outreach.ledger import Ledger
from airflow_provider_voice.outreach.pacing import Limits, Pacing
from airflow_provider_voice.outreach.schema import attempts
from airflow_provider_voice.outreach.senders import Job, Senders
from airflow_provider_voice.outreach.states import ContactState, NextState
from tests.integration.outreach.rig import COMPLETED, Rig, people

pytestmark = pytest.mark.once


@pytest.fixture
def loaded(any_rig):
    any_rig.load(people(*[COMPLETED] * 5))
    return any_rig


def ledger(rig) -> Ledger:
    return Ledger(rig.new_database(), rig.name, "voice_default")


def pacing(rig, **limits) -> Pacing:
    return Pacing(rig.database, "voice_default", Limits(**limits))


def test_no_contact_is_claimed_twice(loaded) -> None:
    first, second = ledger(loaded), ledger(loaded)
    one, two = first.claim_due(3), second.claim_due(5)
    assert len(one) == 3
    assert len(two) == 2
    assert not {item.key for item in one} & {item.key for item in two}


def test_who_lost_its_lease_stores_no_intent(loaded) -> None:
    frozen, awake = ledger(loaded), ledger(loaded)
    (claimed, *_) = frozen.claim_due(1)
    loaded.advance(61)
    again = awake.claim_due(5)
    assert claimed.key in {item.key for item in again}
    assert {item.fence for item in again if item.key == claimed.key} == {claimed.fence + 1}
    intents = frozen.store_intents([claimed], pacing(loaded), agent_id="a")
    assert (intents.stored, [item.key for item in intents.lost]) == ([], [claimed.key])
    assert loaded.attempts() == []


def test_a_lease_that_has_ended_stores_no_intent_although_nobody_took_it(loaded) -> None:
    frozen = ledger(loaded)
    claimed = frozen.claim_due(1)
    loaded.advance(61)
    assert frozen.store_intents(claimed, pacing(loaded), agent_id="a").stored == []


@pytest.mark.parametrize("name", ["postgres", "mariadb"])
def test_a_worker_that_freezes_in_a_transaction_keeps_no_lock(ticking, engine_for, monkeypatch, name) -> None:
    monkeypatch.setattr(database, "IDLE_SECONDS", 1)
    rig = Rig(ticking, engine_for(name))
    rig.load(people(COMPLETED))
    awake, places = ledger(rig), pacing(rig, max_concurrent=1)
    claimed = awake.claim_due(1)
    with rig.engine.connect() as frozen:
        places.lock(frozen)
        # Without an end of the other transaction this would wait for ever.
        assert len(awake.store_intents(claimed, places, agent_id="a").stored) == 1
        with pytest.raises(DBAPIError):
            places.lock(frozen)
        frozen.invalidate()


def test_who_lost_its_lease_decides_nothing(loaded) -> None:
    frozen, awake = ledger(loaded), ledger(loaded)
    claimed = frozen.claim_due(1)
    loaded.advance(61)
    awake.claim_due(5)
    frozen.decide([(claimed[0], NextState(ContactState.EXCLUDED, "late"))])
    assert set(loaded.states().values()) == {"pending"}


def test_an_intent_is_stored_once(loaded) -> None:
    one = ledger(loaded)
    claimed = one.claim_due(1)
    assert len(one.store_intents(claimed, pacing(loaded), agent_id="a").stored) == 1
    assert one.store_intents(claimed, pacing(loaded), agent_id="a").stored == []
    assert len(loaded.attempts()) == 1


def test_only_one_takes_over_what_another_left(loaded) -> None:
    dead, *living = (ledger(loaded) for _ in range(3))
    dead.store_intents(dead.claim_due(2), pacing(loaded), agent_id="a")
    assert [one.claim_unsettled(10, ContactState.DIALING) for one in living] == [[], []]
    loaded.advance(61)
    taken = [len(one.claim_unsettled(10, ContactState.DIALING)) for one in living]
    assert sorted(taken) == [0, 2]


def test_who_woke_up_late_does_not_give_up_what_another_looks_for_yet_its_call_counts(loaded) -> None:
    frozen, awake = ledger(loaded), ledger(loaded)
    ((attempt, _),) = frozen.store_intents(frozen.claim_due(1), pacing(loaded), agent_id="a").stored
    loaded.advance(61)
    awake.claim_unsettled(10, ContactState.DIALING)
    AttemptOutcomes(frozen).unknown([(attempt, "late")])
    assert loaded.states()[attempt.key] == "dialing"
    call = loaded.hook().make_call(__import__("airflow_provider_voice.models").models.CallRequest(attempt.to))
    AttemptOutcomes(frozen).placed([(attempt, call)])
    assert loaded.states()[attempt.key] == "in_call"


def test_a_create_is_not_sent_past_its_lease(loaded) -> None:
    one = ledger(loaded)
    ((attempt, contact),) = one.store_intents(one.claim_due(1), pacing(loaded), agent_id="agent_sandbox").stored
    senders = Senders(loaded.hook(), 1)
    senders.send([Job(attempt, contact, Deadline(-0.001))])
    senders.wait(10)
    (result,) = senders.finished()
    senders.close()
    assert result.kind == "held"
    assert loaded.sandbox.rings == []


def test_an_attempt_that_is_dated_before_a_check_and_committed_after_it_counts(loaded) -> None:
    one, other = ledger(loaded), ledger(loaded)
    claimed = one.claim_due(1)
    history, _ = one.history([claimed[0].to])
    assert history == {}
    # What a slow transaction does: its attempt is older than the check above, which could not see it.
    with loaded.database.engine.begin() as connection:
        row = {"attempt_id": "slow", "campaign": "another", "contact_key": "x", "attempt": 1, "source": "outreach",
               "to_number": claimed[0].to, "voice_conn_id": "another", "state": "intent",
               "intended_at": loaded.now() - timedelta(seconds=5)}  # fmt: skip
        connection.execute(attempts.insert().values(**row))
    checked = {claimed[0].to: 0}
    assert one.store_intents(claimed, pacing(loaded), agent_id="a", checked=checked).stored == []
    assert len(other.history([claimed[0].to])[0][claimed[0].to]) == 1


class ListOfAMinute:
    """A do-not-call list whose reading outlasts a lease."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig

    def listed(self, numbers) -> set[str]:
        self.rig.advance(70)
        return set()


def test_a_do_not_call_list_that_is_read_for_longer_than_a_lease_delays_the_calls_only(rig) -> None:
    rig.load(people(*[COMPLETED] * 3))
    campaign = rig.campaign(do_not_call=ListOfAMinute(rig))
    campaign._renewing._seconds = 0.0  # the ledger's clock is moved by hand, that of the loop is not
    campaign._call()
    while campaign._senders.under_way:
        campaign._senders.wait(10)
        campaign._store_outcomes()
    campaign._close()
    assert len(rig.rings()) == 3
