"""Durations are seconds or a timedelta; every vendor of the type exists."""

from __future__ import annotations

from datetime import timedelta
from typing import get_args

import pytest

from airflow_provider_voice.sandbox import Sandbox
from airflow_provider_voice.sandbox.arguments import VendorName, seconds_of


@pytest.mark.parametrize("duration", [90, 90.0, timedelta(minutes=1, seconds=30)])
def test_a_duration_is_seconds_or_a_timedelta(duration) -> None:
    assert seconds_of(duration) == 90.0


@pytest.mark.parametrize("vendor", get_args(VendorName))
def test_every_vendor_has_a_connection_and_calls(vendor) -> None:
    sandbox = Sandbox(frozen=True)
    assert sandbox.connection(vendor)["conn_type"] == vendor
    assert sandbox.calls(vendor) == []
