"""``CallStatusSensor``: waits until calls have ended, in poke, reschedule or deferrable mode."""

from __future__ import annotations

import time
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, get_args

from airflow.providers.common.compat.sdk import (
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    AirflowTaskTimeout,
    conf,
)
from airflow.sdk import BaseSensorOperator, PokeReturnValue

from airflow_provider_voice.exceptions import AuthenticationFailed, InvalidRequest, VoiceError, error_from_dict
from airflow_provider_voice.hooks.voice import VoiceHook
from airflow_provider_voice.tracking.call_watch import GRACE_SECONDS, OUTAGE_SECONDS, CallWatch, check_ending
from airflow_provider_voice.utils.call_references import call_refs, masked_calls
from airflow_provider_voice.utils.task_errors import bad_arguments_end_the_task, permanent_errors_end_the_task
from airflow_provider_voice.utils.validation import (
    boolean,
    connection_id,
    endings_of,
    is_final,
    is_literal,
    one_of,
    seconds_of,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from datetime import timedelta

    from airflow.sdk import Context

    from airflow_provider_voice.models import Call, CallRef, CallStatus

Mode = Literal["poke", "reschedule"]
OnEmpty = Literal["skip", "succeed", "fail"]

_STATE_KEY = "voice_watch"


class CallStatusSensor(BaseSensorOperator):
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
    :param soft_fail: skip instead of failing when the call ends otherwise, is not found or does not end in time.
    :param kwargs: the arguments of ``BaseSensorOperator`` and ``BaseOperator``, ``never_fail`` for one.
    :return: ``Call.to_dict()``, or a list of them in the order of ``call``.
    :raises InvalidRequest: when the DAG is parsed, for an invalid argument.
    """

    template_fields: Sequence[str] = ("call", "voice_conn_id", "expected_statuses")
    ui_color = "#e6f2fa"

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
        soft_fail: bool = False,
        **kwargs: Any,
    ) -> None:
        with bad_arguments_end_the_task():
            one_of("mode", mode, get_args(Mode))
            _check_base_arguments(soft_fail, kwargs)
            if timeout is not None:
                # Left out otherwise, because the value for "Airflow's default" differs between Airflow 3.1 and 3.3.
                kwargs["timeout"] = seconds_of("timeout", timeout, minimum=0)
            super().__init__(
                poke_interval=seconds_of("poke_interval", poke_interval),
                mode=mode,
                soft_fail=soft_fail,
                **kwargs,
            )
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
        if is_final(self.call):
            call_refs(self.call)

    @property
    def call(self) -> Any:
        """The call or calls, masked, because Airflow displays rendered template fields."""
        return self._call

    @call.setter
    def call(self, value: Any) -> None:
        self._call = masked_calls(value)

    @cached_property
    def hook(self) -> VoiceHook:
        """The hook of the connection."""
        return VoiceHook.for_connection(self.voice_conn_id)

    def execute(self, context: Context) -> Any:
        """Wait in the mode chosen and return the call or calls.

        :param context: the task's context.
        :return: see the class.
        """
        with _refused_tokens_never_skip():
            with self._failures_as_configured():
                refs = call_refs(self.call)
                if not refs:
                    return self._result_of_nothing()
                if self.deferrable:
                    return self._defer(refs)
            return super().execute(context)

    def poke(self, context: Context) -> bool | PokeReturnValue:
        """Poll once.

        :param context: the task's context.
        :return: False while a call goes on; otherwise the result.
        :raises AirflowFailException: for a permanent error, which no further poll can change.
        """
        with permanent_errors_end_the_task():
            # The next poke of a rescheduled task is another process: the store keeps the state (Airflow 3.3+).
            store = context.get("task_state_store") if self.reschedule else None
            if self._watch is None:
                self._watch = self._new_watch(call_refs(self.call), None if store is None else store.get(_STATE_KEY))
            if self._poll(self._watch):
                return PokeReturnValue(is_done=True, xcom_value=self._result(self._watch.results))
            if store is not None:
                store.set(_STATE_KEY, self._watch.state)
            return False

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Go on after the trigger; see :meth:`execute_complete`.

        :param next_method: the name of the method.
        :param next_kwargs: its arguments.
        :param context: the task's context.
        :return: see the class.
        """
        with _refused_tokens_never_skip():
            return super().resume_execution(next_method, next_kwargs, context)

    def execute_complete(self, context: Context, event: Mapping[str, Any]) -> Any:
        """Return the calls of the trigger's event, or fail as the wait did.

        :param context: the task's context.
        :param event: the payload of the event.
        :return: see the class.
        :raises AirflowSensorTimeout: when the calls have not ended within ``timeout``.
        :raises AirflowTaskTimeout: when the task's ``execution_timeout`` has passed.
        :raises AirflowFailException: for a permanent error.
        """
        from airflow_provider_voice.triggers.call_status import call_from_event  # see _defer

        del context
        with permanent_errors_end_the_task():
            if event.get("error"):
                raise error_from_dict(event["error"])
            refs = call_refs(self.call)
            calls = [call_from_event(data, ref) for data, ref in zip(event["calls"], refs, strict=True) if data]
            if event.get("timed_out"):
                if event["memo"]["cut_short"]:
                    raise AirflowTaskTimeout("The task's execution_timeout has passed while it waited.")
                watch = CallWatch(refs)
                watch.take({call.id: call for call in calls})
                raise AirflowSensorTimeout(watch.timed_out(self.timeout).message)
            return self._result(calls)

    def _defer(self, refs: list[CallRef]) -> Any:
        if len(refs) > 1:
            # One request for all: calls that have ended already need no triggerer. One call is left to the trigger, so
            # that the sensors of a thousand mapped tasks share its requests.
            watch = self._new_watch(refs)
            if self._poll(watch):
                return self._result(watch.results)
        # Imported here: it would slow down the parsing of every DAG file.
        from airflow_provider_voice.triggers.call_status import CallStatusTrigger

        wait, cut_short = float(self.timeout), False
        if self.execution_timeout is not None and self.execution_timeout.total_seconds() < wait:
            # Airflow does not count the time a task is deferred, so the trigger does.
            wait, cut_short = self.execution_timeout.total_seconds(), True
        self.defer(
            trigger=CallStatusTrigger(
                voice_conn_id=self.voice_conn_id,
                calls=[ref.to_dict() for ref in refs],
                deadline=time.time() + wait,
                poll_interval=self.poke_interval,
                grace_period=self.grace_period,
                tolerated_outage=self.tolerated_outage,
                memo={"cut_short": cut_short},
            ),
            method_name="execute_complete",
        )
        return None

    def _poll(self, watch: CallWatch) -> bool:
        """Poll the calls once and return whether all of them have ended."""
        try:
            watch.take(self.hook.get_calls(watch.pending))
        except VoiceError as error:
            watch.fail(error)
        return watch.is_over

    @contextmanager
    def _failures_as_configured(self) -> Iterator[None]:
        """Apply ``soft_fail`` and ``never_fail`` outside of a poke, where the base class does not."""
        try:
            with permanent_errors_end_the_task():
                yield
        except AirflowFailException as error:
            if self.soft_fail or self.never_fail:
                raise AirflowSkipException("Skipping due to soft_fail or never_fail.") from error
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

    def _new_watch(self, refs: list[CallRef], state: Any = None) -> CallWatch:
        return CallWatch(refs, grace=self.grace_period, outage=self.tolerated_outage, state=state)


def _check_base_arguments(soft_fail: object, kwargs: Mapping[str, Any]) -> None:
    """Check the arguments that ``BaseSensorOperator`` would answer with errors of other classes."""
    for name in ("never_fail", "silent_fail", "exponential_backoff"):
        boolean(name, kwargs.get(name, False))
    if kwargs.get("max_wait") is not None:
        seconds_of("max_wait", kwargs["max_wait"])
    if boolean("soft_fail", soft_fail) and kwargs.get("never_fail"):
        raise InvalidRequest("soft_fail and never_fail are mutually exclusive. Give one of them.")


@contextmanager
def _refused_tokens_never_skip() -> Iterator[None]:
    """Undo ``soft_fail`` and ``never_fail`` for a refused token, because it says nothing about a call."""
    try:
        yield
    except AirflowSkipException as skip:
        failure = skip.__cause__
        if isinstance(failure, AirflowFailException) and isinstance(failure.__cause__, AuthenticationFailed):
            raise failure from failure.__cause__
        raise
