"""Deadlines."""

from __future__ import annotations

import time

import pytest

from airflow_provider_voice.dialing import deadline as module
from airflow_provider_voice.dialing.deadline import Deadline


def test_a_deadline_passes() -> None:
    assert Deadline(0).has_passed
    assert not Deadline(1000).has_passed


def test_a_deadline_can_be_shortened_and_not_extended() -> None:
    deadline = Deadline(0)
    deadline.shorten(1000)
    assert deadline.has_passed
    deadline = Deadline(1000)
    deadline.shorten(0)
    assert deadline.has_passed


@pytest.mark.parametrize("clock", ["_boot_time", "_wall_time"])
def test_the_clock_that_runs_ahead_decides(monkeypatch, clock) -> None:
    deadline = Deadline(30)
    # The wall clock alone goes on where a whole machine was frozen and its clock was set again.
    boot, wall = module._boot_time(), time.time()
    monkeypatch.setattr(module, "_boot_time", lambda: boot + (31 if clock == "_boot_time" else 0))
    monkeypatch.setattr(time, "time", lambda: wall + (31 if clock == "_wall_time" else 0))
    assert deadline.has_passed
