"""The person and the decision: checked input, JSON, and no phone number in any text."""

from __future__ import annotations

import json

import pytest

from airflow_provider_voice.exceptions import InvalidPhoneNumber, InvalidRequest
from airflow_provider_voice.policy import ContactPolicy, Person
from tests.unit.policy.policies import MIAMI, SAN_FRANCISCO, TOLL_FREE, utc


def test_no_number_leaks() -> None:
    policy = ContactPolicy.load("us")
    for person in (Person(MIAMI), Person(TOLL_FREE), Person(SAN_FRANCISCO, jurisdiction="US")):
        decision = policy.decide(person, at=utc("2026-07-24 08:00"))
        for text in (repr(person), str(person), repr(decision), json.dumps(decision.to_dict()), repr(policy)):
            assert person.to[1:] not in text
            assert person.to[5:] not in text


def test_a_decision_is_json() -> None:
    decision = ContactPolicy.load("us").decide(Person(MIAMI), at=utc("2026-11-24 01:30"))
    data = json.loads(json.dumps(decision.to_dict()))
    assert data["next_at"] == "2026-11-24T13:00:00+00:00"
    assert data["asked"][1] == {
        "rule": "us-fl-hours",
        "file": "us",
        "allowed": False,
        "reason": decision.asked[1].reason,
        "source": "Fla. Stat. 501.616(6)(a)",
        "as_of": "2026-11-21",
    }


@pytest.mark.parametrize("number", ["", "3055552601", "+1305", "+13055552601 x5", None, 13055552601])
def test_a_number_that_cannot_be_called(number) -> None:
    with pytest.raises(InvalidPhoneNumber):
        Person(number)


def test_a_number_as_people_write_it_is_made_e164() -> None:
    assert Person("+1 (305) 555-2601").to == MIAMI


@pytest.mark.parametrize(
    "zone",
    [
        "Mars/Base",
        "America",
        "new york",
        "Etc/Unknown",
        "Factory",
        "right/UTC",
        "posix/UTC",
        "localtime",
        "../UTC",
        "/etc/passwd",
        "Zürich",
        "\ud800",
        "UTC\0",
        5,
        "x" * 500,
    ],
)
def test_a_zone_that_does_not_exist(zone) -> None:
    with pytest.raises(InvalidRequest, match=r"time zone does not exist|takes text"):
        Person(MIAMI, time_zone=zone)


@pytest.mark.parametrize("code", ["USA", "ZZ", "US-", "US-ZZ", "-FL", "FL", "UK", "DE-XX", "US-FL-X", 1])
def test_a_jurisdiction_that_does_not_exist(code) -> None:
    with pytest.raises(InvalidRequest, match=r"jurisdiction does not exist|takes text"):
        Person(MIAMI, jurisdiction=code)


def test_errors_do_not_quote_what_a_row_says() -> None:
    for fields in ({"time_zone": "Jane Doe"}, {"jurisdiction": "Jane Doe"}, {"time_zone": "+14155552601"}):
        with pytest.raises(InvalidRequest) as refusal:
            Person(MIAMI, **fields)
        assert next(iter(fields.values())) not in str(refusal.value)
