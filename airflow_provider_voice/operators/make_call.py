"""``MakeCallOperator``: place one call, at most once, and wait for it if that is wanted."""

from __future__ import annotations

import time
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException, AirflowTaskTimeout, conf
from airflow.sdk import BaseOperator

from airflow_provider_voice.dialing.dialer import Dialed, Dialer, TaskFacts
from airflow_provider_voice.dialing.run_age import check_run_age
from airflow_provider_voice.exceptions import (
    CapabilityNotSupported,
    StaleRun,
    VoiceError,
    error_from_dict,
)
from airflow_provider_voice.hooks.voice import VoiceHook
from airflow_provider_voice.models import Call, CallRef, CallRequest, statuses_of
from airflow_provider_voice.phone import mask_number, parse_number
from airflow_provider_voice.tracking.call_watch import CallWatch, check_ending
from airflow_provider_voice.utils.masking import masked_number, plain
from airflow_provider_voice.utils.retry_policy import vendor_delay_policy
from airflow_provider_voice.utils.task_errors import permanent_errors_end_the_task
from airflow_provider_voice.utils.validation import check_call_arguments, seconds_of, whole_or_text

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from airflow.sdk import Context


class MakeCallOperator(BaseOperator):
    """Place one call; a retry never rings a second time.

    :param to: the number; E.164, or as people write it with ``region`` (or the connection's ``default_region``).
    :param agent_id: the vendor's agent; None: the connection's ``default_agent_id``.
    :param variables: values for the agent's prompt.
    :param context: values that come back with the vendor's events; not with Talkstack.
    :param delay_seconds: seconds the vendor waits before it rings, 0 to 3600, default 0; Talkover only.
    :param is_testing: a call that is neither billed nor counted, default False; Talkover only.
    :param voice_conn_id: the connection, default ``voice_default``.
    :param region: two-letter country of a number written without ``+``.
    :param wait_for_completion: wait until the call has ended, default False.
    :param deferrable: wait in the triggerer and hold no worker; default ``[operators] default_deferrable``.
    :param poll_interval: seconds between two looks, default 30.
    :param timeout: seconds to wait for the end at most, default 3600.
    :param success_statuses: endings that count as a success when waiting, default ``completed``; another one fails the
        task without a retry.
    :param redial_statuses: endings after which the task fails *with* a retry that rings again (Airflow 3.3+);
        ``retry_delay`` spaces the calls. Default none.
    :param on_clear: what a user's clear means: ``reuse`` (default) the call that was placed, or ``new_call``.
    :param stale_run: what a backfill or an old run does instead of ringing: ``fail`` (default), ``skip``, or ``call``
        all the same.
    :param max_run_age: how old a run may be, default one day.
    :param redial_when_absent_for: after a create whose answer was lost, ring again once the vendor's list was readable
        and without the call for so long; None (default): never.
    :param end_call_on_kill: hang up when a user kills the task, default True; Talkover only.
    :return: ``Call.to_dict()`` with ``how`` (``placed``, ``reattached``, ``adopted``) and ``generation``; the id is
        pushed to XCom as ``call_id`` right after the create.
    :raises InvalidRequest, InvalidPhoneNumber: when the DAG is parsed, for what can be known then.
    """

    template_fields: Sequence[str] = (
        "to",
        "agent_id",
        "variables",
        "context",
        "delay_seconds",
        "is_testing",
        "voice_conn_id",
        "region",
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {"variables": "json", "context": "json"}
    ui_color = "#d9f2e6"

    def __init__(
        self,
        *,
        to: str,
        agent_id: str | int | None = None,
        variables: Mapping[str, Any] | None = None,
        context: Mapping[str, Any] | None = None,
        delay_seconds: int = 0,
        is_testing: bool = False,
        voice_conn_id: str = VoiceHook.default_conn_name,
        region: str | None = None,
        wait_for_completion: bool = False,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        poll_interval: float | timedelta = 30,
        timeout: float | timedelta = 3600,
        success_statuses: Collection[Any] = ("completed",),
        redial_statuses: Collection[Any] = (),
        on_clear: str = "reuse",
        stale_run: str = "fail",
        max_run_age: timedelta = timedelta(days=1),
        redial_when_absent_for: timedelta | None = None,
        end_call_on_kill: bool = True,
        **kwargs: Any,
    ) -> None:
        policy = vendor_delay_policy()
        if policy is not None:
            kwargs.setdefault("retry_policy", policy)
        super().__init__(**kwargs)
        self.to = to
        self.agent_id = agent_id
        self.variables = variables
        self.context = context
        self.delay_seconds = delay_seconds
        self.is_testing = is_testing
        self.voice_conn_id = voice_conn_id
        self.region = region
        self.wait_for_completion = wait_for_completion
        self.deferrable = deferrable
        self.poll_interval = seconds_of("poll_interval", poll_interval)
        self.timeout = seconds_of("timeout", timeout)
        self.success_statuses = sorted(status.value for status in statuses_of(success_statuses))
        self.redial_statuses = sorted(status.value for status in statuses_of(redial_statuses))
        self.on_clear = on_clear
        self.stale_run = stale_run
        self.max_run_age = max_run_age
        self.redial_when_absent_for = redial_when_absent_for
        self.end_call_on_kill = end_call_on_kill
        check_call_arguments(self)
        self._placed: Call | None = None
        self._killed = False

    @cached_property
    def hook(self) -> VoiceHook:
        """The hook of the connection."""
        return VoiceHook.for_connection(self.voice_conn_id)

    @property
    def to(self) -> Any:
        """The number; Airflow renders templates into this and shows it, so it is hidden as soon as it is one."""
        return self._to

    @to.setter
    def to(self, value: Any) -> None:
        self._to = masked_number(value)

    def execute(self, context: Context) -> dict[str, Any]:
        """Place the call, publish its id, and wait if asked to."""
        with permanent_errors_end_the_task():
            dialed = self._dialer(context).dial(self._request())
            self._publish(context, dialed)
            if not self.wait_for_completion:
                return self._result(dialed.call, dialed.how, dialed.generation)
            if dialed.call.status.is_terminal:
                return self._finish(context, dialed.call, dialed.how, dialed.generation)
            if self.deferrable:
                self._defer(dialed)
            call = self._wait(CallRef.of(dialed.call))
            return self._finish(context, call, dialed.how, dialed.generation)

    def execute_complete(self, context: Context, event: Mapping[str, Any]) -> dict[str, Any]:
        """Go on after the trigger: return the call that ended, or fail as the wait did.

        :param context: the task's context.
        :param event: what the trigger fired.
        """
        memo = event["memo"]
        with permanent_errors_end_the_task():
            from airflow_provider_voice.triggers.call_status import call_from_event

            watch = CallWatch([])
            seen = event["calls"][0]
            call = None if seen is None else call_from_event(seen, CallRef(seen["id"], self._number()))
            if call is not None:
                self._placed = call
                watch = CallWatch([CallRef.of(call)])
                watch.take({call.id: call})
            if event.get("error"):
                raise error_from_dict(event["error"])
            if event.get("timed_out") or call is None:
                if memo["cut_short"]:
                    # Airflow answers this one with on_kill.
                    raise AirflowTaskTimeout("The task's execution_timeout has passed while it waited for its call.")
                raise watch.timed_out(self.timeout)
            return self._finish(context, call, memo["how"], memo["generation"])

    def on_kill(self) -> None:
        """Hang up, where the vendor can and the user wants it."""
        self._killed = True
        if not self.end_call_on_kill or self._placed is None or self._placed.status.is_terminal:
            return
        try:
            self.hook.end_call(self._placed)
            self.log.info("Ended call %s, because its task was killed.", self._placed.id)
        except CapabilityNotSupported as error:
            self.log.info("%s", error.message)
        except VoiceError as error:
            self.log.warning("Could not end call %s: %s", self._placed.id, error.message)

    def _request(self) -> CallRequest:
        return CallRequest(
            to=self._number(),
            agent_id=None if self.agent_id in (None, "") else str(self.agent_id),
            variables=self.variables or {},
            context=self.context or {},
            delay_seconds=whole_or_text("delay_seconds", self.delay_seconds),
            is_testing=self.is_testing in (True, "True", "true"),
        )

    def _number(self) -> str:
        return parse_number(plain(self.to), self.region or self.hook.vendor.settings.default_region)

    def _dialer(self, context: Context) -> Dialer:
        return Dialer(
            self.hook,
            context.get("task_state_store"),
            task_facts(context, self.retries),
            new_call_on_clear=self.on_clear == "new_call",
            redial_statuses=statuses_of(self.redial_statuses),
            redial_when_absent_for=self.redial_when_absent_for,
            before_ringing=lambda: self._check_may_ring(context),
        )

    def _check_may_ring(self, context: Context) -> None:
        if self._killed:
            raise AirflowFailException("The task was killed before it placed its call; nobody was rung.")
        if self.stale_run == "call":
            return
        try:
            check_run_age(context["dag_run"], self.max_run_age)
        except StaleRun as error:
            if self.stale_run == "skip":
                raise AirflowSkipException(error.message) from error
            raise

    def _publish(self, context: Context, dialed: Dialed) -> None:
        self._placed = dialed.call
        if self.do_xcom_push:
            context["ti"].xcom_push(key="call_id", value=dialed.call.id)
        self.log.info("Call %s to %s: %s.", dialed.call.id, mask_number(dialed.call.to), dialed.how)
        if self._killed:
            # The kill came while the create was under way, when there was no id to end it by.
            self.on_kill()
            raise AirflowFailException(f"The task was killed while it placed call {dialed.call.id}.")

    def _defer(self, dialed: Dialed) -> None:
        from airflow_provider_voice.triggers.call_status import (
            CallStatusTrigger,
        )  # costs a DAG file what it never needs

        wait, cut_short = self.timeout, False
        if self.execution_timeout is not None and self.execution_timeout.total_seconds() < wait:
            # Airflow does not count the time a task is deferred, so the trigger does.
            wait, cut_short = self.execution_timeout.total_seconds(), True
        self.defer(
            trigger=CallStatusTrigger(
                voice_conn_id=self.voice_conn_id,
                calls=[CallRef.of(dialed.call).to_dict()],
                deadline=time.time() + wait,
                poll_interval=self.poll_interval,
                memo={"how": dialed.how, "generation": dialed.generation, "cut_short": cut_short},
                end_call_on_kill=self.end_call_on_kill,
            ),
            method_name="execute_complete",
        )

    def _wait(self, ref: CallRef) -> Call:
        watch = CallWatch([ref])
        deadline = time.monotonic() + self.timeout
        while True:
            try:
                watch.take(self.hook.get_calls(watch.pending))
            except VoiceError as error:
                watch.fail(error)
            if watch.results[0] is not None:
                self._placed = watch.results[0]
            if watch.is_over and self._placed is not None:
                return self._placed
            if self._killed:
                raise AirflowFailException(f"The task was killed while it waited for call {ref.id}.")
            left = deadline - time.monotonic()
            if left <= 0:
                raise watch.timed_out(self.timeout)
            time.sleep(min(watch.next_poll_in(self.poll_interval), left))

    def _finish(self, context: Context, call: Call, how: str, generation: int) -> dict[str, Any]:
        self._placed = call
        redial = statuses_of(self.redial_statuses)
        self._dialer(context).ended(call)
        check_ending(call, statuses_of(self.success_statuses), retryable=redial)
        return self._result(call, how, generation)

    @staticmethod
    def _result(call: Call, how: str, generation: int) -> dict[str, Any]:
        return {**call.to_dict(), "how": how, "generation": generation}


def task_facts(context: Context, retries: int | None) -> TaskFacts:
    """Return what the dialer must know of the running task."""
    ti, run = context["ti"], context.get("dag_run")
    return TaskFacts(
        dag_id=ti.dag_id,
        run_id=ti.run_id,
        task_id=ti.task_id,
        map_index=-1 if ti.map_index is None else ti.map_index,
        try_number=ti.try_number,
        max_tries=ti.max_tries,
        retries=retries or 0,
        run_started_at=getattr(run, "start_date", None),
    )
