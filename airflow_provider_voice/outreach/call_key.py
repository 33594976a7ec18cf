"""One call for each business key, in whatever run or DAG: a task's dial record, kept in the ledger under the key."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from airflow_provider_voice.exceptions import InvalidRequest, LedgerFailed
from airflow_provider_voice.models import read_time
from airflow_provider_voice.outreach.pacing import Limits, Pacing
from airflow_provider_voice.outreach.schema import KEY_LENGTH, attempts
from airflow_provider_voice.outreach.states import AttemptState

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection

    from airflow_provider_voice.dialing.task_facts import TaskFacts
    from airflow_provider_voice.outreach.database import Database

SOURCE = "make_call"
#: Seconds a task waits for a place in the pace of its connection before it leaves the rest to Airflow's retry.
LONGEST_WAIT = 600.0


@dataclass(frozen=True)
class KeyedCall:
    """The call a key stands for.

    :param call_key: the business key.
    :param to: the number, E.164.
    :param voice_conn_id: the voice connection.
    :param agent_id: the agent.
    :param subject: what the call is about; caps count per number and subject.
    """

    call_key: str
    to: str = field(repr=False)
    voice_conn_id: str
    agent_id: str | None = None
    subject: str | None = None

    def facts_of(self, facts: TaskFacts) -> TaskFacts:
        """Return the facts of a task with the key in place of the task's own name."""
        return replace(facts, dag_id="call_key", run_id=self.call_key, task_id="", map_index=-1)

    def __post_init__(self) -> None:
        if not self.call_key or len(self.call_key) > KEY_LENGTH:
            raise InvalidRequest(f"call_key must be a text of 1 to {KEY_LENGTH} characters.")


class CallKeyStore:
    """A state store for ``dialing.dialer.Dialer`` that all tasks with one ``call_key`` share.

    The first task that stores an intent owns the call; every other one finds its record and attaches. Of two that come
    at once, the database lets one insert; the other is told to try again, and then attaches. The dialer must be given
    the key for the task's name (:meth:`KeyedCall.facts_of`), because its records are those of one name.

    :param database: the ledger's database.
    :param keyed: the call.
    :param sleep: waits for a place in the pace; for tests.
    """

    def __init__(self, database: Database, keyed: KeyedCall, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self._database = database
        self._keyed = keyed
        self._sleep = sleep
        self._pacing = Pacing(database, keyed.voice_conn_id, Limits())

    def get(self, key: str) -> Any:
        """Return the record of the key's last call; ``None`` when there is none.

        :param key: the name of the record within a task; the business key stands for it here.
        """
        del key

        def work(connection: Connection) -> Any:
            query = select(attempts.c.record).where(self._mine()).order_by(attempts.c.attempt.desc()).limit(1)
            record = connection.execute(query).scalar_one_or_none()
            return None if record is None else json.loads(record)

        return self._database.transact(work)

    def set(self, key: str, value: Any) -> None:
        """Store a record; a new intent is stored once for each generation of the key, and at the connection's pace.

        :param key: as of :meth:`get`.
        :param value: what ``Record.to_json()`` returned.
        :raises LedgerFailed: when another task owns the call, or there was no place for too long; nothing may be sent.
        """
        del key
        deadline = time.monotonic() + LONGEST_WAIT
        while True:
            wait = self._database.transact(lambda connection: self._store(connection, value))
            if wait is None:
                return
            if time.monotonic() + wait > deadline:
                raise LedgerFailed("There was no place for the call in the pace of its connection. Try again later.")
            self._sleep(max(0.01, wait))

    def _store(self, connection: Connection, value: Any) -> float | None:
        """Store the record and return ``None``, or return the seconds until there may be a place."""
        own = self._mine() & (attempts.c.attempt == int(value["generation"]))
        row = connection.execute(self._database.locked(select(attempts).where(own))).one_or_none()
        if row is not None:
            if row.attempt_id != value["key"]:
                raise self._taken()
            connection.execute(attempts.update().where(own).values(**self._values(value)))
            return None
        places = self._pacing.lock(connection)
        if places.of(1) == 0:
            return max(places.wait, 0.01)
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
            **self._values(value),
        }
        if not self._database.insert_if_missing(connection, attempts, fresh):
            raise self._taken()
        self._pacing.take(connection, places, 1)
        return None

    @staticmethod
    def _values(value: Any) -> dict[str, Any]:
        call = value.get("call") or {}
        # The states of a record are states of an attempt by the same names.
        return {
            "state": AttemptState(value["state"]).value,
            "status": value.get("status"),
            "call_id": call.get("id"),
            "placed_at": read_time(call.get("created_at")),
            "record": json.dumps(value),
        }

    def _mine(self) -> Any:
        return (attempts.c.campaign == "") & (attempts.c.contact_key == self._keyed.call_key)

    def _taken(self) -> LedgerFailed:
        return LedgerFailed(
            f"Another task is placing the call of call_key {self._keyed.call_key[:80]!r} right now, so this one sends "
            "nothing. Its next try attaches to that call."
        )
