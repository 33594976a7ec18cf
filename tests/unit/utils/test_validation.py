"""The checks of single arguments: accepted and refused values."""

from __future__ import annotations

import math
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_voice.exceptions import InvalidRequest
from airflow_provider_voice.models import CallStatus
from airflow_provider_voice.utils.validation import (
    boolean,
    boolean_or_text,
    connection_id,
    duration,
    endings_of,
    is_literal,
    moment_or_text,
    one_of,
    positive_or_text,
    seconds_of,
)

CIRCULAR: list[Any] = []
CIRCULAR.append(CIRCULAR)
OUTPUT = SimpleNamespace(resolve=None, iter_references=None)  # as Airflow's XComArg


@pytest.mark.parametrize("value", [timedelta(seconds=90), 90, 90.0])
def test_a_duration_is_a_timedelta_or_seconds(value: Any) -> None:
    assert duration("wait", value) == timedelta(seconds=90)
    assert seconds_of("wait", value) == 90.0


@pytest.mark.parametrize(
    "value",
    [0, -1, math.inf, math.nan, 1e300, 10**400, timedelta.max, timedelta(0), True, "90", None, [90], CIRCULAR],
    ids=lambda value: str(value)[:12],
)
def test_anything_else_is_no_duration(value: Any) -> None:
    with pytest.raises(InvalidRequest, match="wait must be a timedelta or a number of seconds"):
        duration("wait", value)


def test_a_duration_may_have_a_minimum() -> None:
    assert seconds_of("wait", 0, minimum=0) == 0.0
    assert duration("wait", 60, minimum=timedelta(minutes=1)) == timedelta(minutes=1)
    with pytest.raises(InvalidRequest, match="at least 60 s"):
        seconds_of("wait", 59.9, minimum=60)


@given(st.one_of(st.floats(), st.integers(), st.timedeltas(), st.text(), st.none(), st.binary()))
def test_no_duration_raises_anything_else(value: Any) -> None:
    with suppress(InvalidRequest):
        assert seconds_of("wait", value) > 0


@pytest.mark.parametrize("value", ["true", "TRUE", " yes ", "On", "1", "t", "y", 1, True])
def test_what_means_true(value: Any) -> None:
    assert boolean_or_text("flag", value) is True


@pytest.mark.parametrize("value", ["false", "FALSE", " no ", "Off", "0", "f", "n", 0, False])
def test_what_means_false(value: Any) -> None:
    assert boolean_or_text("flag", value) is False


@pytest.mark.parametrize("value", ["", "maybe", "10", 2, -1, 1.0, 0.0, None, [], "truefalse"])
def test_what_is_not_understood_is_refused(value: Any) -> None:
    with pytest.raises(InvalidRequest):
        boolean_or_text("flag", value)
    with pytest.raises(InvalidRequest):
        boolean("flag", value)


@pytest.mark.parametrize("value", [1, "true"])
def test_a_boolean_that_no_template_renders_is_a_boolean(value: Any) -> None:
    assert boolean("flag", True) is True
    with pytest.raises(InvalidRequest):
        boolean("flag", value)


@pytest.mark.parametrize(
    ("value", "kind", "number"), [(7, int, 7), ("7", int, 7), (0.5, float, 0.5), (" 60 ", float, 60)]
)
def test_a_number_greater_than_zero_may_be_text(value: Any, kind: Any, number: float) -> None:
    assert positive_or_text("pace", value, kind) == number


@pytest.mark.parametrize("value", [0, -1, "x", "", None, True, math.inf, math.nan, "inf", [1]])
@pytest.mark.parametrize("kind", [int, float])
def test_anything_else_is_no_number_greater_than_zero(value: Any, kind: Any) -> None:
    with pytest.raises(InvalidRequest, match="pace must be a"):
        positive_or_text("pace", value, kind)


def test_a_whole_number_has_no_fraction() -> None:
    for value in (1.5, "1.5"):
        with pytest.raises(InvalidRequest, match="a whole number"):
            positive_or_text("pace", value, int)


NOON = datetime(2026, 11, 1, 12, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    "value", [NOON, "2026-11-01T12:00:00Z", "2026-11-01 13:00:00+01:00", "2026-11-01T12:00:00.000000+00:00"]
)
def test_a_moment_may_be_text(value: Any) -> None:
    assert moment_or_text("ends_at", value) == NOON


@pytest.mark.parametrize(
    "value", [NOON.replace(tzinfo=None), "2026-11-01T12:00:00", "2026-11-01", "tomorrow", 1_793_534_400, None]
)
def test_a_moment_without_a_time_zone_is_refused(value: Any) -> None:
    with pytest.raises(InvalidRequest, match="ends_at must be an aware datetime"):
        moment_or_text("ends_at", value)


def test_a_choice_is_one_of_the_texts() -> None:
    one_of("mode", "a", ("a", "b"))
    for value in ("c", None, ["a"], {"a"}, 1):
        with pytest.raises(InvalidRequest, match="mode must be one of 'a', 'b'"):
            one_of("mode", value, ("a", "b"))


def test_endings() -> None:
    assert endings_of("x", "busy") == endings_of("x", [CallStatus.BUSY]) == {CallStatus.BUSY}
    for value in ([], None, "ringing", ["hung up"], [None], 7, {"busy": 1}, CIRCULAR):
        with pytest.raises(InvalidRequest):
            endings_of("x", value)


def test_a_connection_id_is_a_text() -> None:
    assert connection_id(" voice ") == "voice"
    for value in ("", " ", None, 7, ["voice"]):
        with pytest.raises(InvalidRequest):
            connection_id(value)


@pytest.mark.parametrize(
    ("value", "literal"),
    [
        ("text", True),
        ("{{ x }}", False),
        ({"a": ["{% x %}"]}, False),
        (OUTPUT, False),
        ({"a": [(OUTPUT,)]}, False),
        (CIRCULAR, True),
    ],
    ids=["text", "template", "nested template", "output", "nested output", "circular"],
)
def test_what_is_final(value: Any, literal: bool) -> None:
    assert is_literal(value) is literal
