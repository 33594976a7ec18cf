"""The trigger that waits for calls in the triggerer: asynchronous, the vendor asked through a thread."""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import conf
from airflow.triggers.base import BaseEventTrigger, TriggerEvent
from asgiref.sync import sync_to_async

from airflow_provider_voice.exceptions import CapabilityNotSupported, VoiceError
from airflow_provider_voice.hooks.voice import VoiceHook
from airflow_provider_voice.models import Call, CallRef
from airflow_provider_voice.phone import mask_number
from airflow_provider_voice.tracking.call_watch import GRACE_SECONDS, OUTAGE_SECONDS, CallWatch
from airflow_provider_voice.triggers.poll_loop import CallPoll, PollResult, shared_poll

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Hashable, Mapping

# Past its deadline a trigger still gets one look, when it comes within so many seconds.
_FIRST_LOOK_SECONDS = 60.0


class CallStatusTrigger(BaseEventTrigger):
    """Fires once, when every call has ended, when waiting makes no more sense, or at the deadline.

    All of them that wait on one connection in one triggerer share one poll loop through Airflow's shared streams
    (3.3+), unless ``[voice] shared_polling`` is off; otherwise each polls alone.

    The arguments hold neither a token nor a number: Airflow logs them. A call's number is learned from the vendor's
    first answer and kept in memory only.

    :param voice_conn_id: the connection.
    :param calls: what ``CallRef.to_dict()`` returned, one a call.
    :param deadline: epoch seconds after which the wait is given up; it lives here, because a timeout of Airflow's
        ``defer`` would go past the operator.
    :param poll_interval: seconds between two looks, default 30.
    :param grace: seconds a vendor is given to show a new call, default 300.
    :param outage: seconds of failed looks that are tolerated, default 3600.
    :param memo: handed back in the event as it is; ``defer(kwargs=...)`` does not survive Airflow 3.1's ``dag.test()``.
    :param end_call_on_kill: whether calls are hung up when a user kills the waiting task (Airflow 3.3+), default False.
    """

    #: It is a task's trigger: a triggerer queue of its task is kept to (event triggers of assets have none).
    supports_triggerer_queue = True

    def __init__(
        self,
        *,
        voice_conn_id: str,
        calls: list[dict[str, Any]],
        deadline: float,
        poll_interval: float = 30.0,
        grace: float = GRACE_SECONDS,
        outage: float = OUTAGE_SECONDS,
        memo: dict[str, Any] | None = None,
        end_call_on_kill: bool = False,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Airflow's own is untyped
        self.voice_conn_id = voice_conn_id
        self.calls = calls
        self.deadline = deadline
        self.poll_interval = poll_interval
        self.grace = grace
        self.outage = outage
        self.memo = memo or {}
        self.end_call_on_kill = end_call_on_kill
        self._watch = CallWatch([CallRef.of(call) for call in calls], grace=grace, outage=outage)

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the arguments, all JSON."""
        return (
            "airflow_provider_voice.triggers.call_status.CallStatusTrigger",
            {
                "voice_conn_id": self.voice_conn_id,
                "calls": self.calls,
                "deadline": self.deadline,
                "poll_interval": self.poll_interval,
                "grace": self.grace,
                "outage": self.outage,
                "memo": self.memo,
                "end_call_on_kill": self.end_call_on_kill,
            },
        )

    def shared_stream_key(self) -> Hashable | None:
        """Return what all triggers of one connection have in common; None where polling is not to be shared."""
        if not conf.getboolean("voice", "shared_polling", fallback=True):
            return None
        return ("airflow_provider_voice.models", self.voice_conn_id)

    @classmethod
    async def open_shared_stream(cls, kwargs: dict[str, Any]) -> AsyncIterator[PollResult]:
        """Look for everybody who waits on the connection of ``kwargs``, until the last one leaves."""
        async with aclosing(shared_poll(kwargs["voice_conn_id"]).looks()) as looks:
            async for look in looks:
                yield look

    async def filter_shared_stream(self, shared_stream: AsyncIterator[PollResult]) -> AsyncIterator[TriggerEvent]:
        """Take from every look what is about our calls."""
        yield await self._wait(shared_poll(self.voice_conn_id), shared_stream)

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait with a loop of our own: Airflow before 3.3, ``dag.test()``, or sharing turned off."""
        poll = CallPoll(self.voice_conn_id)
        async with aclosing(poll.looks()) as looks:
            event = await self._wait(poll, looks)
        yield event

    async def _wait(self, poll: CallPoll, looks: AsyncIterator[PollResult]) -> TriggerEvent:
        """Take looks until it is over; never raise what a look can run into."""
        error: VoiceError | None = None
        timed_out, looked = False, False
        ours = {ref.id for ref in self._watch.refs}
        with poll.waiting(self._watch, self.poll_interval):
            while not (self._watch.is_over or timed_out or error):
                left = self.deadline - time.time()
                if not looked:
                    # A call may have ended while no triggerer ran: past the deadline, too, it is looked at once.
                    left = max(left, _FIRST_LOOK_SECONDS)
                try:
                    look = await asyncio.wait_for(anext(looks), max(left, 0.0))
                except (TimeoutError, asyncio.TimeoutError):  # two classes on Python 3.10
                    timed_out = True
                    continue
                if not ours & look.asked:
                    continue  # a look that had begun when we came
                looked = True
                try:
                    self._take(look)
                except VoiceError as failure:
                    error = failure
                timed_out = not (self._watch.is_over or error) and time.time() >= self.deadline
        event = {**event_of(self._watch, error=error, timed_out=timed_out), "memo": self.memo}
        return TriggerEvent(event)  # type: ignore[no-untyped-call]  # Airflow's own is untyped

    def _take(self, look: PollResult) -> None:
        if look.error is not None:
            self._watch.fail(look.error)
        else:
            self._watch.take(look.found)

    async def on_kill(self) -> None:
        """Hang up, where the vendor can, when a user killed the waiting task."""
        if not self.end_call_on_kill:
            return
        connection = await VoiceHook.aget_connection(self.voice_conn_id)
        hook = VoiceHook.for_connection(self.voice_conn_id, connection=connection)
        for ref in self._watch.pending:
            try:
                await sync_to_async(hook.end_call, thread_sensitive=False)(ref)
                self.log.info("Ended call %s, because its task was killed.", ref.id)
            except CapabilityNotSupported as error:
                self.log.info("%s", error.message)
            except VoiceError as error:
                self.log.warning("Could not end call %s: %s", ref.id, error.message)


def event_of(watch: CallWatch, *, error: VoiceError | None, timed_out: bool) -> dict[str, Any]:
    """Return what a task must know of a wait that is over, as JSON without a full number: Airflow logs events."""
    return {
        "calls": [None if call is None else masked(call) for call in watch.results],
        "error": None if error is None else error.to_dict(),
        "timed_out": timed_out,
    }


def masked(call: Call) -> dict[str, Any]:
    """Return a call as JSON with its numbers masked."""
    data = call.to_dict()
    for name in ("to", "from"):
        data[name] = None if data[name] is None else mask_number(data[name])
    return data


def call_from_event(data: Mapping[str, Any], ref: CallRef) -> Call:
    """Return a call of an event with the number its task knows; the other one stays masked."""
    return Call.from_dict({**data, "to": ref.to or data.get("to")})
