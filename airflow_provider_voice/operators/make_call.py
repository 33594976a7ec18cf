"""``MakeCallOperator``: place one call, at most once, and wait for it if that is wanted."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NoReturn, get_args

from airflow.providers.common.compat.sdk import AirflowException, AirflowTaskTimeout, conf
from airflow.sdk import BaseOperator

from airflow_provider_voice.dialing.dialer import DialedCall, Dialer
from airflow_provider_voice.dialing.reconcile import LATE_ARRIVAL
from airflow_provider_voice.dialing.run_age import StaleRunAction, check_run_age
from airflow_provider_voice.dialing.task_facts import TaskFacts, calls_of_other_tasks
from airflow_provider_voice.exceptions import InvalidRequest, NotAllowedNow, StaleRun, VoiceError
from airflow_provider_voice.hooks.sql import ledger_engine
from airflow_provider_voice.hooks.voice import HasVoiceHook, VoiceHook
from airflow_provider_voice.models import Call, CallRef, CallRequest, CallStatus, write_time
from airflow_provider_voice.phone import mask_number, parse_number
from airflow_provider_voice.tracking.call_watch import CallWatch, check_ending
from airflow_provider_voice.utils.call_arguments import (
    check_number,
    check_person,
    check_templated,
    delay_of,
    id_or_none,
    key_or_none,
    masked_dialed,
    masked_key,
    masked_values,
    policy_of,
    text_or_none,
)
from airflow_provider_voice.utils.links import CallLink
from airflow_provider_voice.utils.masking import MaskedField, MasksRenderedFields, plain
from airflow_provider_voice.utils.retry_policy import vendor_delay_policy
from airflow_provider_voice.utils.task_errors import bad_arguments_end_the_task, permanent_errors_end_the_task
from airflow_provider_voice.utils.validation import (
    boolean,
    boolean_or_text,
    connection_id,
    duration,
    endings_of,
    one_of,
    seconds_of,
)

if TYPE_CHECKING:
    import os
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from airflow.sdk import Context

    from airflow_provider_voice.outreach.call_key import CallKeyStore
    from airflow_provider_voice.policy import ContactPolicy

OnClear = Literal["reuse", "new_call"]
WhenClosed = Literal["wait", "skip", "fail"]
_SHORTEST_DEFERRAL = timedelta(seconds=10)
# A signal does not end a sleep, so a wait is cut into naps after which a kill is noticed.
_NAP_SECONDS = 1.0


class MakeCallOperator(MasksRenderedFields, HasVoiceHook, BaseOperator):
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
        (``True``, ``yes``, ``1``); any other text is refused.
    :param voice_conn_id: the connection, default ``voice_default``.
    :param region: two-letter country of a number written without ``+``.
    :param wait_for_completion: wait until the call has ended, default False.
    :param deferrable: wait in the triggerer and hold no worker; default ``[operators] default_deferrable``.
    :param poll_interval: time between two polls, as a ``timedelta`` or in seconds, default 30.
    :param timeout: the longest wait for the end of the call, as a ``timedelta`` or in seconds, default 3600.
    :param success_statuses: endings that count as a success when waiting, default ``completed``; another one fails the
        task without a retry.
    :param redial_statuses: endings after which the task fails *with* a retry that rings again (Airflow 3.3+);
        ``retry_delay`` spaces the calls. Default none.
    :param on_clear: after a user's clear, ``reuse`` (default) the call that was placed, or place a ``new_call``. A
        clear of a task that is *running* counts as a retry, because Airflow does not distinguish them while the task
        has retries left: clear it when it has ended.
    :param stale_run: ``fail`` (default) or ``skip`` a backfill or an old run, or ``call`` anyway.
    :param max_run_age: how long ago a run may have been due when it rings somebody, as a ``timedelta`` or in seconds,
        default one day. Not with ``stale_run="call"``.
    :param redial_when_absent_for: after a create whose outcome is not known, ring again once the vendor's list has been
        readable for this long, plus ``delay_seconds``, and has not shown the call; at least 15 minutes. None (default):
        never.
    :param end_call_on_kill: hang up when the task is killed, default False; Talkover only. Airflow kills a task when a
        user marks or clears it, but also when its worker shuts down: then, too, the person is hung up on. A call that
        may have been hung up is never a success.
    :param policy: who may be called when: a ``ContactPolicy``, the name or path of a rule file, or a list of them. It
        is loaded when the DAG is parsed and asked right before each call, redials included, for the moment at which
        the phone rings (``delay_seconds`` later). Earlier calls of this task count as attempts; with a ledger, every
        attempt in it to this number and ``subject`` counts. None (default): everybody, always.
    :param time_zone: IANA time zone of the person, for ``policy``; None: from ``jurisdiction`` or the number.
    :param jurisdiction: ISO 3166 code of the law that protects the person, such as ``US-FL``, for ``policy``; None:
        from the number.
    :param when_closed: what happens when ``policy`` does not allow the call now. ``wait`` (default) defers the task
        until it does, whatever ``deferrable`` says, while the run is no older than ``max_run_age``: over a night, but
        not over a weekend unless you raise it. ``skip`` skips the task; ``fail`` fails it.
    :param call_key: the business key of the call, such as an invoice's number. The person is rung once per key, in
        any run or DAG: every other task with the key attaches to that call. Needs ``ledger_conn_id``; with
        ``redial_statuses`` only the task that placed the call rings again. None (default): the call is this task's own.
    :param ledger_conn_id: the database that keeps the calls of keys, tasks and campaigns: PostgreSQL, MySQL, MariaDB
        or SQLite. The call then waits for the pace of its connection (``calls_per_minute`` and ``max_concurrent`` of
        the running campaigns), and counts in it. None (default): no ledger.
    :param subject: the topic of the call; ``policy`` counts the attempts in the ledger per number and subject.
    :param kwargs: the arguments of ``BaseOperator``, ``task_id`` for one.
    :return: ``Call.to_dict()`` with ``how`` (``placed``, ``reattached``, ``adopted``) and ``generation``; the id is
        pushed to XCom as ``call_id`` right after the create.
    :raises InvalidRequest: when the DAG is parsed, for everything that is final then; without a retry when a mapped
        task is constructed in the worker.
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
        "call_key",
        "ledger_conn_id",
        "subject",
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {"variables": "json", "context": "json"}
    operator_extra_links = (CallLink(),)
    ui_color = "#d9f2e6"
    # Airflow shows rendered fields, and these are about a person.
    to = MaskedField(masked_dialed)
    variables = MaskedField(masked_values)
    context = MaskedField(masked_values)
    call_key = MaskedField(masked_key)

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
        call_key: str | int | None = None,
        ledger_conn_id: str | None = None,
        subject: str | None = None,
        **kwargs: Any,
    ) -> None:
        retry_policy = vendor_delay_policy()
        # Airflow would take it for the user's own, before the one in the DAG's default_args.
        if retry_policy is not None and "retry_policy" not in (kwargs.get("default_args") or {}):
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
            self.success_statuses = endings_of("success_statuses", success_statuses)
            self.redial_statuses = endings_of("redial_statuses", redial_statuses, may_be_empty=True)
            self.on_clear = on_clear
            self.stale_run = stale_run
            self.max_run_age = duration("max_run_age", max_run_age)
            self.redial_when_absent_for = (
                None
                if redial_when_absent_for is None
                else duration("redial_when_absent_for", redial_when_absent_for, minimum=LATE_ARRIVAL)
            )
            self.end_call_on_kill = boolean("end_call_on_kill", end_call_on_kill)
            self.policy = policy_of(policy)
            self.time_zone = time_zone
            self.jurisdiction = jurisdiction
            self.when_closed = when_closed
            self.call_key = call_key
            self.ledger_conn_id = ledger_conn_id
            self.subject = subject
            self._check_arguments()
        self._placed: Call | None = None
        self._killed = False
        self._hung_up = False

    def _check_arguments(self) -> None:
        """Refuse bad arguments and combinations before templates are rendered."""
        one_of("on_clear", self.on_clear, get_args(OnClear))
        one_of("stale_run", self.stale_run, get_args(StaleRunAction))
        one_of("when_closed", self.when_closed, get_args(WhenClosed))
        check_templated({name: plain(getattr(self, name)) for name in MakeCallOperator.template_fields})
        check_number(plain(self.to), self.region)
        check_person(self.policy, self.time_zone, self.jurisdiction, self.when_closed)
        both = sorted(status.value for status in self.success_statuses & self.redial_statuses)
        if both:
            raise InvalidRequest(f"{', '.join(both)} is in success_statuses and in redial_statuses; keep it in one.")
        if self.redial_statuses and not self.wait_for_completion:
            raise InvalidRequest("redial_statuses needs wait_for_completion=True: without it no ending is seen.")
        if self.call_key is not None:
            self._check_key()
        if self.subject is not None and self.ledger_conn_id is None:
            raise InvalidRequest("subject needs ledger_conn_id: attempts are counted per subject in the ledger.")

    def _check_key(self) -> None:
        """Refuse the arguments that contradict a ``call_key``."""
        if self.ledger_conn_id is None:
            raise InvalidRequest(
                "call_key needs ledger_conn_id: a key holds for all workers, and they share nothing but a database."
            )
        if self.on_clear != "reuse":
            raise InvalidRequest("A call_key rings once, so on_clear must be 'reuse'. For a new call use another key.")
        if self.end_call_on_kill:
            raise InvalidRequest("end_call_on_kill cannot be used with call_key: other tasks may wait for that call.")

    def execute(self, context: Context) -> dict[str, Any]:
        """Place the call, publish its id, and wait for its end if asked to.

        :param context: the task's context.
        :return: the call as a dictionary, with ``how`` and ``generation``.
        """
        return self.execute_when_open(context)

    def execute_when_open(self, context: Context, event: Any = None) -> dict[str, Any]:
        """Do the work of :meth:`execute`, which Airflow lets nobody but itself call, also after a wait for the policy.

        :param context: the task's context.
        :param event: the payload of Airflow's ``DateTimeTrigger``; not needed.
        :return: the same as :meth:`execute`.
        """
        del event
        with permanent_errors_end_the_task(skip_on=self._skipping_errors):
            request = self._request()
            dialer = self._dialer(context, request)
            with self._storing_a_hang_up(dialer):
                dialed = dialer.dial(request)
                self._publish(context, dialed)
                if self.wait_for_completion and not dialed.call.status.is_terminal:
                    if self.deferrable:
                        self._defer(dialed)
                    dialed = replace(dialed, call=self._wait(CallRef.of(dialed.call)))
                return self._finish(dialer, dialed)

    def execute_complete(self, context: Context, event: Mapping[str, Any]) -> dict[str, Any]:
        """Continue after the trigger: return the call that has ended, or fail as a wait without a trigger does.

        :param context: the task's context.
        :param event: the payload of the trigger's event.
        :return: the same as :meth:`execute`.
        :raises AirflowTaskTimeout: when ``execution_timeout`` passed during the wait.
        """
        with permanent_errors_end_the_task(skip_on=self._skipping_errors):
            # With the trigger comes the code that polls a vendor; only a task that deferred needs it.
            from airflow_provider_voice.triggers.call_status import calls_from_event, raise_failure

            request, memo = self._request(), event["memo"]
            # A call that the vendor never reported is known as it was placed, and on_kill can end it.
            (call,) = calls_from_event({"calls": [event["calls"][0] or memo["call"]]}, [request.to])
            self._placed = call
            dialer = self._dialer(context, request)
            with self._storing_a_hang_up(dialer):
                raise_failure(event)
                return self._finish(dialer, DialedCall(call, memo["how"], memo["generation"]))

    def on_kill(self) -> None:
        """Hang up if ``end_call_on_kill`` is set and the vendor can; Airflow calls this for every SIGTERM."""
        self._killed = True
        if self.end_call_on_kill and self._placed is not None and not self._placed.status.is_terminal:
            self._hung_up = self._hung_up or self.hook.hang_up(self._placed)

    def _request(self) -> CallRequest:
        """Return the call wanted, from rendered arguments."""
        return CallRequest(
            to=parse_number(plain(self.to), self.region or self.hook.vendor.settings.default_region),
            agent_id=id_or_none("agent_id", self.agent_id),
            variables=plain(self.variables) or {},
            context=plain(self.context) or {},
            delay_seconds=delay_of(self.delay_seconds),
            is_testing=boolean_or_text("is_testing", self.is_testing),
        )

    @property
    def _skipping_errors(self) -> tuple[type[VoiceError], ...]:
        """Return the errors for which the user wants the task to be skipped."""
        choices = {StaleRun: self.stale_run, NotAllowedNow: self.when_closed}
        return tuple(error for error, choice in choices.items() if choice == "skip")

    def _check_may_ring(self, context: Context, request: CallRequest, attempts: Iterable[datetime]) -> None:
        """Return when the task may ring the person now; otherwise raise, also Airflow's signal to defer the task."""
        if self._killed:
            raise AirflowException("The task was killed before it placed its call; nobody was rung.")
        # The rules are about the moment at which the phone rings.
        delay, deadline = timedelta(seconds=request.delay_seconds), None
        if self.stale_run != "call":
            deadline = check_run_age(context["dag_run"], self.max_run_age) + delay
        if self.policy is None:
            return
        from airflow_provider_voice.policy import Person, wait_until  # rule files and calendars: only with a policy

        person = Person(request.to, self.time_zone, self.jurisdiction)
        rings_at = datetime.now(timezone.utc) + delay
        # An attempt never lies ahead: it was stored by a machine whose clock may be ahead of this one's.
        decision = self.policy.decide(person, rings_at, [min(attempt + delay, rings_at) for attempt in attempts])
        self.log.info("Contact policy: %s", decision.reason)
        until = wait_until(decision, may_wait=self.when_closed == "wait", deadline=deadline)
        if until is not None:
            self.log.info("The next allowed instant is %s.", write_time(until))
            self._defer_until(until - delay)

    def _dialer(self, context: Context, request: CallRequest) -> Dialer:
        """Return the dialer of this task, or of its key."""
        facts = TaskFacts.of(context, self.retries, key_or_none(plain(self.call_key)))
        ledger = self._ledger(facts, request)
        asked: list[datetime] = []

        def before_ringing(attempts: list[datetime]) -> None:
            # Kept for the check before the create is sent: by then the ledger has its intent, too.
            asked[:] = ledger.earlier_attempts() if ledger and self.policy else attempts
            self._check_may_ring(context, request, asked)

        def calls_of_others() -> frozenset[str]:
            # The call of another task of the run may be that of the key.
            others = frozenset() if facts.call_key else calls_of_other_tasks(context, MakeCallOperator)
            return others | ledger.other_call_ids() if ledger else others

        return Dialer(
            self.hook,
            ledger or context.get("task_state_store"),
            facts,
            new_call_on_clear=self.on_clear == "new_call",
            redial_statuses=self.redial_statuses,
            redial_when_absent_for=self.redial_when_absent_for,
            hangs_up_when_deferred=self.end_call_on_kill and self.wait_for_completion and self.deferrable,
            before_ringing=before_ringing,
            calls_of_others=calls_of_others,
            before_sending=lambda: self._check_may_ring(context, request, asked),
            on_refusal=ledger.refused if ledger else lambda _error: None,
        )

    def _ledger(self, facts: TaskFacts, request: CallRequest) -> CallKeyStore | None:
        """Return the ledger's record of this call; None without a ledger."""
        if self.ledger_conn_id is None and facts.call_key is None:
            return None
        from airflow_provider_voice.outreach.call_key import CallKeyStore  # SQLAlchemy: only a task with a ledger

        engine = ledger_engine(connection_id(self.ledger_conn_id, "ledger_conn_id"))
        return CallKeyStore.of(engine, self.hook, facts, request, subject=text_or_none("subject", self.subject))

    def _defer_until(self, opens_at: datetime) -> NoReturn:
        """Hold no worker until the contact policy may allow the call."""
        # Imported late: only a task that has to wait needs it.
        from airflow.providers.standard.triggers.temporal import DateTimeTrigger

        # The scheduler can fail a deferred task whose trigger fires within a second or two.
        moment = max(opens_at, datetime.now(timezone.utc) + _SHORTEST_DEFERRAL)
        self.defer(trigger=DateTimeTrigger(moment=moment), method_name="execute_when_open")

    def _publish(self, context: Context, dialed: DialedCall) -> None:
        """Push the call's id to XCom as early as there is one."""
        self._placed = dialed.call
        if self.do_xcom_push:
            context["ti"].xcom_push(key="call_id", value=dialed.call.id)
        self.log.info("Call %s to %s: %s.", dialed.call.id, mask_number(dialed.call.to), dialed.how)
        if self._killed:
            # The kill came while the create was under way, when there was no id to end the call by.
            self.on_kill()
        self._fail_if_killed()

    def _fail_if_killed(self) -> None:
        """Let Airflow retry a killed task: a worker that shuts down kills its tasks too, and a retry attaches."""
        if self._killed and self._placed is not None:
            call_id = self._placed.id
            raise AirflowException(f"The task was killed. A retry attaches to its call {call_id} and rings nobody.")

    @contextmanager
    def _storing_a_hang_up(self, dialer: Dialer) -> Iterator[None]:
        """Store that the block's call was hung up, if it was, so that no retry takes its end for a success."""
        try:
            yield
        except AirflowTaskTimeout:
            self.on_kill()  # Airflow calls it for this error, too, but not before the block has ended
            raise
        finally:
            if self._hung_up and self._placed is not None:
                dialer.hung_up(self._placed)

    def _defer(self, dialed: DialedCall) -> NoReturn:
        # With the trigger comes the code that polls a vendor; a DAG file never needs it.
        from airflow_provider_voice.triggers.call_status import defer_until_ended, masked

        defer_until_ended(
            self,
            [CallRef.of(dialed.call)],
            timeout=self.timeout,
            voice_conn_id=self.voice_conn_id,
            poll_interval=self.poll_interval,
            memo={"how": dialed.how, "generation": dialed.generation, "call": masked(dialed.call)},
            end_call_on_kill=self.end_call_on_kill,
        )

    def _wait(self, ref: CallRef) -> Call:
        """Poll until the call has ended."""
        watch = CallWatch([ref])
        deadline = time.monotonic() + self.timeout
        while True:
            watch.poll(self.hook.get_calls)
            self._placed = watch.results[0] or self._placed
            self._fail_if_killed()
            if watch.is_over and self._placed is not None:
                return self._placed
            left = deadline - time.monotonic()
            if left <= 0:
                raise watch.timed_out()
            next_poll = time.monotonic() + min(self.poll_interval, left)
            while (nap := next_poll - time.monotonic()) > 0:
                time.sleep(min(nap, _NAP_SECONDS))
                self._fail_if_killed()

    def _finish(self, dialer: Dialer, dialed: DialedCall) -> dict[str, Any]:
        """Return the call; of a call that was waited for, store how it ended, and fail when that is not a success."""
        self._placed = dialed.call
        self._fail_if_killed()
        if self.wait_for_completion:
            dialer.ended(dialed.call)
            check_ending(dialed.call, self.success_statuses, retryable=self.redial_statuses)
            self._fail_if_killed()
        return dialed.to_dict()
