"""Loading a source into the ledger; on each database in ``tests/integration/outreach``."""

from __future__ import annotations

import pytest

from airflow_provider_voice.exceptions import InvalidRequest
from airflow_provider_voice.outreach.contact_loading import ContactLoader
from airflow_provider_voice.outreach.contacts import Columns, contacts_of
from tests.unit.outreach.conftest import NUMBERS


def load(book, rows, check=None):
    book.record.begin("run")
    return ContactLoader(book.database, book.name).load(contacts_of(rows, Columns()), check)


def row(key: str, index: int) -> dict[str, str]:
    return {"contact_id": key, "to": NUMBERS[index]}


def test_every_row_has_a_contact_and_is_counted(book) -> None:
    counts = load(book, [row("a", 0), row("b", 0), row("a", 1), {"contact_id": "bad", "to": "x"}])
    assert (counts.rows, counts.rejected, counts.merged) == (4, 2, 1)
    assert [book.contact(key).state for key in ("a", "b", "a#2", "bad")] == [
        "pending",
        "merged",
        "rejected",
        "rejected",
    ]
    assert sum(book.record.counts()[state] for state in ("pending", "merged", "rejected")) == 4


def test_a_check_that_refuses_lets_nobody_be_called(book) -> None:
    def refuse(counts) -> None:
        raise InvalidRequest("no")

    with pytest.raises(InvalidRequest):
        load(book, [row("a", 0)], refuse)
    assert book.ledger().claim_due(1) == []
    load(book, [row("a", 0)])
    assert [item.key for item in book.ledger().claim_due(1)] == ["a"]


def test_the_same_source_again_changes_nothing(book) -> None:
    rows = [row("a", 0), row("b", 0), row("c", 1)]
    load(book, rows)
    before = [book.contact(key)[:15] for key in "abc"]
    load(book, rows)
    assert [book.contact(key)[:15] for key in "abc"] == before
