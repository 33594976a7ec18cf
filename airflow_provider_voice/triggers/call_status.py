"""``CallStatusTrigger``: waits in the triggerer until calls have ended."""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing
from dataclasses import replace
from inspect import signature
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.providers.common.compat.sdk import AirflowTaskTimeout, conf
from airflow.triggers.base import BaseEventTrigger, TriggerEvent
from asgiref.sync import sync_to_async

from airflow_provider_voice.exceptions import InvalidRequest, VoiceError, error_from_dict
from airflow_provider_voice.export.redaction import MIN_DIGITS, redacted_call
from airflow_provider_voice.models import Call, CallRef, json_object
from airflow_provider_voice.phone import mask_numbers_in
from airflow_provider_voice.tracking.call_watch import GRACE_SECONDS, OUTAGE_SECONDS, CallWatch
from airflow_provider_voice.triggers.connection_hook import ConnectionHook
from airflow_provider_voice.triggers.poll_loop import CallPoll, PollResult, shared_poll
from airflow_provider_voice.utils.call_references import call_refs
from airflow_provider_voice.utils.validation import boolean, connection_id, positive_or_text, seconds_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Hashable, Iterable, Mapping
    from datetime import timedelta

    from airflow.sdk import BaseOperator

#: A trigger fires this many seconds after its start at the earliest. Airflow's scheduler fails a task ("finished with
#: state success, but ... queued") when its trigger fires before the scheduler has noted that the worker's part has
#: ended. That takes a pass or two of the scheduler's loop: measured 9 s with 200 sensors on two cores under a load of
#: 14, where firing after 5 s failed one of them.
EARLIEST_EVENT_SECONDS = 20.0
# Past its deadline a trigger still gets one poll, when the result comes within this many seconds.
_FIRST_POLL_SECONDS = 60.0


