"""``CallsFinishedTrigger``: an event for an asset when calls end, inbound ones too; for ``AssetWatcher``."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseEventTrigger, TriggerEvent
from asgiref.sync import sync_to_async

from airflow_provider_voice.exceptions import InvalidRequest, VendorUnavailable, VoiceError
from airflow_provider_voice.models import CallStatus, statuses_of, write_time
from airflow_provider_voice.tracking.reported_endings import ReportedEndings
from airflow_provider_voice.triggers.poll_loop import ConnectionHook, backoff_seconds, budget_seconds

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection

    from airflow_provider_voice.hooks.voice import VoiceHook
    from airflow_provider_voice.models import Call

_STATE_KEY = "voice_calls_finished"
#: So many calls are told in one event at most: an event's payload is a row of Airflow's database.
CALLS_PER_EVENT = 100


class CallsFinishedTrigger(BaseEventTrigger):
    """Fires whenever calls have ended since the last look, with their ids.

    Edge-triggered: what had ended before the first look is no news, and an ending is told once. Which ones were told is
    kept in the asset's state store (Airflow 3.3+), written one look *after* they were told: a crash in between tells
    them again, and none is lost (at least once). Without the store it is kept in memory: what ends while no triggerer
    runs is then not told.

    The event's payload: ``{"voice_conn_id", "calls": [{"id", "status", "direction", "agent_id", "tag",
    "duration_seconds", "created_at", "ended_at"}, ...]}``, at most 100 calls each, without numbers: Airflow logs it.

    :param voice_conn_id: the connection, default ``voice_default``.
    :param agent_id: only calls of this agent; None: all.
    :param direction: ``inbound`` or ``outbound``; None: both.
    :param statuses: only calls that ended so; None: every ending.
    :param poll_interval: seconds between two looks, default 60.
    :param look_back: seconds a call may go on and still be told, default a day.
    :param late: seconds a vendor may take to list a call, default an hour.
    :raises InvalidRequest: when ``statuses`` holds one that is no ending.
    """

    def __init__(
        self,
        *,
        voice_conn_id: str = "voice_default",
        agent_id: str | None = None,
        direction: str | None = None,
        statuses: Collection[str] | None = None,
        poll_interval: float = 60.0,
        look_back: float = 86_400.0,
        late: float = 3600.0,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Airflow's own is untyped
        self.voice_conn_id = voice_conn_id
        self.agent_id = agent_id
        self.direction = direction
        self.statuses = sorted(status.value for status in statuses_of(statuses))
        if not all(CallStatus(status).is_terminal for status in self.statuses):
            raise InvalidRequest(f"statuses lists endings only, not {', '.join(self.statuses)}.")
        self.poll_interval = poll_interval
        self.look_back = look_back
        self.late = late

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the arguments, all JSON."""
        return (
            "airflow_provider_voice.triggers.calls_finished.CallsFinishedTrigger",
            {
                "voice_conn_id": self.voice_conn_id,
                "agent_id": self.agent_id,
                "direction": self.direction,
                "statuses": self.statuses or None,
                "poll_interval": self.poll_interval,
                "look_back": self.look_back,
                "late": self.late,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look for ever; what a look can run into is logged and looked at again, for nobody waits who could be told."""
        hooks = ConnectionHook(self.voice_conn_id)
        try:
            async for event in self._events(hooks):
                yield event
        finally:
            hooks.close()

    async def _events(self, hooks: ConnectionHook) -> AsyncIterator[TriggerEvent]:
        state, failures = await self._load(), 0
        cursor = ReportedEndings(
            look_back=timedelta(seconds=self.look_back), late=timedelta(seconds=self.late), state=state
        )
        while True:
            try:
                hook = await hooks.get()
                before = hook.vendor.http.sent
                news = await sync_to_async(self._look, thread_sensitive=False)(hook, cursor)
                pause = max(self.poll_interval, budget_seconds(hook, hook.vendor.http.sent - before))
                failures = 0
            except Exception as failure:  # noqa: BLE001 - a trigger that died would tell nothing, and nobody that it does
                failures += 1
                error = failure if isinstance(failure, VoiceError) else VendorUnavailable(type(failure).__name__)
                pause = backoff_seconds(error, failures, self.poll_interval)
                self.log.warning("Could not look for calls that ended, will look again in %.0f s: %s", pause, error)
                hooks.forget()
                await asyncio.sleep(pause)
                continue
            if state is None and await self._save(cursor.state):
                state = cursor.state  # the baseline tells nothing, so nothing is to be waited for
            for number in range(0, len(news), CALLS_PER_EVENT):
                payload = {
                    "voice_conn_id": self.voice_conn_id,
                    "calls": [_told(call) for call in news[number : number + CALLS_PER_EVENT]],
                }
                yield TriggerEvent(payload)  # type: ignore[no-untyped-call]  # Airflow's own is untyped
            await asyncio.sleep(pause)
            # Only now: the events have long left this process.
            if cursor.state != state and await self._save(cursor.state):
                state = cursor.state

    def _look(self, hook: VoiceHook, cursor: ReportedEndings) -> list[Call]:
        now = hook.vendor.now()
        found = hook.list_calls(
            cursor.start(now), now + timedelta(minutes=1), agent_id=self.agent_id, direction=self.direction
        )
        news = cursor.take([replace(call, raw={}) for call in found], now)
        return [call for call in news if not self.statuses or call.status.value in self.statuses]

    async def _load(self) -> dict[str, Any] | None:
        store = getattr(self, "asset_state_store", None)
        if store is None:
            self.log.info("There is no asset state store: which endings were told is kept in memory.")
            return None
        while True:
            try:
                state = await store.aget(_STATE_KEY)
            except ValueError:
                # One trigger for several assets, when their watchers' arguments are the same.
                self.asset_state_store = None
                self.log.warning("Several assets share this trigger: which endings were told is kept in memory.")
                return None
            except Exception as failure:  # noqa: BLE001 - to begin anew would lose what ended meanwhile
                self.log.warning("The asset's state can not be read (%s), will try again.", type(failure).__name__)
                await asyncio.sleep(self.poll_interval)
                continue
            return state if isinstance(state, dict) else None

    async def _save(self, state: dict[str, Any]) -> bool:
        """Write the state; return whether it is written, for what is not is written after the next look."""
        store = getattr(self, "asset_state_store", None)
        if store is None:
            return True
        try:
            await store.aset(_STATE_KEY, state)
        except Exception as failure:  # noqa: BLE001 - an unwritten state means to be told twice, not to stop telling
            self.log.warning("The asset's state can not be written (%s), will try again.", type(failure).__name__)
            return False
        return True


def _told(call: Call) -> dict[str, Any]:
    return {
        "id": call.id,
        "status": call.status.value,
        "direction": call.direction,
        "agent_id": call.agent_id,
        "tag": call.tag,
        "duration_seconds": call.duration_seconds,
        "created_at": write_time(call.created_at),
        "ended_at": write_time(call.ended_at),
    }
