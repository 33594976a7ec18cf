"""The values of a contact policy: the person to be called, and the decision."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_voice.exceptions import InvalidRequest
from airflow_provider_voice.phone import mask_number, parse_number
from airflow_provider_voice.policy.places import check_code
from airflow_provider_voice.policy.zones import load_zone

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import date, datetime

ZoneSource = Literal["given", "jurisdiction", "number", "none"]


@dataclass(frozen=True)
class Person:
    """A person who may be called.

    .. code-block:: python

        Person(to="+14155552601", time_zone="America/New_York")

    :param to: the number in E.164 form.
    :param time_zone: the IANA zone whose clock counts, when it is known; ``None`` or an empty text when it is not.
    :param jurisdiction: ISO 3166-1 or -2 code of the law that protects the person, e.g. ``US-FL``; ``None`` or an empty
        text: it follows from the number.
    :param subject: the topic of the call. Rules do not read it: hand :meth:`ContactPolicy.decide` the attempts of
        this number and subject.
    :raises InvalidPhoneNumber: when ``to`` is not a number that can be called.
    :raises InvalidRequest: when the zone or the jurisdiction does not exist.
    """

    to: str
    time_zone: str | None = None
    jurisdiction: str | None = None
    subject: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "to", parse_number(self.to))
        object.__setattr__(self, "time_zone", known_zone(self.time_zone))
        object.__setattr__(self, "jurisdiction", known_jurisdiction(self.jurisdiction))

    def __repr__(self) -> str:
        return f"Person({mask_number(self.to)}, time_zone={self.time_zone!r}, jurisdiction={self.jurisdiction!r})"


@dataclass(frozen=True)
class Place:
    """The properties of a person that rules read: the law that applies and the clocks that count.

    :param codes: the ISO codes by which rules apply.
    :param zones: the possible time zones; empty when none is known.
    :param zone_source: where the zones come from.
    :param problem: why no zone is known; ``None`` when there is one.
    """

    codes: frozenset[str]
    zones: tuple[str, ...]
    zone_source: ZoneSource
    problem: str | None = None


@dataclass(frozen=True)
class RuleAnswer:
    """The answer of one rule about a call.

    :param rule: id of the rule.
    :param file: the file it comes from.
    :param allowed: whether this rule allows the call.
    :param reason: the answer for people, beginning with a verb.
    :param source: where the rule is written.
    :param as_of: when the source was read.
    """

    rule: str
    file: str
    allowed: bool
    reason: str
    source: str | None = None
    as_of: date | None = None


@dataclass(frozen=True)
class Decision:
    """Whether a person may be called at an instant.

    :param allowed: whether every rule that applies allows the call and the person's place is known.
    :param reason: one sentence for people; it holds no phone number.
    :param rule: id of the rule that forbids the call, the one that opens last when several do; ``None`` when the call
        is allowed or the place is not known.
    :param next_at: first instant, in UTC, at which the call is allowed, the asked one when it is allowed now; ``None``
        when it is never allowed by itself: the place is not known, or no instant within a year will do.
    :param zones: the time zones whose clocks were read.
    :param zone_source: where the zones come from. ``number`` is a guess: people take their numbers to other places.
    :param as_of: when the source of ``rule`` was read.
    :param asked: the answer of every rule that applies.

    >>> from datetime import datetime
    >>> from airflow_provider_voice.policy import ContactPolicy
    >>> at = datetime.fromisoformat("2026-11-21T08:30:00+00:00")
    >>> decision = ContactPolicy.load("us").decide(Person("+14155552601"), at)
    >>> decision.allowed, decision.rule, decision.next_at.isoformat()
    (False, 'us-hours', '2026-11-21T16:00:00+00:00')
    """

    allowed: bool
    reason: str
    rule: str | None
    next_at: datetime | None
    zones: tuple[str, ...]
    zone_source: ZoneSource
    as_of: date | None = None
    asked: tuple[RuleAnswer, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the decision as JSON-safe values, with times in ISO 8601."""
        values: dict[str, Any] = json.loads(json.dumps(asdict(self), default=lambda moment: moment.isoformat()))
        return values


# The errors below do not quote the value: it comes from a row about a person, and may be in the wrong column.


def known_zone(value: Any) -> str | None:
    """Return the time zone of a person.

    :param value: the name of an IANA zone, or None or an empty text when it is not known.
    :return: the name without blanks around it; None when it is not known.
    :raises InvalidRequest: when the zone does not exist. The message does not quote it.
    """
    write = "a name of the IANA database, such as 'America/New_York'"
    return _known(value, "time_zone", load_zone, f"The person's time zone does not exist. Write {write}.")


def known_jurisdiction(value: Any) -> str | None:
    """Return the jurisdiction of a person.

    :param value: an ISO 3166 code, or None or an empty text when it is not known.
    :return: the code; None when it is not known.
    :raises InvalidRequest: when the jurisdiction does not exist. The message does not quote it.
    """
    write = "an ISO 3166 code of a country or one of its states, such as 'US' or 'US-FL'"
    return _known(value, "jurisdiction", check_code, f"The person's jurisdiction does not exist. Write {write}.")


def _known(value: Any, name: str, check: Callable[[str], object], problem: str) -> str | None:
    """Return the checked text without blanks around it; None when it is missing or blank."""
    if value is None:
        return None
    if not isinstance(value, str):
        raise InvalidRequest(f"{name} takes text, not {type(value).__name__}. Leave it out when it is not known.")
    try:
        return str(check(value.strip())) if value.strip() else None
    except InvalidRequest:
        raise InvalidRequest(problem) from None
