"""The ledger of a campaign: the claims of its workers, and the intents of attempts.

Every change is one transaction. A claim raises the contact's fence; whatever a claimant writes later names that fence,
so a worker that lost its lease changes nothing. The outcome of an attempt is stored by ``attempt_outcomes``.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, func, or_, select, true

from airflow_provider_voice.dialing.reconcile import LATE_ARRIVAL
from airflow_provider_voice.outreach.schema import REASON_LENGTH, attempts, campaigns, contacts
from airflow_provider_voice.outreach.states import (
    COUNTED,
    WAITING,
    Attempt,
    AttemptState,
    Claimed,
    ContactState,
    NextState,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from sqlalchemy import Connection

    from airflow_provider_voice.outreach.database import Database
    from airflow_provider_voice.outreach.pacing import Pacing

#: Seconds a claim lasts unless it is renewed.
LEASE_SECONDS = 60.0
SOURCE = "outreach"
#: How far back attempts are looked up for the caps of a policy: no rule file may have a longer one.
HISTORY = timedelta(days=3660)
_WAITING = [state.value for state in WAITING]
_COUNTED = [state.value for state in COUNTED]


@dataclass(frozen=True)
class Intents:
    """The result of a request for attempts: the stored intents, and the wait before the next request.

    :param stored: the attempts that may be sent now, with their contacts.
    :param waiting: contacts that are still claimed; there was no place for them.
    :param lost: contacts whose claim is gone.
    :param wait: seconds until there may be a place.
    """

    stored: Sequence[tuple[Attempt, Claimed]]
    waiting: Sequence[Claimed]
    lost: Sequence[Claimed]
    wait: float


class Ledger:
    """The contacts and attempts of one campaign, as one worker sees them.

    :param database: the ledger's database.
    :param campaign: the campaign's name.
    :param voice_conn_id: the voice connection its calls go through.
    :param subject: the topic of the calls; caps count attempts of one number and subject.
    :param owner: this worker; unlike any other.
    :param lease_seconds: how long a claim lasts, default 60.
    """

    def __init__(
        self,
        database: Database,
        campaign: str,
        voice_conn_id: str,
        *,
        subject: str | None = None,
        owner: str | None = None,
        lease_seconds: float = LEASE_SECONDS,
    ) -> None:
        self.database = database
        self.campaign = campaign
        self.voice_conn_id = voice_conn_id
        self.subject = subject
        self.owner = owner or uuid.uuid4().hex
        self.lease_seconds = lease_seconds

    # -- claims --

    def claim_due(self, limit: int, *, ends_at: datetime | None = None) -> list[Claimed]:
        """Claim contacts whose time has come, those that wait longest first.

        :param limit: how many at most.
        :param ends_at: nobody is claimed from then on.
        :return: the claimed contacts; none while the campaign does not run.
        """

        def work(connection: Connection) -> list[Claimed]:
            now = self.database.now(connection)
            if limit <= 0 or (ends_at is not None and now >= ends_at) or not self._is_running(connection):
                return []
            # Who left the source during a call may not be canceled yet.
            is_listed = contacts.c.load_number >= _loaded_number(self.campaign)
            due = and_(contacts.c.due_at <= now, is_loaded(self.campaign), is_listed)
            return self._claim(connection, WAITING, due, limit, now)

        return self.database.transact(work)

    def claim_unsettled(self, limit: int, state: ContactState) -> list[Attempt]:
        """Claim contacts whose attempt was left without an outcome by a worker whose lease has ended.

        :param limit: how many at most.
        :param state: ``dialing``; or ``unknown``, for attempts that were given up: the list may show the call by now.
        :return: their last attempts, each with the fence of the new claim.
        """

        def work(connection: Connection) -> list[Attempt]:
            now = self.database.now(connection)
            claimed = self._claim(connection, [state], true(), limit, now)
            by_key = {contact.key: contact for contact in claimed}
            is_open = attempts.c.state.in_((AttemptState.INTENT.value, AttemptState.UNKNOWN.value))
            query = select(attempts).where(
                attempts.c.campaign == self.campaign,
                attempts.c.contact_key.in_(list(by_key)),
                is_open,
                attempts.c.call_id.is_(None),
            )
            rows = connection.execute(query).all() if by_key else []
            return [
                _attempt(row, by_key[row.contact_key].fence)
                for row in rows
                if row.attempt == by_key[row.contact_key].last_attempt
            ]

        return self.database.transact(work)

    def own_intents(self) -> list[Attempt]:
        """Return the attempts that this worker intended and whose outcome is not stored."""
        query = select(attempts).where(
            attempts.c.campaign == self.campaign,
            attempts.c.owner == self.owner,
            attempts.c.state == AttemptState.INTENT.value,
        )
        return [_attempt(row, row.fence or 0) for row in self.database.rows(query)]

    def others_dialing(self) -> dict[str, int]:
        """Return the fences of the contacts that are being dialed now, by key."""
        query = select(contacts.c.contact_key, contacts.c.fence).where(
            contacts.c.campaign == self.campaign, contacts.c.state == ContactState.DIALING.value
        )
        return {row.contact_key: row.fence for row in self.database.rows(query)}

    def renew(self, keys: Collection[str]) -> None:
        """Let our claims on these contacts last a whole lease from now on.

        :param keys: the contacts' keys; those that another worker holds are left alone.
        """
        if not keys:
            return

        def work(connection: Connection) -> None:
            until = self.database.now(connection) + timedelta(seconds=self.lease_seconds)
            mine = self._rows(keys) & (contacts.c.lease_owner == self.owner)
            connection.execute(contacts.update().where(mine).values(lease_until=until))

        self.database.transact(work)

    def release(self, claimed: Iterable[Claimed]) -> None:
        """Give claimed contacts back as they were.

        :param claimed: contacts that this worker claimed.
        """
        self._write_claimed([(item, {}) for item in claimed])

    def decide(self, decisions: Iterable[tuple[Claimed, NextState]]) -> None:
        """Store that claimed contacts are not called now, and give them back.

        :param decisions: contacts with their next states.
        """
        self._write_claimed(
            [
                (item, {"state": step.state.value, "reason": step.reason[:REASON_LENGTH], "due_at": step.due_at})
                for item, step in decisions
            ]
        )

    def _write_claimed(self, changes: Sequence[tuple[Claimed, Mapping[str, Any]]]) -> None:
        if not changes:
            return

        def work(connection: Connection) -> None:
            freed = {"lease_owner": None, "lease_until": None, "updated_at": self.database.now(connection)}
            for item, values in changes:
                held = and_(
                    self._rows([item.key]),
                    contacts.c.fence == item.fence,
                    contacts.c.lease_owner == self.owner,
                    contacts.c.state.in_(_WAITING),
                )
                connection.execute(contacts.update().where(held).values(**freed, **values))

        self.database.transact(work)

    def _claim(
        self, connection: Connection, states: Iterable[ContactState], wanted: Any, limit: int, now: datetime
    ) -> list[Claimed]:
        is_free = or_(contacts.c.lease_until.is_(None), contacts.c.lease_until < now)
        rows: list[Any] = []
        # One state at a time, so that the index gives the order: a sort would read everybody who waits for each claim.
        for state in states:
            mine = and_(contacts.c.campaign == self.campaign, contacts.c.state == state.value)
            query = select(contacts).where(mine, wanted, is_free).order_by(contacts.c.due_at).limit(limit)
            rows += connection.execute(self.database.locked(query, skip_locked=True))
        rows = sorted(rows, key=lambda row: row.due_at or now)[:limit]
        if rows:
            until = now + timedelta(seconds=self.lease_seconds)
            update = contacts.update().where(self._rows([row.contact_key for row in rows]))
            connection.execute(
                update.values(lease_owner=self.owner, lease_until=until, fence=contacts.c.fence + 1, updated_at=now)
            )
        return [_claimed(row) for row in rows]

    # -- attempts --

    def store_intents(
        self,
        wanted: Sequence[Claimed],
        pacing: Pacing,
        *,
        agent_id: str | None,
        clock_offset: float | None = None,
        checked: Mapping[str, int] | None = None,
        ends_at: datetime | None = None,
    ) -> Intents:
        """Store an intent for as many of the contacts as there are places; only these may be sent.

        :param wanted: contacts that this worker claimed and that may be called.
        :param pacing: the pace of the voice connection.
        :param agent_id: the agent of the calls.
        :param clock_offset: seconds the vendor's clock is ahead of the ledger's; ``None``: not known yet.
        :param checked: how many attempts of each number caps were checked with; a number that has another count by now
            is not called before another check. ``None``: there are no caps.
        :param ends_at: no intent is stored from then on.
        :return: the stored intents, the contacts that wait, and those whose claim was lost.
        """

        def work(connection: Connection) -> Intents:
            if checked is not None:
                pacing.lock_everybody(connection)
            places = pacing.lock(connection, len(wanted))
            if (ends_at is not None and places.now >= ends_at) or not self._is_running(connection):
                return Intents([], [], wanted, 0.0)
            if places.count == 0:
                return Intents([], wanted, [], places.wait)
            now_possible, waiting = wanted[: places.count], wanted[places.count :]
            held = self._held(connection, now_possible, places.now)
            free = held
            if checked is not None:
                times = attempt_times(connection, [item.to for item in held], self.subject, places.now)
                free = [item for item in held if len(times.get(item.to, ())) == checked.get(item.to, 0)]
            chosen = {item.key for item in free}
            made = [(self._intent(item, agent_id, places.now, clock_offset), item) for item in free]
            self._insert_intents(connection, made, places.now)
            pacing.take(connection, places, len(made))
            lost = [item for item in now_possible if item.key not in chosen]
            return Intents(made, waiting, lost, places.wait)

        return self.database.transact(work)

    def _held(self, connection: Connection, wanted: Sequence[Claimed], now: datetime) -> list[Claimed]:
        """Return those contacts whose claim is still ours, with their rows locked."""
        query = (
            select(contacts.c.contact_key, contacts.c.fence)
            .where(
                self._rows([item.key for item in wanted]),
                contacts.c.lease_owner == self.owner,
                contacts.c.lease_until > now,
                contacts.c.state.in_(_WAITING),
            )
            .order_by(contacts.c.contact_key)
        )
        fences = {row.contact_key: row.fence for row in connection.execute(self.database.locked(query))}
        return [item for item in wanted if fences.get(item.key) == item.fence]

    def _intent(self, item: Claimed, agent_id: str | None, now: datetime, clock_offset: float | None) -> Attempt:
        return Attempt(
            id=f"afv-{uuid.uuid4().hex}", key=item.key, to=item.to, number=item.last_attempt + 1, agent_id=agent_id,
            call_id=None, intended_at=now, clock_offset=clock_offset, fence=item.fence,
            voice_conn_id=self.voice_conn_id,
        )  # fmt: skip

    def _insert_intents(self, connection: Connection, made: Sequence[tuple[Attempt, Claimed]], now: datetime) -> None:
        rows = [
            {
                "attempt_id": attempt.id,
                "campaign": self.campaign,
                "contact_key": attempt.key,
                "attempt": attempt.number,
                "source": SOURCE,
                "to_number": attempt.to,
                "subject": self.subject,
                "voice_conn_id": self.voice_conn_id,
                "agent_id": attempt.agent_id,
                "state": AttemptState.INTENT.value,
                "intended_at": attempt.intended_at,
                "clock_offset": attempt.clock_offset,
                "owner": self.owner,
                "fence": attempt.fence,
            }
            for attempt, _ in made
        ]
        if not rows:
            return
        connection.execute(attempts.insert(), rows)
        update = contacts.update().where(self._rows([attempt.key for attempt, _ in made]))
        connection.execute(
            update.values(
                state=ContactState.DIALING.value,
                attempts=contacts.c.attempts + 1,
                last_attempt=contacts.c.last_attempt + 1,
                reason=None,
                due_at=None,
                # A whole lease from here on: the sender goes by half of it.
                lease_until=now + timedelta(seconds=self.lease_seconds),
                updated_at=now,
            )
        )

    # -- reading --

    def in_progress(self, *, over_others: bool = False) -> list[Attempt]:
        """Return the attempts of this campaign whose call was placed and has not ended.

        :param over_others: those over other voice connections instead of those over this one, default False.
        :return: the attempts.
        """
        conn_id = attempts.c.voice_conn_id
        query = select(attempts).where(
            attempts.c.campaign == self.campaign,
            conn_id != self.voice_conn_id if over_others else conn_id == self.voice_conn_id,
            attempts.c.state == AttemptState.PLACED.value,
        )
        return [_attempt(row, 0) for row in self.database.rows(query)]

    def history(self, numbers: Collection[str]) -> tuple[dict[str, list[datetime]], datetime]:
        """Return when each number was attempted for the subject, by any campaign or task, and the ledger's time.

        :param numbers: E.164 numbers.
        :return: times by number, and the ledger's time.
        """

        def work(connection: Connection) -> tuple[dict[str, list[datetime]], datetime]:
            now = self.database.now(connection)
            return attempt_times(connection, numbers, self.subject, now), now

        return self.database.transact(work)

    def now_and_calls_to(self, number: str) -> tuple[datetime, frozenset[str]]:
        """Return the ledger's time, and the ids of all calls to a number in it.

        :param number: E.164.
        :return: the time and the ids.
        """

        def work(connection: Connection) -> tuple[datetime, frozenset[str]]:
            query = select(attempts.c.call_id).where(attempts.c.to_number == number, attempts.c.call_id.is_not(None))
            return self.database.now(connection), frozenset(connection.execute(query).scalars())

        return self.database.transact(work)

    def may_be_of_another(self, attempt: Attempt, call_id: str) -> bool:
        """Return whether a call that was found for an attempt may be another attempt's, of any campaign or task.

        Every create has its attempt in the ledger before it is sent, so this is asked after the vendor's list was read.

        :param attempt: the attempt.
        :param call_id: the vendor's id of the call.
        :return: True when another attempt has the call, or has none yet and called the same number at that time.
        """
        query = select(func.count()).where(
            attempts.c.to_number == attempt.to,
            attempts.c.attempt_id != attempt.id,
            attempts.c.state != AttemptState.REFUSED.value,
            or_(
                attempts.c.call_id == call_id,
                and_(
                    attempts.c.call_id.is_(None),
                    attempts.c.intended_at > attempt.intended_at - LATE_ARRIVAL,
                    attempts.c.intended_at < attempt.intended_at + LATE_ARRIVAL,
                ),
            ),
        )
        return bool(self.database.rows(query)[0][0])

    def attempts_counted(self, keys: Collection[str]) -> dict[str, int]:
        """Return how many attempts of each contact count.

        :param keys: the contacts' keys.
        :return: counts by key.
        """
        query = select(contacts.c.contact_key, contacts.c.attempts).where(self._rows(keys))
        return {row.contact_key: row.attempts for row in self.database.rows(query)}

    # -- shared by the above --

    def _rows(self, keys: Collection[str]) -> Any:
        return and_(contacts.c.campaign == self.campaign, contacts.c.contact_key.in_(list(keys)))

    def _is_running(self, connection: Connection) -> bool:
        query = select(campaigns.c.state).where(campaigns.c.campaign == self.campaign)
        return connection.execute(query).scalar() == "running"


def attempt_times(
    connection: Connection, numbers: Collection[str], subject: str | None, now: datetime
) -> dict[str, list[datetime]]:
    """Return when some numbers were attempted, as far as caps count it.

    To detect new attempts, compare the number of the times and not the latest one: an attempt is dated before it is
    committed.

    :param connection: a connection inside a transaction.
    :param numbers: E.164 numbers.
    :param subject: what the calls are about.
    :param now: the ledger's time.
    :return: times by number; a number without attempts is absent.
    """
    query = select(attempts.c.to_number, attempts.c.intended_at).where(
        attempts.c.to_number.in_(list(numbers)),
        attempts.c.intended_at > now - HISTORY,
        attempts.c.state.in_(_COUNTED),
        attempts.c.subject.is_(None) if subject is None else attempts.c.subject == subject,
    )
    found: dict[str, list[datetime]] = {}
    for row in connection.execute(query):
        found.setdefault(row.to_number, []).append(row.intended_at)
    return found


def is_loaded(campaign: str) -> Any:
    """Return the condition that the load which brought a contact was whole: half a list is not called.

    :param campaign: its name.
    :return: the condition.
    """
    return contacts.c.first_load <= _loaded_number(campaign)


def _loaded_number(campaign: str) -> Any:
    return select(campaigns.c.loaded_number).where(campaigns.c.campaign == campaign).scalar_subquery()


def _claimed(row: Any) -> Claimed:
    return Claimed(
        key=row.contact_key, to=row.to_number, state=ContactState(row.state), fence=row.fence + 1,
        attempts=row.attempts, last_attempt=row.last_attempt, time_zone=row.time_zone, jurisdiction=row.jurisdiction,
        variables=json.loads(row.variables) if row.variables else {},
    )  # fmt: skip


def _attempt(row: Any, fence: int) -> Attempt:
    return Attempt(
        id=row.attempt_id, key=row.contact_key, to=row.to_number, number=row.attempt, agent_id=row.agent_id,
        call_id=row.call_id, intended_at=row.intended_at, placed_at=row.placed_at, clock_offset=row.clock_offset,
        fence=fence, voice_conn_id=row.voice_conn_id,
    )  # fmt: skip
