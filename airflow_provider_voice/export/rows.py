"""The columns of the table, and the row of a call."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from airflow_provider_voice.exceptions import InvalidRequest
from airflow_provider_voice.export.models import NUMBER_MODES
from airflow_provider_voice.phone import mask_number

if TYPE_CHECKING:
    from collections.abc import Callable
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
_MIN_LOCAL_DIGITS = 7
Row = tuple[Any, ...]


def hash_number(number: str) -> str:
    """Return SHA-256 of a number's digits with ``+``, in hexadecimal.

    The same number has the same hash everywhere, so tables still join by it. It is a pseudonym and no secret: there are
    few enough phone numbers to try them all.
    """
    return hashlib.sha256(("+" + re.sub(r"\D", "", number)).encode()).hexdigest()


def _plain(number: str) -> str:
    return number


_HIDERS: dict[str, Callable[[str], str]] = {"plain": _plain, "masked": mask_number, "hashed": hash_number}


@dataclass
class RowMaker:
    """Makes the row of a call.

    :param source: the first key column: which connection the calls are from.
    :param numbers: ``plain``, ``masked`` or ``hashed``: in both number columns and for the same values inside ``raw``.
    :param fetched_at: when this export reads, by our clock; the same for all its rows.
    :param vendor_now: the same moment by the vendor's clock, which dates the calls.
    :param settle_after: how long a call must have ended without a change to count as settled.
    :param stamp: ``fetched_at`` as the spool wants it, made once and not for every row; None: as it is.
    :raises InvalidRequest: for another word than these three.
    """

    source: str
    numbers: str
    fetched_at: datetime
    vendor_now: datetime
    settle_after: timedelta
    stamp: Any = None

    def __post_init__(self) -> None:
        if self.numbers not in NUMBER_MODES:
            raise InvalidRequest(f"numbers must be one of {', '.join(NUMBER_MODES)}, not {self.numbers!r:.40}.")
        if self.stamp is None:
            self.stamp = self.fetched_at
        self._hide = _HIDERS[self.numbers]
        self._settled_before = self.vendor_now - self.settle_after

    def row(self, call: Call) -> Row:
        """Return the row, in the order of :data:`COLUMNS`."""
        hide, stamp = self._hide, self.stamp
        return (
            self.source,
            call.id,
            call.vendor,
            call.tag,
            call.agent_id,
            call.agent_name,
            call.direction,
            call.status.value,
            call.vendor_status,
            None if call.to is None else hide(call.to),
            None if call.from_ is None else hide(call.from_),
            call.duration_seconds,
            call.cost,
            call.is_testing,
            call.recording_url,
            call.created_at,
            call.updated_at,
            call.ended_at,
            self._raw(call),
            stamp,
            stamp,
            stamp if self.is_settled(call) else None,
            None,
            None,
        )

    def is_settled(self, call: Call) -> bool:
        """Whether the call ended so long ago that it is not expected to change any more."""
        if not call.status.is_terminal:
            return False
        ended, updated = call.ended_at, call.updated_at
        last = updated if ended is None or (updated is not None and updated > ended) else ended
        if last is None and call.created_at is not None:
            last = call.created_at + timedelta(seconds=call.duration_seconds or 0)
        return last is not None and last <= self._settled_before

    def _raw(self, call: Call) -> str:
        raw: Any = call.raw if isinstance(call.raw, dict) else dict(call.raw)
        if self.numbers != "plain":
            raw = _without_numbers(raw, [number for number in (call.to, call.from_) if number], _HIDERS[self.numbers])
        # Sorted, so that the same record is the same text.
        return _encode(raw).decode()


def _without_numbers(value: Any, numbers: list[str], hide: Callable[[str], str]) -> Any:
    """Return a vendor's record in which the call's numbers are hidden wherever and however they are written."""
    if isinstance(value, dict):
        return {
            _hidden_text(name, numbers, hide): _without_numbers(item, numbers, hide) for name, item in value.items()
        }
    if isinstance(value, list):
        return [_without_numbers(item, numbers, hide) for item in value]
    if isinstance(value, str):
        return _hidden_text(value, numbers, hide)
    if isinstance(value, int) and not isinstance(value, bool) and len(str(value)) >= _MIN_LOCAL_DIGITS:
        hidden = _hidden_text(str(value), numbers, hide)
        return value if hidden == str(value) else hidden
    return value


def _hidden_text(text: str, numbers: list[str], hide: Callable[[str], str]) -> str:
    for number in numbers:
        digits = re.sub(r"\D", "", number)
        if len(digits) < _MIN_LOCAL_DIGITS:
            continue
        # The digits in order, with whatever people write between them; a national form is the number's end, which
        # has its first digits missing.
        between = r"[\s().\-]*"
        for start in range(len(digits) - _MIN_LOCAL_DIGITS + 1):
            pattern = r"\+?\(?" + between.join(digits[start:])
            changed = re.sub(pattern, lambda _, number=number: hide(number), text)  # type: ignore[misc]  # a lambda's default has no type
            if changed != text:
                text = changed
                break
    return text
