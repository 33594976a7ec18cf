"""The arguments of one call, and what Airflow may show of them."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_voice.exceptions import InvalidPhoneNumber, InvalidRequest
from airflow_provider_voice.utils.call_arguments import (
    check_number,
    check_person,
    delay_of,
    id_or_none,
    key_or_none,
    masked_dialed,
    masked_key,
    masked_list,
    masked_values,
    policy_of,
    text_or_none,
)
from airflow_provider_voice.utils.masking import MaskedField, MaskedValue, plain

NUMBER = "+14155552601"


def set_in_a_field(mask: Callable[[Any], Any], value: Any) -> Any:
    """Return the value of a template field after Airflow has set it."""

    class Task:
        field = MaskedField(mask)

    task = Task()
    task.field = value
    return task.field


OUTPUT = SimpleNamespace(resolve=None, iter_references=None)


@pytest.mark.parametrize("value", [NUMBER, 14155552601, [NUMBER], {"to": NUMBER}, b"+14155552601", 1.4155552601e10])
def test_what_is_dialed_is_never_shown(value: Any) -> None:
    masked = masked_dialed(value)
    assert isinstance(masked, MaskedValue)
    assert plain(masked) == value
    assert "4155552601" not in str(masked) + repr(masked) + str(masked.serialize())


@pytest.mark.parametrize("value", [None, "{{ params.to }}", "{% if x %}1{% endif %}", OUTPUT, "nobody"], ids=str)
def test_what_is_no_number_yet_stays(value: Any) -> None:
    assert set_in_a_field(masked_dialed, value) is value


def test_values_about_a_person_are_masked_once_they_are_final() -> None:
    masked = set_in_a_field(masked_values, {"name": "Ada", NUMBER: 1})
    assert plain(masked) == {"name": "Ada", NUMBER: 1}
    assert "Ada" not in str(masked)
    assert "4155552601" not in str(masked)
    for value in (None, {}, {"name": "{{ x }}"}, {"a": [OUTPUT]}, "{{ x }}"):
        assert set_in_a_field(masked_values, value) is value


@pytest.mark.parametrize("people", [[{"to": NUMBER}], (NUMBER,), {NUMBER}, {NUMBER: 1}])
def test_a_list_of_people_is_counted_and_not_shown(people: Any) -> None:
    masked = masked_list(people, "contacts")
    assert plain(masked) is people
    assert (str(masked), masked.serialize()) == ("1 contacts", "1 contacts")


@pytest.mark.parametrize("value", [None, "SELECT 1", "{{ x }}", OUTPUT, ["{{ x }}"], [OUTPUT]], ids=str)
def test_what_is_no_list_of_people_yet_stays(value: Any) -> None:
    assert set_in_a_field(partial(masked_list, noun="contacts"), value) is value


@pytest.mark.parametrize(("value", "agent"), [(None, None), ("", None), ("a", "a"), (7, "7"), (0, "0")])
def test_agents(value: Any, agent: str | None) -> None:
    assert id_or_none("agent_id", value) == agent
    for bad in (True, 1.5, ["a"], -1, 10**5000):
        with pytest.raises(InvalidRequest):
            id_or_none("agent_id", bad)


@pytest.mark.parametrize("value", [60, "60", " 060 ", 60.0, timedelta(minutes=1)])
def test_delays(value: Any) -> None:
    assert delay_of(value) == 60
    for bad in (-1, "-1", 3601, 1.5, "1.5", "x", "", "nan", math.inf, 10**5000, None, timedelta(hours=2), True):
        with pytest.raises(InvalidRequest):
            delay_of(bad)


def test_numbers_are_checked_as_far_as_they_are_known() -> None:
    for to, region in ((NUMBER, None), ("{{ x }}", "US"), ("(415) 555-2601", None), ("4155552601", "us"), (OUTPUT, 7)):
        if region == 7:
            with pytest.raises(InvalidRequest):
                check_number(to, region)
        else:
            check_number(to, region)
    for to, region in (("+1415", None), ("nobody", None), ([NUMBER], None), (14155552601, None), ("415", "US")):
        with pytest.raises(InvalidPhoneNumber):
            check_number(to, region)
    with pytest.raises(InvalidRequest, match="two-letter") as error:
        check_number(NUMBER, NUMBER)
    assert "4155552601" not in error.value.message


def test_texts() -> None:
    assert (text_or_none("x", ""), text_or_none("x", None), text_or_none("x", "a")) == (None, None, "a")
    for bad in (7, "a" * 251):
        with pytest.raises(InvalidRequest):
            text_or_none("x", bad)


@pytest.mark.parametrize(("value", "key"), [(None, None), (" invoice 7 ", "invoice 7"), (7, "7"), ("07", "07")])
def test_what_is_a_key(value: Any, key: str | None) -> None:
    assert key_or_none(value) == key


@pytest.mark.parametrize(
    "value", ["", " ", "None", True, 1.5, -1, ["k"], "a\x00b", 10**5000], ids=lambda value: str(type(value))
)
def test_what_is_no_key(value: Any) -> None:
    with pytest.raises(InvalidRequest, match="call_key"):
        key_or_none(value)


@pytest.mark.parametrize("value", [NUMBER, f"reminder {NUMBER}", 14155552601, [NUMBER]])
def test_a_number_in_a_key_is_not_shown(value: Any) -> None:
    masked = masked_key(value)
    assert plain(masked) == value
    assert "4155552601" not in str(masked) + repr(masked) + str(masked.serialize())


@pytest.mark.parametrize("value", [None, "invoice 7", "{{ params.key }}", OUTPUT], ids=str)
def test_other_keys_stay_as_they_are(value: Any) -> None:
    assert set_in_a_field(masked_key, value) is value


def test_what_only_a_policy_reads_needs_one_and_exists() -> None:
    check_person(None, None, "", "wait")
    check_person("us", "{{ x }}", OUTPUT, "skip")
    for bad in ((None, NUMBER, None, "wait"), (None, None, "US", "wait"), (None, None, None, "fail"),
                ("us", NUMBER, None, "wait"), ("us", 7, None, "wait"), ("us", None, "Mars", "wait")):  # fmt: skip
        with pytest.raises(InvalidRequest) as refused:
            check_person(*bad)
        assert "4155552601" not in refused.value.message


def test_a_policy_is_loaded_and_a_broken_one_shows_no_number(tmp_path) -> None:
    loaded = policy_of("us")
    assert policy_of(loaded) is loaded
    assert policy_of(None) is None
    for value in (NUMBER, [NUMBER, 7], 14155552601, [str(tmp_path / "none.yaml")]):
        with pytest.raises(InvalidRequest) as refused:
            policy_of(value)
        assert "4155552601" not in refused.value.message
