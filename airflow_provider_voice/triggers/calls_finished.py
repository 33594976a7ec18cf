"""``CallsFinishedTrigger``: an asset event when calls have ended, including inbound calls; for ``AssetWatcher``."""

from __future__ import annotations

import asyncio
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from functools import partial
from inspect import signature
from typing import TYPE_CHECKING, Any, get_args

from airflow.triggers.base import BaseEventTrigger, TriggerEvent

from airflow_provider_voice.exceptions import CapabilityNotSupported
from airflow_provider_voice.hooks.voice import VoiceHook
from airflow_provider_voice.models import Direction
from airflow_provider_voice.tracking.reported_endings import ReportedEndings
from airflow_provider_voice.triggers.connection_hook import ConnectionHook
from airflow_provider_voice.triggers.poll_loop import LONGEST_BACKOFF, as_voice_error, backoff_seconds
from airflow_provider_voice.utils.call_arguments import id_or_none
from airflow_provider_voice.utils.validation import connection_id, endings_of, one_of, seconds_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection

    from airflow_provider_voice.models import Call, CallStatus

_PAYLOAD_FIELDS = (
    "id", "status", "direction", "agent_id", "tag", "duration_seconds", "created_at", "ended_at",
)  # fmt: skip
_STATE_KEY = "voice_calls_finished"
#: The most calls in one event, whose payload is a row of Airflow's database.
CALLS_PER_EVENT = 100
# A vendor's times may be of a zone east of UTC that they do not name, or of a clock that nothing shows.
_AHEAD = timedelta(days=1)


