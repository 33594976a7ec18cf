"""Rule files that disagree with the format are refused with file, rule and the correction."""

from __future__ import annotations

import pytest

from airflow_provider_voice.exceptions import InvalidRequest
from airflow_provider_voice.policy.rule_files import load_rule_file
from airflow_provider_voice.policy.rule_format import parse_rule_file

ONE_RULE = "rules:\n  - id: hours\n    {line}\n"


def _refused(text: str | bytes) -> str:
    with pytest.raises(InvalidRequest) as refusal:
        parse_rule_file(text.encode() if isinstance(text, str) else text, "company.yaml")
    assert str(refusal.value).startswith("company.yaml")
    assert refusal.value.permanent
    return str(refusal.value)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('hours: {mon: ["21:00-08:00"]}', "does not end after its start"),
        ('hours: {mon: ["08:00-08:00"]}', "does not end after its start"),
        ('hours: {mon: ["08:00-25:00"]}', "is not an interval"),
        ('hours: {mon: ["08:00-24:30"]}', "is not an interval"),
        ('hours: {mon: ["08:60-09:00"]}', "is not an interval"),
        ('hours: {mon: ["08:00"]}', "is not an interval"),
        ('hours: {mon: ["8-21"]}', "is not an interval"),
        ('hours: {mon: ["08:00-12:00-13:00"]}', "is not an interval"),
        ("hours: {mon: 21:00}", "Write a list of intervals"),
        ('hours: {mon: "08:00-21:00"}', "Write a list of intervals"),
        ("hours: {mon: [[8, 21]]}", "Write a list of intervals"),
        ("hours: {mon: }", "Write a list of intervals"),
        ('hours: {monday: ["08:00-21:00"]}', "unknown day 'monday'. Write mon"),
        ('hours: {mon-fry: ["08:00-21:00"]}', "unknown day"),
        ('hours: {"mon,wed": ["08:00-21:00"]}', "unknown day"),
        ('hours: {no: ["08:00-21:00"]}', "unknown day 'no'"),
        ('hours: {mon-fri: ["08:00-21:00"], fri: []}', "fri names a day that another key already names"),
        ("hours: {}", "hours is empty"),
        ("hours: [mon]", "hours is a list"),
        ("hour: {}", "unknown key 'hour'. Write 'hours'"),
        ("applies_to: [US]", "it forbids nothing"),
        ("source: somewhere", "it forbids nothing"),
        ("at_most: {attempts: 0, hours: 24}", "at_most.attempts is '0'"),
        ("at_most: {attempts: -1, hours: 24}", "at_most.attempts"),
        ("at_most: {attempts: 1.5, hours: 24}", "at_most.attempts"),
        ("at_most: {attempts: many, hours: 24}", "at_most.attempts"),
        ("at_most: {attempts: 3, hours: 0}", "at_most.hours"),
        ("at_most: {attempts: 3, days: 99999}", "at_most.days"),
        ("at_most: {attempts: 3}", "either hours or days"),
        ("at_most: {attempts: 3, hours: 24, days: 1}", "either hours or days"),
        ("at_most: {hours: 24}", "needs attempts"),
        ("at_most: {attempts: 3, minutes: 5}", "unknown key 'minutes'"),
        ("at_most: 3", "a mapping with attempts"),
        ("closed_on: {holidays: XX}", "no calendar 'XX'"),
        ("closed_on: {holidays: US-ZZ}", "no calendar 'US-ZZ'"),
        ("closed_on: {holidays: }", "closed_on.holidays"),
        ("closed_on: {holidays: [FR, QQ]}", "no calendar 'QQ'"),
        ("closed_on: {dates: 2026-12-25}", "closed_on.dates"),
        ("closed_on: {dates: [25.12.2026]}", "is not a date. Write it as 2026-12-25"),
        ("closed_on: {dates: [2026-02-30]}", "is not a date"),
        ("closed_on: {dates: [20261225]}", "is not a date"),
        ("closed_on: {}", "closed_on is empty"),
        ("closed_on: FR", "a mapping with holidays"),
        ("closed_on: {holiday: FR}", "Write 'holidays'"),
    ],
)  # fmt: skip
def test_a_rule_with_a_mistake(line, message) -> None:
    text = _refused(ONE_RULE.format(line=line))
    assert message in text
    assert "rule hours" in text


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("applies_to: US", "applies_to"),
        ("applies_to: []", "applies_to"),
        ("applies_to: [UK]", "Write 'GB'"),
        ("applies_to: [EU]", "not a country"),
        ("applies_to: [USA]", "not a country"),
        ("applies_to: [US-ZZ]", "not a subdivision of US"),
        ("applies_to: [US_FL]", "not a country"),
        ("since: 2026", "is not a date"),
        ("since: 2026-01-01 00:00", "is not a date"),
        ("until: soon", "is not a date"),
        ("{since: 2026-01-02, until: 2026-01-02}", None),
        ("source: []", "source is empty"),
        ("as_of: never", "is not a date"),
    ],
)
def test_a_rule_with_a_mistake_beside_its_hours(more, message) -> None:
    if message is None:
        more, message = "since: 2026-01-02\n    until: 2026-01-02", "until is not after since"
    assert message in _refused(f'rules:\n  - id: hours\n    hours: {{mon: ["08:00-21:00"]}}\n    {more}\n')


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "a mapping with title, as_of and rules"),
        ("# nothing\n", "a mapping with title, as_of and rules"),
        ("- id: x\n", "belongs here, but it is a list"),
        ("just text", "a mapping with"),
        ("title: x\n", "it has no rules"),
        ("rules: []\n", "it has no rules"),
        ("rules:\n", "it has no rules"),
        ("rules: {id: x}\n", "it has no rules"),
        ("rules: [x]\n", "rule number 1"),
        ("rules:\n  - hours: {mon: []}\n", "it has no id"),
        ("rules:\n  - id: \n    hours: {mon: []}\n", "id is empty"),
        ("zones: some\nrules: [{id: a, hours: {mon: []}}]\n", "Write 'all' or 'any'"),
        ("margin: -1\nrules: [{id: a, hours: {mon: []}}]\n", "margin"),
        ("margin: 1:00\nrules: [{id: a, hours: {mon: []}}]\n", "margin"),
        ("margin: 90000\nrules: [{id: a, hours: {mon: []}}]\n", "margin"),
        ("rule: []\n", "Write 'rules'"),
        ("true: x\nrules: [{id: a, hours: {mon: []}}]\n", "unknown key 'true'"),
        ("as_of: 2026-13-01\nrules: [{id: a, hours: {mon: []}}]\n", "is not a date"),
        ("country_zones: {ID: [Asia/Batavia]}\nrules: [{id: a, hours: {mon: []}}]\n", "not a time zone"),
        ("country_zones: {ID: []}\nrules: [{id: a, hours: {mon: []}}]\n", "country_zones.ID is empty"),
        ("country_zones: {XX: [Asia/Jakarta]}\nrules: [{id: a, hours: {mon: []}}]\n", "not a country"),
        (
            "country_zones: {US-FL: [America/New_York]}\nrules: [{id: a, hours: {mon: []}}]\n",
            "is not a country. Write US",
        ),
        ("country_zones: [ID]\nrules: [{id: a, hours: {mon: []}}]\n", "country_zones is a list"),
        (
            "rules:\n  - id: a\n    hours: {mon: []}\n  - id: a\n    hours: {tue: []}\n",
            "rule a: the id is not unique, the file has it twice",
        ),
        ("rules:\n  - id: a\n    id: b\n    hours: {mon: []}\n", "'id' is written twice"),
        ("rules:\n  - id: a\n    hours: {mon: [], mon: []}\n", "'mon' is written twice"),
        ("rules: [\n", "not valid YAML in line"),
        ("rules: *unknown\n", "not valid YAML"),
        ("? [a]\n: b\n", "not valid YAML"),
        ("a: 1\n---\nb: 2\n", "not valid YAML"),
        (b"title: caf\xe9\n", "not written in UTF-8"),
        (b"\x00\x01", "not valid YAML"),
        ("[" * 2000, "nested too deeply"),
    ],
)
def test_a_file_with_a_mistake(text, message) -> None:
    assert message in _refused(text)


def test_yaml_does_not_guess(tmp_path) -> None:
    path = tmp_path / "norway.yaml"
    path.write_text("rules:\n  - id: 007\n    applies_to: [NO]\n    hours: {sun-thu: [9:00-17:00], fri: []}\n", "utf-8")
    (rule,) = load_rule_file(path).rules
    assert (rule.id, rule.applies_to) == ("007", ("NO",))
    assert rule.hours.describe(6) == "09:00-17:00"
    assert rule.hours.describe(4) == "closed"


def test_a_byte_order_mark_is_no_part_of_the_file() -> None:
    assert parse_rule_file(b"\xef\xbb\xbfrules: [{id: a, hours: {mon: []}}]", "x").rules[0].id == "a"
