"""Keys, numbers, bars and the plot of the page."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from airflow_provider_voice.outreach.views import CampaignSummary, HourCount
from airflow_provider_voice.plugins.voice_page import presentation

NUMBER = "+14155552671"
NOON = datetime(2026, 11, 21, 12, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("key", "number", "shown"),
    [
        (NUMBER, NUMBER, "+1415•••••71"),
        ("415-555-2671", NUMBER, "4155••••71"),
        ("415/555\u22122671", NUMBER, "4155••••71"),
        ("crm 0415 5552671 a", NUMBER, "crm 0415•••••71 a"),
        ("4155552671-2", NUMBER, "4155•••••12"),
        ("+14155552671/2026", NUMBER, "+1415•••••••••26"),
        ("20260131000042", NUMBER, "20260131000042"),
        ("c-17", NUMBER, "c-17"),
        ("+1 415 555", None, "+14•••55"),
        ("4155552671", None, "4155••••71"),
        ("customer 1000042", None, "customer 1000042"),
    ],
)
def test_a_key_hides_the_number_and_no_other_id(key: str, number: str | None, shown: str) -> None:
    assert presentation.shown_key(key, number) == shown


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        (None, "–"),
        (NUMBER, "+1415•••••71"),
        ("+1415•••••71", "+1415•••••71"),
        ("9f86d081884c7d65", "9f86d081…"),
        ("555-2671", "55•••71"),
        ("4155 552671", "4155••••71"),
    ],
)
def test_a_stored_number_is_masked_whatever_its_form(number: str | None, shown: str) -> None:
    assert presentation.shown_number(number) == shown


def test_the_bar_has_a_part_for_each_kind_and_never_more_than_all() -> None:
    counts = {"reached": 1, "exhausted": 1, "merged": 1, "unknown": 1, "in_call": 1, "pending": 3}
    parts = presentation.segments(CampaignSummary("c", "running", NOON, NOON, counts))
    assert [(part.name, part.start, part.width) for part in parts] == [
        ("reached", 0.0, 12.5),
        ("closed", 12.5, 25.0),
        ("unknown", 37.5, 12.5),
        ("active", 50.0, 12.5),
    ]
    assert presentation.segments(CampaignSummary("c", "running", NOON, NOON)) == []


def test_the_plot_fits_its_box() -> None:
    hours = [HourCount(NOON + timedelta(hours=hour), hour, hour // 2) for hour in range(48)]
    drawn = presentation.plot(hours)
    assert drawn is not None
    assert drawn.highest == 47
    assert all(0 <= bar.answered <= bar.attempts <= drawn.floor for bar in drawn.bars)
    assert all(drawn.left <= bar.x and bar.x + drawn.bar_width <= drawn.width for bar in drawn.bars)
    assert sum(bool(bar.tick) for bar in drawn.bars) == 4
    assert presentation.plot([HourCount(NOON, 0, 0)]) is None


def test_the_expected_end_follows_the_pace() -> None:
    summary = CampaignSummary("c", "running", NOON, NOON, {"pending": 10, "redial": 10, "reached": 5}, pace=2.0)
    assert summary.expected_end == NOON + timedelta(minutes=10)
    assert CampaignSummary("c", "paused", NOON, NOON, {"pending": 10}, pace=2.0).expected_end is None
    assert CampaignSummary("c", "running", NOON, NOON, {"pending": 10}).expected_end is None
