"""Facts about the running task that the dialer needs: which task, which try, whether a user cleared it."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_voice.dialing.record import digest
from airflow_provider_voice.dialing.run_age import run_began_at

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from airflow_provider_voice.dialing.record import Record

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TaskFacts:
    """The task instance of a call, and its current try.

    .. code-block:: python

        facts = TaskFacts.of(context, operator.retries, call_key="invoice 7")
        facts.instance, facts.may_follow_a_call
    """

    #: Airflow's id of the DAG.
    dag_id: str
    #: Airflow's id of the DAG run.
    run_id: str
    #: Airflow's id of the task.
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
    #: The business key whose call this task shares with others; None: the call is this task's own.
    call_key: str | None = None

    @classmethod
    def of(cls, context: Mapping[str, Any], retries: int | None, call_key: str | None = None) -> TaskFacts:
        """Return the facts of a running task.

        :param context: Airflow's context of the task.
        :param retries: the operator's retries.
        :param call_key: the business key of the call; None: it has none.
        :return: the facts.
        """
        ti, run = context["ti"], context["dag_run"]
        return cls(
            dag_id=ti.dag_id,
            run_id=ti.run_id,
            task_id=ti.task_id,
            map_index=-1 if ti.map_index is None else ti.map_index,
            try_number=ti.try_number,
            max_tries=ti.max_tries,
            retries=retries or 0,
            run_began_at=run_began_at(run),
            run_started_at=run.start_date,
            clear_number=run.clear_number,
            call_key=call_key,
        )

    @property
    def name(self) -> tuple[str, ...]:
        """The owner of the call: the key, or the task without its map index, as a mapped task's list may change."""
        return ("call_key", self.call_key) if self.call_key else (self.dag_id, self.run_id, self.task_id)

    @property
    def instance(self) -> str:
        """A hash that no other task instance has."""
        return digest(self.dag_id, self.run_id, self.task_id, str(self.map_index))[:32]

    @property
    def is_beyond_retries(self) -> bool:
        """Whether no retry explains this try: a user cleared the running task, or the scheduler lost it."""
        return self.try_number > self.max_tries + 1

    @property
    def list_may_have_changed(self) -> bool:
        """Whether the list of a mapped task may be another one than before, so that another index rang this person."""
        return self.map_index >= 0 and bool(self.clear_number)

    @property
    def may_follow_a_call(self) -> bool:
        """Whether an earlier try, or another index of a mapped task whose list changed, may have placed the call."""
        return self.try_number > 1 or self.list_may_have_changed

    def is_retry_since(self, record: Record) -> bool:
        """Return whether this is a retry of the task whose try stored the record, not a clear and not another task.

        :param record: the stored record.
        :return: True only when it is certain.
        """
        is_later = self.try_number > record.try_number and self.max_tries == record.max_tries
        return is_later and record.owner == self.instance and not self.is_beyond_retries

    def was_cleared_since(self, record: Record | None) -> bool:
        """Return whether a user cleared this task after the record was stored.

        A clear raises ``max_tries``, unless the task is running: then Airflow kills it and retries it, and only a try
        beyond ``max_tries + 1`` in a run that was cleared proves the clear: in another run it is a task that a dying
        scheduler left behind and another one reset. A clear of a running task that has retries left cannot be
        distinguished from a retry, and counts as one.

        :param record: the stored record; None when there is no record.
        :return: True only when a clear is certain.
        """
        if record is None:
            # A clear sets max_tries to the tries so far plus the retries.
            return self.max_tries > self.retries and self.try_number == self.max_tries - self.retries + 1
        if self.max_tries > record.max_tries:
            return True
        is_further_try = self.is_beyond_retries and self.try_number > record.try_number
        return is_further_try and self.run_was_cleared_since(record)

    def run_was_cleared_since(self, record: Record) -> bool:
        """Return whether some task of the run, perhaps this one, was cleared after the record was stored.

        :param record: the stored record.
        :return: False where Airflow does not say how often the run was cleared.
        """
        return (self.clear_number or 0) > (record.clear_number or 0)


def calls_of_other_tasks(context: Mapping[str, Any], operator_class: type) -> frozenset[str]:
    """Return the ids of the calls that other tasks of the run have published to XCom.

    Other indexes of the same mapped task count only in a run that was never cleared: after a clear the task's list may
    be another one, and the call of another index may be that of this person.

    :param context: Airflow's context of the task.
    :param operator_class: the class of the tasks that place calls.
    :return: ids; empty when there are none or XCom cannot be read, which never leads to a second ring.
    """
    ti = context["ti"]
    siblings_count = ti.map_index is not None and ti.map_index >= 0 and not context["dag_run"].clear_number
    names = [
        task.task_id
        for task in context["dag"].tasks
        # A mapped operator names the class that it makes.
        if issubclass(getattr(task, "operator_class", type(task)), operator_class)
        and (task.task_id != ti.task_id or siblings_count)
    ]
    try:
        ids = ti.xcom_pull(task_ids=names, key="call_id")
    except Exception as error:  # noqa: BLE001 - whatever an XCom backend raises, the search goes on without it
        log.warning("Could not read the call ids of the run's other tasks (%s).", type(error).__name__)
        return frozenset()
    return frozenset(str(call_id) for call_id in ids or () if call_id)
