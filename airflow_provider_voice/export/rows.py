"""The columns of the table, and the row of a call."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from airflow_provider_voice.exceptions import InvalidRequest
from airflow_provider_voice.export.models import NUMBER_MODES
from airflow_provider_voice.export.redaction import REPLACEMENTS, PhoneRedactor

if TYPE_CHECKING:
    from datetime import datetime

    from airflow_provider_voice.models import Call

#: Column name -> kind; a dialect has a type for each kind. The order is the order of a row.
COLUMNS: dict[str, str] = {
    "source": "key",
    "call_id": "key",
    "vendor": "text",
    "tag": "text",
    "agent_id": "text",
    "agent_name": "text",
    "direction": "text",
    "status": "text",
    "vendor_status": "text",
    "to_number": "text",
    "from_number": "text",
    "duration_seconds": "whole",
    "cost": "number",
    "is_testing": "flag",
    "recording_url": "text",
    "created_at": "time",
    "updated_at": "time",
    "ended_at": "time",
    "raw": "json",
    "fetched_at": "time",
    "first_seen_at": "time",
    "settled_at": "time",
    "missing_since": "time",
    "abandoned_at": "time",
}
#: The places of the times in a row.
TIMES = frozenset(number for number, kind in enumerate(COLUMNS.values()) if kind == "time")
KEY = ("source", "call_id")
#: Columns that say when and how a row was seen.
BOOKKEEPING = ("fetched_at", "first_seen_at", "settled_at", "missing_since", "abandoned_at")
#: Columns whose change counts as an update.
CONTENT = tuple(name for name in COLUMNS if name not in (*KEY, *BOOKKEEPING))

_encode = msgspec.json.Encoder(order="sorted").encode
Row = tuple[Any, ...]


@dataclass
class RowMaker:
    """Makes the row of a call.

    :param source: the first key column: which connection the calls are from.
    :param numbers: ``plain``, ``masked`` or ``hashed``: how phone numbers are stored, in every column and in ``raw``;
        see :class:`PhoneRedactor`. Only the two key columns are as they are.
    :param fetched_at: the time of the reading.
    :param vendor_now: the same moment by the vendor's clock, which dates the calls.
    :param settle_after: how long a call must have ended without a change to count as settled.
    :param stamp: ``fetched_at`` in the form of the row buffer, see :meth:`SqlDialect.stamp`; None: a ``datetime``.
    :raises InvalidRequest: for any other value of ``numbers``.
    """

    source: str
    numbers: str
    fetched_at: datetime
    vendor_now: datetime
    settle_after: timedelta
    stamp: Any = None

    def __post_init__(self) -> None:
        if self.numbers not in NUMBER_MODES:
            raise InvalidRequest(f"phone_numbers must be one of {', '.join(NUMBER_MODES)}, not {self.numbers!r:.40}.")
        if self.stamp is None:
            self.stamp = self.fetched_at
        self._replace = REPLACEMENTS.get(self.numbers)
        self._settled_before = self.vendor_now - self.settle_after

    def row(self, call: Call) -> Row:
        """Return the row, in the order of :data:`COLUMNS`."""
        to, from_, raw = call.to, call.from_, call.raw
        tag, agent_id, agent_name = call.tag, call.agent_id, call.agent_name
        vendor_status, recording_url = call.vendor_status, call.recording_url
        if self._replace is not None:
            redact = PhoneRedactor(self.numbers, [number for number in (to, from_) if number]).value
            tag, agent_id, agent_name, vendor_status, recording_url, raw = map(
                redact, (tag, agent_id, agent_name, vendor_status, recording_url, dict(raw))
            )
            to, from_ = to and self._replace(to), from_ and self._replace(from_)
        stamp = self.stamp
        return (
            self.source,
            call.id,
            call.vendor,
            tag,
            agent_id,
            agent_name,
            call.direction,
            call.status.value,
            vendor_status,
            to,
            from_,
            call.duration_seconds,
            call.cost,
            call.is_testing,
            recording_url,
            call.created_at,
            call.updated_at,
            call.ended_at,
            _encode(raw).decode(),  # names are sorted, so that the same record is the same text
            stamp,
            stamp,
            stamp if self.is_settled(call) else None,
            None,
            None,
        )

    def is_settled(self, call: Call) -> bool:
        """Return whether the call ended so long ago that it is not expected to change any more."""
        if not call.status.is_terminal:
            return False
        ended, updated = call.ended_at, call.updated_at
        last = updated if ended is None or (updated is not None and updated > ended) else ended
        if last is None and call.created_at is not None:
            last = call.created_at + timedelta(seconds=call.duration_seconds or 0)
        return last is not None and last <= self._settled_before
