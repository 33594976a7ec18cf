"""No phone number of a call is left in a redacted row, and other digits stay."""

from __future__ import annotations

import html
import json
import re
import unicodedata
from datetime import datetime, timedelta, timezone
from typing import Any
from urllib.parse import quote, unquote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_voice.export.redaction import MIN_DIGITS, PhoneRedactor, hash_number
from airflow_provider_voice.export.rows import COLUMNS, RowMaker
from airflow_provider_voice.models import Call, CallStatus

NOW = datetime(2026, 1, 10, tzinfo=timezone.utc)
TO, FROM = "+14155552671", "+442071838750"
TEXT_COLUMNS = ("tag", "agent_id", "agent_name", "vendor_status", "recording_url")
SIGNS = " /_,.-()|:;*#~'\"\t\n\u00a0\u2011\u2013+"

# Numbers whose last digits are no common run such as 0000000, which every time has.
numbers = st.from_regex(r"\+[1-9][0-9]{8,14}", fullmatch=True).filter(lambda number: len(set(number[-7:])) > 4)
modes = st.sampled_from(["masked", "hashed"])
beside = st.sampled_from(
    ["", "2026-01-10 ", "call 7 ", "https://x.test/rec_", "id=12, ", "12:30:00Z ", '{"to": "', "%20", "(", "7/"]
)


@st.composite
def grouped(draw: st.DrawFn, number: str) -> str:
    """Write a number's digits with any signs between some of them."""
    digits = number[1:]
    digits = digits[draw(st.integers(0, len(digits) - 8)) :]  # a national form lacks the first ones
    sign = st.text(SIGNS, max_size=3)
    gaps = draw(st.lists(st.one_of(st.just(""), sign), min_size=len(digits), max_size=len(digits)))
    return draw(st.sampled_from(["", "+", "00", "tel:"])) + "".join(map("".join, zip(digits, gaps, strict=True)))


@st.composite
def written(draw: st.DrawFn, number: str) -> Any:
    """Write a number as a vendor, a person or a program may."""
    text = draw(st.one_of(st.just(number), st.just(number[1:]), grouped(number)))
    digits = "".join(filter(str.isdigit, text))
    form = draw(st.sampled_from(["text", "url", "json", "html", "twice", "wide", "int", "float"]))
    if form == "int":
        return int(digits)
    if form == "float":
        return float(digits) if len(digits) <= 15 else digits
    text = {
        "url": lambda: quote(text, safe=""),
        "json": lambda: json.dumps(text),
        "html": lambda: html.escape(text).replace("+", "&#43;"),
        "twice": lambda: quote(quote(text)),
        "wide": lambda: "".join(chr(ord(sign) + 0xFEE0) if sign.isdigit() else sign for sign in text),
    }.get(form, lambda: text)()
    return draw(beside) + text + draw(st.sampled_from(["", " 2026-01-10", ".mp3", '"}', " please", "/2"]))


@st.composite
def placed(draw: st.DrawFn, value: Any) -> Any:
    """Put a value somewhere into a vendor's record."""
    for _ in range(draw(st.integers(0, 3))):
        value = draw(st.sampled_from([{"x": value}, [1, value, None], {"a": [value], "b": True}, {str(value): 1}]))
    return value


def leaves(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for pair in value.items() for part in pair for text in leaves(part)]
    if isinstance(value, list):
        return [text for item in value for text in leaves(item)]
    return [str(value)]


def shown_digits(text: str) -> set[str]:
    """Return the digits of a text as somebody reads them who undoes escapes; what no number has in it is an ``x``."""
    readings = {text, unquote(text), unquote(unquote(text)), html.unescape(text)}
    readings.add(re.sub(r"\\+(?:u[0-9a-f]{4}|x[0-9a-f]{2}|[nt])", " ", text))
    return {
        "".join(
            str(unicodedata.decimal(sign)) if sign.isdecimal() else "x" if sign.isalpha() or sign == "•" else ""
            for sign in reading
        )
        for reading in readings
    }


def survives(number: str, texts: list[str]) -> bool:
    digits = number[1:]
    parts = [digits[start : start + MIN_DIGITS] for start in range(len(digits) - MIN_DIGITS + 1)]
    return any(part in shown for text in texts for shown in shown_digits(text) for part in parts)


def row_of(mode: str, call: Call) -> dict[str, Any]:
    return dict(zip(COLUMNS, RowMaker("src", mode, NOW, NOW - timedelta(hours=24)).row(call), strict=True))


@settings(max_examples=200)
@given(st.data(), modes, numbers, numbers)
def test_no_digits_of_the_calls_numbers_survive_in_any_column(data, mode, to, from_) -> None:
    one = st.sampled_from([to, from_]).flatmap(written)
    columns = {name: str(data.draw(one)) for name in TEXT_COLUMNS}
    raw = {"to": to, "deep": data.draw(one.flatmap(placed)), "more": data.draw(st.lists(one.flatmap(placed)))}
    row = row_of(mode, Call("c1", "talkover", CallStatus.BUSY, to=to, from_=from_, raw=raw, **columns))
    texts = [str(row[name]) for name in (*TEXT_COLUMNS, "to_number", "from_number")] + leaves(json.loads(row["raw"]))
    for number in (to, from_):
        # The mask of one number may be by chance the beginning of the other: five of its digits at most.
        assert not survives(number, texts), (number, texts)


