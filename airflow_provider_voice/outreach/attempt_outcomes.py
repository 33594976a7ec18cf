"""Stores the outcomes of attempts, each together with the next state of its contact.

A vendor's response about an attempt is a fact, so it is stored whichever worker holds the lease by then. Storing an
outcome twice changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam

from airflow_provider_voice.outreach.database import is_one_of
from airflow_provider_voice.outreach.schema import EVIDENCE_LENGTH, REASON_LENGTH, attempts, contacts
from airflow_provider_voice.outreach.states import Attempt, AttemptState, ContactState, NextState

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import Connection

    from airflow_provider_voice.models import Call
    from airflow_provider_voice.outreach.ledger import Ledger


@dataclass(frozen=True)
class _Outcome:
    """The outcome of one attempt.

    :param attempt: the attempt.
    :param step: the next state of its contact.
    :param values: further columns of the attempt; a time that is not known becomes the ledger's time.
    """

    attempt: Attempt
    step: NextState
    values: Mapping[str, Any] = field(default_factory=dict)


class AttemptOutcomes:
    """Stores outcomes of one campaign's attempts.

    :param ledger: the campaign's ledger, as one worker sees it.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._database = ledger.database
        self._campaign = ledger.campaign
        self._owner = ledger.owner

    def placed(self, calls: Sequence[tuple[Attempt, Call]]) -> None:
        """Store the vendor's call of attempts; also for an attempt that was given up as unknown in the meantime.

        :param calls: attempts with the vendor's call.
        """
        step = NextState(ContactState.IN_CALL, "the call was placed")
        outcomes = [
            _Outcome(attempt, step, {"call_id": call.id, "placed_at": call.created_at, "evidence": None})
            for attempt, call in calls
        ]
        states = (AttemptState.INTENT, AttemptState.UNKNOWN)
        self._store(outcomes, states, AttemptState.PLACED, (ContactState.DIALING, ContactState.UNKNOWN))

    def refused(self, steps: Sequence[tuple[Attempt, NextState]]) -> None:
        """Store that attempts provably rang nobody, and the next states of their contacts; the attempts do not count.

        :param steps: attempts with the next states of their contacts.
        """
        outcomes = [
            _Outcome(attempt, step, {"evidence": step.reason[:EVIDENCE_LENGTH], "ended_at": None})
            for attempt, step in steps
        ]
        self._store(outcomes, (AttemptState.INTENT,), AttemptState.REFUSED, (ContactState.DIALING,), uncount=True)

    def unknown(self, found: Sequence[tuple[Attempt, str]]) -> None:
        """Store that nobody can tell whether attempts rang, with the evidence.

        A worker that woke up late must not give up a call that another one searches for, so this checks the fence.

        :param found: attempts with the evidence.
        """
        states = (AttemptState.INTENT, AttemptState.UNKNOWN)
        contact_states = (ContactState.DIALING, ContactState.UNKNOWN)
        self._store(_unknown(found), states, AttemptState.UNKNOWN, contact_states, is_fenced=True)

    def vanished(self, found: Sequence[tuple[Attempt, str]]) -> None:
        """Store that placed calls never showed an ending, with the evidence; a person must decide.

        :param found: attempts with the evidence.
        """
        self._store(_unknown(found), (AttemptState.PLACED,), AttemptState.UNKNOWN, (ContactState.IN_CALL,))

    def ended(self, endings: Sequence[tuple[Attempt, str, datetime | None, NextState]]) -> None:
        """Store how calls ended and the next states of their contacts.

        :param endings: attempt, final status, when the call ended, and the contact's next step.
        """
        outcomes = [
            _Outcome(attempt, step, {"status": status, "ended_at": ended_at})
            for attempt, status, ended_at, step in endings
        ]
        self._store(outcomes, (AttemptState.PLACED,), AttemptState.ENDED, (ContactState.IN_CALL,))

    def _store(
        self,
        outcomes: Sequence[_Outcome],
        from_states: Sequence[AttemptState],
        to_state: AttemptState,
        contact_states: Sequence[ContactState],
        *,
        uncount: bool = False,
        is_fenced: bool = False,
    ) -> None:
        """Move attempts and their contacts, in one transaction, from one of some states to the next."""
        if not outcomes:
            return
        names = outcomes[0].values
        update = attempts.update().where(
            attempts.c.attempt_id == bindparam("b_id"), is_one_of(attempts.c.state, from_states)
        )
        update = update.values(state=to_state.value, **{name: bindparam(f"b_{name}") for name in names})

        def work(connection: Connection) -> None:
            now = self._database.now(connection)
            rows = []
            for outcome in outcomes:
                values = {
                    f"b_{name}": now if value is None and name.endswith("_at") else value
                    for name, value in outcome.values.items()
                }
                rows.append({"b_id": outcome.attempt.id, **values})
            connection.execute(update, rows)
            self._move(connection, outcomes, contact_states, now, uncount=uncount, is_fenced=is_fenced)

        self._database.transact(work)

    def _move(
        self,
        connection: Connection,
        outcomes: Sequence[_Outcome],
        from_states: Sequence[ContactState],
        now: datetime,
        *,
        uncount: bool,
        is_fenced: bool,
    ) -> None:
        """Move contacts whose last attempt is the given one, and end their leases."""
        rows = [
            {
                "b_key": outcome.attempt.key,
                "b_number": outcome.attempt.number,
                "b_fence": outcome.attempt.fence,
                "b_state": outcome.step.state.value,
                "b_reason": outcome.step.reason[:REASON_LENGTH],
                "b_due": outcome.step.due_at,
            }
            for outcome in outcomes
        ]
        where = [
            contacts.c.campaign == self._campaign,
            contacts.c.contact_key == bindparam("b_key"),
            contacts.c.last_attempt == bindparam("b_number"),
            is_one_of(contacts.c.state, from_states),
        ]
        if is_fenced:
            where += [contacts.c.fence == bindparam("b_fence"), contacts.c.lease_owner == self._owner]
        values: dict[str, Any] = {
            "state": bindparam("b_state"),
            "reason": bindparam("b_reason"),
            "due_at": bindparam("b_due"),
            "lease_owner": None,
            "lease_until": None,
            "updated_at": now,
        }
        if uncount:
            values["attempts"] = contacts.c.attempts - 1
        connection.execute(contacts.update().where(*where).values(**values), rows)


def _unknown(found: Sequence[tuple[Attempt, str]]) -> list[_Outcome]:
    return [
        _Outcome(attempt, NextState(ContactState.UNKNOWN, evidence), {"evidence": evidence[:EVIDENCE_LENGTH]})
        for attempt, evidence in found
    ]
