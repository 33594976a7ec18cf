"""Dataclasses and the status vocabulary that every vendor shares: call, request, reference, status, times.

Nothing here knows a vendor, a connection or Airflow.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from enum import Enum
from typing import Any, Literal

from airflow_provider_voice.exceptions import InvalidRequest
from airflow_provider_voice.phone import mask_number, shown

MAX_DELAY_SECONDS = 3600

Direction = Literal["inbound", "outbound"]


class CallStatus(str, Enum):
    """The state of a call, in one vocabulary for all vendors.

    >>> CallStatus("no_answer").is_terminal, CallStatus.RINGING.rank
    (True, 1)

    :param value: the status in lower case, e.g. ``no_answer``.
    """

    QUEUED = "queued"
    RINGING = "ringing"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    NO_ANSWER = "no_answer"
    BUSY = "busy"
    VOICEMAIL = "voicemail"
    FAILED = "failed"
    CANCELED = "canceled"
    UNKNOWN = "unknown"

    #: How far the call has come: queued 0, ringing 1, in progress 2, ended 3, unknown -1.
    rank: int
    #: Whether the call has ended. An unknown status counts as not ended.
    is_terminal: bool

    def __init__(self, value: str) -> None:
        self.rank = {"unknown": -1, "queued": 0, "ringing": 1, "in_progress": 2}.get(value, 3)
        self.is_terminal = self.rank == 3  # noqa: PLR2004 - the rank of all that ended

    # The same on every Python: a plain str-Enum prints its class from 3.11 on.
    __str__ = str.__str__


def fold_status(text: object) -> str:
    """Normalize the text of a status.

    :param text: a status as a vendor or a user writes it.
    :return: lower case, with blanks and hyphens as ``_``.
    """
    return "_".join(str(text).replace("-", " ").replace("_", " ").split()).lower()


def status_of(value: object) -> CallStatus:
    """Return the :class:`CallStatus` that a user wrote.

    :param value: a member or its text.
    :return: the member.
    :raises InvalidRequest: when there is no such status.
    """
    try:
        return CallStatus(fold_status(value) if isinstance(value, str) else "")
    except ValueError:
        known = ", ".join(status.value for status in CallStatus)
        raise InvalidRequest(f"{shown(value)} is not a call status. Use one of: {known}.") from None


def statuses_of(values: object) -> frozenset[CallStatus]:
    """Return a set of statuses; see :func:`status_of`.

    :param values: one status, a list, tuple or set of them, or None.
    :return: the statuses; empty for None.
    :raises InvalidRequest: when one is not a status, or the collection is of another type.
    """
    if values is None:
        return frozenset()
    if isinstance(values, (str, CallStatus)):
        values = (values,)
    if not isinstance(values, (list, tuple, set, frozenset)):
        raise InvalidRequest(f"Give one call status or a list of them, not {type(values).__name__}.")
    return frozenset(status_of(value) for value in values)


_ISO_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
# UnleashX: ``created_at`` of a transaction; ``date`` and ``time`` of an execution.
_DISPLAY_FORMATS = ("%d %b %Y, %I:%M %p", "%d %b, %Y %H:%M", "%d %b, %Y")


def read_time(value: object) -> datetime | None:
    """Parse an instant as vendors write it.

    :param value: ISO 8601 (``Z``, offset or none, any number of decimals), RFC 2822 (Talkstack), the display text of
        UnleashX (``15 Jan 2025, 10:12 AM``), or a ``datetime``. A time without a zone is read as UTC: no vendor page
        says otherwise (inferred).
    :return: the instant, aware and in UTC; None when there is none or it cannot be parsed.
    """
    moment = value if isinstance(value, datetime) else None
    try:
        if isinstance(value, str) and (text := value.strip()):
            moment = _parse_iso(text) if _ISO_DATE.match(text) else _parse_other(text)
        if moment is None or (type(moment) is datetime and moment.tzinfo is timezone.utc):
            return moment
        moment = (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).astimezone(timezone.utc)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return moment if type(moment) is datetime else datetime.combine(moment.date(), moment.timetz())  # pendulum's


def _parse_iso(text: str) -> datetime | None:
    # The oldest Python takes no Z, and seconds with three or six decimals only.
    try:
        return datetime.fromisoformat(text[:-1] + "+00:00" if text[-1] in "Zz" else text)
    except ValueError:
        import pendulum  # slow to import, and the standard library is enough for nearly all texts

        parsed = pendulum.parse(text)
        return parsed if isinstance(parsed, datetime) else None


def _parse_other(text: str) -> datetime:
    for form in _DISPLAY_FORMATS:
        try:
            return datetime.strptime(text, form)  # noqa: DTZ007 - read_time adds the zone
        except ValueError:
            continue
    return parsedate_to_datetime(text)


def write_time(moment: datetime | None) -> str | None:
    """Format an instant.

    :param moment: an aware ``datetime``, or None.
    :return: ISO 8601 in UTC with ``Z``; None for None.
    """
    return None if moment is None else moment.astimezone(timezone.utc).isoformat().replace("+00:00", "Z")


@dataclass(frozen=True)
class CallRequest:
    """One call to be placed.

    >>> CallRequest(to="+14155552671", agent_id="agent_1", variables={"name": "Ada"})
    CallRequest(to='+1415•••••71', agent_id='agent_1', tag=None)

    :param to: the number to ring.
    :param agent_id: the vendor's agent that talks; None or empty: the connection's ``default_agent_id``.
    :param variables: values for the agent's prompt (Talkover ``payload``, Talkstack ``dynamicVariables``, UnleashX
        ``metadata``).
    :param context: values that are not spoken but come back with events (Talkover ``context``, UnleashX ``metadata``).
    :param delay_seconds: seconds the vendor waits before it rings, 0 to 3600, default 0; only Talkover has it.
    :param is_testing: a call that is neither billed nor counted, default False; only Talkover has it.
    :param tag: our correlation id, sent where the vendor keeps one; None: the hook makes one.
    :raises InvalidRequest: when a value is of the wrong type or out of range.
    """

    to: str
    agent_id: str | None = None
    variables: Mapping[str, Any] = field(default_factory=dict)
    context: Mapping[str, Any] = field(default_factory=dict)
    delay_seconds: int = 0
    is_testing: bool = False
    tag: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "variables", json_object("variables", self.variables))
        object.__setattr__(self, "context", json_object("context", self.context))
        check_delay(self.delay_seconds)
        if not isinstance(self.is_testing, bool):
            raise InvalidRequest(f"is_testing must be true or false, not {type(self.is_testing).__name__}.")
        if self.agent_id is not None:
            object.__setattr__(self, "agent_id", str(self.agent_id).strip())

    def __repr__(self) -> str:
        to = mask_number(self.to if isinstance(self.to, str) else None)
        return f"CallRequest(to={to!r}, agent_id={self.agent_id!r}, tag={self.tag!r})"


def check_delay(delay_seconds: object) -> None:
    """Check a delay.

    :param delay_seconds: the user's value.
    :raises InvalidRequest: unless it is a whole number of seconds from 0 to 3600.
    """
    # Not isinstance: True is an int, too.
    if type(delay_seconds) is not int or delay_seconds not in range(MAX_DELAY_SECONDS + 1):
        limits = f"a whole number from 0 to {MAX_DELAY_SECONDS}"
        raise InvalidRequest(f"delay_seconds must be {limits}, not {shown(delay_seconds)}.")


def json_object(name: str, value: object) -> dict[str, Any]:
    """Return a copy of a mapping that can be written as JSON.

    :param name: the argument, for the error text.
    :param value: a mapping, or None for an empty one.
    :return: a new dictionary of JSON values.
    :raises InvalidRequest: when it is not a mapping with text keys, or holds a value that JSON cannot.
    """
    if value is None:
        return {}
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise InvalidRequest(f"{name} must be a mapping with text keys, not {type(value).__name__}.")
    try:
        copy: dict[str, Any] = json.loads(json.dumps(dict(value), allow_nan=False))
    except (TypeError, ValueError, RecursionError):
        raise InvalidRequest(f"{name} holds a value that JSON cannot carry. Use text, numbers and lists.") from None
    return copy


@dataclass(frozen=True)
class CallRef:
    """Reference to a call. Each further field makes it cheaper to find the call again.

    >>> CallRef.of({"id": "c1", "to": "+14155552671", "tag": "afv-1"})
    CallRef(id='c1', tag='afv-1')

    :param id: the vendor's id of the call, from the response to the create.
    :param to: the number that was rung, E.164; None: not known.
    :param placed_at: when the call was created; it is searched for on that day and the days beside it. None: not known.
    :param tag: our correlation id of the create; None: not known.
    :param agent_id: the agent of the call; None: not known.
    """

    id: str
    to: str | None = None
    placed_at: datetime | None = None
    tag: str | None = None
    agent_id: str | None = None

    @classmethod
    def of(cls, value: CallRef | Call | Mapping[str, Any] | str | int) -> CallRef:
        """Return the reference to a call.

        :param value: a reference, a :class:`Call`, a dictionary from ``Call.to_dict()``, or a call id.
        :return: the reference.
        :raises InvalidRequest: when the value holds no call id.
        """
        if isinstance(value, CallRef):
            return value
        if isinstance(value, Call):
            return cls(value.id, value.to, value.created_at, value.tag, value.agent_id)
        if isinstance(value, Mapping):
            # isinstance: a mapping from XCom may hold anything under these names
            placed_at = read_time(value.get("placed_at") or value.get("created_at"))
            to, tag, agent_id = (_text(value.get(name)) for name in ("to", "tag", "agent_id"))
            return cls(_call_id(value.get("id")), to, placed_at, tag, agent_id)
        return cls(_call_id(value).strip())  # as a user writes it

    def completed(self, other: CallRef) -> CallRef:
        """Return this reference with the fields that only another one to the same call knows.

        :param other: the other reference.
        :return: a reference that knows as much as both.
        """
        return replace(self, **{name: value for name, value in vars(other).items() if getattr(self, name) is None})

    def to_dict(self) -> dict[str, Any]:
        """Return the reference as JSON, without the number: trigger arguments are logged.

        :return: the fields that are known.
        """
        known = {"id": self.id, "placed_at": write_time(self.placed_at), "tag": self.tag, "agent_id": self.agent_id}
        return {name: value for name, value in known.items() if value is not None}

    def __str__(self) -> str:
        """Return the id for messages; a phone number given in its place is masked."""
        return mask_number(self.id) if self.id.startswith("+") else self.id

    def __repr__(self) -> str:
        return f"CallRef(id={str(self)!r}, tag={self.tag!r})"


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _call_id(value: object) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not value.strip():
        raise InvalidRequest("A call id is needed: give what MakeCallOperator returned, or the id as text.")
    return value


@dataclass(frozen=True)
class Call:
    """One call as a vendor shows it, in our vocabulary, with the vendor's own record beside it.

    A field is None when the vendor does not say. Times are aware ``datetime`` values in UTC.

    >>> Call(id="c1", vendor="talkover", status=CallStatus.BUSY, to="+14155552671")
    Call(id='c1', vendor='talkover', status='busy', to='+1415•••••71')
    """

    #: The vendor's id of the call; for UnleashX the execution id of the create, or the integer of a list row.
    id: str
    #: ``talkover``, ``talkstack`` or ``unleashx``.
    vendor: str
    #: The state of the call in our vocabulary.
    status: CallStatus
    #: The status as the vendor writes it.
    vendor_status: str | None = None
    #: The number that was rung, as the vendor writes it.
    to: str | None = None
    #: The number that rang.
    from_: str | None = None
    #: ``inbound`` or ``outbound``.
    direction: str | None = None
    #: The vendor's id of the agent that talks.
    agent_id: str | None = None
    #: The agent's name for people.
    agent_name: str | None = None
    #: Length of the conversation in whole seconds.
    duration_seconds: int | None = None
    #: Price in the vendor's unit; no vendor names a currency.
    cost: float | None = None
    #: Where the recording can be fetched.
    recording_url: str | None = None
    #: Whether it is a test call, which is neither billed nor counted.
    is_testing: bool | None = None
    #: When the vendor accepted the call.
    created_at: datetime | None = None
    #: When the vendor last changed its record of the call.
    updated_at: datetime | None = None
    #: When the call ended.
    ended_at: datetime | None = None
    #: Our correlation id of the create.
    tag: str | None = None
    #: The vendor's record as it came; not part of :meth:`to_dict` and of comparisons.
    raw: Mapping[str, Any] = field(default_factory=dict, compare=False)
    #: When the page with this row was read, as ``time.monotonic()`` had it; None where it is no row of a page.
    read_at: float | None = field(default=None, compare=False)

    def to_dict(self) -> dict[str, Any]:
        """Return the call as JSON.

        :return: every field but ``raw``; ``from_`` is called ``from``, times are ISO 8601 in UTC.
        """
        values = {name.rstrip("_"): getattr(self, name) for name in _CALL_FIELDS}
        times = {name: write_time(values[name]) for name in _CALL_TIMES}
        return {**values, **times, "status": self.status.value}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Call:
        """Return the call that :meth:`to_dict` described.

        :param data: the dictionary; unknown names are ignored.
        :return: the call.
        :raises InvalidRequest: when id, vendor or status is missing.
        """
        if not isinstance(data, Mapping) or not all(data.get(name) for name in ("id", "vendor", "status")):
            raise InvalidRequest("This is not a call: id, vendor and status are needed.")
        values: dict[str, Any] = {name: data.get(name.rstrip("_")) for name in _CALL_FIELDS}
        times = {name: read_time(values[name]) for name in _CALL_TIMES}
        return cls(**{**values, **times, "status": status_of(values["status"])})

    def __repr__(self) -> str:
        facts = f"id={self.id!r}, vendor={self.vendor!r}, status={self.status.value!r}"
        return f"Call({facts}, to={mask_number(self.to)!r})"


_CALL_FIELDS = tuple(item.name for item in fields(Call) if item.name not in ("raw", "read_at"))
_CALL_TIMES = ("created_at", "updated_at", "ended_at")
