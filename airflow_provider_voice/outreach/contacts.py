"""From a row of the user's data to a contact: number, key, zone and variables, checked; no row is lost."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass, field
from datetime import date, datetime, time
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

from airflow_provider_voice.exceptions import InvalidPhoneNumber, InvalidRequest
from airflow_provider_voice.outreach.schema import KEY_LENGTH
from airflow_provider_voice.outreach.states import ContactState
from airflow_provider_voice.phone import mask_numbers_in, parse_number
from airflow_provider_voice.policy.places import check_code
from airflow_provider_voice.policy.zones import load_zone

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

#: Leaves room for the suffix that distinguishes two rows with one key.
_LONGEST_KEY = KEY_LENGTH - 10


@dataclass(frozen=True)
class Columns:
    """The columns of key, number, time zone, jurisdiction and variables.

    :param key: the contact's key; derived from the number where the column or its value is missing.
    :param to: the number.
    :param time_zone: an IANA zone; used when it is there.
    :param jurisdiction: an ISO 3166 code; used when it is there.
    :param variables: the columns handed to the agent; ``None``: all others.
    """

    key: str = "contact_id"
    to: str = "to"
    time_zone: str = "time_zone"
    jurisdiction: str = "jurisdiction"
    variables: tuple[str, ...] | None = None

    def check(self, names: Iterable[str]) -> None:
        """Raise :class:`InvalidRequest` unless the columns that must be there are among ``names``.

        :param names: the columns of the rows.
        :raises InvalidRequest: naming the columns that are missing.
        """
        there = list(names)
        missing = [name for name in (self.to, *(self.variables or ())) if name not in there]
        if missing:
            shown = ", ".join(map(repr, there[:20])) or "none"
            if mask_numbers_in(shown) != shown:
                # The first line of a file without a header; its values are somebody's.
                raise InvalidRequest(
                    f"The contacts have no column {', '.join(map(repr, missing))}, and one column name is a phone "
                    "number: a file must begin with a line of column names. Nobody was called."
                )
            raise InvalidRequest(
                f"The contacts have no column {', '.join(map(repr, missing))}; they have {shown}. Name the column of "
                "the number with to=, those for the agent with variables=."
            )

    def spoken(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return the part of a row that is handed to the agent.

        :param row: the row.
        :return: values by column.
        """
        if self.variables is not None:
            return {name: row.get(name) for name in self.variables}
        own = (self.key, self.to, self.time_zone, self.jurisdiction)
        return {str(name): value for name, value in row.items() if name not in own}


@dataclass
class Contact:
    """One row as the ledger will have it.

    :param key: its key; unique in the campaign.
    :param state: ``pending``, or ``rejected`` with the reason.
    :param to: the number, E.164; ``None`` when it cannot be called.
    :param reason: why it is not called.
    :param time_zone: the zone of the row.
    :param jurisdiction: the jurisdiction of the row.
    :param variables: the values for the agent, as JSON.
    :param merged_into: key of the contact with the same number.
    """

    key: str
    state: ContactState
    to: str | None = field(default=None, repr=False)
    reason: str | None = None
    time_zone: str | None = None
    jurisdiction: str | None = None
    variables: str = field(default="{}", repr=False)
    merged_into: str | None = None

    @property
    def digest(self) -> str:
        """A hash of all values that a call uses: when it changes, the row has changed."""
        parts = (self.to or "", self.time_zone or "", self.jurisdiction or "", self.variables)
        return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()


def shown_key(key: str) -> str:
    """Return a contact's key for a reason, a log or an error: what may be a phone number in it is masked.

    :param key: the key.
    :return: its first 80 characters, quoted.
    """
    return repr(mask_numbers_in(key)[:80])


