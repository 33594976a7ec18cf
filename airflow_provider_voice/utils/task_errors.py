"""How our errors end a task: permanent ones without a retry, the others as Airflow is configured."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_voice.exceptions import VoiceError

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def permanent_errors_end_the_task() -> Iterator[None]:
    """Turn a permanent :class:`VoiceError` into an ``AirflowFailException`` with the same message, chained from it."""
    try:
        yield
    except VoiceError as error:
        if error.permanent:
            raise AirflowFailException(error.message) from error
        raise
