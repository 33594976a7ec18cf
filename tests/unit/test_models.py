from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_voice.exceptions import InvalidRequest, VoiceError
from airflow_provider_voice.models import (
    Call,
    CallRef,
    CallRequest,
    CallStatus,
    fold_status,
    read_time,
    status_of,
    statuses_of,
    write_time,
)


def test_ranks_and_endings() -> None:
    assert [CallStatus(text).rank for text in ("unknown", "queued", "ringing", "in_progress", "busy")] == [
        -1,
        0,
        1,
        2,
        3,
    ]
    ended = {status for status in CallStatus if status.is_terminal}
    assert ended == {CallStatus(text) for text in ("completed", "no_answer", "busy", "voicemail", "failed", "canceled")}
    assert f"{CallStatus.NO_ANSWER}" == "no_answer"


@pytest.mark.parametrize(
    ("text", "iso"),
    [
        ("2025-09-03T23:19:51.000000Z", "2025-09-03T23:19:51Z"),
        ("2025-09-03T23:19:51.123Z", "2025-09-03T23:19:51.123000Z"),
        ("2025-09-03T23:19:51+02:00", "2025-09-03T21:19:51Z"),
        ("2025-09-03 23:19:51", "2025-09-03T23:19:51Z"),
        ("Tue, 30 Jan 2024 13:39:53 +0000", "2024-01-30T13:39:53Z"),
        ("15 Jan 2025, 10:12 AM", "2025-01-15T10:12:00Z"),
        ("15 Jan 2025, 10:12 PM", "2025-01-15T22:12:00Z"),
        ("15 Jan, 2025 10:12", "2025-01-15T10:12:00Z"),
        ("15 Jan, 2025", "2025-01-15T00:00:00Z"),
        (1736935920, None),  # no vendor page writes seconds
        ("2025-13-45T00:00:00Z", None),
        ("soon", None),
        ("", None),
        (None, None),
        (True, None),
        ([], None),
    ],
)
def test_times_of_every_page(text, iso) -> None:
    assert write_time(read_time(text)) == iso


@given(st.one_of(st.text(), st.integers(), st.floats(), st.datetimes(), st.none(), st.lists(st.text())))
def test_any_time_is_aware_utc_or_none(value) -> None:
    moment = read_time(value)
    assert moment is None or moment.utcoffset() == timedelta(0)


@given(st.datetimes(timezones=st.just(timezone.utc)))
def test_times_come_back(moment) -> None:
    assert read_time(write_time(moment)) == moment


@given(st.builds(dict, id=st.text(min_size=1), status=st.sampled_from([s.value for s in CallStatus])))
def test_a_call_comes_back_from_its_dict(data) -> None:
    call = Call(
        id=data["id"],
        vendor="talkover",
        status=CallStatus(data["status"]),
        to="+14155552671",
        from_="+14155550100",
        created_at=datetime(2026, 1, 2, 3, 4, 5, 6, timezone.utc),
        cost=0.07,
        raw={"secret": 1},
    )
    as_dict = call.to_dict()
    assert "raw" not in as_dict
    assert as_dict["from"] == "+14155550100"
    assert as_dict["created_at"] == "2026-01-02T03:04:05.000006Z"
    assert Call.from_dict(as_dict) == call


@pytest.mark.parametrize("value", [{}, {"id": "1"}, {"id": "1", "vendor": "talkover", "status": "gone"}, "text", None])
def test_what_is_no_call_is_refused(value) -> None:
    with pytest.raises(InvalidRequest):
        Call.from_dict(value)


@given(
    st.one_of(
        st.none(), st.booleans(), st.floats(), st.text(), st.dictionaries(st.text(), st.text()), st.lists(st.text())
    )
)
def test_a_reference_is_made_or_refused_by_name(value) -> None:
    try:
        assert CallRef.of(value).id.strip()
    except VoiceError as error:
        assert isinstance(error, InvalidRequest)


def test_a_reference_carries_what_makes_the_look_up_cheap() -> None:
    call = Call(
        "7",
        "unleashx",
        CallStatus.QUEUED,
        to="+14155552671",
        agent_id="101",
        tag="t",
        created_at=read_time("2026-01-02"),
    )
    assert CallRef.of(call) == CallRef.of(call.to_dict()) == CallRef("7", "+14155552671", call.created_at, "t", "101")
    assert "+14155552671" not in str(CallRef.of(call).to_dict())
    assert "4155552671" not in repr(call) + repr(CallRef.of(call)) + repr(CallRequest("+14155552671"))


@pytest.mark.parametrize(
    "fields",
    [
        {"delay_seconds": -1},
        {"delay_seconds": 3601},
        {"delay_seconds": 1.5},
        {"delay_seconds": True},
        {"variables": "name=Ada"},
        {"variables": {1: "x"}},
        {"context": {"when": datetime(2026, 1, 1, tzinfo=timezone.utc)}},
        {"context": {"cost": float("nan")}},
        {"is_testing": "yes"},
    ],
)
def test_a_request_that_makes_no_sense_is_refused(fields) -> None:
    with pytest.raises(InvalidRequest):
        CallRequest(to="+14155552671", **fields)


def test_statuses_are_read_from_users() -> None:
    assert status_of("No Answer") is status_of(CallStatus.NO_ANSWER) is CallStatus.NO_ANSWER
    assert statuses_of("busy") == frozenset({CallStatus.BUSY})
    assert statuses_of(None) == frozenset()
    for wrong in ("hung up", ["completed", 3], 7):
        with pytest.raises(InvalidRequest):
            statuses_of(wrong)
    assert fold_status("  In-Progress ") == "in_progress"
