"""What is stored of a call between the tries of its task."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_voice.exceptions import CallOutcomeUnknown
from airflow_provider_voice.models import read_time, write_time

if TYPE_CHECKING:
    from datetime import datetime

#: The key in the task state store.
RECORD_KEY = "voice_dial"
_STATES = ("intent", "placed", "refused", "ended")


@dataclass
class Record:
    """What is stored between tries. Never a number: only a hash that tells whether it is still the same request."""

    generation: int
    key: str
    state: str
    intent_at: datetime
    fingerprint: str
    max_tries: int
    try_number: int
    clock_offset: float | None = None
    call: dict[str, Any] | None = None
    status: str | None = None
    absent_since: datetime | None = None
    earlier_ids: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Return the record as JSON."""
        data = dict(vars(self))
        data.update(intent_at=write_time(self.intent_at), absent_since=write_time(self.absent_since))
        return data

    @classmethod
    def from_json(cls, data: Any) -> Record:
        """Read a record back.

        :raises CallOutcomeUnknown: when it can not be read: an unreadable intent is an intent all the same.
        """
        try:
            known = {name: data[name] for name in cls.__dataclass_fields__ if name in data}
            intent_at = read_time(known.pop("intent_at"))
            absent_since = read_time(known.pop("absent_since", None))
            if intent_at is not None and known["state"] in _STATES:
                return cls(intent_at=intent_at, absent_since=absent_since, **known)
        except (TypeError, KeyError):
            pass
        raise CallOutcomeUnknown(
            "The stored record of an earlier try can not be read, so it can not be known whether the phone rang. "
            f"Look in the vendor's call history, then delete {RECORD_KEY!r} from the task's state store."
        )
