"""``CallStatusSensor``: wait until calls have ended, in poke, reschedule or deferrable mode."""

from __future__ import annotations

import time
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

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
from airflow_provider_voice.models import Call, CallRef, CallStatus, statuses_of
from airflow_provider_voice.tracking.call_watch import GRACE_SECONDS, OUTAGE_SECONDS, CallWatch, check_ending
from airflow_provider_voice.utils.masking import masked_calls, plain
from airflow_provider_voice.utils.task_errors import permanent_errors_end_the_task

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from datetime import timedelta

    from airflow.sdk import Context

_STATE_KEY = "voice_watch"


class CallStatusSensor(BaseSensorOperator):
    """Wait until one call, or every call of a list, has ended.

    :param call: what ``MakeCallOperator`` returned, a call id, or a list of either. With what the operator returned a
        look costs one request; a bare id makes the sensor search for it.
    :param voice_conn_id: the connection the call was placed with, default ``voice_default``.
    :param expected_statuses: endings that are a success; another one fails the task without a retry. None (default):
        any ending.
    :param grace_period: seconds the vendor is given to show the call before ``CallNotFound``, default 300.
    :param tolerated_outage: seconds of failed looks that are waited out, default 3600; a refused token (401, 403) fails
        at once, and is never turned into a skip.
    :param poke_interval: seconds between two looks, default 30.
    :param timeout: seconds to wait at most, default ``[sensors] default_timeout``.
    :param mode: ``poke`` or ``reschedule`` (better from a minute of ``poke_interval`` on).
    :param deferrable: wait in the triggerer; default ``[operators] default_deferrable``.
    :param soft_fail: skip instead of failing when the call ends otherwise, is not found or does not end in time.
    :return: ``Call.to_dict()``, or a list of them in the order asked for.
    """

    template_fields: Sequence[str] = ("call", "voice_conn_id", "expected_statuses")
    ui_color = "#e6f2fa"

    def __init__(
        self,
        *,
        call: Any,
        voice_conn_id: str = VoiceHook.default_conn_name,
        expected_statuses: Collection[Any] | None = None,
        grace_period: float = GRACE_SECONDS,
        tolerated_outage: float = OUTAGE_SECONDS,
        poke_interval: timedelta | float = 30,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        **kwargs: Any,
    ) -> None:
        super().__init__(poke_interval=poke_interval, **kwargs)
        self.call = call
        self.voice_conn_id = voice_conn_id
        if isinstance(expected_statuses, CallStatus):
            expected_statuses = (expected_statuses,)
        self.expected_statuses = expected_statuses
        self.grace_period = grace_period
        self.tolerated_outage = tolerated_outage
        self.deferrable = deferrable
        if isinstance(expected_statuses, (list, tuple, set, frozenset)):
            self._accepted()  # a wrong word is known when the DAG is parsed
        self._watch: CallWatch | None = None

    @property
    def call(self) -> Any:
        """The call or calls; Airflow renders another task's output into this and shows it, so numbers are hidden."""
        return self._call

    @call.setter
    def call(self, value: Any) -> None:
        self._call = masked_calls(value)

    @cached_property
    def hook(self) -> VoiceHook:
        """The hook of the connection."""
        return VoiceHook.for_connection(self.voice_conn_id)

    def execute(self, context: Context) -> Any:
        """Wait in the mode chosen and return the call or calls."""
        with _refused_tokens_never_skip():
            if not self.deferrable:
                return super().execute(context)
            with self._soft(context):
                self._wait_deferred()
        return None

    def poke(self, context: Context) -> bool | PokeReturnValue:
        """Look once.

        :return: False while a call goes on; otherwise the result.
        :raises AirflowFailException: for what no further look can change.
        """
        with permanent_errors_end_the_task():
            watch = self._watch or self._new_watch(context)
            self._watch = watch
            try:
                watch.take(self.hook.get_calls(watch.pending))
            except VoiceError as error:
                watch.fail(error)
            if not watch.is_over:
                self._keep(context, watch)
                return False
            return PokeReturnValue(is_done=True, xcom_value=self._result([call for call in watch.results if call]))

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Go on after the trigger; see :meth:`execute_complete`."""
        with _refused_tokens_never_skip():
            return super().resume_execution(next_method, next_kwargs, context)

    def execute_complete(self, context: Context, event: Mapping[str, Any]) -> Any:
        """Return what the trigger found, or fail as the wait did.

        :param context: the task's context.
        :param event: what the trigger fired.
        """
        from airflow_provider_voice.triggers.call_status import call_from_event

        del context
        with permanent_errors_end_the_task():
            if event.get("error"):
                raise error_from_dict(event["error"])
            refs = self._refs()
            calls = [call_from_event(data, ref) for data, ref in zip(event["calls"], refs, strict=True) if data]
            if event.get("timed_out"):
                if event["memo"]["cut_short"]:
                    raise AirflowTaskTimeout("The task's execution_timeout has passed while it waited.")
                watch = CallWatch(refs)
                watch.take({call.id: call for call in calls})
                raise AirflowSensorTimeout(watch.timed_out(self.timeout).message)
            return self._result(calls)

    def _wait_deferred(self) -> None:
        from airflow_provider_voice.triggers.call_status import (
            CallStatusTrigger,
        )  # costs a DAG file what it never needs

        wait, cut_short = float(self.timeout), False
        if self.execution_timeout is not None and self.execution_timeout.total_seconds() < wait:
            wait, cut_short = self.execution_timeout.total_seconds(), True
        self.defer(
            trigger=CallStatusTrigger(
                voice_conn_id=self.voice_conn_id,
                calls=[ref.to_dict() for ref in self._refs()],
                deadline=time.time() + wait,
                poll_interval=max(self.poke_interval, 0.1),
                grace=self.grace_period,
                outage=self.tolerated_outage,
                memo={"cut_short": cut_short},
            ),
            method_name="execute_complete",
        )

    @contextmanager
    def _soft(self, context: Context) -> Iterator[None]:
        """Do for the way into the triggerer what the base class does for a poke."""
        del context
        try:
            with permanent_errors_end_the_task():
                yield
        except AirflowFailException as error:
            if self.soft_fail or self.never_fail:
                raise AirflowSkipException("Skipping due to soft_fail or never_fail.") from error
            raise

    def _refs(self) -> list[CallRef]:
        calls = self.call if isinstance(self.call, list) else [self.call]
        if not calls:
            raise InvalidRequest("The list of calls to wait for is empty.")
        return [CallRef.of(plain(call)) for call in calls]

    def _accepted(self) -> frozenset[CallStatus]:
        accepted = statuses_of(self.expected_statuses)
        endless = sorted(status.value for status in accepted if not status.is_terminal)
        if endless:
            raise InvalidRequest(f"A call does not end as {', '.join(endless)}; expected_statuses lists endings only.")
        return accepted

    def _result(self, calls: list[Call]) -> Any:
        accepted = self._accepted()
        for call in calls:
            if accepted:
                check_ending(call, accepted)
        results = [call.to_dict() for call in calls]
        return results if isinstance(self.call, list) else results[0]

    def _new_watch(self, context: Context) -> CallWatch:
        store = context.get("task_state_store") if self.reschedule else None
        state = store.get(_STATE_KEY) if store is not None else None
        return CallWatch(
            self._refs(),
            grace=self.grace_period,
            outage=self.tolerated_outage,
            state=state if isinstance(state, dict) else None,
        )

    def _keep(self, context: Context, watch: CallWatch) -> None:
        """Hand what is known to the next poke's process (Airflow 3.3+); in poke mode it is this one."""
        store = context.get("task_state_store") if self.reschedule else None
        if store is not None:
            store.set(_STATE_KEY, watch.state)


@contextmanager
def _refused_tokens_never_skip() -> Iterator[None]:
    """Undo ``soft_fail`` and ``never_fail`` for a refused token: that says nothing about a call."""
    try:
        yield
    except AirflowSkipException as skip:
        failure = skip.__cause__
        if isinstance(failure, AirflowFailException) and isinstance(failure.__cause__, AuthenticationFailed):
            raise failure from failure.__cause__
        raise
