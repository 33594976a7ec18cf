"""Rings the numbers of one alarm, one after the other, until a call ends well. The ledger settles every step.

All calls of an alarm are attempts under one key with ascending numbers. Each handler of the alarm reads them, decides
the next step, and claims the next attempt number: the database grants it to one process. So any number of callbacks may
handle an alarm, and any of them may die.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal, NoReturn

from sqlalchemy import select

from airflow_provider_voice.dialing.dialer import Dialer
from airflow_provider_voice.dialing.task_facts import TaskFacts
from airflow_provider_voice.exceptions import CallOutcomeUnknown, InvalidRequest, LedgerFailed, VoiceError
from airflow_provider_voice.models import CallRequest, CallStatus, write_time
from airflow_provider_voice.outreach.call_key import CallKeyStore, KeyedCall
from airflow_provider_voice.outreach.schema import attempts
from airflow_provider_voice.outreach.states import AttemptState
from airflow_provider_voice.phone import mask_number

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from sqlalchemy import Connection

    from airflow_provider_voice.hooks.voice import VoiceHook
    from airflow_provider_voice.outreach.database import Database

log = logging.getLogger(__name__)

#: Seconds between two polls of a call.
POLL_SECONDS = 5.0
#: While a call is in progress, nobody else is rung for so long; then the call counts as one that will not end.
LONGEST_CALL = timedelta(minutes=30)
#: The most numbers of one alarm.
MOST_NUMBERS = 50

Verdict = Literal["answered", "wait", "next"]


@dataclass(frozen=True)
class Alarm:
    """An alarm: its numbers and its message.

    :param key: the alarm's key in the ledger; the same for all of its handlers.
    :param numbers: the numbers to ring, in this order; E.164.
    :param agent_id: the agent; ``None``: the connection's default.
    :param variables: values for the agent's prompt.
    :param cooldown: how long after its last call the alarm is not raised again.
    :param escalate_after: how long a person has to answer before the next one is rung; at most ``cooldown``.
    :param success_statuses: endings after which nobody else is rung.
    :raises InvalidRequest: when there are no numbers or too many.
    """

    key: str
    numbers: Sequence[str] = field(repr=False)
    agent_id: str | None = None
    variables: Mapping[str, Any] = field(default_factory=dict, repr=False)
    cooldown: timedelta = timedelta(minutes=15)
    escalate_after: timedelta = timedelta(minutes=2)
    success_statuses: frozenset[CallStatus] = frozenset({CallStatus.COMPLETED})

    def __post_init__(self) -> None:
        if not 0 < len(self.numbers) <= MOST_NUMBERS:
            raise InvalidRequest(f"An alarm rings 1 to {MOST_NUMBERS} numbers, not {len(self.numbers)}.")


class Escalation:
    """One handler of an alarm; there may be several at once.

    .. code-block:: python

        escalation = Escalation(database, hook, Alarm("disk full", ["+14155552601", "+14155552602"]))
        while (seconds := escalation.step()) is not None:
            time.sleep(seconds)

    :param database: the ledger's database.
    :param hook: the hook of the voice connection.
    :param alarm: the alarm.
    """

    def __init__(self, database: Database, hook: VoiceHook, alarm: Alarm) -> None:
        self._database = database
        self._hook = hook
        self._alarm = alarm
        # Number of the first attempt of this raising of the alarm; None: nothing was read yet.
        self._first: int | None = None
        self._refusal: VoiceError | None = None

    def step(self) -> float | None:
        """Take the next step: ring the first or the next number, or poll the last call. It does not wait for an answer.

        :return: seconds until the next step makes sense; ``None`` when the alarm is over.
        :raises LedgerFailed: when the ledger does not answer, or another handler is placing a call right now.
        :raises VoiceError: when nobody could be rung.
        """
        rows, now = self._database.transact(self._read)
        if self._first is None:
            self._first = self._first_attempt(rows, now)
        last = rows[0] if rows and rows[0].attempt >= self._first else None
        if last is None:
            return self._ring(rows[0].attempt + 1 if rows else 1, frozenset())
        verdict = self._verdict(last, now)
        if verdict == "next":
            tried = frozenset(row.to_number for row in rows if row.attempt >= self._first)
            return self._ring(last.attempt + 1, tried)
        if verdict == "answered":
            log.info("Call %s of the alarm was answered; nobody else is rung.", last.call_id)
            return None
        return POLL_SECONDS

    def close(self) -> None:
        """Give back the connections to the ledger and the vendor."""
        self._database.engine.dispose()
        self._hook.vendor.close()

    def _read(self, connection: Connection) -> tuple[Sequence[Any], datetime]:
        """Return the last attempts of the alarm, newest first, and the ledger's time."""
        mine = (attempts.c.campaign == "") & (attempts.c.contact_key == self._alarm.key)
        query = select(attempts).where(mine).order_by(attempts.c.attempt.desc()).limit(MOST_NUMBERS)
        return connection.execute(query).all(), self._database.now(connection)

    def _first_attempt(self, rows: Sequence[Any], now: datetime) -> int:
        """Return the number of the attempt with which this raising of the alarm began, or begins.

        Rings that follow each other within the cooldown belong together. A refused attempt rang nobody, so it neither
        keeps anybody from raising the alarm again nor joins two raisings.
        """
        rings = [row for row in rows if row.state != AttemptState.REFUSED]
        if not rings or now - rings[0].intended_at >= self._alarm.cooldown:
            return rows[0].attempt + 1 if rows else 1
        first = rings[0]
        for newer, older in pairwise(rings):
            if newer.intended_at - older.intended_at >= self._alarm.cooldown:
                break
            first = older
        log.info("The alarm last rang at %s; this callback continues from there.", write_time(rings[0].intended_at))
        return int(first.attempt)

    def _verdict(self, row: Any, now: datetime) -> Verdict:
        if row.state == AttemptState.REFUSED:
            return "next"
        status = CallStatus(row.status) if row.state == AttemptState.ENDED else self._status_of(row)
        if status in self._alarm.success_statuses:
            return "answered"
        if status.is_terminal:
            return "next"
        patience = LONGEST_CALL if status is CallStatus.IN_PROGRESS else self._alarm.escalate_after
        return "next" if now - row.intended_at >= patience else "wait"

    def _status_of(self, row: Any) -> CallStatus:
        """Return the status of an attempt's call as the vendor shows it now; a lost call is searched for."""
        dialer = self._dialer(row.attempt, row.to_number, may_ring=False)
        try:
            call = dialer.dial(self._request(row.to_number)).call
        except VoiceError as error:
            log.info("The alarm's last call cannot be followed now: %s", error.message)
            return CallStatus.UNKNOWN
        if call.status.is_terminal:
            dialer.ended(call)
        return call.status

    def _ring(self, attempt: int, tried: Collection[str]) -> float | None:
        """Place the call of an attempt, to the first number that this raising of the alarm has not tried."""
        left = [number for number in self._alarm.numbers if number not in tried]
        if not left:
            self._give_up()
            return None
        number = left[0]
        try:
            self._dialer(attempt, number, may_ring=True).dial(self._request(number))
        except VoiceError as error:
            rows, _ = self._database.transact(self._read)
            if isinstance(error, LedgerFailed) or not rows or rows[0].attempt < attempt:
                raise  # nothing was stored, so nothing was sent, and the next number would fare no better
            # By the ledger: another handler may have placed this attempt's call, to another number.
            is_refused = rows[0].state == AttemptState.REFUSED
            log.warning("The number %s of the alarm: %s", mask_number(number), error.message)
            self._refusal = error if is_refused else None
            return 0.0 if is_refused else POLL_SECONDS
        self._refusal = None
        log.info("Rang %s; %d number(s) of the alarm are left.", mask_number(number), len(left) - 1)
        return POLL_SECONDS

    def _give_up(self) -> None:
        if self._refusal is not None:
            # Perhaps every number was refused; then the alarm begins again, when somebody handles it again.
            self._first, refusal = None, self._refusal
            raise refusal
        log.error("Nobody answered the alarm: all %d numbers were rung.", len(self._alarm.numbers))

    def _request(self, number: str) -> CallRequest:
        return CallRequest(to=number, agent_id=self._alarm.agent_id, variables=dict(self._alarm.variables))

    def _dialer(self, attempt: int, number: str, *, may_ring: bool) -> Dialer:
        """Return the dialer of one attempt: to it, an attempt is a new call that a user asked for."""
        keyed = KeyedCall(self._alarm.key, number, self._hook.voice_conn_id, self._alarm.agent_id, "alarm")
        before = attempt - 1
        facts = TaskFacts("", "", "", try_number=attempt, max_tries=before, retries=before, call_key=self._alarm.key)
        store = CallKeyStore(self._database, keyed)
        return Dialer(
            self._hook,
            store,
            facts,
            new_call_on_clear=True,
            before_ringing=(lambda _attempts: None) if may_ring else _refuse_to_ring,
            calls_of_others=store.other_call_ids,
            on_refusal=store.refused,
            sleep=_leave_to_next_step,
        )


def _refuse_to_ring(attempts_before: list[datetime]) -> NoReturn:
    raise CallOutcomeUnknown(f"A poll rings nobody ({len(attempts_before)} attempts before).")


def _leave_to_next_step(seconds: float) -> None:
    """Let the next step go on instead of waiting within this one: for a place in the pace, or for the vendor's list."""
    if seconds:
        text = "There is no place for the call yet, or the vendor does not show it yet. The next step continues."
        raise VoiceError(text, permanent=False)
