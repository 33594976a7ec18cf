"""Places: the codes and zones of jurisdictions and numbers, and the tables they come from."""

from __future__ import annotations

import random

import phonenumbers
import pytest

from airflow_provider_voice.policy.places import (
    _countries,
    _number_states,
    _subdivisions,
    codes_of_jurisdiction,
    place_of_number,
    zones_of_jurisdiction,
)
from airflow_provider_voice.policy.zones import load_zone
from tests.unit.policy.number_states import TABLE, state_named, table_text


@pytest.mark.parametrize(
    ("number", "country", "state", "zones"),
    [
        ("+14155552601", "US", "US-CA", ("America/Los_Angeles",)),
        ("+13055552601", "US", "US-FL", ("America/New_York",)),
        ("+12025551234", "US", "US-DC", ("America/New_York",)),
        ("+12065551234", "US", "US-WA", ("America/Los_Angeles",)),
        ("+15145551234", "CA", "CA-QC", ("America/Toronto",)),
        ("+19025551234", "CA", None, ("America/Halifax",)),
        ("+19075551234", "US", "US-AK", ("America/Adak", "America/Anchorage")),
        ("+17875551234", "PR", None, ("America/Puerto_Rico",)),
        ("+442071234567", "GB", None, ("Europe/London",)),
        ("+38343201234", "XK", None, ("Europe/Belgrade",)),
        ("+6281234567890", "ID", None, ("Asia/Jakarta",)),
    ],
)
def test_the_place_of_a_number(number, country, state, zones) -> None:
    place = place_of_number(number)
    assert (place.country, place.state, place.kind) == (country, state, None)
    assert place.zones == zones


def test_a_number_of_an_unknown_place_has_all_zones_of_its_country_code() -> None:
    place = place_of_number("+18765551234")  # Jamaica, of which the zone lookup knows no more than +1
    assert place.country == "JM"
    assert len(place.zones) > 40


def test_numbers_with_one_area_code_may_have_two_zones() -> None:
    # The whole number counts: both are +1 850, in Florida.
    assert place_of_number("+18502321234").zones != place_of_number("+18506441234").zones


def test_the_zones_of_every_jurisdiction_exist() -> None:
    for country, table in _subdivisions().items():
        for code, zones in table.items():
            assert zones, (country, code)
            for zone in zones:
                load_zone(zone)
            assert zones_of_jurisdiction(f"{country}-{code}") == zones
    for country, zones in _countries().items():
        for zone in zones:
            load_zone(zone)
        assert zones_of_jurisdiction(country) == zones


def test_the_subdivisions_of_a_country_have_its_zones_together() -> None:
    islands = {"Pacific/Pago_Pago", "Pacific/Guam", "Pacific/Saipan", "America/Puerto_Rico", "Pacific/Midway"}
    islands |= {"Pacific/Wake", "America/St_Thomas"}
    for country, table in _subdivisions().items():
        together = {zone for zones in table.values() for zone in zones} - islands
        assert together == set(zones_of_jurisdiction(country)), country


def test_codes_of_a_jurisdiction() -> None:
    assert codes_of_jurisdiction("US-FL") == {"US-FL", "US"}
    assert codes_of_jurisdiction("US-PR") == {"US-PR", "US", "PR"}
    assert codes_of_jurisdiction("FR") == {"FR"}


def test_the_table_of_states_says_what_the_geocoder_says() -> None:
    if phonenumbers.__version__ not in TABLE.read_text(encoding="utf-8"):
        pytest.skip("made with another version of phonenumbers")
    assert TABLE.read_text(encoding="utf-8") == table_text(), "run python -m tests.unit.policy.number_states"


def test_states_of_numbers_against_the_geocoder() -> None:
    from phonenumbers import geocoder

    if phonenumbers.__version__ not in TABLE.read_text(encoding="utf-8"):
        pytest.skip("made with another version of phonenumbers")
    pick = random.Random(12)
    checked = 0
    for area in sorted({prefix[:4] for prefix in _number_states()}):
        number = f"+{area}{pick.randint(2_000_000, 9_999_999)}"
        parsed = phonenumbers.parse(number)
        if not phonenumbers.is_valid_number(parsed):
            continue
        place, named = place_of_number(number), state_named(geocoder.description_for_number(parsed, "en"))
        expected = named if place.country is not None and named.startswith(place.country + "-") else None
        assert place.state == expected, number
        checked += 1
    assert checked > 300
