"""The poll loop of one connection: it knows which calls are waited for, asks for those due, and shows everyone.

In the triggerer all triggers on one connection share it (Airflow 3.3+); below that, each trigger has one to itself.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
import traceback
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from airflow.providers.common.compat.sdk import AirflowNotFoundException
from asgiref.sync import sync_to_async

from airflow_provider_voice.exceptions import AuthenticationFailed, InvalidRequest, VendorUnavailable, VoiceError
from airflow_provider_voice.hooks.voice import VoiceHook

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator, Mapping

    from airflow.sdk import Connection

    from airflow_provider_voice.models import Call, CallRef
    from airflow_provider_voice.tracking.call_watch import CallWatch

log = logging.getLogger(__name__)

#: Seconds a shared loop gives those who come together to come, so that one look serves them all.
GATHER_SECONDS = 1.0
#: How much of the vendor's requests per minute the looks of one connection may use; the rest is for placing calls.
BUDGET_SHARE = 0.5
#: The longest pause after failed looks, in seconds.
LONGEST_BACKOFF = 300.0
# A connection is read again so often, or after a refused token: it may have been changed during a wait.
_CONNECTION_SECONDS = 300.0
_CONNECTION_FIELDS = ("conn_type", "host", "port", "schema", "password", "extra")


@dataclass(frozen=True)
class PollResult:
    """What one look showed: which calls were asked for, and those found or the error."""

    asked: frozenset[str]
    found: Mapping[str, Call]
    error: VoiceError | None = None


class Member:
    """One who waits: for which calls, and when they are to be looked at next."""

    def __init__(self, watch: CallWatch, poll_interval: float, due: float) -> None:
        self.watch = watch
        self.poll_interval = poll_interval
        self.due = due


class CallPoll:
    """The loop of one connection.

    :param voice_conn_id: the connection.
    :param gather: seconds from a member's joining to its first look, default 0.
    """

    def __init__(self, voice_conn_id: str, *, gather: float = 0.0) -> None:
        self.voice_conn_id = voice_conn_id
        self._gather = gather
        self._members: set[Member] = set()
        self._changed = asyncio.Event()
        self._not_before = 0.0
        self._failures = 0
        self._hooks = ConnectionHook(voice_conn_id)
        self._said_too_slow = False

    @contextmanager
    def waiting(self, watch: CallWatch, poll_interval: float) -> Iterator[None]:
        """Have the calls of a watch looked at while the block runs.

        :param watch: what is waited for; who waits hands it what :meth:`looks` yields.
        :param poll_interval: the longest time between two looks, in seconds.
        """
        member = Member(watch, poll_interval, time.monotonic() + self._gather)
        self._members.add(member)
        self._changed.set()
        try:
            yield
        finally:
            self._members.discard(member)

    async def looks(self) -> AsyncGenerator[PollResult, None]:
        """Yield one look after the other, for ever; what a look can run into is in it and not raised."""
        try:
            while True:
                due = await self._due()
                look = await self._look([ref for member in due for ref in member.watch.pending])
                for member in due:
                    member.due = time.monotonic() + member.watch.next_look_in(member.poll_interval, look.found)
                yield look
        finally:
            self._hooks.close()

    async def _due(self) -> list[Member]:
        """Wait until somebody's calls are due; return everyone whose turn comes so soon that it is cheaper together."""
        while True:
            self._changed.clear()
            wait = None
            if self._members:
                now = time.monotonic()
                wait = max(min(member.due for member in self._members), self._not_before) - now
                if wait <= 0:
                    # Half an interval early: so all that have like intervals soon go in one beat.
                    return [member for member in self._members if member.due - now <= member.poll_interval / 2]
            try:
                await asyncio.wait_for(self._changed.wait(), wait)
            except (TimeoutError, asyncio.TimeoutError):  # two classes on Python 3.10
                continue

    async def _look(self, refs: list[CallRef]) -> PollResult:
        asked = frozenset(ref.id for ref in refs)
        if not refs:
            return PollResult(asked, {})
        try:
            found = await self._ask(refs)
        except VoiceError as failure:
            error = failure
        except Exception as failure:  # noqa: BLE001 - one surprise must not end the wait of a thousand tasks
            where = "".join(traceback.format_tb(failure.__traceback__)[-3:])
            log.error("A look at %d call(s) failed unexpectedly:\n%s", len(refs), where)  # noqa: TRY400 - a message may hold row values
            error = VendorUnavailable(f"A look at the calls failed with {type(failure).__name__}; see the log.")
        else:
            self._failures = 0
            return PollResult(asked, found)
        self._failures += 1
        promised = min((member.poll_interval for member in self._members), default=LONGEST_BACKOFF)
        self._not_before = time.monotonic() + backoff_seconds(error, self._failures, promised)
        return PollResult(asked, {}, error)

    async def _ask(self, refs: list[CallRef]) -> dict[str, Call]:
        hook = await self._hooks.get()
        try:
            return await self._get_calls(hook, refs)
        except AuthenticationFailed:
            # The token may have been replaced in the connection since it was read.
            self._hooks.forget()
            fresh = await self._hooks.get()
            if fresh is hook:
                raise
            return await self._get_calls(fresh, refs)

    async def _get_calls(self, hook: VoiceHook, refs: list[CallRef]) -> dict[str, Call]:
        before = hook.vendor.http.sent
        # In a thread: requests blocks, and the event loop is shared by every trigger of the process.
        found = await sync_to_async(hook.get_calls, thread_sensitive=False)(refs)
        self._keep_to_budget(hook, hook.vendor.http.sent - before)
        return found

    def _keep_to_budget(self, hook: VoiceHook, requests: int) -> None:
        """Let the next look wait as long as the requests of this one take their share of the vendor's minute."""
        told = hook.vendor.settings.requests_per_minute
        seconds = budget_seconds(hook, requests)
        promised = min((member.poll_interval for member in self._members), default=seconds)
        if told is None:
            seconds = min(seconds, promised)  # a limit we only presume breaks no promise
        elif seconds > promised and not self._said_too_slow:
            self._said_too_slow = True
            log.warning(
                "A look at the waiting calls of %s takes %d requests, so at %d requests per minute there are %.0f s "
                "between two looks, more than the poll_interval of %.0f s.",
                self.voice_conn_id, requests, told, seconds, promised,
            )  # fmt: skip
        self._not_before = time.monotonic() + seconds


