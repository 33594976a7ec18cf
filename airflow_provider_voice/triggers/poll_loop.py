"""The poll loop of one connection: it requests the calls that are due and hands each result to every subscriber.

In the triggerer all triggers on one connection share one loop (Airflow 3.3+); below that, each trigger has its own.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
import traceback
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from airflow_provider_voice.exceptions import VendorUnavailable, VoiceError
from airflow_provider_voice.triggers.connection_hook import ConnectionHook
from airflow_provider_voice.vendors.rate_limit import MAX_RETRY_AFTER_SECONDS

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator, Mapping

    from airflow_provider_voice.models import Call, CallRef
    from airflow_provider_voice.tracking.call_watch import CallWatch

log = logging.getLogger(__name__)

#: Seconds that a shared loop waits for further triggers that start together, so that one request serves them all.
GATHER_SECONDS = 1.0
#: The shortest time between two polls, in seconds; a shorter ``poll_interval`` is raised to it.
SHORTEST_INTERVAL = 0.1
#: The longest pause after failed polls, in seconds.
LONGEST_BACKOFF = 300.0


@dataclass(frozen=True)
class PollResult:
    """The result of one poll.

    :param requested: the ids of the calls that were requested.
    :param found: the calls that the vendor reported, by id.
    :param error: why the poll failed; None when it did not.
    """

    requested: frozenset[str]
    found: Mapping[str, Call]
    error: VoiceError | None = None


@dataclass(eq=False)
class Subscriber:
    """One waiting trigger: its calls, and when they are due.

    :param watch: the calls.
    :param poll_interval: seconds between two polls.
    :param due: when the next poll is due, by ``time.monotonic()``.
    """

    watch: CallWatch
    poll_interval: float
    due: float


class CallPoll:
    """Polls one connection and publishes the results to its subscribers.

    .. code-block:: python

        poll = CallPoll("voice_default")
        with poll.subscribed(watch, poll_interval=30):
            async for result in poll.results():
                watch.take(result.found)

    :param voice_conn_id: the connection.
    :param gather: seconds from a subscription to its first poll, default 0.
    """

    def __init__(self, voice_conn_id: str, *, gather: float = 0.0) -> None:
        self._gather = gather
        self._subscribers: set[Subscriber] = set()
        self._changed = asyncio.Event()
        self._not_before = 0.0
        self._failures = 0
        self._hooks = ConnectionHook(voice_conn_id)

    @contextmanager
    def subscribed(self, watch: CallWatch, poll_interval: float) -> Iterator[None]:
        """Poll the calls of a watch while the block runs.

        :param watch: the calls; the subscriber hands the watch each result of :meth:`results`.
        :param poll_interval: seconds between two polls.
        :return: a context manager.
        """
        subscriber = Subscriber(watch, max(poll_interval, SHORTEST_INTERVAL), time.monotonic() + self._gather)
        self._subscribers.add(subscriber)
        self._changed.set()
        try:
            yield
        finally:
            self._subscribers.discard(subscriber)

    async def results(self) -> AsyncGenerator[PollResult, None]:
        """Poll without an end and yield each result; a failed poll is a result with an error, never an exception.

        :return: one result for each poll.
        """
        try:
            while True:
                due = await self._wait_for_due()
                result = await self._poll([ref for subscriber in due for ref in subscriber.watch.pending])
                now = time.monotonic()
                for subscriber in due:
                    subscriber.due = now + subscriber.poll_interval
                yield result
        finally:
            self._hooks.close()

    async def _wait_for_due(self) -> list[Subscriber]:
        """Wait until a subscriber is due; return it and those that are due so soon that one request serves them all."""
        while True:
            self._changed.clear()
            wait = None
            if self._subscribers:
                now = time.monotonic()
                wait = max(min(subscriber.due for subscriber in self._subscribers), self._not_before) - now
                if wait <= 0:
                    # Up to half an interval early, so that subscribers with equal intervals soon share every request.
                    return [some for some in self._subscribers if some.due - now <= some.poll_interval / 2]
            try:
                await asyncio.wait_for(self._changed.wait(), wait)
            except (TimeoutError, asyncio.TimeoutError):  # two classes on Python 3.10
                continue

    async def _poll(self, refs: list[CallRef]) -> PollResult:
        requested = frozenset(ref.id for ref in refs)
        interval = min(subscriber.poll_interval for subscriber in self._subscribers)
        try:
            found, pause = await self._hooks.request(lambda hook: hook.get_calls(refs), longest=interval)
        except Exception as failure:  # noqa: BLE001 - one bug must not end the waits of a thousand tasks
            error = as_voice_error(failure)
            self._failures += 1
            self._not_before = time.monotonic() + backoff_seconds(error, self._failures, interval)
            return PollResult(requested, {}, error)
        self._failures = 0
        self._not_before = time.monotonic() + pause
        return PollResult(requested, found)


def as_voice_error(failure: Exception) -> VoiceError:
    """Return the error of a failed poll; one that is none of ours is logged and becomes an outage.

    :param failure: the exception.
    :return: the exception itself, or a :class:`VendorUnavailable` without its message, which may hold row values.
    """
    if isinstance(failure, VoiceError):
        return failure
    where = "".join(traceback.format_tb(failure.__traceback__)[-3:])
    log.error("Polling the calls failed unexpectedly (%s):\n%s", type(failure).__name__, where)
    return VendorUnavailable(f"Polling the calls failed with {type(failure).__name__}; see the triggerer's log.")


def backoff_seconds(error: VoiceError, failures: int, interval: float) -> float:
    """Return the pause after failed polls: exponential with jitter, and not shorter than the vendor asks for.

    :param error: the last failure; its ``retry_after`` counts up to ``MAX_RETRY_AFTER_SECONDS``.
    :param failures: how many polls have failed in a row, from 1 on.
    :param interval: the usual seconds between two polls.
    :return: seconds.
    """
    longest = min(LONGEST_BACKOFF, interval * 2.0 ** min(failures - 1, 10))
    retry_after = min(getattr(error, "retry_after", None) or 0.0, MAX_RETRY_AFTER_SECONDS)
    # random is right here: jitter spreads load, it guards nothing
    return float(max(retry_after, longest * random.uniform(0.5, 1.0)))  # noqa: S311 - jitter


# By event loop: an asyncio.Event of one loop cannot be set from another (tests run several in one process).
_shared: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, CallPoll]] = WeakKeyDictionary()


def shared_poll(voice_conn_id: str) -> CallPoll:
    """Return the loop that all triggers of this process share for a connection.

    :param voice_conn_id: the connection.
    :return: the loop of the running event loop, made on the first call.
    """
    polls = _shared.setdefault(asyncio.get_running_loop(), {})
    if voice_conn_id not in polls:
        polls[voice_conn_id] = CallPoll(voice_conn_id, gather=GATHER_SECONDS)
    return polls[voice_conn_id]
