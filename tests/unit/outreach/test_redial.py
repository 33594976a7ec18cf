"""The next state of a contact after an ending."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from airflow_provider_voice.exceptions import InvalidRequest
from airflow_provider_voice.models import CallStatus
from airflow_provider_voice.outreach.redial import RedialRules

pytestmark = pytest.mark.once
AT = datetime(2026, 1, 5, 9, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("status", "attempts", "state", "wait"),
    [
        ("completed", 3, "reached", None),
        ("busy", 1, "redial", timedelta(minutes=15)),
        ("no_answer", 2, "redial", timedelta(hours=2)),
        ("voicemail", 1, "redial", timedelta(hours=24)),
        ("failed", 1, "redial", timedelta(hours=1)),
        ("busy", 3, "exhausted", None),
        ("canceled", 1, "exhausted", None),
    ],
)
def test_defaults(status, attempts, state, wait) -> None:
    step = RedialRules.of().after_ending(CallStatus(status), attempts, AT)
    assert step.state == state
    assert step.due_at == (None if wait is None else AT + wait)


def test_seconds_and_timedeltas() -> None:
    rules = RedialRules.of(2, {"busy": 60, "failed": timedelta(0)})
    assert rules.soonest == timedelta(0)
    assert rules.after_ending(CallStatus.BUSY, 1, AT).due_at == AT + timedelta(minutes=1)
    assert rules.after_ending(CallStatus.NO_ANSWER, 1, AT).state == "exhausted"


@pytest.mark.parametrize(
    "arguments",
    [
        {"max_attempts": 0}, {"max_attempts": True}, {"max_attempts": 1.5}, {"redial_after": {"ringing": 1}},
        {"redial_after": {"completed": 1}}, {"redial_after": {"busy": -1}}, {"redial_after": {"busy": "soon"}},
        {"redial_after": {"nonsense": 1}}, {"redial_after": 60}, {"success_statuses": ()}, {"success_statuses": ("queued",)},
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(arguments) -> None:
    with pytest.raises(InvalidRequest):
        RedialRules.of(**arguments)


def test_a_success_is_not_redialed_by_default() -> None:
    assert RedialRules.of(success_statuses=("completed", "voicemail")).after.keys() == {
        CallStatus.BUSY, CallStatus.NO_ANSWER, CallStatus.FAILED,
    }  # fmt: skip
