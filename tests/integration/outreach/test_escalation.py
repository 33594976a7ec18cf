"""One alarm, several numbers: the order and times of the rings, with several handlers and after crashes."""

from __future__ import annotations

import logging
import threading
from datetime import timedelta

import pytest

from airflow_provider_voice.exceptions import (
    InsufficientCredits,
    InvalidRequest,
    LedgerFailed,
    VoiceError,
)
from airflow_provider_voice.outreach.call_key import CallKeyStore
from airflow_provider_voice.outreach.escalation import Alarm, Escalation
from airflow_provider_voice.outreach.pacing import Limits, Pacing
from tests.integration.outreach.rig import BUSY, COMPLETED, NO_ANSWER, Rig, number

pytestmark = pytest.mark.once

SILENT = "06"  # the sandbox's calls to such numbers ring on for ever
FIRST, SECOND, THIRD = number(0, SILENT), number(1, COMPLETED), number(2, COMPLETED)


def handler(rig: Rig, *numbers: str, key: str = "etl failed", **more) -> Escalation:
    return Escalation(rig.new_database(), rig.hook(), Alarm(key, numbers or (FIRST, SECOND, THIRD), **more))


def finish(rig: Rig, escalation: Escalation, most: int = 200) -> None:
    """Take step after step; in between, the clocks of the ledger and the vendor move on by half a minute."""
    for _ in range(most):
        seconds = escalation.step()
        if seconds is None:
            return
        rig.advance(max(seconds, 30))
    raise AssertionError("the alarm does not end")


def rung(rig: Rig) -> list[str]:
    return [ring.number for ring in rig.sandbox.rings]


def test_it_goes_on_to_the_next_number_until_somebody_answers(any_rig) -> None:
    finish(any_rig, handler(any_rig))
    assert rung(any_rig) == [FIRST, SECOND]


def test_with_each_vendor(ticking, engine_for, vendor_name) -> None:
    rig = Rig(ticking, engine_for("sqlite"), vendor_name)
    finish(rig, handler(rig, number(0, NO_ANSWER), FIRST, SECOND))
    assert rung(rig) == [number(0, NO_ANSWER), FIRST, SECOND]


def test_who_has_answered_is_left_in_peace_until_the_call_ends(rig) -> None:
    talking = number(0, "07")
    escalation = handler(rig, talking, SECOND, escalate_after=timedelta(minutes=1))
    escalation.step()
    rig.advance(600)
    assert escalation.step() is not None
    assert rung(rig) == [talking]
    finish(rig, escalation, most=400)
    assert rung(rig)[0] == talking


def test_it_waits_for_an_answer_before_it_goes_on(rig) -> None:
    escalation = handler(rig, escalate_after=timedelta(minutes=3))
    escalation.step()
    rig.advance(170)
    assert escalation.step() is not None
    assert rung(rig) == [FIRST]
    rig.advance(11)
    escalation.step()
    assert rung(rig) == [FIRST, SECOND]


def test_an_ending_without_success_does_not_wait(rig) -> None:
    escalation = handler(rig, number(0, BUSY), SECOND, escalate_after=timedelta(minutes=10))
    escalation.step()
    rig.advance(60)
    escalation.step()
    assert rung(rig) == [number(0, BUSY), SECOND]


def test_success_statuses_decide(rig) -> None:
    from airflow_provider_voice.models import CallStatus

    finish(rig, handler(rig, number(0, BUSY), SECOND, success_statuses=frozenset({CallStatus.BUSY})))
    assert rung(rig) == [number(0, BUSY)]


def test_it_ends_when_nobody_is_left(rig, caplog) -> None:
    finish(rig, handler(rig, number(0, NO_ANSWER), number(1, BUSY)))
    assert rung(rig) == [number(0, NO_ANSWER), number(1, BUSY)]
    assert "Nobody answered" in caplog.text


def test_a_second_handler_rings_nobody_anew(any_rig) -> None:
    handler(any_rig, SECOND).step()
    other = handler(any_rig, SECOND)
    assert other.step() is not None
    finish(any_rig, other)
    assert handler(any_rig, SECOND).step() is None
    assert rung(any_rig) == [SECOND]


def test_within_the_cooldown_it_is_silent_and_afterwards_it_rings(rig) -> None:
    finish(rig, handler(rig, SECOND, cooldown=timedelta(minutes=15)))
    rang_at = rig.sandbox.rings[0].at
    rig.advance(900 - (rig.sandbox.now() - rang_at).total_seconds() - 5)
    finish(rig, handler(rig, SECOND))
    assert len(rung(rig)) == 1
    rig.advance(6)
    finish(rig, handler(rig, SECOND))
    assert len(rung(rig)) == 2


