from __future__ import annotations

import re

import phonenumbers
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from airflow_provider_voice.exceptions import InvalidPhoneNumber
from airflow_provider_voice.phone import (
    mask_number,
    mask_numbers_in,
    may_be_same_number,
    parse_number,
    same_number,
    shown,
    time_zones_of,
)


@pytest.mark.parametrize(
    ("text", "region"),
    [
        ("+14155552671", None),
        ("+1 (415) 555-2671", None),
        ("tel:+1-415-555-2671", None),
        ("＋１４１５５５５２６７１", None),
        ("(415) 555-2671", "US"),
        ("415.555.2671", "us"),
    ],
)
def test_numbers_as_people_write_them(text, region) -> None:
    assert parse_number(text, region) == "+14155552671"


@pytest.mark.parametrize(
    ("text", "region", "reason"),
    [
        ("+1415", None, "too short"),
        ("+1415555267155555", None, "too long"),
        ("+99912345678", None, "no such country code"),
        ("4155552671", None, "no country code"),
        ("+11005550006", None, "no such number range"),
        ("+14155552671 ext. 5", None, "extension"),
        ("+14155552671 / +14155552672", None, "one phone number"),
        ("call me", "US", "letters"),
        ("1-800-FLOWERS", "US", "letters"),
        ("", None, "letters"),
        ("+14155552671", "XX", "not a country"),
        (14155552671, None, "text"),
        (None, None, "text"),
    ],
)
def test_refused_with_the_reason(text, region, reason) -> None:
    with pytest.raises(InvalidPhoneNumber, match=reason) as refusal:
        parse_number(text, region)
    assert refusal.value.permanent


@given(
    st.one_of(st.text(), st.from_regex(r"[+]?[\d\s().\-/x]{1,25}", fullmatch=True)),
    st.sampled_from([None, "US", "DE", "IN"]),
)
@example("+" + "1" * 300, None)
@example("0" * 40, "US")
def test_any_text_gives_e164_or_the_named_error_without_the_number(text, region) -> None:
    try:
        number = parse_number(text, region)
    except InvalidPhoneNumber as error:
        assert not re.search(r"\d{7,}", error.message)
    else:
        assert re.fullmatch(r"\+[1-9]\d{6,14}", number)
        assert parse_number(number) == number


def test_masking_keeps_enough_to_recognize_and_too_little_to_call() -> None:
    assert mask_number("+14155552671") == "+1415•••••71"
    assert mask_number("%2B14155552671") == "+1415•••••71"
    assert mask_number("12345") == "•••••"
    assert mask_number(None) == "-"


@given(st.from_regex(r"\+[1-9]\d{7,14}", fullmatch=True))
def test_no_number_survives_masking_in_a_text(number) -> None:
    for written in (number, number[1:], f"%2B{number[1:]}", f"{number[:2]} {number[2:5]}-{number[5:]}"):
        assert number[1:] not in re.sub(r"\D", "", mask_numbers_in(f"GET /calls?search={written}&page=1"))


def test_masking_in_a_text_leaves_dates_readable() -> None:
    assert mask_numbers_in("from 2026-11-20 to +14155552671") == "from 2026-11-20 to +1415•••••71"
    assert mask_numbers_in("2026-11-20 2026-11-21T10:12:00") == "2026-11-20 2026-11-21T10:12:00"


@pytest.mark.parametrize("number", ["4155552671", "14155552671", "(415) 555-2671", "-14155552671", "%2B14155552671"])
def test_a_number_right_behind_a_date_is_masked(number) -> None:
    masked = mask_numbers_in(f"2026-11-20 {number} is busy")
    assert masked.startswith("2026-11-20 ")
    assert "5552671" not in re.sub(r"[^\d•]", "", masked)


@pytest.mark.parametrize(
    "written",
    [
        "+49\u2212171\u2212123456",
        "+49\uff0d171\uff0d123456",
        "\uff0817 1\uff09 12345",
        "0171/123456",
        "+49 171 / 123-456",
    ],
)
def test_a_number_is_masked_with_whatever_signs_people_write_between_its_digits(written) -> None:
    digits = re.sub(r"\D", "", written)
    masked = mask_numbers_in(f"Contact 7: {written} is busy")
    assert masked.startswith("Contact 7: ")
    assert digits[-5:] not in re.sub(r"[^\d•]", "", masked)


def test_time_zones_never_take_unknown_for_utc() -> None:
    zones = {
        number: time_zones_of(phonenumbers.parse(number)) for number in ("+14155552671", "+18005550199", "+80012345678")
    }
    assert zones["+14155552671"] == ("America/Los_Angeles",)
    assert len(zones["+18005550199"]) != 1
    assert zones["+80012345678"] == ()


def test_vendors_may_drop_the_plus() -> None:
    assert same_number("14155552671", "+1 415 555 2671")
    assert not same_number(None, "+14155552671")
    assert not same_number("", "")


@pytest.mark.parametrize(
    "written",
    [None, "", "+14155552671", "14155552671", "+1 (415) 555-2671", "4155552671", "0014155552671", "011 1 415 555 2671",
     "0415 555 2671", "+1415*****71", "XXX-XXX-2671"],
)  # fmt: skip
def test_a_number_of_any_form_may_be_the_same(written) -> None:
    assert may_be_same_number(written, "+14155552671")


@pytest.mark.parametrize(
    ("written", "number"),
    [
        ("8 912 345-67-89", "+79123456789"),
        ("011 15-2345-6789", "+5491123456789"),
        ("06 6988 1234", "+390669881234"),
        ("+44 (0)20 7946 0018", "+442079460018"),
        ("+52 1 55 1234 5678", "+525512345678"),
        ("555-2671", "+14155552671"),
    ],
    ids=["trunk 8", "mobile in Argentina", "Italy keeps its zero", "trunk 0", "mobile in Mexico", "local"],
)
def test_a_number_as_its_country_writes_it_may_be_the_same(written: str, number: str) -> None:
    assert may_be_same_number(written, number)


@pytest.mark.parametrize(
    "written", ["+14155552672", "14155552672", "4155552672", "+494155552671", "00494155552672", "5", "client:5"]
)
def test_another_number_of_any_form_is_not(written) -> None:
    assert not may_be_same_number(written, "+14155552671")


def test_texts_without_digits_are_not_the_same_number() -> None:
    assert not same_number("anonymous", "unknown")


def test_a_value_is_shown_short_and_without_a_number() -> None:
    assert "5552601" not in shown("+14155552601")
    assert len(shown("x" * 1000)) == 40
    assert shown(10**5000) == "a value of type int"


def test_a_number_longer_than_e164_is_refused() -> None:
    with pytest.raises(InvalidPhoneNumber, match="at most 15 digits"):
        parse_number("30000000000000", "DE")
