"""What operators do with a decision."""

from __future__ import annotations

import pickle
from datetime import datetime, timedelta, timezone

import pytest

from airflow_provider_voice.exceptions import InvalidRequest, NotAllowedNow, error_from_dict
from airflow_provider_voice.policy import ContactPolicy, Person, as_policy, wait_until

AT = datetime(2026, 11, 24, 1, 30, tzinfo=timezone.utc)  # 20:30 in Miami
OPENS = datetime(2026, 11, 24, 13, tzinfo=timezone.utc)
MIAMI = Person("+13055552601")


def _decision(at: datetime = AT, person: Person = MIAMI):
    return ContactPolicy.load("us").decide(person, at=at)


def test_call_when_it_is_allowed() -> None:
    for may_wait in (True, False):
        assert wait_until(_decision(OPENS), may_wait=may_wait, deadline=OPENS - timedelta(days=1)) is None


def test_wait_until_it_opens() -> None:
    for deadline in (None, OPENS, OPENS + timedelta(seconds=1)):
        assert wait_until(_decision(), deadline=deadline) == OPENS


def test_fail_when_it_opens_after_the_deadline() -> None:
    with pytest.raises(NotAllowedNow, match="2026-11-24 13:00:00 UTC, after the deadline") as raised:
        wait_until(_decision(), deadline=OPENS - timedelta(microseconds=1))
    assert raised.value.next_at == OPENS


def test_fail_when_it_never_opens_by_itself() -> None:
    with pytest.raises(NotAllowedNow, match="needs a time zone") as raised:
        wait_until(_decision(person=Person("+18005552601")))
    assert raised.value.next_at is None


def test_the_error_of_a_call_that_must_not_wait_says_when() -> None:
    with pytest.raises(NotAllowedNow, match="us-fl-hours") as raised:
        wait_until(_decision(), may_wait=False)
    error = raised.value
    assert error.permanent
    assert error.next_at == OPENS
    for copy in (error_from_dict(error.to_dict()), pickle.loads(pickle.dumps(error))):
        assert (type(copy), str(copy), copy.next_at) == (NotAllowedNow, str(error), OPENS)
    assert NotAllowedNow("never").next_at is None
    assert error_from_dict(NotAllowedNow("never").to_dict()).next_at is None


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
