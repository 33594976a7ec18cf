"""The hook of a connection that may be edited while a trigger uses it for hours, and the pace of its polls."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, TypeVar

from airflow.providers.common.compat.sdk import AirflowNotFoundException
from asgiref.sync import sync_to_async

from airflow_provider_voice.exceptions import InvalidRequest
from airflow_provider_voice.hooks.voice import VoiceHook

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow.sdk import Connection

log = logging.getLogger(__name__)

#: The share of the vendor's requests per minute that the polls of one connection may use; the rest places calls.
BUDGET_SHARE = 0.5

_T = TypeVar("_T")


class ConnectionHook:
    """The hook of one connection, replaced after the connection was edited; it sends the requests of polls.

    :param voice_conn_id: the connection.
    """

    def __init__(self, voice_conn_id: str) -> None:
        self.voice_conn_id = voice_conn_id
        self._hook: VoiceHook | None = None
        self._connection: Connection | None = None

    async def get(self) -> VoiceHook:
        """Read the connection and return its hook.

        :return: the hook; the same one as long as the connection is the same.
        :raises InvalidRequest: when there is no connection or it has a field that makes no sense; not permanent when
            there was a connection before.
        """
        try:
            # The asynchronous way: the synchronous one would block the event loop of the triggerer.
            connection = await VoiceHook.aget_connection(self.voice_conn_id)
        except AirflowNotFoundException:
            # A connection that was there a poll ago may be in a secrets backend that does not answer now.
            problem = f"There is no connection {self.voice_conn_id!r}. Add it again."
            raise InvalidRequest(problem, permanent=self._hook is None) from None
        if self._hook is None or connection != self._connection:
            # In a thread: the first hook imports requests, which would block the event loop.
            try:
                fresh = await sync_to_async(self._make_hook, thread_sensitive=False)(connection)
            except InvalidRequest as error:
                error.permanent = self._hook is None  # it may be corrected before the next poll
                raise
            self.close()
            self._hook, self._connection = fresh, connection
        return self._hook

    async def request(self, work: Callable[[VoiceHook], _T], *, longest: float) -> tuple[_T, float]:
        """Send the requests of one poll in a thread: they block, and all triggers of the process share the event loop.

        :param work: sends the requests.
        :param longest: seconds that a limit which is only presumed may ask for at most.
        :return: the result of ``work``, and the seconds to wait until the next poll, so that polls take no more than
            :data:`BUDGET_SHARE` of the limit.
        :raises VoiceError: what ``work`` raises, and see :meth:`get`.
        """
        hook = await self.get()
        before = hook.vendor.http.sent
        result = await sync_to_async(work, thread_sensitive=False)(hook)
        requests, limit = hook.vendor.http.sent - before, hook.vendor.settings.requests_per_minute
        seconds = requests * 60.0 / ((limit or hook.vendor.presumed_per_minute) * BUDGET_SHARE)
        if limit is None:
            return result, min(seconds, longest)
        if seconds > longest:
            log.info("A poll of %s took %d requests: %d requests per minute allow the next one after %.0f s.",
                     self.voice_conn_id, requests, limit, seconds)  # fmt: skip
        return result, seconds

    def _make_hook(self, connection: Connection) -> VoiceHook:
        hook = VoiceHook.for_connection(self.voice_conn_id, connection=connection)
        _ = hook.vendor  # a field that makes no sense raises here, not in the middle of a poll
        return hook

    def close(self) -> None:
        """Close the HTTP connections of the hook."""
        if self._hook is not None:
            self._hook.vendor.close()
            self._hook = None
