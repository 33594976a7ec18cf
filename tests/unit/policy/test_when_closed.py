"""What operators do with a decision."""

from __future__ import annotations

import pickle
from datetime import datetime, timedelta, timezone

import pytest

from airflow_provider_voice.exceptions import InvalidRequest, NotAllowedNow, error_from_dict
from airflow_provider_voice.policy import ContactPolicy, Person, as_policy, next_step

AT = datetime(2026, 11, 24, 1, 30, tzinfo=timezone.utc)  # 20:30 in Miami
OPENS = datetime(2026, 11, 24, 13, tzinfo=timezone.utc)
MIAMI = Person("+13055552601")


def _decision(at: datetime = AT, person: Person = MIAMI):
    return ContactPolicy.load("us").decide(person, at=at)


def test_call_when_it_is_allowed() -> None:
    for when_closed in ("wait", "skip", "fail"):
        step = next_step(_decision(OPENS), when_closed=when_closed, deadline=OPENS - timedelta(days=1))
        assert (step.action, step.until) == ("call", None)


def test_wait_until_it_opens() -> None:
    for deadline in (None, OPENS, OPENS + timedelta(seconds=1)):
        step = next_step(_decision(), deadline=deadline)
        assert (step.action, step.until, step.next_at) == ("wait", OPENS, OPENS)
        assert "2026-11-24 13:00:00 UTC" in step.reason


def test_fail_when_it_opens_after_the_deadline() -> None:
    step = next_step(_decision(), deadline=OPENS - timedelta(microseconds=1))
    assert (step.action, step.until) == ("fail", None)
    assert "after the deadline" in step.reason


def test_fail_when_it_never_opens_by_itself() -> None:
    step = next_step(_decision(person=Person("+18005552601")))
    assert (step.action, step.until, step.next_at) == ("fail", None, None)
    assert "needs a time zone" in step.reason


@pytest.mark.parametrize("when_closed", ["skip", "fail"])
def test_skip_and_fail_at_once(when_closed) -> None:
    step = next_step(_decision(), when_closed=when_closed)
    assert (step.action, step.until, step.next_at) == (when_closed, None, OPENS)


def test_the_error_says_when() -> None:
    error = next_step(_decision(), when_closed="fail").error()
    assert isinstance(error, NotAllowedNow)
    assert error.permanent
    assert error.next_at == OPENS
    assert "us-fl-hours" in str(error)
    for copy in (error_from_dict(error.to_dict()), pickle.loads(pickle.dumps(error))):
        assert (type(copy), str(copy), copy.next_at) == (NotAllowedNow, str(error), OPENS)
    assert NotAllowedNow("never").next_at is None
    assert error_from_dict(NotAllowedNow("never").to_dict()).next_at is None


def test_arguments_are_checked() -> None:
    with pytest.raises(InvalidRequest, match="'wait', 'skip' or 'fail'"):
        next_step(_decision(), when_closed="later")
    with pytest.raises(InvalidRequest, match="deadline has no time zone"):
        next_step(_decision(), deadline=OPENS.replace(tzinfo=None))


def test_the_policy_argument_of_an_operator(tmp_path) -> None:
    policy = ContactPolicy.load("us")
    path = tmp_path / "company.yaml"
    path.write_text('rules: [{id: company, hours: {mon: ["09:00-17:00"]}}]', "utf-8")
    assert as_policy(None) is None
    assert as_policy(policy) is policy
    assert as_policy("us") == policy
    assert as_policy(["us", path]) == ContactPolicy.load("us", str(path))
    for wrong in (5, {"us": 1}, [5], []):
        with pytest.raises(InvalidRequest):
            as_policy(wrong)
