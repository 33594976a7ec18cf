"""Brings the contacts of a source into the ledger: new ones join, changed ones change, missing ones are canceled."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, bindparam, case, or_, select

from airflow_provider_voice.models import CallStatus
from airflow_provider_voice.outreach.campaign_record import LEFT_THE_SOURCE, CampaignRecord
from airflow_provider_voice.outreach.contacts import shown_key
from airflow_provider_voice.outreach.redial import RedialRules
from airflow_provider_voice.outreach.schema import attempts, campaigns, contacts
from airflow_provider_voice.outreach.states import COUNTED, ON_DO_NOT_CALL_LIST, WAITING, ContactState

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
    from datetime import datetime

    from sqlalchemy import Connection

    from airflow_provider_voice.outreach.contacts import Contact
    from airflow_provider_voice.outreach.database import Database

CHUNK = 1000
_WAITING = [state.value for state in WAITING]
_CALLED = (ContactState.DIALING.value, ContactState.IN_CALL.value)
_READ_BY_REDIAL = ("time_zone", "jurisdiction", "variables", "row_digest")


@dataclass
class LoadCounts:
    """Counts of one load.

    :param rows: rows read.
    :param rejected: rows that cannot be called.
    :param merged: rows of a number that another contact has.
    """

    rows: int = 0
    rejected: int = 0
    merged: int = 0


class ContactLoader:
    """Loads one source into one campaign.

    Chunks of one campaign are written one after the other, also by several workers, so that one number never becomes
    two contacts. Contacts that a load brings are not called before it is whole.

    :param database: the ledger's database.
    :param campaign: the campaign; it must have begun.
    :param rules: when a number that was called before is due again, whichever contact has it now;
        ``None``: the default rules.
    """

    def __init__(self, database: Database, campaign: str, rules: RedialRules | None = None) -> None:
        self._database = database
        self._campaign = campaign
        self._rules = rules or RedialRules()
        self.number = 0
        self._keys: dict[str, int] = {}
        self.counts = LoadCounts()

    def load(
        self, found: Iterable[Contact], check: Callable[[LoadCounts], None] | None = None, *, is_plan: bool = False
    ) -> LoadCounts:
        """Load all contacts of a source.

        :param found: the contacts, read as they are needed.
        :param check: called when all were read and before any of the new ones may be called; raises to refuse them.
        :param is_plan: whether new and changed contacts must not be called before a later load, and nobody is canceled.
        :return: the counts of rows.
        """
        self.number = self._database.transact(self._next_number)
        for chunk in _chunks(found):
            apart = [self._with_own_key(contact) for contact in chunk]
            self._database.transact(partial(self._write, chunk=apart))
            self.counts.rows += len(apart)
            self.counts.rejected += sum(contact.state is ContactState.REJECTED for contact in apart)
            self.counts.merged += sum(contact.state is ContactState.MERGED for contact in apart)
        if check is not None:
            check(self.counts)
        if is_plan:
            return self.counts
        self._database.transact(self._finish)
        CampaignRecord(self._database, self._campaign).sweep(None)
        self._database.transact(self._promote)
        return self.counts

    def _next_number(self, connection: Connection) -> int:
        number = int(self._lock(connection).load_number) + 1
        connection.execute(self._own_update().values(load_number=number))
        return number

    def _finish(self, connection: Connection) -> None:
        if self._lock(connection).loaded_number < self.number:
            connection.execute(self._own_update().values(loaded_number=self.number))

    def _lock(self, connection: Connection) -> Any:
        query = select(campaigns).where(campaigns.c.campaign == self._campaign)
        return connection.execute(self._database.locked(query)).one()

    def _own_update(self) -> Any:
        return campaigns.update().where(campaigns.c.campaign == self._campaign)

    def _with_own_key(self, contact: Contact) -> Contact:
        """Give a second row of one key a key of its own: it is merged when it is the same person, else rejected."""
        count = self._keys.get(contact.key, 0) + 1
        while count > 1 and f"{contact.key}#{count}" in self._keys:
            count += 1
        self._keys[contact.key] = count
        if count > 1:
            self._keys[f"{contact.key}#{count}"] = 1
            if contact.state is not ContactState.REJECTED:
                contact.state = ContactState.REJECTED
                contact.reason = f"another row has the key {shown_key(contact.key)} too"
            contact.merged_into = contact.key
            contact.key = f"{contact.key}#{count}"
        return contact

    def _write(self, connection: Connection, chunk: Sequence[Contact]) -> None:
        self._lock(connection)
        now = self._database.now(connection)
        keys = [contact.key for contact in chunk]
        mine = contacts.c.campaign == self._campaign
        # Also the rows whose keys the chunk's second rows repeat: they may have come in an earlier chunk.
        named = {*keys, *(contact.merged_into for contact in chunk if contact.merged_into)}
        query = select(contacts).where(mine, contacts.c.contact_key.in_(sorted(named)))
        # Locked: a contact that is called and ends in the meantime would be put back to where it was read.
        rows = connection.execute(self._database.locked(query.order_by(contacts.c.contact_key)))
        stored = {row.contact_key: row for row in rows}
        same = self._same_numbers(connection, {contact.to for contact in chunk if contact.to is not None})
        new: list[dict[str, Any]] = []
        changed: list[dict[str, Any]] = []
        called: list[dict[str, Any]] = []
        seen: list[str] = []
        numbers: dict[str, str | None] = {key: row.to_number for key, row in stored.items()}
        for contact in chunk:
            self._merge(contact, same, numbers)
            numbers[contact.key] = contact.to
            row, holder = stored.get(contact.key), same.get(contact.to or "", _Holder())
            if row is None:
                new.append(self._new(contact, holder, now))
            elif values := self._changes(contact, row, holder, now):
                (called if row.state in _CALLED else changed).append({"b_key": contact.key, **values})
            elif contact.to == row.to_number:
                seen.append(contact.key)
            # Else the number that was called has left the source: it is not redialed; a later load brings the new one.
        # The rows of each list have the same columns, so one statement writes them all: a source may change every row
        # from one day to the next.
        one = contacts.update().where(mine, contacts.c.contact_key == bindparam("b_key"))
        for statement, rows_of_list in ((contacts.insert(), new), (one, changed), (one, called)):
            if rows_of_list:
                connection.execute(statement, rows_of_list)
        if seen:
            touched = self._update(seen).where(contacts.c.load_number < self.number)
            connection.execute(touched.values(load_number=self.number))

    def _same_numbers(self, connection: Connection, numbers: Collection[str]) -> dict[str, _Holder]:
        """Return the contacts that already have some numbers, and the attempts to these."""
        found: dict[str, _Holder] = {}
        query = select(contacts.c.contact_key, contacts.c.to_number).where(
            contacts.c.campaign == self._campaign,
            contacts.c.to_number.in_(numbers),
            contacts.c.state.not_in(
                [ContactState.MERGED.value, ContactState.REJECTED.value, ContactState.CANCELED.value]
            ),
        )
        for row in connection.execute(query):
            found.setdefault(row.to_number, _Holder()).key = row.contact_key
        # From the attempts, because a contact may have another number by now than it was called at.
        called = (
            select(attempts.c.to_number, attempts.c.status, attempts.c.ended_at)
            .where(
                attempts.c.campaign == self._campaign,
                attempts.c.to_number.in_(numbers),
                attempts.c.state.in_([state.value for state in COUNTED]),
            )
            .order_by(attempts.c.intended_at)
        )
        for attempt in connection.execute(called):
            holder = found.setdefault(attempt.to_number, _Holder())
            holder.attempts += 1
            if attempt.status is not None:
                holder.due_at = self._rules.after_ending(CallStatus(attempt.status), 0, attempt.ended_at).due_at
        return found

    @staticmethod
    def _merge(contact: Contact, same: dict[str, _Holder], numbers: dict[str, str | None]) -> None:
        """Merge a contact into the one that has its number already; the first one of a number holds it."""
        if contact.to is None:
            contact.merged_into = None
            return
        if contact.merged_into is not None:
            if numbers.get(contact.merged_into) == contact.to:
                contact.state = ContactState.MERGED
                contact.reason = f"the same number and key as contact {shown_key(contact.merged_into)}"
            else:
                contact.merged_into = None
            return
        holder = same.setdefault(contact.to, _Holder())
        if holder.key is None:
            holder.key = contact.key
        elif holder.key != contact.key:
            contact.state = ContactState.MERGED
            contact.merged_into = holder.key
            contact.reason = f"the same number as contact {shown_key(holder.key)}"

    def _update(self, keys: Collection[str]) -> Any:
        return contacts.update().where(contacts.c.campaign == self._campaign, contacts.c.contact_key.in_(keys))

    def _new(self, contact: Contact, holder: _Holder, now: datetime) -> dict[str, Any]:
        """Return the columns of a contact that joins."""
        return {
            "campaign": self._campaign,
            "contact_key": contact.key,
            "attempts": holder.attempts,
            "first_load": self.number,
            "load_number": self.number,
            "updated_at": now,
            **_values(contact, holder, now),
        }

    def _changes(self, contact: Contact, row: Any, holder: _Holder, now: datetime) -> dict[str, Any]:
        """Return the columns of a stored contact that its row changes; its row in the ledger is locked."""
        values = _values(contact, holder, now)
        # Half a list is not called, nor is a change that came with it.
        load = max(self.number, row.load_number)
        loads = {"first_load": load, "load_number": load}
        if _takes_change(row, contact):
            if contact.state is ContactState.PENDING and row.last_attempt > 0:
                values["state"] = ContactState.REDIAL.value
            if row.state in _WAITING:
                # Also of one that is merged: it may have to take the number back.
                values["due_at"] = max(row.due_at, holder.due_at or row.due_at)
            # Raises the fence: a worker that claimed the contact holds the old row, and must not dial the old number.
            claim = {"fence": row.fence + 1, "lease_owner": None, "lease_until": None}
            return {**values, **loads, **claim, "attempts": max(row.attempts, holder.attempts), "updated_at": now}
        if row.state in _CALLED and contact.to == row.to_number and contact.digest != row.row_digest:
            # The redial goes by the new zone and variables.
            return loads | {name: values[name] for name in _READ_BY_REDIAL}
        return {}

    def _promote(self, connection: Connection) -> None:
        """Let a merged contact take the place of the one it was merged into, when that one has the number no longer."""
        self._lock(connection)
        now = self._database.now(connection)
        gone = contacts.alias("gone")
        joined = contacts.join(
            gone, (gone.c.campaign == contacts.c.campaign) & (gone.c.contact_key == contacts.c.merged_into)
        )
        query = (
            select(contacts.c.contact_key, contacts.c.to_number, contacts.c.attempts, contacts.c.due_at)
            .select_from(joined)
            .where(
                contacts.c.campaign == self._campaign,
                contacts.c.state == ContactState.MERGED.value,
                contacts.c.load_number >= self.number,
                or_(
                    and_(gone.c.state == ContactState.CANCELED.value, gone.c.reason == LEFT_THE_SOURCE),
                    gone.c.to_number.is_distinct_from(contacts.c.to_number),
                ),
            )
            .order_by(contacts.c.contact_key)
        )
        rows = connection.execute(query).all()
        first = self._holders(connection, [row.to_number for row in rows])
        same: dict[str, _Holder] = {}
        for part in _chunks(sorted({row.to_number for row in rows})):
            same.update(self._same_numbers(connection, part))
        for row in rows:
            holder = first.setdefault(row.to_number, row.contact_key)
            update = self._update([row.contact_key])
            if holder != row.contact_key:
                connection.execute(
                    update.values(merged_into=holder, reason=f"the same number as contact {shown_key(holder)}")
                )
                continue
            state = case((contacts.c.last_attempt > 0, ContactState.REDIAL.value), else_=ContactState.PENDING.value)
            called = same.get(row.to_number, _Holder())
            connection.execute(
                update.values(
                    state=state,
                    reason=None,
                    merged_into=None,
                    # What it has from calls at a number of its own, before it was merged, counts too.
                    due_at=max(now, called.due_at or now, row.due_at or now),
                    attempts=max(called.attempts, row.attempts),
                )
            )

    def _holders(self, connection: Connection, numbers: Sequence[str]) -> dict[str, str]:
        """Return the contacts that have some numbers now, by number."""
        found: dict[str, str] = {}
        for part in _chunks(sorted(set(numbers))):
            query = select(contacts.c.to_number, contacts.c.contact_key).where(
                contacts.c.campaign == self._campaign,
                contacts.c.to_number.in_(part),
                contacts.c.state.not_in([ContactState.MERGED.value, ContactState.REJECTED.value]),
                or_(contacts.c.state != ContactState.CANCELED.value, contacts.c.reason != LEFT_THE_SOURCE),
            )
            found.update((row.to_number, row.contact_key) for row in connection.execute(query))
        return found


@dataclass
class _Holder:
    """The holder of a number: the contact's key, the attempts to the number under any key, and when a redial is due."""

    key: str | None = None
    attempts: int = 0
    due_at: datetime | None = None


