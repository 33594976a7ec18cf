"""The record of a call that one try of a task leaves for the next, and the store it is kept in."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass, field
from datetime import datetime  # noqa: TC003 - msgspec reads the annotations of Record
from typing import TYPE_CHECKING, Any, Literal, Protocol

import msgspec

from airflow_provider_voice.exceptions import CallOutcomeUnknown
from airflow_provider_voice.models import CallRef

if TYPE_CHECKING:
    from airflow_provider_voice.models import Call

log = logging.getLogger(__name__)

#: The key of the record in the task state store.
RECORD_KEY = "voice_dial"

#: ``intent``: a create may have been sent. ``placed``: the vendor answered with a call. ``refused``: the vendor is
#: known not to have accepted the create, or it was never sent. ``ended``: the call has ended and a task has seen it.
RecordState = Literal["intent", "placed", "refused", "ended"]


class IntentTaken(Exception):
    """Another task or try has stored this call, or a later one, first; nothing of this one was stored."""


@dataclass
class Record:
    """One intended call of one task instance, or of one business key.

    .. code-block:: python

        store.set(RECORD_KEY, record.to_json())
        record = Record.from_json(store.get(RECORD_KEY))

    The record is stored where people can read it, so it holds a hash of the request instead of the number.
    """

    #: How many calls this task has intended so far, this one included; the first is 1.
    generation: int
    #: The tag that was sent with the create.
    key: str
    #: How far the call has come.
    state: RecordState
    #: When the intent was stored, by the clock of the worker.
    intent_at: datetime
    #: Hash of connection, number and agent: the same for the same request.
    fingerprint: str
    #: ``max_tries`` of the owner when one of its tries last changed the record; a clear raises it.
    max_tries: int
    #: Number of that try.
    try_number: int
    #: Hash of the task instance that stored the intent; it alone may place the call again.
    owner: str = ""
    #: How often the DAG run had been cleared by then; None where Airflow does not say.
    clear_number: int | None = None
    #: When the create was given up without a readable answer; None while it is not known to have failed.
    given_up_at: datetime | None = None
    #: Seconds the vendor's clock was ahead of the worker's; None when it is not known.
    clock_offset: float | None = None
    #: ``CallRef.to_dict()`` of the call and its last known ``status``; None until the call is known.
    call: dict[str, Any] | None = None
    #: Whether a killed try asked the vendor to end the call.
    was_hung_up: bool = False
    #: Since when every complete read of the vendor's list was without the call; None: not read or not complete.
    absent_since: datetime | None = None
    #: Ids of the calls of earlier generations.
    earlier_ids: list[str] = field(default_factory=list)
    #: When earlier generations may have rung the person: a contact policy counts them.
    earlier_attempts: list[datetime] = field(default_factory=list)

    @property
    def status(self) -> str | None:
        """The last known status of the call; None until the call is known."""
        return (self.call or {}).get("status")

    def to_json(self) -> dict[str, Any]:
        """Return the record as JSON: the fields by name, times as text."""
        data: dict[str, Any] = msgspec.to_builtins(self)
        return data

    @classmethod
    def from_json(cls, data: Any) -> Record:
        """Read a record back.

        :param data: what :meth:`to_json` returned, or anything else that stands under the key.
        :return: the record.
        :raises CallOutcomeUnknown: when the data is not a record. An unreadable intent is an intent all the same.
        """
        try:
            return msgspec.convert(data, cls)
        except msgspec.ValidationError:
            raise CallOutcomeUnknown(
                "The stored record of an earlier try cannot be read, so it is not known whether the phone rang. Look "
                f"in the vendor's call history, then delete {RECORD_KEY!r} from the task's state store."
            ) from None


class StateStore(Protocol):
    """The part of Airflow's task state store that the dialer needs. It survives retries and clears."""

    def get(self, key: str) -> Any:
        """Return the value under a key.

        :param key: the name of the value.
        :return: the JSON value; None when there is none.
        """

    def set(self, key: str, value: Any) -> None:
        """Store a JSON value durably before returning.

        :param key: the name of the value.
        :param value: the JSON value.
        :raises IntentTaken: when another task has stored the intent of this call; stores that tasks share only.
        :raises RateLimited: when an intent has to wait for the pace of its connection; nothing was stored.
        """


class RecordStore:
    """The record of one task or key in its state store.

    A process may stand still for an hour and wake up while a later try is at work. So every write is preceded by a
    read, and a record that another try has stored meanwhile stays. That leaves the time between the read and the write,
    because Airflow's task state store cannot compare and set. There Airflow 3.3 itself protects the record: a try that
    was replaced has no task instance any more, and its writes are refused.

    .. code-block:: python

        records = RecordStore(context.get("task_state_store"))
        records.save(record)

    :param store: the state store; None below Airflow 3.3: nothing is kept, and no record is ever found.
    """

    def __init__(self, store: StateStore | None) -> None:
        self._store = store

    def load(self) -> Record | None:
        """Return the stored record; None when there is none.

        :raises CallOutcomeUnknown: when the stored value is not a record.
        """
        data = self._store.get(RECORD_KEY) if self._store is not None else None
        return None if data is None else Record.from_json(data)

    def load_if_possible(self) -> Record | None:
        """Return the stored record; None also when it cannot be read now, which :meth:`save` finds out again."""
        try:
            return self.load()
        except Exception as error:  # noqa: BLE001 - whatever a state backend raises, reading rings nobody
            log.warning("Could not read the state of the call (%s).", type(error).__name__)
            return None

    def save(self, record: Record) -> None:
        """Store a record durably before returning.

        :param record: the record.
        :raises IntentTaken: when another try or task has stored this generation or a later one; its record stays.
        """
        if self._store is None:
            return
        stored = self.load()
        if stored is not None and stored.key != record.key and stored.generation >= record.generation:
            raise IntentTaken("another try has stored its own record")
        self._store.set(RECORD_KEY, record.to_json())

    def of_call(self, call: Call) -> Record | None:
        """Return the stored record of a call.

        :param call: the call.
        :return: the record; None when there is none or it cannot be read now.
        """
        record = self.load_if_possible()
        return record if record and record.call and record.call.get("id") == call.id else None

    def save_call(self, record: Record, call: Call, state: RecordState = "placed") -> None:
        """Store that the vendor answered with a call, or how the call ended.

        :param record: the record of its intent.
        :param call: the call.
        :param state: ``placed`` (default) or ``ended``.
        """
        record.state = state
        record.call = {**CallRef.of(call).to_dict(), "tag": call.tag or record.key, "status": call.status.value}
        self.save_if_possible(record)

    def save_if_possible(self, record: Record) -> None:
        """Store a change that makes the next try quicker; the stored intent already keeps the next try from ringing.

        :param record: the record.
        """
        try:
            self.save(record)
        except Exception as error:  # noqa: BLE001 - whatever a state backend raises, the call is placed
            log.warning("Could not store the state of the call (%s); a retry searches for it.", type(error).__name__)


def digest(*parts: str) -> str:
    """Return a hash of several texts.

    :param parts: the texts; their order counts.
    :return: SHA-256 as 64 hexadecimal digits.
    """
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()
