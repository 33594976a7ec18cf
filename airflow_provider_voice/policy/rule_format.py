"""The format of rule files: YAML in, checked rules out.

A file that disagrees with the format is refused with its name, the rule and the correction. YAML's own guesses
(``21:00`` as a number in base 60, ``NO`` as false) are switched off: every value is read as text and converted here.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, Literal

import yaml

from airflow_provider_voice.exceptions import InvalidRequest
from airflow_provider_voice.policy.hours import WeeklyHours, parse_days, parse_interval
from airflow_provider_voice.policy.places import check_code
from airflow_provider_voice.policy.rules import AttemptLimit, ClosedDays, Rule, check_calendar
from airflow_provider_voice.policy.zones import load_zone

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

ZonesMode = Literal["all", "any"]

_FILE_KEYS = ("title", "as_of", "zones", "margin", "country_zones", "rules")
_RULE_KEYS = ("id", "applies_to", "hours", "closed_on", "at_most", "since", "until", "source", "as_of")
_DEFAULT_MARGIN = 60
_MAX_MARGIN = 86_399
_MAX_DAYS = 3660
_MAX_ATTEMPTS = 10**6


@dataclass(frozen=True)
class RuleFile:
    """A checked rule file.

    :param name: name of a shipped file, or file name of a path.
    :param rules: its rules, in their order.
    :param title: text for people.
    :param zones: whether a number with several possible zones must be open in ``all`` of them or in ``any``.
    :param country_zones: zones by country, instead of those that a number of the country or the country itself has.
    """

    name: str
    rules: tuple[Rule, ...]
    title: str | None = None
    zones: ZonesMode = "all"
    country_zones: tuple[tuple[str, tuple[str, ...]], ...] = ()


def parse_rule_file(data: bytes, name: str, *, check_calendars: bool = True) -> RuleFile:
    """Check the content of a rule file.

    :param data: YAML in UTF-8.
    :param name: the file's name, for messages.
    :param check_calendars: whether to look up the named holiday calendars, which imports the ``holidays`` package.
    :return: the checked file.
    :raises InvalidRequest: when it disagrees with the format.
    """
    content = _read_yaml(data, name)
    place = _Place(name, check_calendars=check_calendars)
    top = place.mapping(content, _FILE_KEYS, "title, as_of and rules")
    margin = place.number(top.get("margin", str(_DEFAULT_MARGIN)), "margin", "seconds", 0, _MAX_MARGIN)
    as_of = place.day(top, "as_of")
    written = top.get("rules")
    if not isinstance(written, list) or not written:
        raise place.error("it has no rules. Write 'rules:' and at least one entry with an id below it")
    zones = top.get("zones", "all")
    if zones not in ("all", "any"):
        raise place.error(f"zones is {zones!r:.40}. Write 'all' or 'any'")
    file = RuleFile(
        name=name,
        rules=tuple(_parse_rule(rule, place, number, margin, as_of) for number, rule in enumerate(written, start=1)),
        title=place.text(top, "title"),
        zones=zones,
        country_zones=_parse_country_zones(top.get("country_zones", {}), place),
    )
    refuse_duplicates([file])
    return file


def refuse_duplicates(rule_files: Collection[RuleFile]) -> None:
    """Check that no two rules have the same id.

    :param rule_files: the files of a policy.
    :raises InvalidRequest: with the id and both files.
    """
    seen: dict[str, str] = {}
    for name, rule_id in ((file.name, rule.id) for file in rule_files for rule in file.rules):
        if rule_id in seen:
            where = "the file has it twice" if seen[rule_id] == name else f"{seen[rule_id]} has it too"
            raise InvalidRequest(f"{name}, rule {rule_id}: the id is not unique, {where}. Give every rule its own id.")
        seen[rule_id] = name


class _TextLoader(yaml.BaseLoader):
    """Reads every scalar as text and refuses a key that is written twice (YAML itself keeps the last one)."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [str(key.value) for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} is written twice", node.start_mark
                )
        return super().construct_mapping(node, deep=deep)


