"""The hook of a connection that may be edited while a trigger uses it for hours."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowNotFoundException
from asgiref.sync import sync_to_async

from airflow_provider_voice.exceptions import InvalidRequest
from airflow_provider_voice.hooks.voice import VoiceHook

if TYPE_CHECKING:
    from airflow.sdk import Connection

# Seconds after which a connection is read again.
_CONNECTION_SECONDS = 300.0
_CONNECTION_FIELDS = ("conn_type", "host", "port", "schema", "password", "extra")


class ConnectionHook:
    """Returns the hook of one connection, and a new one after the connection was edited.

    :param voice_conn_id: the connection.
    """

    def __init__(self, voice_conn_id: str) -> None:
        self.voice_conn_id = voice_conn_id
        self._hook: VoiceHook | None = None
        self._made_of: list[Any] = []
        self._read_at = 0.0

    async def get(self) -> VoiceHook:
        """Return the hook; the same one as long as the connection is the same.

        :raises InvalidRequest: when the connection was deleted or has a field that makes no sense.
        """
        now = time.monotonic()
        if self._hook is not None and now - self._read_at < _CONNECTION_SECONDS:
            return self._hook
        try:
            # The asynchronous way: the synchronous one would block the event loop of the triggerer.
            connection = await VoiceHook.aget_connection(self.voice_conn_id)
        except AirflowNotFoundException:
            raise InvalidRequest(f"There is no connection {self.voice_conn_id!r}. Add it again.") from None
        made_of = [getattr(connection, name) for name in _CONNECTION_FIELDS]
        if self._hook is None or made_of != self._made_of:
            # In a thread: the first hook imports requests, which would block the event loop.
            fresh = await sync_to_async(self._make_hook, thread_sensitive=False)(connection)
            self.close()
            self._hook, self._made_of = fresh, made_of
        self._read_at = now
        return self._hook

    def _make_hook(self, connection: Connection) -> VoiceHook:
        hook = VoiceHook.for_connection(self.voice_conn_id, connection=connection)
        _ = hook.vendor  # a field that makes no sense raises here, not in the middle of a poll
        return hook

    def forget(self) -> None:
        """Make the next :meth:`get` read the connection again."""
        self._read_at = -_CONNECTION_SECONDS

    def close(self) -> None:
        """Close the HTTP connections of the hook."""
        if self._hook is not None:
            self._hook.vendor.close()
            self._hook = None
