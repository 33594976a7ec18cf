"""Progress lines: pace, expected end, and no number."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_voice.outreach import progress
from airflow_provider_voice.outreach.progress import Snapshot, expected_end, line
from airflow_provider_voice.outreach.states import ContactState

NOON = datetime(2026, 3, 2, 12, tzinfo=timezone.utc)
LATER = NOON + timedelta(hours=5)


def counts(**changes: int) -> dict[str, Any]:
    found = {state.value: 0 for state in ContactState} | changes
    return {"contacts": sum(found.values()) - changes.get("attempts", 0), "attempts": 0, **found}


@pytest.mark.parametrize(
    ("waiting", "pace", "last_due_at", "end"),
    [
        (0, 10.0, None, None),
        (20, 10.0, NOON, NOON + timedelta(minutes=2)),
        (20, 10.0, LATER, LATER),
        (3000, 10.0, LATER, LATER),
        (6000, 10.0, LATER, NOON + timedelta(minutes=600)),
        (20, 0.0, NOON, None),
        (20, 0.0, LATER, LATER),
        (20, 0.0, None, None),
    ],
)
def test_the_end_is_when_all_who_wait_were_called_and_not_before_the_last_is_due(
    waiting, pace, last_due_at, end
) -> None:
    assert expected_end(NOON, waiting, pace, last_due_at) == end


def test_a_line_with_redials_pending() -> None:
    first = Snapshot(0.0, counts(pending=60, reached=0, attempts=0), NOON - timedelta(minutes=1))
    last = Snapshot(60.0, counts(pending=20, redial=10, in_call=5, dialing=1, reached=24, attempts=40), NOON, LATER)
    assert line(first, last) == (
        "24 of 60 contacts done, 6 in progress, 30 waiting, 40 attempts, 40 a minute, "
        "expected end: 2026-03-02T17:00:00Z."
    )


def test_a_line_at_the_end() -> None:
    done = Snapshot(5.0, counts(reached=3, attempts=3), NOON)
    assert line(done, done).endswith("0 a minute, expected end: now.")


def test_a_line_before_the_first_call() -> None:
    begun = Snapshot(5.0, counts(pending=3), NOON, NOON)
    assert line(begun, begun).endswith("expected end: not known yet.")


def test_the_first_line_comes_after_ten_seconds_with_the_pace_since_the_start(monkeypatch, caplog) -> None:
    attempts = iter([0, 10, 20])

    class Record:
        campaign = "spring"

        def outlook(self) -> SimpleNamespace:
            return SimpleNamespace(now=NOON, last_due_at=None)

        def counts(self) -> dict[str, Any]:
            return counts(pending=100) | {"attempts": next(attempts)}

    seconds = iter([0.0, 0.5, 9.9, 10.0, 10.1, 20.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(seconds))
    caplog.set_level(logging.INFO)
    made = progress.Progress(Record())  # type: ignore[arg-type]  # it stands for a CampaignRecord
    for _ in range(6):
        made.report()
    assert [message.partition("waiting, ")[2][:27] for message in caplog.messages] == [
        "10 attempts, 60 a minute, e", "20 attempts, 60 a minute, e",
    ]  # fmt: skip
