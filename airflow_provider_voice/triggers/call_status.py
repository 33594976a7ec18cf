"""The trigger that waits for calls in the triggerer: asynchronous, the vendor asked through a thread."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TriggerEvent
from asgiref.sync import sync_to_async

from airflow_provider_voice.calls import Call, CallRef
from airflow_provider_voice.exceptions import CapabilityNotSupported, VoiceError
from airflow_provider_voice.hooks.voice import VoiceHook
from airflow_provider_voice.phone import mask_number
from airflow_provider_voice.watching import GRACE_SECONDS, OUTAGE_SECONDS, CallWatch

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping


class CallStatusTrigger(BaseTrigger):
    """Fires once, when every call has ended, when waiting makes no more sense, or at the deadline.

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
        self._hook: VoiceHook | None = None

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

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look until it is over; never raise what one look can run into."""
        error: VoiceError | None = None
        timed_out = False
        try:
            while not await self._look():
                left = self.deadline - time.time()
                if left <= 0:
                    timed_out = True
                    break
                await asyncio.sleep(min(self.poll_interval, left))
        except VoiceError as failure:
            error = failure
        event = {**event_of(self._watch, error=error, timed_out=timed_out), "memo": self.memo}
        yield TriggerEvent(event)  # type: ignore[no-untyped-call]  # Airflow's own is untyped

    async def on_kill(self) -> None:
        """Hang up, where the vendor can, when a user killed the waiting task."""
        if not self.end_call_on_kill:
            return
        hook = await self._get_hook()
        for ref in self._watch.pending:
            try:
                await sync_to_async(hook.end_call, thread_sensitive=False)(ref)
                self.log.info("Ended call %s, because its task was killed.", ref.id)
            except CapabilityNotSupported as error:
                self.log.info("%s", error.message)
            except VoiceError as error:
                self.log.warning("Could not end call %s: %s", ref.id, error.message)

    async def _look(self) -> bool:
        """Look once; return whether every call has ended."""
        try:
            hook = await self._get_hook()
            # In a thread: requests blocks, and the event loop is shared by every trigger of the process.
            found = await sync_to_async(hook.get_calls, thread_sensitive=False)(self._watch.pending)
        except VoiceError as error:
            self._watch.fail(error)
        else:
            self._watch.take(found)
        return self._watch.is_over

    async def _get_hook(self) -> VoiceHook:
        if self._hook is None:
            # The asynchronous way: the synchronous one would block the triggerer's loop.
            connection = await VoiceHook.aget_connection(self.voice_conn_id)
            self._hook = VoiceHook.for_connection(self.voice_conn_id, connection=connection)
        return self._hook


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
