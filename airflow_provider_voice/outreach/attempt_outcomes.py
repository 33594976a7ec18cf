"""Stores the outcomes of attempts, each together with the next state of its contact.

A vendor's response about an attempt is a fact, so it is stored whichever worker holds the lease by then. Storing an
outcome twice changes nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_voice.outreach.schema import EVIDENCE_LENGTH, REASON_LENGTH, attempts, contacts
from airflow_provider_voice.outreach.states import AttemptState, ContactState, NextState

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import Connection

    from airflow_provider_voice.models import Call
    from airflow_provider_voice.outreach.ledger import Ledger
    from airflow_provider_voice.outreach.states import Attempt

    # An attempt, the next state of its contact, and further columns of the attempt.
    Outcome = tuple[Attempt, NextState, Mapping[str, Any]]


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
            (attempt, step, {"call_id": call.id, "placed_at": call.created_at, "evidence": None})
            for attempt, call in calls
        ]
        states = (AttemptState.INTENT, AttemptState.UNKNOWN)
        self._store(outcomes, states, AttemptState.PLACED, (ContactState.DIALING, ContactState.UNKNOWN))

    def refused(self, steps: Sequence[tuple[Attempt, NextState]]) -> None:
        """Store that attempts provably rang nobody, and the next states of their contacts; the attempts do not count.

        :param steps: attempts with the next states of their contacts.
        """
        outcomes = [
            (attempt, step, {"evidence": step.reason[:EVIDENCE_LENGTH], "ended_at": None}) for attempt, step in steps
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
            (attempt, step, {"status": status, "ended_at": ended_at}) for attempt, status, ended_at, step in endings
        ]
        self._store(outcomes, (AttemptState.PLACED,), AttemptState.ENDED, (ContactState.IN_CALL,))

    def _store(
        self,
        outcomes: Sequence[Outcome],
        from_states: Sequence[AttemptState],
        to_state: AttemptState,
        contact_states: Sequence[ContactState],
        *,
        uncount: bool = False,
        is_fenced: bool = False,
    ) -> None:
        """Move attempts and their contacts, in one transaction, from one of some states to the next.

        Only the last attempt of a contact moves it. A time that is not known becomes the ledger's time.
        """
        if not outcomes:
            return

        def work(connection: Connection) -> None:
            now = self._database.now(connection)
            for attempt, step, values in outcomes:
                known = {
                    name: now if value is None and name.endswith("_at") else value for name, value in values.items()
                }
                is_open = attempts.c.state.in_([state.value for state in from_states])
                update = attempts.update().where(attempts.c.attempt_id == attempt.id, is_open)
                connection.execute(update.values(state=to_state.value, **known))
                where = [
                    contacts.c.campaign == self._campaign,
                    contacts.c.contact_key == attempt.key,
                    contacts.c.last_attempt == attempt.number,
                    contacts.c.state.in_([state.value for state in contact_states]),
                ]
                if is_fenced:
                    where += [contacts.c.fence == attempt.fence, contacts.c.lease_owner == self._owner]
                connection.execute(
                    contacts.update()
                    .where(*where)
                    .values(
                        state=step.state.value,
                        reason=step.reason[:REASON_LENGTH],
                        due_at=step.due_at,
                        attempts=contacts.c.attempts - int(uncount),
                        lease_owner=None,
                        lease_until=None,
                        updated_at=now,
                    )
                )

        self._database.transact(work)


def _unknown(found: Sequence[tuple[Attempt, str]]) -> list[Outcome]:
    return [
        (attempt, NextState(ContactState.UNKNOWN, evidence), {"evidence": evidence[:EVIDENCE_LENGTH]})
        for attempt, evidence in found
    ]