class CallStatusTrigger(BaseEventTrigger):
    """Fires once: when every call has ended, when waiting can no longer help, or at the deadline.

    All triggers that wait on one connection in one triggerer share one poll loop through Airflow's shared streams
    (3.3+), unless ``[voice] shared_polling`` is off; otherwise each polls alone.

    Airflow logs the arguments and the event, so neither holds a token or a number. The trigger learns a call's number
    from the vendor's first response and keeps it in memory only.

    .. code-block:: python

        self.defer(
            trigger=CallStatusTrigger(
                voice_conn_id="voice_default", calls=[CallRef(call_id).to_dict()], deadline=time.time() + 3600
            ),
            method_name="execute_complete",
        )

    ``defer_until_ended``, ``raise_failure`` and ``calls_from_event`` of this module are a task's side of such a wait.

    :param voice_conn_id: the connection.
    :param calls: the calls, each as ``CallRef.to_dict()``.
    :param deadline: epoch seconds at which the trigger gives up. The deadline lives here because a timeout of Airflow's
        ``defer`` would bypass the operator.
    :param poll_interval: seconds between two polls, as a number or a ``timedelta``, default 30.
    :param grace_period: seconds that a vendor is given to show a new call, default 300.
    :param tolerated_outage: seconds of failed polls that are tolerated, default 3600.
    :param memo: JSON that the event returns unchanged; ``defer(kwargs=...)`` does not survive Airflow 3.1's
        ``dag.test()``.
    :param end_call_on_kill: hang up when the waiting task is marked or cleared by a user (Airflow 3.3+), default False.
        Airflow also reports a kill when another triggerer has taken over the trigger of one that was busy for too long.
    :raises InvalidRequest: for an invalid argument.
    """

    #: It is the trigger of a task, so it keeps to the task's triggerer queue; triggers of assets have none.
    supports_triggerer_queue = True

    def __init__(
        self,
        *,
        voice_conn_id: str,
        calls: list[dict[str, Any]],
        deadline: float,
        poll_interval: timedelta | float = 30.0,
        grace_period: timedelta | float = GRACE_SECONDS,
        tolerated_outage: timedelta | float = OUTAGE_SECONDS,
        memo: dict[str, Any] | None = None,
        end_call_on_kill: bool = False,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Airflow's own is untyped
        if not isinstance(calls, (list, tuple)) or not calls:
            raise InvalidRequest("calls must be a list of at least one call.")
        refs = call_refs(calls)
        self.voice_conn_id = connection_id(voice_conn_id)
        # Not the argument itself: a call of another form may hold its number.
        self.calls = [ref.to_dict() for ref in refs]
        self.deadline = positive_or_text("deadline", deadline)
        self.poll_interval = seconds_of("poll_interval", poll_interval)
        self.grace_period = seconds_of("grace_period", grace_period, minimum=0)
        self.tolerated_outage = seconds_of("tolerated_outage", tolerated_outage, minimum=0)
        self.memo = json_object("memo", memo)
        self.end_call_on_kill = boolean("end_call_on_kill", end_call_on_kill)
        self._watch = CallWatch(refs, grace=self.grace_period, outage=self.tolerated_outage)

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the arguments, all JSON."""
        return f"{__name__}.CallStatusTrigger", {name: getattr(self, name) for name in signature(type(self)).parameters}

    def shared_stream_key(self) -> Hashable | None:
        """Return the key that all triggers of one connection share; None when polling is not shared."""
        if not conf.getboolean("voice", "shared_polling", fallback=True):
            return None
        return ("airflow_provider_voice", self.voice_conn_id)

    @classmethod
    async def open_shared_stream(cls, kwargs: dict[str, Any]) -> AsyncIterator[PollResult]:
        """Poll for every trigger on a connection, until the last one leaves.

        :param kwargs: the arguments of one of the triggers.
        :return: the results of the shared poll loop.
        """
        async with aclosing(shared_poll(kwargs["voice_conn_id"]).results()) as results:
            async for result in results:
                yield result

    async def filter_shared_stream(self, shared_stream: AsyncIterator[PollResult]) -> AsyncIterator[TriggerEvent]:
        """Fire the event of this trigger's calls.

        :param shared_stream: the results of the shared poll loop.
        :return: one event.
        """
        yield await self._wait(shared_poll(self.voice_conn_id), shared_stream)

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Fire with a poll loop of its own: Airflow before 3.3, ``dag.test()``, or sharing turned off.

        :return: one event.
        """
        poll = CallPoll(self.voice_conn_id)
        async with aclosing(poll.results()) as results:
            event = await self._wait(poll, results)
        yield event

    async def _wait(self, poll: CallPoll, results: AsyncIterator[PollResult]) -> TriggerEvent:
        """Wait for the calls; why a wait failed is put into the event and not raised."""
        began = time.monotonic()
        error: VoiceError | None = None
        timed_out = False
        try:
            with poll.subscribed(self._watch, self.poll_interval):
                await self._take_results(results)
        except (TimeoutError, asyncio.TimeoutError):  # two classes on Python 3.10
            error, timed_out = self._watch.timed_out(), True
        except VoiceError as failure:
            error = failure
        if self.trigger_id is not None:  # in dag.test() there is no scheduler
            await asyncio.sleep(began + EARLIEST_EVENT_SECONDS - time.monotonic())
        # JSON without a full number: Airflow logs events.
        calls = [None if call is None else masked(call) for call in self._watch.results]
        failure_data = None if error is None else error.to_dict()
        payload = {"calls": calls, "error": failure_data, "timed_out": timed_out, "memo": self.memo}
        return TriggerEvent(payload)  # type: ignore[no-untyped-call]  # Airflow's own is untyped

    async def _take_results(self, results: AsyncIterator[PollResult]) -> None:
        """Take results until every call has ended; raise what ends the wait before that, ``TimeoutError`` too."""
        # A call may have ended while no triggerer ran: it is polled once, also past the deadline.
        until = max(self.deadline, time.time() + _FIRST_POLL_SECONDS)
        while not self._watch.is_over:
            result = await asyncio.wait_for(anext(results), until - time.time())
            if {ref.id for ref in self._watch.pending} <= result.requested:
                until = self.deadline
                if result.error is not None:
                    self._watch.fail(result.error)
                else:
                    self._watch.take(result.found)
            # else: another trigger's poll, or one that had begun before this trigger subscribed. It says nothing about
            # calls that it did not request, even if it shows some of ours.

    async def on_kill(self) -> None:
        """Hang up, if that is wanted and the vendor can, when a user killed the waiting task."""
        if not self.end_call_on_kill:
            return
        hook = await ConnectionHook(self.voice_conn_id).get()
        for ref in self._watch.pending:
            await sync_to_async(hook.hang_up, thread_sensitive=False)(ref)


def defer_until_ended(
    task: BaseOperator,
    calls: Iterable[CallRef],
    *,
    timeout: float,
    memo: Mapping[str, Any] | None = None,
    **kwargs: Any,
) -> NoReturn:
    """Defer a task until calls have ended; it continues in its ``execute_complete``.

    :param task: the operator.
    :param calls: the calls.
    :param timeout: seconds to wait at most; an ``execution_timeout`` of the task that is shorter takes precedence.
    :param memo: JSON that the event returns.
    :param kwargs: the other arguments of :class:`CallStatusTrigger`.
    """
    wait, is_cut_short = timeout, False
    if task.execution_timeout is not None and task.execution_timeout.total_seconds() < wait:
        # Airflow does not count the time a task is deferred, so the trigger does.
        wait, is_cut_short = task.execution_timeout.total_seconds(), True
    trigger = CallStatusTrigger(
        calls=[ref.to_dict() for ref in calls],
        deadline=time.time() + wait,
        memo={**(memo or {}), "cut_short": is_cut_short},
        **kwargs,
    )
    task.defer(trigger=trigger, method_name="execute_complete")


def raise_failure(event: Mapping[str, Any]) -> None:
    """Raise the error that ended a wait before the calls did; return when there is none.

    :param event: the payload of an event after :func:`defer_until_ended`.
    :raises AirflowTaskTimeout: when the task's ``execution_timeout`` has passed.
    :raises CallNotCompleted: when the calls have not ended within the timeout.
    :raises VoiceError: the error of the wait.
    """
    if event["timed_out"] and event["memo"]["cut_short"]:
        # Airflow calls on_kill for this error.
        raise AirflowTaskTimeout("The task's execution_timeout has passed while it waited for its calls.")
    if event["error"]:
        raise error_from_dict(event["error"])


def masked(call: Call) -> dict[str, Any]:
    """Return a call as JSON with its numbers masked, also where the URL of its recording repeats them.

    :param call: the call.
    :return: the fields of ``Call.to_dict()``.
    """
    data = redacted_call(replace(call, raw={}), "masked").to_dict()
    # Words for people, in which any long run of digits may be a number.
    for_people = ["vendor_status", "agent_name", "direction"]
    if sum(map(str.isdecimal, call.to or "")) < MIN_DIGITS:
        # A trigger is not told the number, and the vendor does not show it: any one in the URL may be it.
        for_people.append("recording_url")
    return data | {name: mask_numbers_in(data[name] or "") or None for name in for_people}


def calls_from_event(event: Mapping[str, Any], numbers: Iterable[str | None]) -> list[Call]:
    """Return the calls of an event with the numbers that their task knows; the other numbers stay masked.

    :param event: the payload of an event.
    :param numbers: the number of each call, in the order of the trigger's ``calls``; None: not known.
    :return: the calls; those that were never reported are absent.
    """
    pairs = zip(event["calls"], numbers, strict=True)
    return [Call.from_dict({**data, "to": number or data["to"]}) for data, number in pairs if data is not None]
