"""``MakeCallOperator``: place one call, at most once, and wait for it if that is wanted."""

from __future__ import annotations

import logging
import os
import time
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NoReturn, get_args

from airflow.providers.common.compat.sdk import AirflowException, AirflowSkipException, AirflowTaskTimeout, conf
from airflow.sdk import BaseOperator

from airflow_provider_voice.dialing.dialer import DialedCall, Dialer, DialRules
from airflow_provider_voice.dialing.reconcile import LATE_ARRIVAL
from airflow_provider_voice.dialing.run_age import check_run_age, latest_start, run_began_at
from airflow_provider_voice.dialing.task_facts import TaskFacts
from airflow_provider_voice.exceptions import (
    CapabilityNotSupported,
    InvalidRequest,
    StaleRun,
    VoiceError,
    error_from_dict,
)
from airflow_provider_voice.hooks.voice import VoiceHook
from airflow_provider_voice.models import (
    Call,
    CallRef,
    CallRequest,
    CallStatus,
    json_object,
    read_time,
    statuses_of,
    write_time,
)
from airflow_provider_voice.phone import mask_number, mask_numbers_in, parse_number
from airflow_provider_voice.tracking.call_watch import CallWatch, check_ending
from airflow_provider_voice.utils.call_arguments import (
    agent_of,
    check_number,
    delay_of,
    masked_dialed,
    masked_values,
    text_or_none,
)
from airflow_provider_voice.utils.links import CallLink
from airflow_provider_voice.utils.masking import plain
from airflow_provider_voice.utils.retry_policy import vendor_delay_policy
from airflow_provider_voice.utils.task_errors import bad_arguments_end_the_task, permanent_errors_end_the_task
from airflow_provider_voice.utils.validation import (
    boolean,
    boolean_or_text,
    connection_id,
    duration,
    endings_of,
    is_literal,
    one_of,
    seconds_of,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from airflow.sdk import Context

    from airflow_provider_voice.policy import ContactPolicy

log = logging.getLogger(__name__)

OnClear = Literal["reuse", "new_call"]
StaleRunAction = Literal["fail", "skip", "call"]
WhenClosed = Literal["wait", "skip", "fail"]
_SHORTEST_DEFERRAL = timedelta(seconds=10)
# A signal does not end a sleep, so a wait is cut into naps after which a kill is noticed.
_NAP_SECONDS = 1.0


class MakeCallOperator(BaseOperator):
    """Place one call; a retry never rings a second time.

    .. code-block:: python

        MakeCallOperator(task_id="ring", to="{{ params.to }}", agent_id="agent_1", wait_for_completion=True)

    :param to: the number; E.164, or as people write it with ``region`` (or the connection's ``default_region``).
    :param agent_id: the vendor's agent; None: the connection's ``default_agent_id``.
    :param variables: values for the agent's prompt.
    :param context: values that come back with the vendor's events; not with Talkstack.
    :param delay_seconds: how long the vendor waits before it rings: whole seconds, 0 to 3600, or a ``timedelta``;
        default 0; Talkover only.
    :param is_testing: a call that is neither billed nor counted, default False; Talkover only. Text is understood
        (``True``, ``yes``, ``1``); what is not understood is refused.
    :param voice_conn_id: the connection, default ``voice_default``.
    :param region: two-letter country of a number written without ``+``.
    :param wait_for_completion: wait until the call has ended, default False.
    :param deferrable: wait in the triggerer and hold no worker; default ``[operators] default_deferrable``.
    :param poll_interval: time between two polls, as a ``timedelta`` or in seconds, default 30.
    :param timeout: time to wait for the end at most, as a ``timedelta`` or in seconds, default 3600.
    :param success_statuses: endings that count as a success when waiting, default ``completed``; another one fails the
        task without a retry.
    :param redial_statuses: endings after which the task fails *with* a retry that rings again (Airflow 3.3+);
        ``retry_delay`` spaces the calls. Default none.
    :param on_clear: what a user's clear means: ``reuse`` (default) the call that was placed, or ``new_call``. A clear
        of a task that is *running* counts as a retry, because Airflow does not tell them apart while the task has
        retries left: clear it when it has ended.
    :param stale_run: what a backfill or an old run does instead of ringing: ``fail`` (default), ``skip``, or ``call``
        to ring all the same.
    :param max_run_age: how long ago a run may have been due, as a ``timedelta`` or in seconds, default one day.
    :param redial_when_absent_for: after a create whose outcome is not known, ring again once the vendor's list was
        readable and without the call for so long, plus ``delay_seconds``; at least 15 minutes. None (default): never.
    :param end_call_on_kill: hang up when the task is killed, default False; Talkover only. Airflow kills a task when a
        user marks or clears it, but also when its worker shuts down: then, too, the person is hung up on. A call that
        may have been hung up is never a success.
    :param policy: who may be called when: a ``ContactPolicy``, the name or path of a rule file, or a list of them. It
        is loaded when the DAG is parsed and asked right before each call, redials included, for the moment at which
        the phone rings (``delay_seconds`` later); earlier calls of this task count as attempts, calls of other tasks do
        not. None (default): everybody, always.
    :param time_zone: IANA time zone of the person, for ``policy``; None: from ``jurisdiction`` or the number.
    :param jurisdiction: ISO 3166 code of the law that protects the person, such as ``US-FL``, for ``policy``; None:
        from the number.
    :param when_closed: what happens when ``policy`` does not allow the call now. ``wait`` (default) defers the task
        until it does, whatever ``deferrable`` says, for ``timeout`` at most and while the run is no older than
        ``max_run_age``; ``skip`` skips the task; ``fail`` fails it.
    :return: ``Call.to_dict()`` with ``how`` (``placed``, ``reattached``, ``adopted``) and ``generation``; the id is
        pushed to XCom as ``call_id`` right after the create.
    :raises InvalidRequest: when the DAG is parsed, for what can be known then; without a retry when a mapped task is
        constructed in the worker.
    :raises InvalidPhoneNumber: likewise, for the number.
    :raises NotAllowedNow: without a retry, when ``policy`` does not allow the call in time; ``next_at`` says when it
        does.
    """

    template_fields: Sequence[str] = (
        "time_zone",
        "jurisdiction",
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
    operator_extra_links = (CallLink(),)
    ui_color = "#d9f2e6"

    def __init__(
        self,
        *,
        to: str,
        agent_id: str | int | None = None,
        variables: Mapping[str, Any] | None = None,
        context: Mapping[str, Any] | None = None,
        delay_seconds: int | str | timedelta = 0,
        is_testing: bool | str = False,
        voice_conn_id: str = VoiceHook.default_conn_name,
        region: str | None = None,
        wait_for_completion: bool = False,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        poll_interval: float | timedelta = 30,
        timeout: float | timedelta = 3600,
        success_statuses: Collection[CallStatus | str] = ("completed",),
        redial_statuses: Collection[CallStatus | str] = (),
        on_clear: OnClear = "reuse",
        stale_run: StaleRunAction = "fail",
        max_run_age: float | timedelta = timedelta(days=1),
        redial_when_absent_for: float | timedelta | None = None,
        end_call_on_kill: bool = False,
        policy: ContactPolicy | str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | None = None,
        time_zone: str | None = None,
        jurisdiction: str | None = None,
        when_closed: WhenClosed = "wait",
        **kwargs: Any,
    ) -> None:
        retry_policy = vendor_delay_policy()
        if retry_policy is not None:
            kwargs.setdefault("retry_policy", retry_policy)
        super().__init__(**kwargs)
        with bad_arguments_end_the_task():
            self.to = to
            self.agent_id = agent_id
            self.variables = variables
            self.context = context
            self.delay_seconds = delay_seconds
            self.is_testing = is_testing
            self.voice_conn_id = voice_conn_id
            self.region = region
            self.wait_for_completion = boolean("wait_for_completion", wait_for_completion)
            self.deferrable = boolean("deferrable", deferrable)
            self.poll_interval = seconds_of("poll_interval", poll_interval)
            self.timeout = seconds_of("timeout", timeout)
            self.success_statuses = sorted(status.value for status in endings_of("success_statuses", success_statuses))
            self.redial_statuses = sorted(status.value for status in _redial_statuses(redial_statuses))
            self.on_clear = on_clear
            self.stale_run = stale_run
            self.max_run_age = duration("max_run_age", max_run_age)
            self.redial_when_absent_for = _absence(redial_when_absent_for)
            self.end_call_on_kill = boolean("end_call_on_kill", end_call_on_kill)
            self.policy = _loaded(policy)
            self.time_zone = time_zone
            self.jurisdiction = jurisdiction
            self.when_closed = when_closed
            self._check_choices()
            self._check_request()
        self._placed: Call | None = None
        self._killed = False
        self._hung_up = False

    def _check_choices(self) -> None:
        """Refuse choices that make no sense, alone or together."""
        one_of("on_clear", self.on_clear, get_args(OnClear))
        one_of("stale_run", self.stale_run, get_args(StaleRunAction))
        one_of("when_closed", self.when_closed, get_args(WhenClosed))
        both = sorted(set(self.success_statuses) & set(self.redial_statuses))
        if both:
            raise InvalidRequest(f"{', '.join(both)} is both a success and a reason to ring again.")
        if self.redial_statuses and not self.wait_for_completion:
            raise InvalidRequest("redial_statuses needs wait_for_completion=True: without it no ending is seen.")

    def _check_request(self) -> None:
        """Refuse what can be known to be wrong of the call before templates are rendered."""
        if is_literal(self.voice_conn_id):
            connection_id(self.voice_conn_id)
        if is_literal(self.agent_id):
            agent_of(self.agent_id)
        if is_literal(self.delay_seconds):
            delay_of(self.delay_seconds)
        if is_literal(self.is_testing):
            boolean_or_text("is_testing", self.is_testing)
        for name in ("time_zone", "jurisdiction"):
            if is_literal(getattr(self, name)):
                text_or_none(name, getattr(self, name))
        for name in ("variables", "context"):
            value = plain(getattr(self, name))
            if is_literal(value):
                json_object(name, value)
        check_number(plain(self.to), self.region)

    @cached_property
    def hook(self) -> VoiceHook:
        """The hook of the connection."""
        return VoiceHook.for_connection(self.voice_conn_id)

    @property
    def to(self) -> Any:
        """The number. Airflow renders templates into this and shows it, so a number is masked at once."""
        return self._to

    @to.setter
    def to(self, value: Any) -> None:
        self._to = masked_dialed(value)

    @property
    def variables(self) -> Any:
        """Values for the agent's prompt. They are about a person, so once rendered only their keys are shown."""
        return self._variables

    @variables.setter
    def variables(self, value: Any) -> None:
        self._variables = masked_values(value)

    @property
    def context(self) -> Any:
        """Values that come back with the vendor's events; once rendered only their keys are shown."""
        return self._context

    @context.setter
    def context(self, value: Any) -> None:
        self._context = masked_values(value)

    def execute(self, context: Context) -> dict[str, Any]:
        """Place the call, publish its id, and wait for its end if asked to.

        :param context: the task's context.
        :return: the call as a dictionary, with ``how`` and ``generation``.
        """
        return self._execute(context, datetime.now(timezone.utc))

    def execute_when_open(
        self, context: Context, event: Any = None, waiting_since: str | None = None
    ) -> dict[str, Any]:
        """Continue when the contact policy may allow the call: ask it again, and do what :meth:`execute` does.

        :param context: the task's context.
        :param event: the payload of Airflow's ``DateTimeTrigger``; not needed.
        :param waiting_since: when the policy was first asked, ISO 8601; None: now.
        :return: the same as :meth:`execute`.
        """
        del event
        return self._execute(context, read_time(waiting_since) or datetime.now(timezone.utc))

    def _execute(self, context: Context, asked_since: datetime) -> dict[str, Any]:
        with permanent_errors_end_the_task():
            try:
                dialed = self._dialer(context, asked_since).dial(self._request())
            except _ClosedNow as closed:
                self._defer_until(closed.opens_at, asked_since)
            self._publish(context, dialed)
            if not self.wait_for_completion:
                return self._result(context, dialed)
            if dialed.call.status.is_terminal:
                return self._finish(context, dialed)
            if self.deferrable:
                self._defer(dialed)
            call = self._wait(context, CallRef.of(dialed.call))
            return self._finish(context, replace(dialed, call=call))

    def execute_complete(self, context: Context, event: Mapping[str, Any]) -> dict[str, Any]:
        """Continue after the trigger: return the call that has ended, or fail as a wait without a trigger does.

        :param context: the task's context.
        :param event: the payload of the trigger's event.
        :return: the same as :meth:`execute`.
        """
        memo = event["memo"]
        with permanent_errors_end_the_task():
            # With the trigger comes what polls a vendor; only a task that deferred needs it.
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
                    # Airflow calls on_kill for this error.
                    raise AirflowTaskTimeout("The task's execution_timeout has passed while it waited for its call.")
                raise watch.timed_out(self.timeout)
            return self._finish(context, DialedCall(call, memo["how"], memo["generation"]))

    def on_kill(self) -> None:
        """Hang up if ``end_call_on_kill`` is set and the vendor can; Airflow calls this for every SIGTERM."""
        self._killed = True
        if not self.end_call_on_kill or self._placed is None or self._placed.status.is_terminal:
            return
        try:
            self.hook.end_call(self._placed)
            self._hung_up = True
            self.log.info("Ended call %s, because its task was killed.", self._placed.id)
        except CapabilityNotSupported as error:
            self.log.info("%s", error.message)
        except VoiceError as error:
            self.log.warning("Could not end call %s: %s", self._placed.id, error.message)

    def _request(self) -> CallRequest:
        """Return the call wanted, from rendered arguments."""
        return CallRequest(
            to=self._number(),
            agent_id=agent_of(self.agent_id),
            variables=plain(self.variables) or {},
            context=plain(self.context) or {},
            delay_seconds=delay_of(self.delay_seconds),
            is_testing=boolean_or_text("is_testing", self.is_testing),
        )

    def _number(self) -> str:
        return parse_number(plain(self.to), self.region or self.hook.vendor.settings.default_region)

    def _dialer(self, context: Context, asked_since: datetime | None = None) -> Dialer:
        return Dialer(
            self.hook,
            context.get("task_state_store"),
            task_facts(context, self.retries),
            DialRules(
                new_call_on_clear=self.on_clear == "new_call",
                redial_statuses=statuses_of(self.redial_statuses),
                redial_when_absent_for=self.redial_when_absent_for,
                hangs_up_when_deferred=self.end_call_on_kill and self.wait_for_completion and self.deferrable,
            ),
            before_ringing=lambda attempts: self._check_may_ring(context, attempts, asked_since),
            calls_of_others=lambda: calls_of_other_tasks(context),
        )

    def _check_may_ring(self, context: Context, attempts: list[datetime], asked_since: datetime | None) -> None:
        """Raise unless somebody may be rung now: asked right before the intent is stored."""
        if self._killed:
            raise AirflowException("The task was killed before it placed its call; nobody was rung.")
        if self.stale_run != "call":
            try:
                check_run_age(context["dag_run"], self.max_run_age)
            except StaleRun as error:
                if self.stale_run == "skip":
                    raise AirflowSkipException(error.message) from error
                raise
        if self.policy is not None:
            self._check_policy(context, self.policy, attempts, asked_since)

    def _check_policy(
        self, context: Context, policy: ContactPolicy, attempts: list[datetime], asked_since: datetime | None
    ) -> None:
        """Raise unless the contact policy allows the call now."""
        # Rule files and calendars: only a task with a policy needs them.
        from airflow_provider_voice.policy import Person, next_step

        now = datetime.now(timezone.utc)
        # The rules are about the moment at which the phone rings.
        delay = timedelta(seconds=delay_of(self.delay_seconds))
        rings_at = now + delay
        person = Person(
            to=self._number(),
            time_zone=text_or_none("time_zone", self.time_zone),
            jurisdiction=text_or_none("jurisdiction", self.jurisdiction),
        )
        deadlines = [(asked_since or now) + timedelta(seconds=self.timeout)]
        if self.stale_run != "call":
            deadlines += filter(None, [latest_start(context["dag_run"], self.max_run_age)])
        # An attempt never lies ahead: it was stored by a machine whose clock may be ahead of this one's.
        decision = policy.decide(person, rings_at, [min(attempt + delay, rings_at) for attempt in attempts])
        step = next_step(decision, when_closed=self.when_closed, deadline=min(deadlines) + delay)
        self.log.info("Contact policy: %s", step.reason)
        if step.action == "skip":
            raise AirflowSkipException(step.reason)
        if step.action == "fail":
            raise step.error()
        if step.until is not None:
            raise _ClosedNow(step.until - delay)

    def _defer_until(self, opens_at: datetime, asked_since: datetime) -> NoReturn:
        """Hold no worker until the contact policy may allow the call."""
        # Imported late: only a task that has to wait needs it.
        from airflow.providers.standard.triggers.temporal import DateTimeTrigger

        # The scheduler can fail a deferred task whose trigger fires within a second or two.
        moment = max(opens_at, datetime.now(timezone.utc) + _SHORTEST_DEFERRAL)
        self.defer(
            trigger=DateTimeTrigger(moment=moment),
            method_name="execute_when_open",
            kwargs={"waiting_since": write_time(asked_since)},
        )
        raise AssertionError("defer() returned")

    def _publish(self, context: Context, dialed: DialedCall) -> None:
        """Push the call's id to XCom as early as there is one."""
        self._placed = dialed.call
        if self.do_xcom_push:
            context["ti"].xcom_push(key="call_id", value=dialed.call.id)
        self.log.info("Call %s to %s: %s.", dialed.call.id, mask_number(dialed.call.to), dialed.how)
        if self._killed:
            # The kill came while the create was under way, when there was no id to end the call by.
            self.on_kill()
        self._fail_if_killed(context)

    def _fail_if_killed(self, context: Context) -> None:
        """Let Airflow retry a killed task: a worker that shuts down kills its tasks too, and a retry attaches."""
        if not self._killed:
            return
        call_id = self._placed.id if self._placed else "of the task"
        if self._hung_up and self._placed is not None:
            self._dialer(context).hung_up(self._placed)
        raise AirflowException(f"The task was killed. A retry attaches to its call {call_id} and rings nobody again.")

    def _defer(self, dialed: DialedCall) -> None:
        # With the trigger comes what polls a vendor; a DAG file never needs it.
        from airflow_provider_voice.triggers.call_status import CallStatusTrigger

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

    def _wait(self, context: Context, ref: CallRef) -> Call:
        """Poll until the call has ended."""
        watch = CallWatch([ref])
        deadline = time.monotonic() + self.timeout
        while True:
            try:
                watch.take(self.hook.get_calls(watch.pending))
            except VoiceError as error:
                watch.fail(error)
            if watch.results[0] is not None:
                self._placed = watch.results[0]
            self._fail_if_killed(context)
            if watch.is_over and self._placed is not None:
                return self._placed
            left = deadline - time.monotonic()
            if left <= 0:
                raise watch.timed_out(self.timeout)
            self._sleep(context, min(watch.next_poll_in(self.poll_interval), left))

    def _sleep(self, context: Context, seconds: float) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self._fail_if_killed(context)
            time.sleep(min(left, _NAP_SECONDS))

    def _finish(self, context: Context, dialed: DialedCall) -> dict[str, Any]:
        """Store how the call ended and return it, or fail when the ending is no success."""
        self._placed = dialed.call
        self._fail_if_killed(context)
        self._dialer(context).ended(dialed.call)
        redial = statuses_of(self.redial_statuses)
        check_ending(dialed.call, statuses_of(self.success_statuses), retryable=redial)
        return self._result(context, dialed)

    def _result(self, context: Context, dialed: DialedCall) -> dict[str, Any]:
        self._fail_if_killed(context)
        return dialed.to_dict()


class _ClosedNow(Exception):
    """The contact policy forbids the call now and allows it at ``opens_at``; nothing was stored or sent."""

    def __init__(self, opens_at: datetime) -> None:
        super().__init__("closed now")
        self.opens_at = opens_at


def _loaded(policy: Any) -> ContactPolicy | None:
    """Load a policy while the DAG is parsed, so that a broken rule file is an import error."""
    if policy is None:
        return None
    from airflow_provider_voice.policy import as_policy  # YAML and calendars: only a task with a policy needs them

    if isinstance(policy, (list, tuple)) and not all(isinstance(name, (str, os.PathLike)) for name in policy):
        raise InvalidRequest("policy is a list with something else than names and paths of rule files.")
    try:
        return as_policy(policy)
    except InvalidRequest as error:
        # It quotes the name of the file, which may be a phone number that was meant for another argument.
        raise InvalidRequest(mask_numbers_in(error.message)) from None


def task_facts(context: Context, retries: int | None) -> TaskFacts:
    """Return the facts of the running task for the dialer.

    :param context: the task's context.
    :param retries: the operator's retries.
    :return: the facts.
    """
    ti, run = context["ti"], context.get("dag_run")
    return TaskFacts(
        dag_id=ti.dag_id,
        run_id=ti.run_id,
        task_id=ti.task_id,
        map_index=-1 if ti.map_index is None else ti.map_index,
        try_number=ti.try_number,
        max_tries=ti.max_tries,
        retries=retries or 0,
        run_began_at=run_began_at(run),
        run_started_at=getattr(run, "start_date", None),
        clear_number=getattr(run, "clear_number", None),
    )


def calls_of_other_tasks(context: Context) -> frozenset[str]:
    """Return the ids of the calls that other tasks of the run have published to XCom.

    Other indexes of the same mapped task count only in a run that was never cleared: after a clear the task's list may
    be another one, and the call of another index may be that of this person.

    :param context: the task's context.
    :return: ids; empty when there are none or XCom cannot be read, which never leads to a second ring.
    """
    ti, dag = context["ti"], context.get("dag")
    was_cleared = bool(getattr(context.get("dag_run"), "clear_number", None))
    siblings_count = ti.map_index is not None and ti.map_index >= 0 and not was_cleared
    names = [
        task.task_id
        for task in getattr(dag, "tasks", ())
        if _places_calls(task) and (task.task_id != ti.task_id or siblings_count)
    ]
    if not names:
        return frozenset()
    try:
        ids = ti.xcom_pull(task_ids=names, key="call_id")
    except Exception as error:  # noqa: BLE001 - whatever an XCom backend raises, the look goes on without it
        log.warning("Could not read the call ids of the run's other tasks (%s).", type(error).__name__)
        return frozenset()
    return frozenset(str(call_id) for call_id in ids or () if call_id)


def _places_calls(task: Any) -> bool:
    operator_class = getattr(task, "operator_class", type(task))
    return isinstance(operator_class, type) and issubclass(operator_class, MakeCallOperator)


def _redial_statuses(values: Any) -> frozenset[CallStatus]:
    is_empty = values is None or (isinstance(values, (list, tuple, set, frozenset)) and not values)
    return frozenset() if is_empty else endings_of("redial_statuses", values)


def _absence(value: float | timedelta | None) -> timedelta | None:
    """Return ``redial_when_absent_for``, which must not be shorter than calls may arrive late."""
    return None if value is None else duration("redial_when_absent_for", value, minimum=LATE_ARRIVAL)
