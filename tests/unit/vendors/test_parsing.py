"""Any JSON value becomes a typed value or None."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_voice.exceptions import InvalidRequest
from airflow_provider_voice.vendors.parsing import (
    as_float,
    as_int,
    as_rows,
    as_text,
    first_id,
    first_text,
    path_segment,
)

ANY = st.recursive(st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=9)), st.lists)


@given(ANY)
def test_any_value_is_read_or_none(value) -> None:
    assert as_text(value) is None or as_text(value).strip()
    assert as_float(value) is None or isinstance(as_float(value), float)
    assert as_int(value) is None or 0 <= as_int(value) < 2**63
    assert as_rows([value]) is None


@pytest.mark.parametrize(
    ("value", "segment"), [("a/b?c#d", "a%2Fb%3Fc%23d"), ("+1", "%2B1"), ("..x", "..x"), ("\ud800", "%ED%A0%80")]
)
def test_ids_are_quoted_in_paths(value, segment) -> None:
    assert path_segment(value) == segment


@pytest.mark.parametrize("value", ["", " ", ".", "..", " .. "])
def test_an_id_that_would_address_another_path_is_refused(value) -> None:
    with pytest.raises(InvalidRequest):
        path_segment(value)


@pytest.mark.parametrize(
    ("row", "found"),
    [({"sid": " a "}, " a "), ({"id": " ", "sid": 7}, "7"), ({"id": None, "sid": True}, None), ({"sid": "7.0"}, "7.0")],
)
def test_an_id_is_as_the_vendor_writes_it(row, found) -> None:
    assert first_id(row, "id", "sid") == found


def test_an_id_begins_no_line_of_a_log() -> None:
    assert first_id({"id": "c1\n2026-01-01 ERROR \x1b[2J"}, "id") == "c1\ufffd2026-01-01 ERROR \ufffd[2J"


def test_the_first_text_passes_over_values_of_other_types() -> None:
    row = {"a": {}, "b": True, "c": " ", "d": 7, "e": "text"}
    assert first_text(row, "a", "b", "c", "d", "e") == "7"
    assert first_text(row, "a", "missing") is None
