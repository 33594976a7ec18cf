"""Where a called person may be: ISO codes and time zones of a jurisdiction or of a phone number.

Tables: countries come from the ``tzdata`` package, subdivisions from ``subdivisions.yaml``, the states of numbers in
the United States and Canada from ``number_states.txt``. No rule is known here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING

import yaml

from airflow_provider_voice.exceptions import InvalidRequest
from airflow_provider_voice.phone import time_zones_of

if TYPE_CHECKING:
    from collections.abc import Mapping

_CODE = re.compile(r"([A-Z]{2})(?:-([A-Z0-9]{1,3}))?")
_NOT_ISO = {"UK": "GB", "EL": "GR"}
# Subdivisions of ISO 3166-2 that are countries of ISO 3166-1 as well, with clocks of their own.
_TERRITORIES = {
    **{f"US-{code}": code for code in ("AS", "GU", "MP", "PR", "UM", "VI")},
    **{f"FR-{code}": code for code in ("BL", "MF", "NC", "PF", "PM", "TF", "WF", "GP", "MQ", "GF", "RE", "YT")},
    "FR-971": "GP",
    "FR-972": "MQ",
    "FR-973": "GF",
    "FR-974": "RE",
    "FR-976": "YT",
    "NL-AW": "AW",
    "NL-CW": "CW",
    "NL-SX": "SX",
    "NL-BQ1": "BQ",
    "NL-BQ2": "BQ",
    "NL-BQ3": "BQ",
    "CN-HK": "HK",
    "CN-MO": "MO",
    "CN-TW": "TW",
    "FI-01": "AX",
    "NO-21": "SJ",
    "NO-22": "SJ",
}
_NO_COUNTRY = (None, "001", "ZZ")  # what phonenumbers says of satellite phones and the like
_LONGEST_PREFIX = 11


@dataclass(frozen=True)
class NumberPlace:
    """The place of a number's owner, as far as it follows from the number.

    :param country: ISO 3166-1 code (and ``XK`` for Kosovo), or ``None`` for a number of no country.
    :param state: ISO 3166-2 code, or ``None`` when it is not known.
    :param zones: the zones in which the number may be; empty when nothing is known.
    :param kind: the kind of a number that has no place, e.g. ``a toll-free number``; otherwise ``None``.
    """

    country: str | None
    state: str | None
    zones: tuple[str, ...]
    kind: str | None = None

    @property
    def codes(self) -> frozenset[str]:
        """The ISO codes that rules may name to apply to this number."""
        return frozenset(code for code in (self.country, self.state) if code is not None)


def check_code(code: str) -> str:
    """Check a country or a subdivision.

    :param code: ISO 3166-1 alpha-2 or ISO 3166-2 code, e.g. ``US`` or ``US-FL``; small letters are taken too.
    :return: the code in capital letters.
    :raises InvalidRequest: when there is no such country, or no such subdivision in a country whose list is known.
    """
    match = _CODE.fullmatch(code.strip().upper())
    if match is None or match[1] not in _countries():
        hint = _NOT_ISO.get(code.strip().upper()[:2])
        raise InvalidRequest(
            f"{code!r:.40} is not a country or state. Write "
            + (f"{hint!r}." if hint else "an ISO 3166 code, such as 'US' or 'US-FL'.")
        )
    known = _subdivisions().get(match[1])
    if match[2] and known is not None and match[2] not in known:
        raise InvalidRequest(
            f"{code!r:.40} is not a subdivision of {match[1]}. Write one of its ISO 3166-2 codes, such as "
            f"'{match[1]}-{next(iter(known))}'."
        )
    return match[0]


def codes_of_jurisdiction(code: str) -> frozenset[str]:
    """Return the ISO codes that rules may name to apply to a jurisdiction.

    :param code: a checked code, e.g. ``US-FL``.
    :return: the code and its country; for a territory with a code of its own (``US-PR``), that one too.
    """
    territory = _TERRITORIES.get(code)
    return frozenset({code, code[:2]} | ({territory} if territory else set()))


def zones_of_subdivision(code: str) -> tuple[str, ...]:
    """Return the time zones of a state or territory.

    :param code: a checked code.
    :return: zone names; empty for a country, and for a subdivision that has no zones of its own.
    """
    if code in _TERRITORIES:
        return zones_of_country(_TERRITORIES[code])
    country, _, subdivision = code.partition("-")
    return _subdivisions().get(country, {}).get(subdivision, ())


def zones_of_country(country: str) -> tuple[str, ...]:
    """Return the time zones of a country.

    :param country: ISO 3166-1 code.
    :return: zone names; empty for a country without any in the zone database.
    """
    return _countries().get(country, ())


# Bounded, so that a task that calls millions of people does not remember each of them.
@lru_cache(maxsize=16384)
def place_of_number(number: str) -> NumberPlace:
    """Return the place of a number's owner, as far as it follows from the number.

    :param number: an E.164 number.
    :return: country, state and zones, looked up with the whole number, never with its area code alone.
    """
    import phonenumbers  # its metadata would slow down every DAG file

    parsed = phonenumbers.parse(number, None)
    region = phonenumbers.region_code_for_number(parsed)
    country = None if region in _NO_COUNTRY else str(region)
    kind = _kinds_without_place().get(phonenumbers.number_type(parsed))
    if kind is not None or country is None:
        return NumberPlace(country, None, (), kind or "a number that belongs to no country")
    return NumberPlace(country, _state_of(number, country), time_zones_of(parsed))


@lru_cache(maxsize=1)
def _kinds_without_place() -> Mapping[int, str]:
    from phonenumbers import PhoneNumberType

    return {
        PhoneNumberType.TOLL_FREE: "a toll-free number",
        PhoneNumberType.PREMIUM_RATE: "a premium-rate number",
        PhoneNumberType.SHARED_COST: "a shared-cost number",
        PhoneNumberType.VOIP: "a VoIP number",
        PhoneNumberType.PERSONAL_NUMBER: "a personal number",
        PhoneNumberType.PAGER: "a pager number",
        PhoneNumberType.UAN: "a universal access number",
        PhoneNumberType.VOICEMAIL: "a voicemail access number",
    }


def _state_of(number: str, country: str) -> str | None:
    """Return the state of a number by its longest known prefix."""
    prefixes = _number_states()
    digits = number.removeprefix("+")
    for length in range(min(len(digits), _LONGEST_PREFIX), 0, -1):
        state = prefixes.get(digits[:length])
        if state is not None:
            return state if state.startswith(country + "-") else None
    return None


@lru_cache(maxsize=1)
def _number_states() -> Mapping[str, str]:
    """Return states by number prefix; a prefix that several states share has the state ``?``."""
    text = files(__package__).joinpath("number_states.txt").read_text(encoding="utf-8")
    lines = (line.split() for line in text.splitlines() if line and not line.startswith("#"))
    return {prefix: state for state, *prefixes in lines for prefix in prefixes}


@lru_cache(maxsize=1)
def _subdivisions() -> Mapping[str, Mapping[str, tuple[str, ...]]]:
    text = files(__package__).joinpath("subdivisions.yaml").read_text(encoding="utf-8")
    tables = yaml.load(text, Loader=yaml.BaseLoader)  # noqa: S506 - our own file, and BaseLoader makes texts only
    return {country: {code: tuple(zones.split()) for code, zones in table.items()} for country, table in tables.items()}


@lru_cache(maxsize=1)
def _countries() -> Mapping[str, tuple[str, ...]]:
    """Return the zones of every country of ISO 3166-1, from the tables of the zone database."""
    tables = files("tzdata.zoneinfo")
    zones: dict[str, tuple[str, ...]] = {}
    for line in _table_lines(tables.joinpath("iso3166.tab").read_text(encoding="utf-8")):
        zones[line[0]] = ()
    for line in _table_lines(tables.joinpath("zone.tab").read_text(encoding="utf-8")):
        zones[line[0]] += (line[2],)
    return zones


def _table_lines(text: str) -> list[list[str]]:
    return [line.split("\t") for line in text.splitlines() if line and not line.startswith("#")]