@given(
    modes,
    st.one_of(
        st.integers(),
        st.floats(allow_nan=False, allow_infinity=False),
        st.datetimes().map(datetime.isoformat),
        st.uuids().map(str),
        st.integers(0, 2**63).map(str),
        st.decimals(0, 10**6, places=4).map(str),
        st.from_regex(r"(CA|call_|agent_)[0-9a-f]{6,32}", fullmatch=True),
    ),
)
def test_ids_times_durations_and_costs_stay(mode, value) -> None:
    if not any(survives(number, [str(value)]) for number in (TO, FROM)):
        assert PhoneRedactor(mode, [TO, FROM]).value({"x": value}) == {"x": value}


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("2026-01-10 4155552671", "2026-01-10 +1415•••••71"),
        ("4155552671 2026-01-10", "+1415•••••71 2026-01-10"),
        ("https://x.test/2026/rec_%2B14155552671.mp3?id=77", "https://x.test/2026/rec_+1415•••••71.mp3?id=77"),
        ("415/555/2671", "+1415•••••71"),
        ("1,415,555,2671", "+1415•••••71"),
        ("1_415_555_2671!", "+1415•••••71!"),
        ("from +44 20 7183 8750 to 1 (415) 555-2671", "from +4420••••••50 to +1415•••••71"),
        ("14155552671/442071838750", "+1415•••••71/+4420••••••50"),
        ("1.4155552671e10", "+1415•••••71e10"),
        ("141555526", "+1415•••••71"),
        ("ask +49 30 901820 or (212) 555-0123, 646-555-0199", "ask +4930••••20 or 2125••••23, 6465••••99"),
        ("order 2125550123 of 2026-01-10T12:30:00+0000", "order 2125550123 of 2026-01-10T12:30:00+0000"),
        ("it is four one five, five-five-five 2 six seven One.", "it is +1415•••••71."),
        ("one of us, two or three: four five six", "one of us, two or three: four five six"),
        ("<b>415</b> <i>555</i> 2671 <3", "<b>+1415•••••71 <3"),
        ("ask +44\u201120\u20117946\u20110958 or 1-212-555-0123", "ask +4420••••••58 or 1212•••••23"),
    ],
)
def test_text_beside_a_number_stays(text, left) -> None:
    assert PhoneRedactor("masked", [TO, FROM]).value(text) == left


def test_a_long_run_of_backslashes_is_read_once() -> None:
    # Read again from each of them, these would take minutes.
    text = "\\" * 200_000
    assert PhoneRedactor("masked", [TO]).value({"said": text}) == {"said": text}
    assert PhoneRedactor("masked", [TO]).value("415\\\\n555\\n\\t2671") == "+1415•••••71"


def test_a_json_number_that_is_a_phone_number_becomes_text() -> None:
    raw = {"a": 14155552671, "b": 4155552671.0, "c": 5552671, "n": 77, "f": 0.25, "t": True, "z": None}
    kept = PhoneRedactor("hashed", [TO]).value(raw)
    assert [kept[name] for name in "abc"] == [hash_number(TO)] * 3
    assert {name: kept[name] for name in "nftz"} == {"n": 77, "f": 0.25, "t": True, "z": None}


def test_a_field_named_after_phone_numbers_shows_none() -> None:
    raw = {"caller": "2125550123", "customer_phone": 2125550123, "phone_id": "ph_123", "order_id": 2125550123}
    assert PhoneRedactor("masked", [TO]).value(raw) == {
        "caller": "2125••••23",
        "customer_phone": "2125••••23",
        "phone_id": "ph_123",
        "order_id": 2125550123,
    }


def test_a_number_in_other_digits_has_its_hash() -> None:
    arabic = "+\u0664\u0669\u0663\u0660\u0661\u0662\u0663\u0664\u0665\u0666\u0667\u0668"
    assert PhoneRedactor("hashed", [TO]).value([f"ask {arabic}"]) == [f"ask {hash_number('+493012345678')}"]


@given(st.text(), st.text())
def test_hashes_join_by_number(one, other) -> None:
    same = [char for char in one if char.isdigit()] == [char for char in other if char.isdigit()]
    assert not same or hash_number(one) == hash_number(other)


@pytest.mark.parametrize("to", ["sip:+14155552671@10.0.0.1", "+1 415 555 2671 ext. 899"])
def test_a_number_inside_an_address_or_with_an_extension_is_known_elsewhere(to) -> None:
    shown = PhoneRedactor("masked", [to]).value({"note": "rang 14155552671 twice", "to": to})
    assert "5552671" not in str(shown)


@pytest.mark.parametrize("number", ["+49/30/12345678", "+49 30\u201112345678", "+493012345678"])
def test_the_last_digits_of_a_number_have_its_hash_whatever_signs_it_has(number) -> None:
    assert PhoneRedactor("hashed", [number]).value(["12345678"]) == [hash_number("+493012345678")]


@pytest.mark.parametrize("mode", ["masked", "hashed"])
@pytest.mark.parametrize(
    "value", [["4915112345678"], [4915112345678, None], "4915112345678, 442071838750", "ext. 4155550000"]
)
def test_a_field_named_after_phone_numbers_may_hold_several(mode: str, value: Any) -> None:
    redacted = str(PhoneRedactor(mode, [TO]).value({"customer_phones": value})["customer_phones"])
    assert not {"4915112345678", "442071838750", "4155550000"} & set(re.findall(r"\d+", redacted))


def test_a_short_number_of_the_call_goes_where_it_is_a_whole_field() -> None:
    record = {"to": "12345", "agent": {"id": "12"}, "name": "", "minutes": "2"}
    assert PhoneRedactor("masked", ["12345", "2"]).value(record) == {**record, "to": "•••••"}
