from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_voice.export.redaction import hash_number
from airflow_provider_voice.export.rows import COLUMNS, RowMaker
from airflow_provider_voice.models import Call, CallStatus

NOW = datetime(2026, 1, 10, tzinfo=timezone.utc)
TO, FROM = "+14155552671", "+14155550100"


def maker(numbers: str = "plain") -> RowMaker:
    return RowMaker("src", numbers, NOW, NOW - timedelta(hours=24))


def row_of(call: Call, numbers: str = "plain") -> dict:
    return dict(zip(COLUMNS, maker(numbers).row(call), strict=True))


@pytest.mark.parametrize("mode", ["masked", "hashed"])
@pytest.mark.parametrize(
    "written",
    [TO, TO[1:], "(415) 555-2671", "+1 415-555-2671", "4155552671", "call me on +1.415.555.2671 please", 14155552671],
)
def test_numbers_are_redacted_in_columns_and_in_raw_in_every_notation(mode, written) -> None:
    raw = {"to": TO, "note": written, "deep": [{"x": written}], "other": "keep me", "count": 3}
    row = row_of(Call("1", "talkover", CallStatus.BUSY, to=TO, from_=FROM, raw=raw), mode)
    text = json.dumps(row, default=str)
    assert "5552671" not in "".join(char for char in text if char.isdigit() or char == '"')
    assert "415" + "5552671" not in text
    assert row["to_number"] == (hash_number(TO) if mode == "hashed" else "+1415•••••71")
    kept = json.loads(row["raw"])
    assert kept["other"] == "keep me"
    assert kept["count"] == 3


def test_plain_numbers_and_raw_stay_as_they_are() -> None:
    raw = {"b": TO, "a": {"TOTAL": 1, "total": 2}}
    row = row_of(Call("1", "talkover", CallStatus.BUSY, to=TO, from_=FROM, raw=raw))
    assert (row["to_number"], row["from_number"]) == (TO, FROM)
    assert json.loads(row["raw"]) == raw


@pytest.mark.parametrize("seconds", [10**13, 10**18])
def test_a_duration_beyond_the_calendar_is_stored_and_ends_no_export(seconds) -> None:
    call = Call("1", "talkstack", CallStatus.COMPLETED, duration_seconds=seconds, created_at=NOW - timedelta(days=2))
    row = row_of(call)
    assert (row["duration_seconds"], row["settled_at"]) == (seconds, None)


def test_a_placeholder_for_the_end_does_not_settle_a_new_call() -> None:
    year_1 = datetime(1, 1, 1, tzinfo=timezone.utc)
    for moment in (NOW, NOW - timedelta(hours=25)):
        call = Call("1", "talkover", CallStatus.COMPLETED, created_at=moment, ended_at=year_1, updated_at=year_1)
        assert maker().is_settled(call) is (moment < NOW)


@pytest.mark.parametrize(("days", "is_settled"), [(2, False), (7.9, False), (8.1, True)])
def test_a_call_without_a_time_of_its_end_may_have_run_late(days, is_settled) -> None:
    moment = NOW - timedelta(days=days)
    call = Call("1", "unleashx", CallStatus.COMPLETED, duration_seconds=60, created_at=moment)
    assert maker().is_settled(call) is is_settled
    assert maker().is_settled(replace(call, ended_at=moment)), "this one states when it ended"


def test_settled_by_age_only_when_ended() -> None:
    def settled(status: str, hours: float) -> bool:
        moment = NOW - timedelta(hours=hours)
        return maker().is_settled(Call("1", "talkover", CallStatus(status), created_at=moment, updated_at=moment))

    assert settled("completed", 25)
    assert not settled("completed", 23)
    assert not settled("in_progress", 2500)
    assert not settled("unknown", 2500)


def test_a_mode_that_is_none_stores_no_plain_number() -> None:
    with pytest.raises(KeyError):
        row_of(Call("c", "talkover", CallStatus.BUSY, to=TO), "secret")


@given(st.text(), st.text())
def test_hashes_join_by_number(one, other) -> None:
    same = [char for char in one if char.isdigit()] == [char for char in other if char.isdigit()]
    assert not same or hash_number(one) == hash_number(other)