def _read_yaml(data: bytes, name: str) -> Any:
    try:
        return yaml.load(data.decode("utf-8-sig"), Loader=_TextLoader)  # noqa: S506 - a BaseLoader, which makes texts only
    except UnicodeDecodeError as error:
        raise InvalidRequest(f"{name}: it is not written in UTF-8. Save it as UTF-8.") from error
    except yaml.YAMLError as error:
        problem = getattr(error, "problem", None) or "it cannot be parsed"
        mark = getattr(error, "problem_mark", None)
        where = f" in line {mark.line + 1}" if mark is not None else ""
        raise InvalidRequest(f"{name}: it is not valid YAML{where}: {problem}. Correct it there.") from error
    except RecursionError as error:
        raise InvalidRequest(f"{name}: it is nested too deeply. Write a file as in the documentation.") from error


@dataclass(frozen=True)
class _Place:
    """Where in a file a value stands; makes the errors and converts the texts."""

    file: str
    rule: str | None = None
    check_calendars: bool = True

    def error(self, problem: str) -> InvalidRequest:
        where = self.file if self.rule is None else f"{self.file}, rule {self.rule}"
        return InvalidRequest(f"{where}: {problem}.")

    def mapping(self, value: Any, keys: Collection[str], example: str) -> Mapping[str, Any]:
        if not isinstance(value, dict):
            raise self.error(f"a mapping with {example} belongs here, but it is {_kind(value)}")
        for key in value:
            if key not in keys:
                close = difflib.get_close_matches(str(key), keys, n=1)
                hint = f"Write {close[0]!r}" if close else f"Write one of {', '.join(keys)}"
                raise self.error(f"unknown key {key!r:.40}. {hint}")
        return value

    def text(self, mapping: Mapping[str, Any], key: str) -> str | None:
        value = mapping.get(key)
        if value is None:
            return None
        if not isinstance(value, str) or not value.strip():
            raise self.error(f"{key} is {_kind(value)}. Write a text, or leave it out")
        return " ".join(value.split())

    def day(self, mapping: Mapping[str, Any], key: str) -> date | None:
        return None if key not in mapping else self.one_date(mapping[key], key)

    def one_date(self, value: Any, key: str) -> date:
        try:
            day = date.fromisoformat(value)
        except (TypeError, ValueError):
            day = None
        if day is None or value != day.isoformat():
            raise self.error(f"{key} is {value!r:.40}, which is not a date. Write it as 2026-12-25")
        return day

    def number(self, value: Any, key: str, unit: str, least: int, most: int) -> int:
        digits = isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= len(str(most))
        if not digits or not least <= int(value) <= most:
            raise self.error(f"{key} is {value!r:.40}. Write a whole number of {unit} from {least} to {most}")
        return int(value)

    def texts(self, value: Any, key: str, example: str) -> list[str]:
        if not isinstance(value, list) or not value or not all(isinstance(item, str) for item in value):
            raise self.error(f"{key} is {_kind(value)}. Write a list, such as {example}")
        return value


def _kind(value: Any) -> str:
    if not value:
        return "empty"
    if isinstance(value, dict):
        return "a mapping"
    return "a list" if isinstance(value, list) else f"{value!r:.40}"


def _parse_rule(value: Any, file_place: _Place, number: int, margin: int, as_of: date | None) -> Rule:
    name = value.get("id") if isinstance(value, dict) else None
    place = replace(file_place, rule=name if isinstance(name, str) and name else f"number {number}")
    keys = place.mapping(value, _RULE_KEYS, "an id and hours, closed_on or at_most")
    rule_id = place.text(keys, "id")
    if rule_id is None:
        raise place.error("it has no id. Write 'id:' and a name of its own")
    if not {"hours", "closed_on", "at_most"} & set(keys):
        raise place.error("it forbids nothing. Write hours, closed_on or at_most")
    since, until = place.day(keys, "since"), place.day(keys, "until")
    if since is not None and until is not None and since >= until:
        raise place.error("until is not after since. Write the first day on which the rule is not in force any more")
    codes = place.texts(keys["applies_to"], "applies_to", "[US]") if "applies_to" in keys else []
    return Rule(
        id=rule_id,
        applies_to=tuple(_checked(check_code, code, place, "applies_to") for code in codes),
        hours=_parse_hours(keys["hours"], place, margin) if "hours" in keys else None,
        closed_on=_parse_closed_on(keys["closed_on"], place) if "closed_on" in keys else None,
        at_most=_parse_at_most(keys["at_most"], place) if "at_most" in keys else None,
        since=since,
        until=until,
        source=place.text(keys, "source"),
        as_of=place.day(keys, "as_of") or as_of,
        margin_seconds=margin,
    )


