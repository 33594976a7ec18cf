"""Settings of any type are accepted or refused with InvalidRequest, and never show the token."""

from __future__ import annotations

import contextlib
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_voice.exceptions import InvalidRequest
from airflow_provider_voice.vendors.talkover import Talkover
from airflow_provider_voice.vendors.transport import MAX_SECONDS
from airflow_provider_voice.vendors.vendor_settings import Settings

ODD = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.lists(st.integers()))


@given(
    st.fixed_dictionaries(
        {"token": st.one_of(st.just("t"), ODD)},
        optional=dict.fromkeys(
            ("connect_timeout", "read_timeout", "requests_per_minute", "default_region", "status_overrides"),
            ODD,
        ),
    )
)
def test_odd_settings_raise_nothing_but_invalid_request(values) -> None:
    with contextlib.suppress(InvalidRequest):
        Talkover(Settings(**values)).close()


def test_the_token_is_not_shown() -> None:
    assert "secret" not in repr(Settings(token="secret"))


@pytest.mark.parametrize("timeout", [5, 5.0, timedelta(seconds=5)])
def test_timeouts_are_seconds_or_a_timedelta(timeout) -> None:
    settings = Settings(token="t", connect_timeout=timeout, read_timeout=timeout)
    assert (settings.connect_timeout, settings.read_timeout) == (5.0, 5.0)


@pytest.mark.parametrize(
    "timeout", [0, -1, timedelta(0), timedelta(hours=2), MAX_SECONDS + 1, float("nan"), True, "five", None]
)
def test_a_timeout_out_of_range_is_refused(timeout) -> None:
    with pytest.raises(InvalidRequest, match="read_timeout"):
        Settings(token="t", read_timeout=timeout)
