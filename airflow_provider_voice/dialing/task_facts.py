"""What the dialer must know of the running task: which task it is, which try this is, and what a user did to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from airflow_provider_voice.dialing.record import Record


@dataclass(frozen=True)
class TaskFacts:
    """The task instance of a call, and its current try."""

    dag_id: str
    run_id: str
    task_id: str
    #: Index of a mapped task; -1 for any other.
    map_index: int = -1
    #: Number of this try, from 1; it goes on counting after a clear.
    try_number: int = 1
    #: Highest try number after which Airflow still retries; a clear of a task that is not running raises it.
    max_tries: int = 0
    #: Retries of the operator.
    retries: int = 0
    #: The earliest moment at which the DAG run can have started; a clear does not move it. None: not known.
    run_began_at: datetime | None = None
    #: ``start_date`` of the DAG run; a clear of a finished run moves it. None: not known.
    run_started_at: datetime | None = None
    #: How often tasks of the DAG run were cleared; None where Airflow does not say.
    clear_number: int | None = None

    @property
    def name(self) -> tuple[str, ...]:
        """The task without its map index: a mapped task's list may change between two tries."""
        return self.dag_id, self.run_id, self.task_id

    @property
    def is_last_try(self) -> bool:
        """Whether Airflow will not try again by itself."""
        return self.try_number > self.max_tries

    @property
    def is_beyond_retries(self) -> bool:
        """Whether no retry explains this try: a user cleared the running task, or the scheduler lost it."""
        return self.try_number > self.max_tries + 1

    @property
    def may_follow_a_call(self) -> bool:
        """Whether an earlier try, or another index of a mapped task whose list changed, may have placed the call."""
        return self.try_number > 1 or (self.map_index >= 0 and bool(self.clear_number))

    @property
    def is_first_since_clear(self) -> bool:
        """Whether this is the first try after a user cleared the task: a clear sets max_tries to tries plus retries."""
        return self.max_tries > self.retries and self.try_number == self.max_tries - self.retries + 1

    def was_cleared_since(self, record: Record | None) -> bool:
        """Tell whether a user cleared this task after the record was stored.

        A clear raises ``max_tries``, unless the task is running: then Airflow kills it and retries it, and only a try
        beyond ``max_tries + 1`` in a run that was cleared gives the clear away: without a clear it is a task that a
        dying scheduler left behind and another one reset. A clear of a running task that has retries left looks like a
        retry, and is taken for one.

        :param record: the stored record; None when there is no record.
        :return: True only when a clear is certain.
        """
        if record is None:
            return self.is_first_since_clear
        if self.max_tries > record.max_tries:
            return True
        is_further_try = self.is_beyond_retries and self.try_number > record.try_number
        return is_further_try and self.run_was_cleared_since(record)

    def run_was_cleared_since(self, record: Record) -> bool:
        """Tell whether some task of the run, perhaps this one, was cleared after the record was stored."""
        return (self.clear_number or 0) > (record.clear_number or 0)
