"""Intervals."""

from __future__ import annotations

import time

from airflow_provider_voice.outreach.clocks import Interval


def test_an_interval_is_due_at_once_and_then_after_its_seconds(monkeypatch) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    interval = Interval(5)
    assert [interval.is_due(), interval.is_due()] == [True, False]
    now = 105.0
    assert interval.is_due()
