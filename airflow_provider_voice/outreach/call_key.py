"""The calls of single tasks in the ledger: one for each business key, in any run or DAG, or one for each task."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from airflow_provider_voice.dialing.reconcile import LATE_ARRIVAL
from airflow_provider_voice.dialing.record import IntentTaken
from airflow_provider_voice.exceptions import InvalidRequest, LedgerFailed, RateLimited
from airflow_provider_voice.models import CallRef, CallStatus, read_time, write_time
from airflow_provider_voice.outreach.database import Database
from airflow_provider_voice.outreach.ledger import attempt_times
from airflow_provider_voice.outreach.pacing import Limits, Pacing, share_requests
from airflow_provider_voice.outreach.schema import KEY_LENGTH, attempts
from airflow_provider_voice.outreach.states import AttemptState
from airflow_provider_voice.phone import mask_numbers_in

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection, Engine

    from airflow_provider_voice.dialing.task_facts import TaskFacts
    from airflow_provider_voice.exceptions import VoiceError
    from airflow_provider_voice.hooks.voice import VoiceHook
    from airflow_provider_voice.models import CallRequest

SOURCE = "make_call"
# The progress of a record; a slow task must not overwrite a later state that another one has stored.
_PROGRESS = ("intent", "refused", "placed", "ended")
# The length of a task's readable name within its key; the hash behind it is the task's own.
_MOST_NAME = 200


@dataclass(frozen=True)
class KeyedCall:
    """The call a key stands for.

    .. code-block:: python

        KeyedCall("invoice-1", to="+14155552601", voice_conn_id="voice_default", agent_id="agent_1")

    :param call_key: the business key, or :func:`key_of_task`.
    :param to: the number, E.164.
    :param voice_conn_id: the voice connection.
    :param agent_id: the agent; ``None``: the connection's.
    :param subject: the topic of the call; caps count per number and subject.
    :raises InvalidRequest: when the key is empty or too long, or the subject is.
    """

    call_key: str
    to: str = field(repr=False)
    voice_conn_id: str
    agent_id: str | None = None
    subject: str | None = None

    def __post_init__(self) -> None:
        if not self.call_key or len(self.call_key) > KEY_LENGTH:
            raise InvalidRequest(f"call_key must be a text of 1 to {KEY_LENGTH} characters.")
        if len(self.subject or "") > KEY_LENGTH:
            raise InvalidRequest(f"subject must be a text of at most {KEY_LENGTH} characters.")


def key_of_task(facts: TaskFacts) -> str:
    """Return the key of a call that belongs to one task instance.

    :param facts: the task.
    :return: DAG and task, readable, and a hash of the task instance.
    """
    return f"{facts.dag_id}/{facts.task_id}"[:_MOST_NAME] + f"/{facts.instance}"


def resolve_key(database: Database, call_key: str, *, rang: bool, call_id: str | None = None) -> AttemptState:
    """Settle a key whose call has no known outcome, by a person's decision.

    :param database: the ledger's database.
    :param call_key: the business key.
    :param rang: whether the phone rang. If not, the attempt does not count, and the next task with the key rings.
    :param call_id: the vendor's id of the call that rang, to which tasks then attach; ``None``: not known.
    :return: the new state of the attempt.
    :raises InvalidRequest: when the key has no call without an outcome, its create may still be under way, or the
        call id is empty, a phone number, or contradicts ``rang``.
    """
    call_id = None if call_id is None else CallRef.of(call_id).id
    if call_id is not None and not rang:
        raise InvalidRequest("A call id names a call that rang. Give it with --rang, or leave it out.")
    if call_id is not None and call_id.startswith("+"):
        raise InvalidRequest("A phone number is not a call id. Give the vendor's id of the call, or leave it out.")

    def work(connection: Connection) -> AttemptState:
        mine = (attempts.c.campaign == "") & (attempts.c.contact_key == call_key)
        query = select(attempts).where(mine).order_by(attempts.c.attempt.desc()).limit(1)
        row, now = connection.execute(database.locked(query)).one_or_none(), database.now(connection)
        named = mask_numbers_in(repr(call_key))[:80]
        if row is None or row.state != AttemptState.INTENT.value:
            raise InvalidRequest(
                f"The key {named} has no call whose outcome is unknown, so there is nothing to resolve."
            )
        settled_at = row.intended_at + LATE_ARRIVAL
        if now < settled_at:
            raise InvalidRequest(
                f"The create for the key {named} may still be under way. Resolve it after {write_time(settled_at)}."
            )
        state = AttemptState.REFUSED if not rang else AttemptState.PLACED if call_id else AttemptState.ENDED
        # The day of the call, without which a vendor's list is searched for the last month only.
        call = CallRef(call_id, placed_at=row.intended_at).to_dict() if call_id else None
        values = {
            "state": state.value,
            "status": None if call or not rang else CallStatus.UNKNOWN.value,
            "call_id": call_id,
            "ended_at": None if call else now,
            "record": json.dumps({**json.loads(row.record), "state": state.value, "call": call}),
        }
        connection.execute(attempts.update().where(mine, attempts.c.attempt == row.attempt).values(**values))
        return state

    return database.transact(work)


class CallKeyStore:
    """A state store for ``dialing.dialer.Dialer`` that all tasks with one key share.

    The first task that stores an intent owns the call; every other one finds its record and attaches. Of two
    at the same time, the database lets one insert. An intent is stored at the pace of its connection only.

    .. code-block:: python

        store = CallKeyStore(Database(ledger_engine("outreach_ledger")), keyed)
        Dialer(hook, store, TaskFacts.of(context, retries, call_key=keyed.call_key)).dial(request)

    :param database: the ledger's database.
    :param keyed: the call.
    """

    def __init__(self, database: Database, keyed: KeyedCall) -> None:
        self._database = database
        self._keyed = keyed
        self._pacing = Pacing(database, keyed.voice_conn_id, Limits())
        # How many attempts a policy decided by; None: no policy was asked.
        self._checked: int | None = None

    @classmethod
    def of(
        cls, engine: Engine, hook: VoiceHook, facts: TaskFacts, request: CallRequest, *, subject: str | None = None
    ) -> CallKeyStore:
        """Return the store of a task's call, and let the hook's requests count in the ledger.

        :param engine: the engine of the ledger's connection.
        :param hook: the voice connection; its ``requests_per_minute`` then holds for all workers together.
        :param facts: the task, with its business key if it has one.
        :param request: the call wanted.
        :param subject: the topic of the call.
        :return: the store, of the key or of the task instance.
        :raises InvalidRequest: when the key is too long.
        """
        database, request = Database(engine), hook.vendor.complete(request)
        key = facts.call_key or key_of_task(facts)
        store = cls(database, KeyedCall(key, request.to, hook.voice_conn_id, request.agent_id, subject))
        share_requests(hook, database, store._pacing)
        return store

    def get(self, key: str) -> Any:
        """Return the record of the key's last call.

        :param key: the name of the record within a task; the business key stands for it here.
        :return: the dictionary of ``Record.to_json()``; ``None`` when there is no record.
        :raises LedgerFailed: when the ledger cannot be read.
        """
        del key
        query = select(attempts.c.record).where(self._mine).order_by(attempts.c.attempt.desc()).limit(1)
        record = self._database.transact(lambda connection: connection.execute(query).scalar_one_or_none())
        return None if record is None else json.loads(record)

    def set(self, key: str, value: Any) -> None:
        """Store a record; a new intent is stored once for each generation of the key, and at the connection's pace.

        :param key: as for :meth:`get`.
        :param value: the dictionary of ``Record.to_json()``.
        :raises IntentTaken: when another task owns the call; nothing may be sent.
        :raises RateLimited: when the pace has no place now, or the person was rung since the policy was asked; nothing
            was stored.
        :raises LedgerFailed: when the ledger cannot be written.
        """
        del key
        wait = self._database.transact(lambda connection: self._store(connection, value))
        if wait is not None:
            raise RateLimited("There is no place for the call in the pace of its connection yet.", retry_after=wait)

    def earlier_attempts(self) -> list[datetime]:
        """Return when the number was attempted for the subject, by any campaign or task, for a policy to count."""
        history = self._database.transact(lambda connection: self._attempts(connection, self._database.now(connection)))
        self._checked = len(history)
        return history

    def other_call_ids(self) -> frozenset[str]:
        """Return the ids of the calls to the number that the ledger has under other keys."""
        query = select(attempts.c.call_id).where(
            attempts.c.to_number == self._keyed.to, attempts.c.call_id.is_not(None), ~self._mine
        )
        return self._database.transact(lambda connection: frozenset(connection.execute(query).scalars()))

    def refused(self, error: VoiceError) -> None:
        """Let nobody place a call over the connection for a while, after the vendor answered 429.

        :param error: the vendor's refusal of a create.
        """
        if isinstance(error, RateLimited):
            seconds = error.retry_after
            with suppress(LedgerFailed):  # it must not hide the vendor's refusal
                self._database.transact(lambda connection: self._pacing.slow_down(connection, seconds))

    def _store(self, connection: Connection, value: Any) -> float | None:
        """Store the record and return ``None``, or return the seconds until there may be a place."""
        own = self._mine & (attempts.c.attempt == int(value["generation"]))
        row = connection.execute(self._database.locked(select(attempts).where(own))).one_or_none()
        if row is None:
            return None if value["state"] == "refused" else self._store_intent(connection, value)
        if row.attempt_id != value["key"]:
            raise IntentTaken
        if _PROGRESS.index(row.state) <= _PROGRESS.index(value["state"]):
            connection.execute(attempts.update().where(own).values(**self._values(connection, value)))
        return None

    def _store_intent(self, connection: Connection, value: Any) -> float | None:
        if self._checked is not None:
            self._pacing.lock_everybody(connection)
        places = self._pacing.lock(connection)
        if places.count == 0:
            return max(places.wait, 0.01)
        if self._checked is not None and len(self._attempts(connection, places.now)) != self._checked:
            return 0.01  # the policy did not count that ring, so it is asked again
        fresh = {
            "attempt_id": value["key"],
            "campaign": "",
            "contact_key": self._keyed.call_key,
            "attempt": int(value["generation"]),
            "source": SOURCE,
            "to_number": self._keyed.to,
            "subject": self._keyed.subject,
            "voice_conn_id": self._keyed.voice_conn_id,
            "agent_id": self._keyed.agent_id,
            "intended_at": places.now,
            **self._values(connection, value),
        }
        if not self._database.insert_if_missing(connection, attempts, fresh):
            raise IntentTaken
        self._pacing.take(connection, places, 1)
        return None

    def _attempts(self, connection: Connection, now: datetime) -> list[datetime]:
        times = attempt_times(connection, [self._keyed.to], self._keyed.subject, now)
        return times.get(self._keyed.to, [])

    def _values(self, connection: Connection, value: Any) -> dict[str, Any]:
        call = value.get("call") or {}
        # The states of a record are states of an attempt by the same names.
        state = AttemptState(value["state"])
        is_over = state in (AttemptState.ENDED, AttemptState.REFUSED)
        return {
            "state": state.value,
            "status": call.get("status") if is_over else None,
            "call_id": call.get("id"),
            "placed_at": read_time(call.get("placed_at")),
            "ended_at": self._database.now(connection) if is_over else None,
            "owner": value.get("owner"),
            "record": json.dumps(value),
        }

    @property
    def _mine(self) -> Any:
        return (attempts.c.campaign == "") & (attempts.c.contact_key == self._keyed.call_key)
