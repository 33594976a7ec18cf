"""Progress lines: pace, expected end, and no number."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

from airflow_provider_voice.outreach.progress import line
from airflow_provider_voice.outreach.views import CampaignSummary

NOON = datetime(2026, 3, 2, 12, tzinfo=timezone.utc)
LATER = NOON + timedelta(hours=5)


def summary(counts: dict[str, int], **values: Any) -> CampaignSummary:
    return CampaignSummary("spring", "running", NOON, NOON, counts, **values)


def test_a_line_with_redials_pending() -> None:
    counts = {"pending": 20, "redial": 10, "in_call": 5, "dialing": 1, "reached": 24}
    assert line(summary(counts, pace=40.0, last_due_at=LATER), 40) == (
        "24 of 60 contacts done, 6 in progress, 30 waiting, 40 attempts, 40 a minute, "
        "expected end: 2026-03-02T17:00:00Z."
    )


def test_a_line_at_the_end() -> None:
    assert line(summary({"reached": 3}), 3).endswith("0 a minute, expected end: now.")


def test_a_line_before_the_first_call() -> None:
    assert line(summary({"pending": 3}, last_due_at=NOON), 0).endswith("expected end: not known yet.")
