"""The columns of the table, and the row of a call."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import msgspec

from airflow_provider_voice.export.redaction import redacted_call

if TYPE_CHECKING:
    from datetime import datetime

    from airflow_provider_voice.export.models import PhoneNumberMode
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
KEY = ("source", "call_id")
#: Columns that say when and how a row was seen.
BOOKKEEPING = ("fetched_at", "first_seen_at", "settled_at", "missing_since", "abandoned_at")
#: Columns whose change counts as an update.
CONTENT = tuple(name for name in COLUMNS if name not in (*KEY, *BOOKKEEPING))
#: Facts that never un-happen: who called whom, when, by which agent, and that the record was changed. A later record
#: that lacks one is a poorer record (Talkstack docs: get-call-data has fewer fields than the history) and not news.
#: The others follow the vendor to NULL: a recording may be deleted, and then its address must not stay.
LASTING = (
    "tag", "agent_id", "agent_name", "direction", "to_number", "from_number", "is_testing", "created_at", "updated_at",
)  # fmt: skip
#: The same, but only of a call that has ended: when the vendor takes the ending back, these were mistakes.
LASTING_ONCE_ENDED = ("duration_seconds", "cost", "ended_at")

# The fields of a call in the order of the columns, from call_id to ended_at.
_fields_of = attrgetter(
    "id", "vendor", "tag", "agent_id", "agent_name", "direction", "status.value", "vendor_status", "to", "from_",
    "duration_seconds", "cost", "is_testing", "recording_url", "created_at", "updated_at", "ended_at",
)  # fmt: skip
# No call lasts longer. A longer duration is a mistake of the vendor, such as a time in milliseconds.
_LONGEST_CALL_SECONDS = 7 * 86_400
_encode = msgspec.json.Encoder(order="sorted").encode
Row = tuple[Any, ...]


@dataclass
class RowMaker:
    """Makes the row of a call.

    :param source: the first key column: which connection the calls are from.
    :param phone_numbers: ``plain``, ``masked`` or ``hashed``: how phone numbers are stored, in every column and in
        ``raw``; see :class:`~airflow_provider_voice.export.redaction.PhoneRedactor`. Only the two key columns are
        stored as they are.
    :param fetched_at: the time of the reading, for calls that do not have one of their own.
    :param settled_before: an instant by the vendor's clock, which dates the calls: a call that ended, and last changed,
        no later than this is settled.
    """

    source: str
    phone_numbers: PhoneNumberMode
    fetched_at: datetime
    settled_before: datetime

    def row(self, call: Call, fetched_at: datetime | None = None) -> Row:
        """Return the row of a call.

        :param call: the call.
        :param fetched_at: when it was read; None: the maker's ``fetched_at``.
        :return: the values in the order of :data:`COLUMNS`.
        """
        fetched_at = fetched_at or self.fetched_at
        if self.phone_numbers != "plain":
            call = redacted_call(call, self.phone_numbers)
        raw = _encode(call.raw).decode()  # names are sorted, so that the same record is the same text
        settled_at = fetched_at if self.is_settled(call) else None
        return (self.source, *_fields_of(call), raw, fetched_at, fetched_at, settled_at, None, None)

    def is_settled(self, call: Call) -> bool:
        """Return whether the call ended so long ago that no further change is expected.

        :param call: the call as the vendor shows it.
        :return: False for a call that has not ended, or whose times are not known.
        """
        if not call.status.is_terminal:
            return False
        times = [moment for moment in (call.ended_at, call.updated_at) if moment is not None]
        # Its duration says nothing about when a call ended that may have begun late (UnleashX states no other time).
        lasted = min(call.duration_seconds or 0, _LONGEST_CALL_SECONDS) if times else _LONGEST_CALL_SECONDS
        if call.created_at is not None:  # also beside the others, which may be placeholders such as the year 1
            times.append(call.created_at + timedelta(seconds=lasted))
        return bool(times) and max(times) <= self.settled_before
