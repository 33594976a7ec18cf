"""The next step of an alarm by its attempts in the ledger; the calls themselves are in ``tests/integration/outreach``."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any
from unittest import mock

import pytest

from airflow_provider_voice.exceptions import InvalidRequest
from airflow_provider_voice.models import CallStatus
from airflow_provider_voice.outreach.call_key import CallKeyStore, KeyedCall
from airflow_provider_voice.outreach.escalation import POLL_SECONDS, Alarm, Escalation
from tests.unit.outreach.conftest import NUMBERS, Book

FIRST, SECOND, THIRD = NUMBERS[:3]


class Steps(Escalation):
    """An escalation that notes the attempts it would place."""

    placed: int | None = None

    def _ring(self, attempt: int, tried: Collection[str]) -> float | None:
        del tried
        self.placed = attempt
        return 5.0


def step(book: Book, **more: Any) -> int | float | None:
    """Return the attempt that the next step places; seconds when it waits; None when the alarm is over."""
    alarm = Alarm("disk full", [FIRST, SECOND, THIRD], **more)
    steps = Steps(book.database, None, alarm)  # type: ignore[arg-type]  # a hook is asked only about calls in progress
    seconds = steps.step()
    return seconds if steps.placed is None else steps.placed


def attempted(book: Book, attempt: int, state: str, status: str | None = None, to: str = FIRST) -> None:
    store = CallKeyStore(book.database, KeyedCall("disk full", to, "voice_default", subject="alarm"))
    record = {"generation": attempt, "key": f"afv-{attempt}"}
    store.set("", {**record, "state": "intent"})
    store.set("", {**record, "state": state, "call": {"status": status}})


def test_an_alarm_must_make_sense() -> None:
    with pytest.raises(InvalidRequest, match="1 to 50 numbers"):
        Alarm("key", [])


def test_a_new_alarm_begins_with_its_first_attempt(book: Book) -> None:
    assert step(book) == 1


@pytest.mark.parametrize(
    ("state", "status", "more", "next_step"),
    [
        ("ended", "completed", {}, None),
        ("ended", "busy", {}, 2),
        ("ended", "busy", {"success_statuses": frozenset({CallStatus.BUSY})}, None),
        ("ended", "completed", {"success_statuses": frozenset({CallStatus.BUSY})}, 2),
    ],
)
def test_the_ending_decides(book: Book, state: str, status: str, more: dict[str, Any], next_step: int | None) -> None:
    attempted(book, 1, state, status)
    assert step(book, **more) == next_step


def test_after_the_cooldown_the_alarm_is_raised_again(book: Book) -> None:
    attempted(book, 1, "ended", "completed")
    book.wait(15 * 60 - 1)
    assert step(book) is None
    book.wait(1)
    assert step(book) == 2


def test_a_chain_of_attempts_is_one_raising_of_the_alarm(book: Book) -> None:
    attempted(book, 1, "ended", "completed")
    book.wait(20 * 60)
    attempted(book, 2, "ended", "busy")
    book.wait(10 * 60)
    attempted(book, 3, "ended", "busy", SECOND)
    book.wait(10 * 60)
    alarm = Escalation(book.database, None, Alarm("disk full", [FIRST, SECOND]))  # type: ignore[arg-type]  # see step
    # Attempts 2 and 3 were the two numbers of this raising, so nobody is left.
    assert alarm.step() is None


def test_a_refused_attempt_starts_no_cooldown(book: Book) -> None:
    attempted(book, 1, "refused")
    assert step(book) == 2
    alarm = Escalation(book.database, None, Alarm("disk full", [FIRST]))  # type: ignore[arg-type]  # see step
    assert alarm._first_attempt(*book.database.transact(alarm._read)) == 2


def test_a_refused_attempt_does_not_join_two_raisings_of_the_alarm(book: Book) -> None:
    attempted(book, 1, "ended", "busy")
    book.wait(10 * 60)
    attempted(book, 2, "refused", to=SECOND)
    book.wait(10 * 60)
    attempted(book, 3, "ended", "busy")
    alarm = Escalation(book.database, None, Alarm("disk full", [FIRST, SECOND]))  # type: ignore[arg-type]  # see step
    # Attempt 3 began this raising, so the second number is still to be rung.
    assert alarm._first_attempt(*book.database.transact(alarm._read)) == 3


def test_a_call_that_another_handler_places_is_no_refusal(book: Book) -> None:
    attempted(book, 1, "placed", to=SECOND)
    alarm = Escalation(book.database, None, Alarm("disk full", [FIRST, SECOND]))  # type: ignore[arg-type]  # see step
    lost = mock.Mock()
    lost.dial.side_effect = InvalidRequest("The record belongs to a call with another number.")
    with mock.patch.object(alarm, "_dialer", return_value=lost):
        assert alarm._ring(1, frozenset()) == POLL_SECONDS
    # Nobody is told at the end that the vendor refused the numbers.
    assert alarm._refusal is None
