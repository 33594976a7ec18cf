"""Ways to break the guard on purpose. ``tests/mutate_guard.py`` runs the crash matrix with each: all must be caught."""

from __future__ import annotations

import uuid
from typing import Any

from airflow_provider_voice.dialing.dialer import Dialer
from airflow_provider_voice.dialing.record import Record


def none(monkeypatch: Any) -> None:
    """Change nothing."""


def no_intent(monkeypatch: Any) -> None:
    """Do not store the intent before the create."""
    plain = Dialer._save
    monkeypatch.setattr(Dialer, "_save", lambda self, record: None if record.state == "intent" else plain(self, record))


def intent_after(monkeypatch: Any) -> None:
    """Store nothing at all."""
    monkeypatch.setattr(Dialer, "_save", lambda self, record: None)


def no_reconcile(monkeypatch: Any) -> None:
    """Send again instead of looking for the call."""
    monkeypatch.setattr(
        Dialer, "_settle", lambda self, request, record, cause=None: self._place(request, self._next(record, request))
    )


def new_key_every_try(monkeypatch: Any) -> None:
    """Look for another key than the one that was sent."""
    plain = Record.from_json.__func__

    def from_json(cls: type[Record], data: Any) -> Record:
        record = plain(cls, data)
        record.key = uuid.uuid4().hex
        return record

    monkeypatch.setattr(Record, "from_json", classmethod(from_json))


MUTATIONS = {
    "none": none,
    "no_intent": no_intent,
    "intent_after": intent_after,
    "no_reconcile": no_reconcile,
    "new_key_every_try": new_key_every_try,
}
