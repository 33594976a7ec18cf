"""The store of a key's call: one row for each generation, its owner, the pace, and the keys of tasks."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from airflow_provider_voice.dialing.record import IntentTaken
from airflow_provider_voice.dialing.task_facts import TaskFacts
from airflow_provider_voice.exceptions import CallOutcomeUnknown, InvalidRequest, RateLimited
from airflow_provider_voice.outreach.call_key import CallKeyStore, KeyedCall, key_of_task
from airflow_provider_voice.outreach.schema import KEY_LENGTH, attempts
from tests.unit.outreach.conftest import NUMBERS, Book


def store(book: Book, key: str = "invoice-1", to: str = NUMBERS[0], subject: str | None = None) -> CallKeyStore:
    return CallKeyStore(book.database, KeyedCall(key, to, "voice_default", "agent_1", subject))


def record(tag: str = "afv-1", state: str = "intent", generation: int = 1, **more: Any) -> dict[str, Any]:
    return {"generation": generation, "key": tag, "state": state, **more}


@pytest.mark.parametrize("key", ["", "x" * 251])
def test_a_key_must_fit(key: str) -> None:
    with pytest.raises(InvalidRequest):
        KeyedCall(key, NUMBERS[0], "v")


def test_each_task_instance_has_a_key_of_its_own_that_fits() -> None:
    tasks = [
        TaskFacts("dag" * 100, run_id, "task", map_index) for run_id, map_index in (("a", -1), ("b", -1), ("a", 0))
    ]
    keys = {key_of_task(facts) for facts in tasks}
    assert len(keys) == 3
    assert all(key.startswith("dagdag") and len(key) <= KEY_LENGTH for key in keys)


def test_a_record_is_one_row_that_counts_as_an_attempt(book: Book) -> None:
    store(book, subject="debt").set("", record(owner="me"))
    placed = record(state="placed", owner="me", call={"id": "c1", "placed_at": "2026-03-02T12:00:01Z"})
    store(book).set("", placed)
    book.wait(60)
    ended = {**placed, "state": "ended", "call": {**placed["call"], "status": "busy"}}
    store(book).set("", ended)
    (row,) = book.database.rows(select(attempts))
    assert (row.attempt_id, row.campaign, row.contact_key, row.attempt) == ("afv-1", "", "invoice-1", 1)
    assert (row.source, row.subject, row.owner, row.agent_id) == ("make_call", "debt", "me", "agent_1")
    assert (row.state, row.status, row.call_id) == ("ended", "busy", "c1")
    assert row.ended_at - row.intended_at == timedelta(seconds=60)
    assert store(book).get("") == ended


def test_the_last_generation_is_the_record(book: Book) -> None:
    store(book).set("", record())
    store(book).set("", record("afv-2", generation=2))
    assert store(book).get("")["key"] == "afv-2"
    assert store(book, "another key").get("") is None


def test_an_intent_of_another_task_is_not_overwritten(book: Book) -> None:
    store(book).set("", record())
    with pytest.raises(IntentTaken):
        store(book).set("", record("afv-2"))
    assert store(book).get("")["key"] == "afv-1"


def test_only_calls_of_other_keys_to_the_number_are_those_of_others(book: Book) -> None:
    for tag, key, to in (("a", "one", NUMBERS[0]), ("b", "two", NUMBERS[0]), ("c", "three", NUMBERS[1])):
        store(book, key, to).set("", record(tag))
        store(book, key, to).set("", record(tag, "placed", call={"id": f"call {tag}"}))
    assert store(book, "one").other_call_ids() == {"call b"}


def test_a_vendor_that_asks_to_wait_holds_back_the_next_intent(book: Book) -> None:
    store(book).refused(CallOutcomeUnknown("not about the pace"))
    store(book).set("", record())
    store(book).refused(RateLimited("slow down", retry_after=30))
    with pytest.raises(RateLimited) as refusal:
        store(book, "invoice-2").set("", record("afv-2"))
    assert refusal.value.retry_after == pytest.approx(30, abs=1)
    assert store(book, "invoice-2").get("") is None
    book.wait(31)
    store(book, "invoice-2").set("", record("afv-2"))


def test_a_subject_that_the_ledger_cannot_hold_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="subject"):
        KeyedCall("k", NUMBERS[0], "v", subject="s" * 251)