class CallsFinishedTrigger(BaseEventTrigger):
    """Fires whenever calls have ended since the last poll, with their ids.

    Calls that had ended before the first poll are not reported; every later ending is. The cursor is kept in
    the asset's state store (Airflow 3.3+) and written one poll *after* the endings were reported: a crash in between
    reports them again, and none is lost (at least once). After an outage the trigger continues from the stored cursor,
    however old, up to 31 days. Without the store the cursor is kept in memory, and calls that end while no triggerer
    runs are not reported.

    The event's payload, without numbers because Airflow logs it: ``{"voice_conn_id", "calls": [{"id", "status",
    "direction", "agent_id", "tag", "duration_seconds", "created_at", "ended_at"}, ...]}``, at most 100 calls each.

    .. code-block:: python

        finished = Asset("voice_calls_finished", watchers=[AssetWatcher(name="calls", trigger=CallsFinishedTrigger())])

    :param voice_conn_id: the connection, default ``voice_default``.
    :param agent_id: only calls of this agent; None (default): all.
    :param direction: ``inbound`` or ``outbound``; None (default): both. With a direction the connection is read when
        the DAG is parsed, because UnleashX does not report directions.
    :param statuses: only calls that ended with one of these statuses; None (default): every ending.
    :param poll_interval: time between two polls, seconds or a ``timedelta``, default 60 s.
    :param look_back: how long after its creation an unfinished call is followed, seconds or a ``timedelta``,
        default a day.
    :param listing_delay: how long after the creation of a call the vendor may take to list it, seconds or a
        ``timedelta``, default an hour.
    :raises InvalidRequest: for an invalid argument.
    :raises CapabilityNotSupported: when the connection's vendor does not report directions.
    """

    def __init__(
        self,
        *,
        voice_conn_id: str = VoiceHook.default_conn_name,
        agent_id: str | int | None = None,
        direction: Direction | None = None,
        statuses: Collection[CallStatus | str] | CallStatus | str | None = None,
        poll_interval: timedelta | float = 60.0,
        look_back: timedelta | float = 86_400.0,
        listing_delay: timedelta | float = 3600.0,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Airflow's own is untyped
        self.voice_conn_id = connection_id(voice_conn_id)
        self.agent_id = id_or_none("agent_id", agent_id)
        self.direction = direction
        self.statuses = None if statuses is None else sorted(map(str, endings_of("statuses", statuses)))
        self.poll_interval = seconds_of("poll_interval", poll_interval)
        self.look_back = seconds_of("look_back", look_back)
        self.listing_delay = seconds_of("listing_delay", listing_delay, minimum=0)
        if direction is not None:
            one_of("direction", direction, get_args(Direction))
            _check_direction_when_parsed(self.voice_conn_id)

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the arguments, all JSON."""
        arguments = {name: getattr(self, name) for name in signature(type(self)).parameters}
        return f"{__name__}.CallsFinishedTrigger", arguments

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Poll until the trigger is stopped; errors are logged and retried, because no task is waiting for them.

        :return: one event for up to 100 calls.
        """
        with closing(ConnectionHook(self.voice_conn_id)) as hooks:
            async for event in self._events(hooks):
                yield event

    async def _events(self, hooks: ConnectionHook) -> AsyncIterator[TriggerEvent]:
        endings: ReportedEndings | None = None
        stored, failures = None, 0
        while True:
            try:
                if endings is None:
                    stored = await self._load()
                    endings = self._endings_since(stored)
                poll = partial(self._poll, endings=endings)
                ended, pause = await hooks.request(poll, longest=LONGEST_BACKOFF)
                failures = 0
                if stored is None and not ended:
                    # The state of the first poll need not wait for an event.
                    stored = await self._save(endings.state, stored)
                for first in range(0, len(ended), CALLS_PER_EVENT):
                    calls = [_payload_of(call) for call in ended[first : first + CALLS_PER_EVENT]]
                    payload = {"voice_conn_id": self.voice_conn_id, "calls": calls}
                    yield TriggerEvent(payload)  # type: ignore[no-untyped-call]  # Airflow's own is untyped
                await asyncio.sleep(max(self.poll_interval, pause))
                # Only now: by this time the events are in Airflow's database.
                stored = await self._save(endings.state, stored)
            except Exception as failure:  # noqa: BLE001 - Airflow would restart a trigger that raises, without a pause and without an end
                error, failures = as_voice_error(failure), failures + 1
                pause = backoff_seconds(error, failures, self.poll_interval)
                report = self.log.error if error.permanent else self.log.warning
                report("The poll for ended calls failed and is tried again in %.0f s: %s", pause, error)
                await asyncio.sleep(pause)

    def _endings_since(self, stored: dict[str, Any] | None) -> ReportedEndings:
        look_back, listing_delay = timedelta(seconds=self.look_back), timedelta(seconds=self.listing_delay)
        return ReportedEndings(look_back=look_back, listing_delay=listing_delay, state=stored)

    def _poll(self, hook: VoiceHook, endings: ReportedEndings) -> list[Call]:
        if self.direction is not None:
            _check_direction(hook)
        now = hook.vendor.now()
        found = hook.list_calls(endings.start(now), now + _AHEAD, agent_id=self.agent_id, direction=self.direction)
        ended = endings.take([replace(call, raw={}) for call in found], now)
        return [call for call in ended if not self.statuses or call.status.value in self.statuses]

    async def _load(self) -> dict[str, Any] | None:
        store = getattr(self, "asset_state_store", None)
        if store is None:
            self.log.info("There is no asset state store: the reported endings are kept in memory.")
            return None
        try:
            state = await store.aget(_STATE_KEY)
        except ValueError:
            # Airflow makes one trigger for several assets when the arguments of their watchers are equal.
            self.asset_state_store = None
            self.log.warning("Several assets share this trigger: the reported endings are kept in memory.")
            return None
        return state if isinstance(state, dict) else None

    async def _save(self, state: dict[str, Any], stored: dict[str, Any] | None) -> dict[str, Any] | None:
        """Store a state that is new, and return it."""
        store = getattr(self, "asset_state_store", None)
        if store is not None and state != stored:
            await store.aset(_STATE_KEY, state)
        return state


def _check_direction_when_parsed(voice_conn_id: str) -> None:
    """Refuse a filter by direction when the DAG is parsed, the earliest time at which a user can see the error.

    The vendor is known from the connection only. In the triggerer, whose event loop a blocking read would stop, and
    where the connection cannot be read, the first poll fails with the same error.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        try:
            hook = VoiceHook.for_connection(voice_conn_id)
        except Exception:  # noqa: BLE001 - a DAG may be parsed where its connections are not known
            return
        _check_direction(hook)


def _check_direction(hook: VoiceHook) -> None:
    if not hook.reports_direction:
        raise CapabilityNotSupported(
            f"{hook.hook_name} does not report whether a call is inbound or outbound, so CallsFinishedTrigger cannot "
            f"filter the calls of {hook.voice_conn_id!r} by direction. Leave direction out.",
            vendor=hook.conn_type,
        )


def _payload_of(call: Call) -> dict[str, Any]:
    data = call.to_dict()
    return {name: data[name] for name in _PAYLOAD_FIELDS}
