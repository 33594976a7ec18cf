"""The record survives JSON; what is no record counts as an intent."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_voice.dialing.record import Record
from airflow_provider_voice.exceptions import CallOutcomeUnknown

NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)


def test_a_record_survives_json() -> None:
    record = Record(
        generation=2, key="afv-1", state="ended", intent_at=NOW, fingerprint="f", max_tries=3, try_number=2,
        clear_number=1, given_up_at=NOW + timedelta(seconds=3), clock_offset=-1.5, call={"id": "c"}, status="busy",
        was_hung_up=True, absent_since=NOW, earlier_ids=["b"],
    )  # fmt: skip
    assert Record.from_json(json.loads(json.dumps(record.to_json()))) == record


@given(
    st.one_of(
        st.none(),
        st.text(),
        st.integers(),
        st.lists(st.text()),
        st.dictionaries(st.text(), st.text()),
        st.fixed_dictionaries({"state": st.text(), "intent_at": st.text(), "generation": st.integers()}),
    )
)
def test_what_is_no_record_may_have_rung_somebody(data: Any) -> None:
    with pytest.raises(CallOutcomeUnknown):
        Record.from_json(data)
