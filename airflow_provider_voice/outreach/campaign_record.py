"""The record of a campaign as a whole: begun, paused, canceled, loaded, swept, counted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, case, func, or_, select

from airflow_provider_voice.dialing.reconcile import LATE_ARRIVAL
from airflow_provider_voice.exceptions import InvalidRequest
from airflow_provider_voice.models import write_time
from airflow_provider_voice.outreach.contacts import shown_key
from airflow_provider_voice.outreach.ledger import is_loaded
from airflow_provider_voice.outreach.schema import KEY_LENGTH, attempts, campaigns, contacts, polls
from airflow_provider_voice.outreach.states import COUNTED, OPEN, WAITING, AttemptState, ContactState

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from sqlalchemy import Connection

    from airflow_provider_voice.outreach.database import Database

RUNNING, PAUSED, CANCELED = "running", "paused", "canceled"
#: The actions of a person on a campaign, and the state that each leads to.
ACTIONS = {"pause": PAUSED, "resume": RUNNING, "cancel": CANCELED}
#: Why a contact was canceled that the source no longer has; it joins again when the source has it again.
LEFT_THE_SOURCE = "no longer among the contacts"
_WAITING = [state.value for state in WAITING]


@dataclass(frozen=True)
class Outlook:
    """When something can happen next in a campaign.

    :param now: the ledger's time.
    :param state: ``running``, ``paused`` or ``canceled``.
    :param open: contacts that are not final.
    :param due: contacts whose time has come.
    :param is_dialing: whether the create of a contact has no known outcome.
    :param has_calls: whether a contact has a call in progress.
    :param next_due_at: when the next contact that waits is due; ``None``: no contact waits.
    """

    now: datetime
    state: str
    open: int
    due: int
    is_dialing: bool
    has_calls: bool
    next_due_at: datetime | None


class CampaignRecord:
    """One campaign in the ledger.

    :param database: the ledger's database.
    :param campaign: its name.
    """

    def __init__(self, database: Database, campaign: str) -> None:
        self._database = database
        self.campaign = campaign
        self._mine = campaigns.c.campaign == campaign

    def was_begun_by(self, run: str) -> bool:
        """Return whether an earlier try of this run began to call.

        :param run: the name of the run.
        :return: False also when there is no such campaign.
        """
        rows = self._database.rows(select(campaigns.c.begun_by).where(self._mine))
        return bool(rows and rows[0].begun_by == run[:KEY_LENGTH])

    def begin(self, run: str) -> None:
        """Create the campaign unless it exists.

        :param run: the run that begins to call, to be remembered as the last one. Empty: a plan, or contacts to load.
        :raises InvalidRequest: when the name is empty, too long or not printable: a line break would forge log lines.
        """
        if not self.campaign or len(self.campaign) > KEY_LENGTH or not self.campaign.isprintable():
            raise InvalidRequest(
                f"campaign must have 1 to {KEY_LENGTH} characters, all printable, and it has {len(self.campaign)}. "
                "Leave out line breaks, tabs and blanks that are not plain spaces."
            )

        def work(connection: Connection) -> None:
            values = {"campaign": self.campaign, "state": RUNNING, "created_at": self._database.now(connection)}
            if connection.execute(select(campaigns.c.campaign).where(self._mine)).one_or_none() is None:
                self._database.insert_if_missing(connection, campaigns, values)
            if run:
                connection.execute(campaigns.update().where(self._mine).values(begun_by=run[:KEY_LENGTH]))

        self._database.transact(work)

    def set_state(self, state: str) -> str:
        """Pause, resume or cancel the campaign; return its state before.

        :param state: ``running``, ``paused`` or ``canceled``.
        :return: the state before.
        :raises InvalidRequest: when there is no such campaign.
        """

        def work(connection: Connection) -> str:
            query = self._database.locked(select(campaigns.c.state).where(self._mine))
            before = connection.execute(query).scalar_one_or_none()
            if before is None:
                raise InvalidRequest(f"There is no campaign {self.campaign!r:.80} in this ledger.")
            connection.execute(campaigns.update().where(self._mine).values(state=state))
            return str(before)

        before = self._database.transact(work)
        self.sweep(None)
        return before

    def sweep(self, ends_at: datetime | None) -> None:
        """Settle the waiting contacts that will not be called any more: canceled, gone from the source, or too late.

        :param ends_at: contacts that wait from then on are ``expired``; ``None``: no end.
        """

        def work(connection: Connection) -> None:
            now = self._database.now(connection)
            row = connection.execute(select(campaigns).where(self._mine)).one_or_none()
            if row is None:
                return
            where = [contacts.c.campaign == self.campaign, contacts.c.state.in_(_WAITING)]
            update = contacts.update().where(*where)
            freed = {"lease_owner": None, "lease_until": None, "updated_at": now}
            canceled = {"state": ContactState.CANCELED.value, **freed}
            if row.state == CANCELED:
                connection.execute(update.values(reason="the campaign was canceled", due_at=None, **canceled))
            if row.loaded_number:
                gone = update.where(contacts.c.load_number < row.loaded_number)
                # They keep their time: who comes back is not called before it.
                connection.execute(gone.values(reason=LEFT_THE_SOURCE, **canceled))
            if ends_at is not None and now >= ends_at:
                reason = "the campaign ended before a call was due"
                # What another run or a plan is still loading may have another end.
                late = update.where(is_loaded(self.campaign))
                connection.execute(late.values(state=ContactState.EXPIRED.value, reason=reason, due_at=None, **freed))

        self._database.transact(work)

    def take_turn_to_poll(self, voice_conn_id: str, interval: timedelta) -> bool:
        """Return whether this worker is the one to poll the calls in progress now; at most one per interval.

        :param voice_conn_id: the voice connection of the calls; each one has turns of its own.
        :param interval: the time between two polls.
        :return: True for one worker; the next poll is an interval from now.
        """
        own = {"campaign": self.campaign, "voice_conn_id": voice_conn_id}

        def work(connection: Connection) -> bool:
            now = self._database.now(connection)
            turn = and_(*(polls.c[name] == value for name, value in own.items()))
            next_poll = {"next_poll_at": now + interval}
            if connection.execute(polls.update().where(turn, polls.c.next_poll_at <= now).values(**next_poll)).rowcount:
                return True
            if connection.execute(select(polls.c.campaign).where(turn)).one_or_none() is not None:
                return False
            return self._database.insert_if_missing(connection, polls, own | next_poll)

        return self._database.transact(work)

    def outlook(self) -> Outlook:
        """Return when something can happen next."""

        def work(connection: Connection) -> Outlook:
            now = self._database.now(connection)
            own = connection.execute(select(campaigns).where(self._mine)).one()
            is_due = case((contacts.c.due_at <= now, 1), else_=0)
            query = (
                select(
                    contacts.c.state,
                    func.count().label("number"),
                    func.sum(is_due).label("due"),
                    func.min(contacts.c.due_at).label("next_due_at"),
                )
                .where(
                    contacts.c.campaign == self.campaign,
                    contacts.c.state.in_([state.value for state in OPEN]),
                    # A call under way counts although half a load has changed its contact.
                    or_(contacts.c.state.not_in(_WAITING), is_loaded(self.campaign)),
                )
                .group_by(contacts.c.state)
            )
            by_state = {row.state: row for row in connection.execute(query)}
            waiting = [row for state, row in by_state.items() if state in _WAITING]
            return Outlook(
                now=now,
                state=own.state,
                open=sum(row.number for row in by_state.values()),
                due=sum(int(row.due) for row in waiting),
                is_dialing=ContactState.DIALING.value in by_state,
                has_calls=ContactState.IN_CALL.value in by_state,
                next_due_at=min((row.next_due_at for row in waiting if row.next_due_at), default=None),
            )

        return self._database.transact(work)

    def counts(self) -> dict[str, Any]:
        """Return ``{"campaign", "contacts", "attempts", <count per state>, "by_status"}``."""

        def work(connection: Connection) -> dict[str, Any]:
            states = counts_by(connection, contacts.c.state, contacts.c.campaign == self.campaign)
            mine = attempts.c.campaign == self.campaign
            counted = [state.value for state in COUNTED]
            query = select(func.count()).where(mine, attempts.c.state.in_(counted))
            return {
                "campaign": self.campaign,
                "contacts": sum(states.values()),
                "attempts": int(connection.execute(query).scalar_one()),
                **{state.value: states.get(state.value, 0) for state in ContactState},
                "by_status": counts_by(connection, attempts.c.status, mine),
            }

        return self._database.transact(work)

    def resolve(self, key: str, *, rang: bool, attempt: int | None = None) -> ContactState:
        """Settle a contact in ``unknown`` by a person's decision.

        :param key: the contact's key.
        :param rang: whether the phone rang; if not, the attempt does not count and the contact is due again.
        :param attempt: the number of the attempt that the person judged; a later one is left alone. ``None``: the last.
        :return: the contact's new state.
        :raises InvalidRequest: when the contact is not in ``unknown``, or by a later attempt, or when it is to be
            called again while the create may still be under way.
        """

        def work(connection: Connection) -> ContactState:
            now = self._database.now(connection)
            one = (contacts.c.campaign == self.campaign) & (contacts.c.contact_key == key)
            row = connection.execute(self._database.locked(select(contacts).where(one))).one_or_none()
            contact = f"contact {shown_key(key)} of campaign {self.campaign!r:.80}"
            if row is None:
                raise InvalidRequest(f"There is no {contact} in this ledger. 'voice-outreach unknown' lists the keys.")
            if row.state != ContactState.UNKNOWN.value:
                found = f"it is in {row.state!r}, its last attempt is {row.last_attempt}"
                raise InvalidRequest(f"The {contact} is not in 'unknown' ({found}): there is nothing to resolve.")
            if attempt not in (None, row.last_attempt):
                raise InvalidRequest(
                    f"The {contact} is in 'unknown' with attempt {row.last_attempt}, not with attempt {attempt}: look "
                    "at its evidence again, then resolve that one."
                )
            last = (
                (attempts.c.campaign == self.campaign)
                & (attempts.c.contact_key == key)
                & (attempts.c.attempt == row.last_attempt)
            )
            settled_at = connection.execute(select(attempts.c.intended_at).where(last)).scalar_one() + LATE_ARRIVAL
            if not rang and now < settled_at:
                raise InvalidRequest(
                    f"The create for the {contact} may still be under way. Resolve it after {write_time(settled_at)}."
                )
            state = ContactState.EXHAUSTED if rang else ContactState.REDIAL
            values = {
                "state": state.value,
                "attempts": contacts.c.attempts - int(not rang),
                "reason": "a person found that the phone rang" if rang else "a person found that nobody was rung",
                "due_at": None if rang else now,
                "lease_owner": None,
                "lease_until": None,
                "updated_at": now,
                # A worker that still searches for the call holds an older fence and writes nothing any more.
                "fence": contacts.c.fence + 1,
            }
            connection.execute(contacts.update().where(one).values(**values))
            settled = AttemptState.ENDED if rang else AttemptState.REFUSED
            connection.execute(attempts.update().where(last).values(state=settled.value, ended_at=now))
            return state

        return self._database.transact(work)


def counts_by(connection: Connection, column: Any, where: Any) -> dict[str, int]:
    """Return how many rows have each value of a column.

    :param connection: a connection inside a transaction.
    :param column: the column.
    :param where: which rows.
    :return: counts by value; NULL is left out.
    """
    query = select(column, func.count()).where(where).group_by(column)
    return {str(value): count for value, count in connection.execute(query) if value is not None}