def test_every_raising_begins_with_the_first_number(rig) -> None:
    for count in (2, 4, 6):
        finish(rig, handler(rig))
        assert rung(rig) == [FIRST, SECOND] * (count // 2)
        rig.advance(1000)


def test_another_key_rings_for_itself(rig) -> None:
    finish(rig, handler(rig, SECOND))
    finish(rig, handler(rig, SECOND, key="dbt failed"))
    assert len(rung(rig)) == 2


def test_handlers_that_come_at_once_ring_each_number_once(any_rig) -> None:
    any_rig.database.transact(any_rig.database.now)
    barrier, errors = threading.Barrier(4), []

    def run() -> None:
        escalation = handler(any_rig)
        barrier.wait()
        try:
            escalation.step()
        except LedgerFailed:
            pass
        except Exception as error:
            errors.append(error)

    for rings in ([FIRST], [FIRST, SECOND]):
        threads = [threading.Thread(target=run) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
        assert errors == []
        assert rung(any_rig) == rings
        barrier.reset()
        any_rig.advance(121)


def test_a_handler_that_died_between_two_numbers_is_succeeded(rig) -> None:
    handler(rig).step()
    rig.advance(121)
    handler(rig).step()
    assert rung(rig) == [FIRST, SECOND]


@pytest.mark.parametrize("is_accepted", [True, False])
def test_a_handler_that_died_within_a_create_rings_nobody_twice(rig, monkeypatch, is_accepted) -> None:
    escalation = handler(rig)
    store = CallKeyStore.set

    def die_with_the_id(self, key, value) -> None:
        if value["state"] != "intent":
            raise SystemExit
        store(self, key, value)
        if not is_accepted:
            raise SystemExit

    monkeypatch.setattr(CallKeyStore, "set", die_with_the_id)
    with pytest.raises(SystemExit):
        escalation.step()
    monkeypatch.undo()
    assert rung(rig) == [FIRST] * is_accepted
    successor = handler(rig)
    assert successor.step() is not None
    rig.advance(121)
    successor.step()
    assert rung(rig) == [FIRST] * is_accepted + [SECOND]


def test_a_lost_answer_counts_as_a_ring(rig) -> None:
    rig.sandbox.add_fault("lost_answer")
    escalation = handler(rig, SECOND)
    finish(rig, escalation)
    assert rung(rig) == [SECOND]


def test_a_refused_number_is_passed_over_at_once(rig) -> None:
    rig.sandbox.add_fault("refused", number=SECOND)
    escalation = handler(rig, SECOND, THIRD)
    assert escalation.step() == 0.0
    escalation.step()
    assert rung(rig) == [THIRD]


def test_refused_numbers_start_no_cooldown(rig) -> None:
    rig.sandbox.add_fault("refused", times=2)
    escalation = handler(rig, SECOND, THIRD)
    with pytest.raises(InsufficientCredits):
        finish(rig, escalation)
    assert rung(rig) == []
    handler(rig, SECOND, THIRD).step()
    assert rung(rig) == [SECOND]


def test_after_numbers_that_were_all_refused_the_alarm_goes_through_all_of_them(rig) -> None:
    rig.sandbox.add_fault("refused", times=2)
    with pytest.raises(InsufficientCredits):
        finish(rig, handler(rig, FIRST, SECOND))
    handler(rig, FIRST, SECOND).step()
    rig.advance(180)
    handler(rig, FIRST, SECOND).step()
    assert rung(rig) == [FIRST, SECOND]


def test_a_list_whose_order_changes_rings_nobody_twice(rig) -> None:
    handler(rig, FIRST, SECOND).step()
    rig.advance(180)
    finish(rig, handler(rig, SECOND, FIRST))
    assert rung(rig) == [FIRST, SECOND]


def test_nothing_is_stored_for_a_request_that_cannot_be_sent(rig) -> None:
    hook = rig.hook()
    hook.vendor.settings = type(hook.vendor.settings)(**{**vars(hook.vendor.settings), "default_agent_id": None})
    escalation = Escalation(rig.new_database(), hook, Alarm("etl failed", [FIRST, SECOND]))
    with pytest.raises(InvalidRequest):
        escalation.step()
    finish(rig, handler(rig))
    assert rung(rig) == [FIRST, SECOND]


def test_no_place_in_the_pace_is_an_error_that_passes(rig) -> None:
    pacing = Pacing(rig.database, "voice_default", Limits())
    rig.database.transact(lambda connection: pacing.slow_down(connection, 30))
    escalation = handler(rig)
    with pytest.raises(VoiceError, match="no place") as raised:
        escalation.step()
    assert not raised.value.permanent
    assert rung(rig) == []
    rig.advance(31)
    escalation.step()
    assert rung(rig) == [FIRST]


def test_without_the_ledger_nobody_is_rung(rig, tmp_path) -> None:
    from sqlalchemy import create_engine

    from airflow_provider_voice.outreach.database import Database

    gone = Database(create_engine(f"sqlite:///{tmp_path}/no/such/folder.db"))
    with pytest.raises(VoiceError):
        Escalation(gone, rig.hook(), Alarm("etl failed", [FIRST])).step()
    assert rung(rig) == []


def test_no_number_is_logged(rig, caplog) -> None:
    caplog.set_level(logging.DEBUG, logger="airflow_provider_voice")
    rig.sandbox.add_fault("refused", number=SECOND)
    escalation = handler(rig, FIRST, SECOND, THIRD)
    finish(rig, escalation)
    for known in (FIRST, SECOND, THIRD):
        assert known not in caplog.text
        assert known not in repr(escalation._alarm)
