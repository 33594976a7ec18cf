from __future__ import annotations

import contextlib

from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_voice.exceptions import InvalidRequest
from airflow_provider_voice.vendors.talkover import Talkover
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
