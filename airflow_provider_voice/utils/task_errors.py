"""How our errors end a task: permanent ones without a retry, the others as Airflow is configured."""

from __future__ import annotations

from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException

from airflow_provider_voice.exceptions import VoiceError

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def permanent_errors_end_the_task(*, skip_on: tuple[type[VoiceError], ...] = ()) -> Iterator[None]:
    """Turn a permanent :class:`VoiceError` into an ``AirflowFailException`` with the same message, chained from it.

    :param skip_on: errors that skip the task instead, default none.
    :return: a context manager.
    :raises AirflowSkipException: for an error in ``skip_on``.
    :raises AirflowFailException: for another permanent error of the block; other errors pass.
    """
    try:
        yield
    except VoiceError as error:
        if isinstance(error, skip_on):
            raise AirflowSkipException(error.message) from error
        if error.permanent:
            raise AirflowFailException(error.message) from error
        raise


@contextmanager
def bad_arguments_end_the_task() -> Iterator[None]:
    """Make the errors of an operator's ``__init__`` fatal for the task that runs it.

    Airflow constructs an operator when a DAG is parsed, and a mapped one again in the worker, where it would retry
    whatever is raised. So the error is raised as an instance of its own class *and* of ``AirflowFailException``.

    :return: a context manager.
    :raises VoiceError: the same error; a permanent one is an ``AirflowFailException`` too.
    """
    try:
        yield
    except VoiceError as error:
        if not error.permanent or isinstance(error, AirflowFailException):
            raise
        fatal = _fatal_class(type(error))(error.message)  # type: ignore[arg-type]  # typeshed takes ValueError for unhashable
        fatal.__dict__.update(vars(error))
        raise fatal from error.__cause__


@cache  # one class for each of ours, so that isinstance and pickle see the same class every time
def _fatal_class(error_class: type[VoiceError]) -> type[VoiceError]:
    # The same name: error_from_dict() finds the class by it, and people read it.
    return type(error_class.__name__, (error_class, AirflowFailException), {"__module__": error_class.__module__})
