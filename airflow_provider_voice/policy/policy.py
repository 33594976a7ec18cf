"""Contact policies: may this person be called at this instant, why, and if not, when.

Deciding is pure: it uses only the files that :meth:`ContactPolicy.load` has read, and no clock; it stores nothing
about people but the places of their numbers. The search for the next allowed instant is in
:mod:`~airflow_provider_voice.policy.question`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_voice.exceptions import InvalidRequest
from airflow_provider_voice.policy.decision import Decision, Person, Place
from airflow_provider_voice.policy.places import (
    codes_of_jurisdiction,
    place_of_number,
    zones_of_country,
    zones_of_subdivision,
)
from airflow_provider_voice.policy.question import Question
from airflow_provider_voice.policy.rule_files import load_rule_file
from airflow_provider_voice.policy.rule_format import refuse_duplicates
from airflow_provider_voice.policy.zones import UTC, hours_between

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable

    from airflow_provider_voice.policy.decision import ZoneSource
    from airflow_provider_voice.policy.rule_format import RuleFile
    from airflow_provider_voice.policy.rules import Rule

_FIRST_YEAR, _LAST_YEAR = 1970, 2098  # holiday calendars and zone rules are not to be trusted much further
_MOST_HOURS_APART = 26


@dataclass(frozen=True)
class ContactPolicy:
    """Rules about the times at which a person may be called.

    A policy is immutable: tasks, threads and processes may share it.

    .. code-block:: python

        policy = ContactPolicy.load("us", "company.yaml")
        decision = policy.decide(Person(to="+14155552601"), at=datetime.now(timezone.utc))

    :param files: the rule files; all of their rules apply.
    :param max_zone_spread: most hours between the clocks of a person's possible zones; with more, the place counts as
        not known.
    """

    files: tuple[RuleFile, ...] = field(repr=False)
    max_zone_spread: float = 5

    @classmethod
    def load(cls, *names_or_paths: str | os.PathLike[str], max_zone_spread: float | timedelta = 5) -> ContactPolicy:
        """Load rule files.

        Each file keeps its own ``zones`` and ``margin`` for its own rules; a call must be allowed by every file. Zones
        that several files name for one country are put together.

        :param names_or_paths: names of shipped files (``"us"``) and paths (``"company.yaml"``), at least one.
        :param max_zone_spread: most hours between the clocks of a person's possible zones.
        :return: the policy.
        :raises InvalidRequest: when a file is missing or disagrees with the format, or two rules have the same id.
        """
        if not names_or_paths:
            raise InvalidRequest("A contact policy needs at least one rule file. Write ContactPolicy.load('us').")
        rule_files = tuple(load_rule_file(source) for source in names_or_paths)
        refuse_duplicates(rule_files)
        return cls(rule_files, _checked_spread(max_zone_spread))

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The rules of all files, in their order."""
        return tuple(rule for file in self.files for rule in file.rules)

    def __repr__(self) -> str:
        return f"<ContactPolicy {', '.join(file.name for file in self.files)}: {len(self.rules)} rules>"

    def decide(self, person: Person, at: datetime, attempts: Iterable[datetime] = ()) -> Decision:
        """Decide whether a person may be called.

        :param person: who would be called.
        :param at: when the call would start, an aware datetime.
        :param attempts: when this number was called before about this subject, aware datetimes in any order. Attempts
            after ``at`` do not count at ``at``, but they do for ``next_at``.
        :return: the decision.
        :raises InvalidRequest: when a datetime has no time zone or an argument has the wrong type.
        """
        return self.decide_at_place(self.place_of(person), at, attempts)

    def place_of(self, person: Person) -> Place:
        """Return the properties of a person that rules read; people of one place get equal decisions.

        :param person: who would be called.
        :return: the place.
        :raises InvalidRequest: when ``person`` is not a :class:`Person`.
        """
        if not isinstance(person, Person):
            raise InvalidRequest(f"decide() takes a Person, not {type(person).__name__}. Write Person(to='+1...').")
        # The codes of the jurisdiction and its country, or else those of the number's country and state.
        if person.jurisdiction is not None:
            return Place(codes_of_jurisdiction(person.jurisdiction), *self._zones_of(person))
        return Place(place_of_number(person.to).codes, *self._zones_of(person))

    def decide_at_place(self, place: Place, at: datetime, attempts: Iterable[datetime] = ()) -> Decision:
        """Decide like :meth:`decide`, about a person whose place was found before.

        :param place: the result of :meth:`place_of`.
        :param at: as for :meth:`decide`.
        :param attempts: as for :meth:`decide`.
        :return: the decision.
        :raises InvalidRequest: as :meth:`decide`.
        """
        instant = _utc(at, "at")
        if attempts is None or isinstance(attempts, str | datetime):
            raise InvalidRequest(f"attempts takes several datetimes, not {type(attempts).__name__}. Write a list.")
        made = sorted(_utc(attempt, "attempts") for attempt in attempts)
        zones, zone_source, problem = place.zones, place.zone_source, place.problem
        if problem is None and len(zones) > 1 and hours_between(zones, instant) > self.max_zone_spread:
            problem = (
                f"the person may be in any of {len(zones)} time zones whose clocks differ by more than "
                f"{self.max_zone_spread:g} hours"
            )
        if problem is not None:
            reason = f"The call needs a time zone: {problem}; give the time zone or the jurisdiction of the person."
            return Decision(False, reason, None, None, zones, zone_source)
        asked = [
            (file, rules)
            for file in self.files
            if (rules := [rule for rule in file.rules if rule.applies(place.codes)])
        ]
        return Question(asked, zones, zone_source, self.max_zone_spread, instant, made).decide()

    def _zones_of(self, person: Person) -> tuple[tuple[str, ...], ZoneSource, str | None]:
        """Return the possible zones, their source, and why the place is not known."""
        if person.time_zone is not None:
            return (person.time_zone,), "given", None
        if person.jurisdiction is not None:
            country = person.jurisdiction[:2]
            zones = (
                zones_of_subdivision(person.jurisdiction) or self._country_zones(country) or zones_of_country(country)
            )
            problem = None if zones else f"no time zone is known for {person.jurisdiction}"
            return zones, "jurisdiction" if zones else "none", problem
        place = place_of_number(person.to)
        if place.kind is not None:
            return (), "none", f"{place.kind} says nothing about the place of its owner"
        zones = self._country_zones(place.country) or place.zones
        return zones, "number" if zones else "none", None if zones else "no time zone is known for the number"

    def _country_zones(self, country: str | None) -> tuple[str, ...]:
        named = (zones for file in self.files for code, zones in file.country_zones if code == country)
        return tuple(dict.fromkeys(zone for zones in named for zone in zones))


def _utc(value: Any, name: str) -> datetime:
    """Return an aware datetime as a plain one in UTC."""
    if not isinstance(value, datetime):
        raise InvalidRequest(f"{name} takes datetimes, not {type(value).__name__}. Write datetime.now(timezone.utc).")
    if value.utcoffset() is None:
        raise InvalidRequest(
            f"{name} has no time zone ({value.isoformat()}). Write an aware datetime, such as one in UTC."
        )
    if not _FIRST_YEAR <= value.year <= _LAST_YEAR:
        raise InvalidRequest(
            f"{name} is in the year {value.year}. Write an instant from {_FIRST_YEAR} to {_LAST_YEAR}."
        )
    moment = value.astimezone(UTC)
    return datetime(
        moment.year, moment.month, moment.day, moment.hour, moment.minute, moment.second, moment.microsecond, UTC
    )


def _checked_spread(value: Any) -> float:
    hours = value / timedelta(hours=1) if isinstance(value, timedelta) else value
    if isinstance(hours, bool) or not isinstance(hours, int | float) or not 0 <= hours <= _MOST_HOURS_APART:
        raise InvalidRequest(f"max_zone_spread is {value!r:.40}. Write a number of hours from 0 to 26.")
    return hours
