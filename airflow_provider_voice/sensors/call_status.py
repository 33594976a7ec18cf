"""``CallStatusSensor``: waits until calls have ended, in poke, reschedule or deferrable mode."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal, get_args

from airflow.providers.common.compat.sdk import (
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    conf,
)
from airflow.sdk import BaseSensorOperator, PokeReturnValue

from airflow_provider_voice.exceptions import AuthenticationFailed, CallNotCompleted, InvalidRequest
from airflow_provider_voice.hooks.voice import HasVoiceHook, VoiceHook
from airflow_provider_voice.tracking.call_watch import GRACE_SECONDS, OUTAGE_SECONDS, CallWatch, check_ending
from airflow_provider_voice.utils.call_references import call_refs, masked_calls
from airflow_provider_voice.utils.masking import MaskedField, MasksRenderedFields
from airflow_provider_voice.utils.task_errors import bad_arguments_end_the_task, permanent_errors_end_the_task
from airflow_provider_voice.utils.validation import (
    boolean,
    connection_id,
    endings_of,
    is_literal,
    one_of,
    seconds_of,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from datetime import timedelta

    from airflow.sdk import Context

    from airflow_provider_voice.models import Call, CallStatus

Mode = Literal["poke", "reschedule"]
OnEmpty = Literal["skip", "succeed", "fail"]

_STATE_KEY = "voice_watch"


class CallStatusSensor(MasksRenderedFields, HasVoiceHook, BaseSensorOperator):
    """Wait until one call, or every call of a list, has ended.

    .. code-block:: python

        ring = MakeCallOperator(task_id="ring", to="+14155552671", agent_id="agent_1")
        CallStatusSensor(task_id="wait", call=ring.output, expected_statuses=["completed"], deferrable=True)

    Every duration is a number of seconds or a ``timedelta``.

    :param call: the output of ``MakeCallOperator``, its text or JSON, a call id, or a list of these. With the
        operator's output a poll costs one request; with a bare id the sensor has to search for the call.
    :param voice_conn_id: the connection the call was placed with, default ``voice_default``.
    :param expected_statuses: endings that are a success; any other ending fails the task without a retry. None
        (default): every ending is a success.
    :param on_empty: the result of an empty list: ``skip`` (default), ``succeed`` (with an empty list) or ``fail``.
    :param grace_period: how long the vendor may take to show the call before the task fails with ``CallNotFound``,
        default 300 s.
    :param tolerated_outage: how long failed polls are tolerated, default 3600 s; a refused token (401, 403) fails
        the task at once, and is never turned into a skip.
    :param poke_interval: time between two polls, default 30 s.
    :param timeout: the longest wait, default ``[sensors] default_timeout``.
    :param mode: ``poke`` (default) or ``reschedule``, which frees the worker slot between polls.
    :param deferrable: wait in the triggerer; default ``[operators] default_deferrable``.
    :param kwargs: the arguments of ``BaseSensorOperator`` and ``BaseOperator``; with ``soft_fail=True`` for one, the
        task is skipped instead of failing when the call ends otherwise, is not found or does not end in time.
    :return: ``Call.to_dict()``, or a list of them in the order of ``call``.
    :raises InvalidRequest: when the DAG is parsed, for an invalid argument.
    """

    template_fields: Sequence[str] = ("call", "voice_conn_id", "expected_statuses")
    ui_color = "#e6f2fa"
    # Airflow displays rendered template fields, and a call holds numbers.
    call = MaskedField(masked_calls)

    def __init__(
        self,
        *,
        call: Any,
        voice_conn_id: str = VoiceHook.default_conn_name,
        expected_statuses: Collection[CallStatus | str] | CallStatus | str | None = None,
        on_empty: OnEmpty = "skip",
        grace_period: timedelta | float = GRACE_SECONDS,
        tolerated_outage: timedelta | float = OUTAGE_SECONDS,
        poke_interval: timedelta | float = 30,
        timeout: timedelta | float | None = None,
        mode: Mode = "poke",
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        **kwargs: Any,
    ) -> None:
        with bad_arguments_end_the_task():
            one_of("mode", mode, get_args(Mode))
            if timeout is not None:
                # Left out otherwise, because the value for "Airflow's default" differs between Airflow 3.1 and 3.3.
                kwargs["timeout"] = seconds_of("timeout", timeout, minimum=0)
            super().__init__(poke_interval=seconds_of("poke_interval", poke_interval), mode=mode, **kwargs)
            self.call = call
            self.voice_conn_id = voice_conn_id
            self.expected_statuses = expected_statuses
            self.on_empty = on_empty
            self.grace_period = seconds_of("grace_period", grace_period, minimum=0)
            self.tolerated_outage = seconds_of("tolerated_outage", tolerated_outage, minimum=0)
            self.deferrable = boolean("deferrable", deferrable)
            self._check_arguments()
        self._watch: CallWatch | None = None

    def _check_arguments(self) -> None:
        """Check the values that are known when the DAG is parsed; templates and outputs of tasks are checked later."""
        one_of("on_empty", self.on_empty, get_args(OnEmpty))
        if is_literal(self.voice_conn_id):
            connection_id(self.voice_conn_id)
        if is_literal(self.expected_statuses):
            self._accepted()
        if is_literal(self.call):
            call_refs(self.call)

    def poke(self, context: Context) -> bool | PokeReturnValue:
        """Poll once, or leave the polls to the triggerer.

        :param context: the task's context.
        :return: False while a call goes on; otherwise the result.
        :raises AirflowFailException: for a permanent error, which no further poll can change.
        """
        with self._permanent_errors_end_the_task():
            refs = call_refs(self.call)
            if not refs:
                return PokeReturnValue(is_done=True, xcom_value=self._result_of_nothing())
            if self.deferrable:
                # Imported here: it would slow down the parsing of every DAG file.
                from airflow_provider_voice.triggers.call_status import defer_until_ended

                defer_until_ended(
                    self,
                    refs,
                    timeout=float(self.timeout),
                    voice_conn_id=self.voice_conn_id,
                    poll_interval=self.poke_interval,
                    grace_period=self.grace_period,
                    tolerated_outage=self.tolerated_outage,
                )
            # The next poke of a rescheduled task is another process: the store keeps the state (Airflow 3.3+).
            store = context.get("task_state_store") if self.reschedule else None
            # A retry, and a try after a clear, waits anew.
            key = _STATE_KEY if store is None else f"{_STATE_KEY}_{context['ti'].try_number}"
            if self._watch is None:
                state: Any = None if store is None else store.get(key)
                self._watch = CallWatch(refs, grace=self.grace_period, outage=self.tolerated_outage, state=state)
            self._watch.poll(self.hook.get_calls)
            if self._watch.is_over:
                return PokeReturnValue(is_done=True, xcom_value=self._result(self._watch.results))
            if store is not None:
                store.set(key, self._watch.state)
            return False

    def execute_complete(self, context: Context, event: Mapping[str, Any]) -> Any:
        """Return the calls of the trigger's event, or fail as the wait did.

        :param context: the task's context.
        :param event: the payload of the event.
        :return: see the class.
        :raises AirflowSensorTimeout: when the calls have not ended within ``timeout``.
        :raises AirflowTaskTimeout: when the task's ``execution_timeout`` has passed.
        :raises AirflowFailException: for a permanent error.
        """
        from airflow_provider_voice.triggers.call_status import calls_from_event, raise_failure  # see poke

        del context
        with self._permanent_errors_end_the_task():
            try:
                raise_failure(event)
            except CallNotCompleted as error:
                raise AirflowSensorTimeout(error.message) from error
            return self._result(calls_from_event(event, [ref.to for ref in call_refs(self.call)]))

    @contextmanager
    def _permanent_errors_end_the_task(self) -> Iterator[None]:
        try:
            with permanent_errors_end_the_task():
                yield
        except AirflowFailException as failure:
            if isinstance(failure.__cause__, AuthenticationFailed):
                # A refused token is no statement about a call, so the base class must not turn it into a skip.
                self.soft_fail = self.never_fail = False
            raise

    def _result_of_nothing(self) -> list[Any]:
        if self.on_empty == "skip":
            raise AirflowSkipException("The list of calls to wait for is empty.")
        if self.on_empty == "fail":
            raise InvalidRequest("The list of calls to wait for is empty, and on_empty is 'fail'.")
        return []

    def _accepted(self) -> frozenset[CallStatus]:
        if self.expected_statuses is None:
            return frozenset()
        return endings_of("expected_statuses", self.expected_statuses)

    def _result(self, calls: Sequence[Call | None]) -> Any:
        accepted = self._accepted()
        results = []
        for call in filter(None, calls):
            if accepted:
                check_ending(call, accepted)
            results.append(call.to_dict())
        return results if isinstance(self.call, list) else results[0]