def _checked(check: Callable[[str], Any], value: str, place: _Place, key: str) -> Any:
    try:
        return check(value)
    except InvalidRequest as error:
        raise place.error(f"{key}: {error.message.removesuffix('.')}") from None


def _parse_hours(value: Any, place: _Place, margin: int) -> WeeklyHours:
    if not isinstance(value, dict) or not value:
        raise place.error(f'hours is {_kind(value)}. Write days and intervals, such as {{mon-fri: ["08:00-21:00"]}}')
    week: list[list[tuple[int, int]] | None] = [None] * 7
    for key, intervals in value.items():
        if not isinstance(intervals, list) or not all(isinstance(interval, str) for interval in intervals):
            raise place.error(
                f'the hours of {key} are {_kind(intervals)}. Write a list of intervals, such as ["08:00-21:00"], '
                "or [] for a closed day"
            )
        try:
            days, spans = parse_days(key), [parse_interval(interval) for interval in intervals]
        except ValueError as error:
            raise place.error(str(error)) from None
        for day in days:
            if week[day] is not None:
                raise place.error(f"hours: {key} names a day that another key already names. Name each day once")
            week[day] = spans
    return WeeklyHours.build([spans or [] for spans in week], margin)


def _parse_closed_on(value: Any, place: _Place) -> ClosedDays:
    keys = place.mapping(value, ("holidays", "dates"), "holidays or dates")
    if not keys:
        raise place.error("closed_on is empty. Write {holidays: FR} or {dates: [2026-12-25]}")
    calendars: list[str] = []
    if "holidays" in keys:
        named = keys["holidays"]
        for code in place.texts([named] if isinstance(named, str) else named, "closed_on.holidays", "FR"):
            calendar = code.strip().upper()
            if place.check_calendars:
                _checked(check_calendar, calendar, place, "closed_on.holidays")
            calendars.append(calendar)
    dates = place.texts(keys["dates"], "closed_on.dates", "[2026-12-25]") if "dates" in keys else []
    return ClosedDays(frozenset(place.one_date(day, "closed_on.dates") for day in dates), tuple(calendars))


def _parse_at_most(value: Any, place: _Place) -> AttemptLimit:
    keys = place.mapping(value, ("attempts", "hours", "days"), "attempts and hours or days")
    if "attempts" not in keys or ("hours" in keys) == ("days" in keys):
        raise place.error("at_most needs attempts and either hours or days. Write {attempts: 3, hours: 24}")
    attempts = place.number(keys["attempts"], "at_most.attempts", "attempts", 1, _MAX_ATTEMPTS)
    if "days" in keys:
        return AttemptLimit(attempts, timedelta(days=place.number(keys["days"], "at_most.days", "days", 1, _MAX_DAYS)))
    hours = place.number(keys["hours"], "at_most.hours", "hours", 1, _MAX_DAYS * 24)
    return AttemptLimit(attempts, timedelta(hours=hours))


def _parse_country_zones(value: Any, place: _Place) -> tuple[tuple[str, tuple[str, ...]], ...]:
    if not isinstance(value, dict):
        raise place.error(f"country_zones is {_kind(value)}. Write countries and zones, such as {{ID: [Asia/Jakarta]}}")
    found = []
    for key, zones in value.items():
        country = _checked(check_code, str(key), place, "country_zones")
        if "-" in country:
            raise place.error(f"country_zones names {country}, which is not a country. Write {country[:2]}")
        names = place.texts(zones, f"country_zones.{country}", "[Asia/Jakarta, Asia/Makassar]")
        for name in names:
            _checked(load_zone, name, place, f"country_zones.{country}")
        found.append((country, tuple(dict.fromkeys(names))))
    return tuple(found)
