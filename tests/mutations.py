"""Ways to break the guard on purpose. ``tests/mutate_guard.py`` runs the crash matrix with each: all must be caught."""

from __future__ import annotations

import uuid
from typing import Any

from airflow_provider_voice.dialing import dialer, task_facts
from airflow_provider_voice.dialing.dialer import Dialer
from airflow_provider_voice.dialing.record import Record, RecordStore
from airflow_provider_voice.dialing.task_facts import TaskFacts
from airflow_provider_voice.outreach import call_key


def none(monkeypatch: Any) -> None:
    """Change nothing."""


def no_intent(monkeypatch: Any) -> None:
    """Do not store the intent before the create."""
    plain = RecordStore.save
    monkeypatch.setattr(
        RecordStore, "save", lambda self, record: None if record.state == "intent" else plain(self, record)
    )


def intent_after(monkeypatch: Any) -> None:
    """Store nothing at all."""
    monkeypatch.setattr(RecordStore, "save", lambda self, record: None)


def no_reconcile(monkeypatch: Any) -> None:
    """Send again instead of searching for the call."""
    monkeypatch.setattr(
        Dialer,
        "_search_then_fail",
        lambda self, request, record, cause=None: self._place(request, self._next(record, request)),
    )


def new_key_every_try(monkeypatch: Any) -> None:
    """Search for another key than the one that was sent."""
    plain = Record.from_json.__func__

    def from_json(cls: type[Record], data: Any) -> Record:
        record = plain(cls, data)
        record.key = uuid.uuid4().hex
        return record

    monkeypatch.setattr(Record, "from_json", classmethod(from_json))


def retries_do_not_search(monkeypatch: Any) -> None:
    """Take a retry without a record for a first try."""
    monkeypatch.setattr(TaskFacts, "may_follow_a_call", property(lambda self: False))


def search_from_start_date(monkeypatch: Any) -> None:
    """Search for calls since the run's start date, which a clear moves."""
    monkeypatch.setattr(task_facts, "run_began_at", lambda run: run.start_date)


def anything_is_a_refusal(monkeypatch: Any) -> None:
    """Take every error of a create for a refusal."""
    monkeypatch.setattr(dialer, "proves_no_ring", lambda error: True)


def one_record_for_everybody(monkeypatch: Any) -> None:
    """Do not ask whose record it is."""
    monkeypatch.setattr(Dialer, "_fingerprint", lambda self, request: "the same")


def any_further_try_is_a_clear(monkeypatch: Any) -> None:
    """Take a try beyond the retries for a user's clear, also in a run that was never cleared."""
    monkeypatch.setattr(TaskFacts, "run_was_cleared_since", lambda self, record: True)


def keys_are_not_shared(monkeypatch: Any) -> None:
    """Give every task with a call_key a key of its own."""
    monkeypatch.setattr(
        call_key.KeyedCall, "__post_init__", lambda self: object.__setattr__(self, "call_key", uuid.uuid4().hex)
    )


MUTATIONS = {
    "none": none,
    "no_intent": no_intent,
    "intent_after": intent_after,
    "no_reconcile": no_reconcile,
    "new_key_every_try": new_key_every_try,
    "retries_do_not_search": retries_do_not_search,
    "search_from_start_date": search_from_start_date,
    "anything_is_a_refusal": anything_is_a_refusal,
    "one_record_for_everybody": one_record_for_everybody,
    "any_further_try_is_a_clear": any_further_try_is_a_clear,
    "keys_are_not_shared": keys_are_not_shared,
}
