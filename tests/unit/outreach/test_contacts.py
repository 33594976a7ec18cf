"""Rows become contacts: none is lost, and each that cannot be called has a reason."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from uuid import UUID

import pytest

from airflow_provider_voice.exceptions import InvalidRequest
from airflow_provider_voice.outreach.contacts import Columns, contact_of, contacts_of

pytestmark = pytest.mark.once
GOOD = {"contact_id": "c1", "to": "+1 415 555 2671", "name": "Ada"}


def test_a_good_row() -> None:
    contact = contact_of({**GOOD, "time_zone": "Europe/Paris", "jurisdiction": "FR"}, Columns())
    assert (contact.key, contact.state, contact.to) == ("c1", "pending", "+14155552671")
    assert (contact.time_zone, contact.jurisdiction) == ("Europe/Paris", "FR")
    assert json.loads(contact.variables) == {"name": "Ada"}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"to": "12"}, "cannot be called"),
        ({"to": None}, "no number"),
        ({"to": ""}, "no number"),
        ({"to": float("nan")}, "no number"),
        ({"to": 14155552671.0}, "must be text, not float"),
        ({"to": True}, "must be text"),
        ({"time_zone": "Mars/Base"}, "no time zone 'Mars/Base'"),
        ({"jurisdiction": "XX-YY"}, "no jurisdiction"),
        ({"name": object()}, "JSON cannot carry"),
        ({"contact_id": "k" * 400}, "longer than"),
    ],
)
def test_a_row_that_cannot_be_called_says_why(change, reason) -> None:
    contact = contact_of({**GOOD, **change}, Columns())
    assert contact.state == "rejected"
    assert reason in contact.reason
    assert "2671" not in contact.reason
    assert contact == contact_of({**GOOD, **change}, Columns()) or "object" in repr(change)


@pytest.mark.parametrize("missing", [{}, {"contact_id": None}, {"contact_id": " "}])
def test_a_missing_key_is_derived_from_the_number(missing) -> None:
    row = {"to": "+14155552671", **missing}
    other = {"to": "+1 (415) 555-2671", **missing}
    contact = contact_of(row, Columns())
    assert contact.key == contact_of(other, Columns()).key
    assert "4155552671" not in contact.key


def test_values_of_databases_become_json() -> None:
    row = {
        **GOOD,
        "day": date(2026, 1, 2),
        "due": Decimal("49.90"),
        "id": UUID(int=1),
        "bad": float("inf"),
        "n\x00": "a\x00",
    }
    spoken = json.loads(contact_of(row, Columns()).variables)
    assert spoken == {
        "name": "Ada",
        "day": "2026-01-02",
        "due": "49.90",
        "id": str(UUID(int=1)),
        "bad": None,
        "n": "a",
    }


def test_the_columns_for_the_agent_are_chosen() -> None:
    contact = contact_of({**GOOD, "secret": 1}, Columns(variables=("name",)))
    assert json.loads(contact.variables) == {"name": "Ada"}


@pytest.mark.parametrize(
    ("columns", "named"), [(Columns(to="phone"), "'phone'"), (Columns(variables=("age",)), "'age'")]
)
def test_a_column_that_is_not_there_is_an_error(columns, named) -> None:
    with pytest.raises(InvalidRequest, match=named):
        list(contacts_of([GOOD], columns))


def test_a_file_without_a_header_shows_nobody() -> None:
    with pytest.raises(InvalidRequest, match="column names") as caught:
        list(contacts_of([{"k1": "k2", "+14155552671": "+14155552672", "Ada": "Bob"}], Columns()))
    assert "2671" not in str(caught.value)
    assert "Ada" not in str(caught.value)


@pytest.mark.parametrize("change", [{"time_zone": "+14155552671"}, {"jurisdiction": "+14155552671"}])
def test_a_number_in_another_column_is_masked(change) -> None:
    assert "2671" not in str(contact_of({**GOOD, **change}, Columns()).reason)


def test_a_row_must_be_a_mapping() -> None:
    with pytest.raises(InvalidRequest, match="Contact 2"):
        list(contacts_of([GOOD, "x"], Columns()))


def test_numbers_without_plus_take_the_region() -> None:
    assert contact_of({"to": 4155552671}, Columns(), "US").to == "+14155552671"


def test_a_key_with_what_no_database_carries_is_cleaned() -> None:
    contact = contact_of({"contact_id": "a\x00b\ud800", "to": "+14155552671", "c\ud800": {"d\ud800": 1}}, Columns())
    assert contact.key == "ab?"
    assert json.loads(contact.variables) == {"c?": {"d?": 1}}