def _values(contact: Contact, holder: _Holder, now: datetime) -> dict[str, Any]:
    """Return the columns that a contact's row decides."""
    return {
        "state": contact.state.value,
        "reason": contact.reason,
        "to_number": contact.to,
        "time_zone": contact.time_zone,
        "jurisdiction": contact.jurisdiction,
        "variables": contact.variables,
        "merged_into": contact.merged_into,
        # A redial keeps its time, whoever has the number now.
        "due_at": max(now, holder.due_at or now) if contact.state is ContactState.PENDING else None,
        "row_digest": contact.digest,
    }


def _takes_change(row: Any, contact: Contact) -> bool:
    """Return whether a stored contact becomes what its row says now."""
    state = ContactState(row.state)
    if state is ContactState.CANCELED:
        return bool(row.reason == LEFT_THE_SOURCE)  # it is back
    changed = row.row_digest != contact.digest
    if state is ContactState.MERGED:
        return changed or contact.state is not state or row.merged_into != contact.merged_into
    if state is ContactState.REJECTED:
        return bool(row.last_attempt == 0 and (changed or contact.state is not state))
    if state in WAITING and contact.state is ContactState.MERGED:
        return True
    if state is ContactState.EXCLUDED and row.reason == ON_DO_NOT_CALL_LIST and row.to_number == contact.to:
        return False  # the wish is about the number; it holds also while the list cannot show it
    return changed and (state in WAITING or (state is ContactState.EXCLUDED and row.last_attempt == 0))


def _chunks(items: Iterable[Any]) -> Iterator[list[Any]]:
    iterator = iter(items)
    while chunk := list(islice(iterator, CHUNK)):
        yield chunk
