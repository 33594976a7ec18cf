"""Permanent errors end a task without a retry, in ``execute`` and in ``__init__``."""

from __future__ import annotations

import pickle

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException

from airflow_provider_voice.exceptions import (
    InvalidPhoneNumber,
    InvalidRequest,
    NotAllowedNow,
    RateLimited,
    error_from_dict,
)
from airflow_provider_voice.utils.task_errors import bad_arguments_end_the_task, permanent_errors_end_the_task


def test_a_permanent_error_ends_the_task() -> None:
    with pytest.raises(AirflowFailException, match="bad") as ended, permanent_errors_end_the_task():
        raise InvalidRequest("bad")
    assert isinstance(ended.value.__cause__, InvalidRequest)


def test_a_passing_error_passes() -> None:
    for guard in (permanent_errors_end_the_task, bad_arguments_end_the_task):
        with pytest.raises(RateLimited) as raised, guard():
            raise RateLimited("slow down", retry_after=3)
        assert not isinstance(raised.value, AirflowFailException)


def test_a_bad_argument_is_an_error_of_ours_and_a_failure_of_the_task() -> None:
    for error_class in (InvalidRequest, InvalidPhoneNumber):
        with pytest.raises(error_class) as raised, bad_arguments_end_the_task():
            raise error_class("bad", vendor="talkover", code="X")
        error = raised.value
        assert isinstance(error, AirflowFailException)
        assert (error.message, error.vendor, error.code, error.permanent) == ("bad", "talkover", "X", True)
        assert type(error_from_dict(error.to_dict())) is error_class
        assert type(pickle.loads(pickle.dumps(error))) is error_class


def test_an_error_is_made_fatal_once() -> None:
    with pytest.raises(InvalidRequest) as raised, bad_arguments_end_the_task(), bad_arguments_end_the_task():
        raise InvalidRequest("bad")
    assert type(raised.value).__mro__.count(AirflowFailException) == 1


def test_an_error_that_the_user_wants_skipped_skips_the_task() -> None:
    with pytest.raises(AirflowSkipException, match="closed"), permanent_errors_end_the_task(skip_on=(NotAllowedNow,)):
        raise NotAllowedNow("closed")
    with pytest.raises(AirflowFailException), permanent_errors_end_the_task(skip_on=(NotAllowedNow,)):
        raise InvalidRequest("bad")