def contacts_of(rows: Iterable[Mapping[str, Any]], columns: Columns, region: str | None = None) -> Iterator[Contact]:
    """Yield a contact for every row; a row that cannot be called becomes a rejected contact.

    :param rows: the user's rows.
    :param columns: the meaning of the columns.
    :param region: two-letter country of numbers written without ``+``.
    :return: as many contacts as rows, in their order.
    :raises InvalidRequest: when a row is not a mapping or a column that must be there is missing.
    """
    checked: tuple[str, ...] | None = None
    for number, row in enumerate(rows, 1):
        if not hasattr(row, "keys"):
            raise InvalidRequest(f"Contact {number} must be a mapping of columns to values, not {type(row).__name__}.")
        names = tuple(row)
        if names != checked:
            columns.check(names)
            checked = names
        yield contact_of(row, columns, region)


def contact_of(row: Mapping[str, Any], columns: Columns, region: str | None = None) -> Contact:
    """Return the contact of one row.

    :param row: the user's row.
    :param columns: the meaning of its columns.
    :param region: two-letter country of numbers written without ``+``.
    :return: the contact, ``pending`` or ``rejected``.
    """
    key = _key_text(row.get(columns.key))
    try:
        to = _number(row.get(columns.to), region)
        variables = json.dumps(_json_safe(columns.spoken(row)), ensure_ascii=False, default=_json_text)
        time_zone = _checked("time zone", row.get(columns.time_zone), load_zone)
        jurisdiction = _checked("jurisdiction", row.get(columns.jurisdiction), check_code)
        _check_length(key)
    except (InvalidPhoneNumber, InvalidRequest) as error:
        # Derived from the row, so that the next run finds the same contact.
        if key is None or len(key) > _LONGEST_KEY:
            key = f"row-{_hash(repr(sorted((str(name), str(value)) for name, value in row.items())))}"
        return Contact(key, ContactState.REJECTED, reason=error.message)
    return Contact(
        key or f"to-{_hash(to)}", ContactState.PENDING, to,
        time_zone=time_zone, jurisdiction=jurisdiction, variables=variables,
    )  # fmt: skip


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _key_text(value: Any) -> str | None:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    # Databases differ in whether a blank at the end makes another text.
    return _storable(str(value)).strip() or None


def _storable(text: str) -> str:
    """Return a text without what neither JSON nor PostgreSQL carries: NUL and halves of surrogate pairs."""
    return text.replace("\x00", "").encode("utf-8", "replace").decode()


def _check_length(key: str | None) -> None:
    if key is not None and len(key) > _LONGEST_KEY:
        raise InvalidRequest(f"The contact's key is longer than {_LONGEST_KEY} characters.")


def _number(value: Any, region: str | None) -> str:
    if value is None or value == "" or (isinstance(value, float) and math.isnan(value)):
        raise InvalidPhoneNumber("The contact has no number.")
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        # 14155552671.0 would be read as a number with one digit more.
        raise InvalidPhoneNumber(f"A number must be text, not {type(value).__name__}.")
    return parse_number(str(value), region)


def _checked(name: str, value: Any, check: Any) -> str | None:
    if value is None or (isinstance(value, float) and math.isnan(value)) or not str(value).strip():
        return None
    text = str(value).strip()
    try:
        check(text)
    except InvalidRequest:
        raise InvalidRequest(f"There is no {name} {mask_numbers_in(text[:40])!r}.") from None
    return text


def _json_safe(value: Any) -> Any:
    """Return a value as JSON can carry it; values that are not JSON's own are left to :func:`_json_text`."""
    if isinstance(value, str):
        return _storable(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, (list, tuple)):
        return [_json_safe(item) for item in value]
    if isinstance(value, dict):
        return {_storable(str(name)): _json_safe(item) for name, item in value.items()}
    return value


def _json_text(value: Any) -> str:
    """Return a value as text: times as ISO 8601, decimals in full, so that 49.90 is not spoken as 49.9."""
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    if isinstance(value, (Decimal, UUID)):
        return str(value)
    raise InvalidRequest(f"A column holds a {type(value).__name__}, which JSON cannot carry.")