class ConnectionHook:
    """The hook of a connection that may be changed while it is used for a long time.

    :param voice_conn_id: the connection.
    """

    def __init__(self, voice_conn_id: str) -> None:
        self.voice_conn_id = voice_conn_id
        self._hook: VoiceHook | None = None
        self._made_of: list[Any] = []
        self._read_at = 0.0

    async def get(self) -> VoiceHook:
        """Return the hook, the same one as long as the connection is.

        :raises InvalidRequest: when the connection is gone or makes no sense.
        """
        now = time.monotonic()
        if self._hook is not None and now - self._read_at < _CONNECTION_SECONDS:
            return self._hook
        try:
            # The asynchronous way: the synchronous one would block the triggerer's loop.
            connection = await VoiceHook.aget_connection(self.voice_conn_id)
        except AirflowNotFoundException:
            raise InvalidRequest(f"There is no connection {self.voice_conn_id!r} any more. Add it again.") from None
        made_of = [getattr(connection, name) for name in _CONNECTION_FIELDS]
        if self._hook is None or made_of != self._made_of:
            # In a thread: the first one imports requests, and the event loop is not to wait for that.
            fresh = await sync_to_async(self._make_hook, thread_sensitive=False)(connection)
            self.close()
            self._hook, self._made_of = fresh, made_of
        self._read_at = now
        return self._hook

    def _make_hook(self, connection: Connection) -> VoiceHook:
        hook = VoiceHook.for_connection(self.voice_conn_id, connection=connection)
        _ = hook.vendor  # a field that makes no sense is an error here, not in the middle of a look
        return hook

    def forget(self) -> None:
        """Read the connection again the next time."""
        self._read_at = -_CONNECTION_SECONDS

    def close(self) -> None:
        """Close the vendor's connections."""
        if self._hook is not None:
            self._hook.vendor.close()
            self._hook = None


def budget_seconds(hook: VoiceHook, requests: int) -> float:
    """Return how long so many requests take their share of what the vendor (or the connection) allows a minute."""
    allowed = hook.vendor.settings.requests_per_minute or hook.vendor.presumed_per_minute
    return requests * 60.0 / (allowed * BUDGET_SHARE)


def backoff_seconds(error: VoiceError, failures: int, interval: float) -> float:
    """Return how long to wait after failed looks: exponential with jitter, and never less than the vendor asked for."""
    longest = min(LONGEST_BACKOFF, interval * 2.0 ** min(failures - 1, 10))
    # random is right here: jitter spreads load, it guards nothing
    return float(max(getattr(error, "retry_after", None) or 0.0, longest * random.uniform(0.5, 1.0)))  # noqa: S311 - jitter


# By event loop: what is waited on in one can not be woken from another (tests run several in one process).
_shared: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, CallPoll]] = WeakKeyDictionary()


def shared_poll(voice_conn_id: str) -> CallPoll:
    """Return the loop that everybody in this process shares for a connection."""
    polls = _shared.setdefault(asyncio.get_running_loop(), {})
    if voice_conn_id not in polls:
        polls[voice_conn_id] = CallPoll(voice_conn_id, gather=GATHER_SECONDS)
    return polls[voice_conn_id]
