"""The record survives JSON; a stored value that is no record counts as an intent."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_voice.dialing.record import IntentTaken, Record, RecordStore
from airflow_provider_voice.exceptions import CallOutcomeUnknown
from airflow_provider_voice.models import Call, CallStatus

NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)


def a_record(**values: Any) -> Record:
    begun = {"key": "afv-1", "state": "intent", "intent_at": NOW, "fingerprint": "f", "max_tries": 0, "try_number": 1}
    return Record(**{"generation": 1, **begun, **values})


def test_a_record_survives_json() -> None:
    record = Record(
        generation=2, key="afv-1", state="ended", intent_at=NOW, fingerprint="f", max_tries=3, try_number=2,
        clear_number=1, given_up_at=NOW + timedelta(seconds=3), clock_offset=-1.5, call={"id": "c", "status": "busy"},
        was_hung_up=True, absent_since=NOW, earlier_ids=["b"], earlier_attempts=[NOW],
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


class BrokenStore:
    """A store that does not answer."""

    def get(self, *arguments: Any) -> Any:
        raise RuntimeError("no answer")

    set = get


def test_a_store_that_fails_after_the_call_is_placed_spoils_nothing(caplog) -> None:
    records, record = RecordStore(BrokenStore()), a_record()
    call = Call(id="c", vendor="v", status=CallStatus.QUEUED, created_at=NOW)
    records.save_call(record, call)
    assert (record.state, record.call["id"]) == ("placed", "c")
    assert records.of_call(call) is None
    assert "Could not store" in caplog.text
    for work in (records.load, lambda: records.save(record)):
        with pytest.raises(RuntimeError):
            work()


class OneStore(dict):
    """A store of one record, as two processes see it."""

    def set(self, key: str, value: Any) -> None:
        self[key] = value


@pytest.mark.parametrize("generation", [1, 2])
def test_a_record_that_another_try_has_stored_meanwhile_stays(generation: int, caplog) -> None:
    records, late = RecordStore(OneStore()), a_record()
    records.save(late)
    newer = a_record(key="afv-2", generation=generation, state="placed")
    records._store["voice_dial"] = newer.to_json()
    records.save_call(late, Call(id="c", vendor="v", status=CallStatus.QUEUED, created_at=NOW))
    assert records.load() == newer
    assert "Could not store" in caplog.text
    with pytest.raises(IntentTaken):
        records.save(a_record())
    records.save(a_record(key="afv-3", generation=3))
    assert records.load().generation == 3


def test_without_a_store_nothing_is_kept() -> None:
    records = RecordStore(None)
    records.save(a_record())
    assert records.load() is None
