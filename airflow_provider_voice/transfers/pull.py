"""Reading calls from a vendor into a spool: whole windows, and single calls again."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Protocol

from airflow_provider_voice.warehouse.load import joined

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, MutableMapping, Sequence
    from datetime import datetime
    from typing import Any

    from airflow_provider_voice.calls import Call, CallRef
    from airflow_provider_voice.hooks.voice import VoiceHook
    from airflow_provider_voice.vendors.base import Vendor
    from airflow_provider_voice.warehouse.load import Scope, Window
    from airflow_provider_voice.warehouse.rows import Row, RowMaker

log = logging.getLogger(__name__)
#: Seconds between two lines about how far it is.
PROGRESS_SECONDS = 10.0


class Takes(Protocol):
    """What takes rows: a spool, or one that shares them out."""

    def add(self, row: Row, created_at: datetime | None = None) -> None:
        """Keep one row; see :meth:`Spool.add`."""


class Pull:
    """Reads calls into a spool.

    :param hook: the vendor.
    :param maker: makes the rows.
    :param spool: takes them.
    :param page_concurrency: pages read at once where the vendor has page numbers.
    """

    def __init__(self, hook: VoiceHook, maker: RowMaker, spool: Takes, *, page_concurrency: int) -> None:
        self._hook = hook
        self._maker = maker
        self._spool = spool
        hook.vendor.page_concurrency = page_concurrency

    def windows(self, windows: Sequence[Window], scope: Scope, *, seen: MutableMapping[str, Any] | None = None) -> None:
        """Spool every call created in the windows, each once.

        :param windows: what is to be read; they may overlap.
        :param scope: only calls of this agent and direction.
        :param seen: calls by id; those that come are taken out.
        :raises IncompleteHistory: when the vendor can not be read completely.
        """
        spans = joined(windows)
        calls = self._hook.list_calls(spans[0].start, spans[-1].end, agent_id=scope.agent_id, direction=scope.direction)
        for call in _with_progress(calls, self._hook.vendor):
            if len(spans) > 1 and not any(span.start <= call.created_at < span.end for span in spans):  # type: ignore[operator]  # list_calls yields none without
                continue
            if seen:
                seen.pop(call.id, None)
            self._spool.add(self._maker.row(call), call.created_at)

    def again(self, refs: Mapping[str, CallRef]) -> list[str]:
        """Spool single calls as they are now, and return the ids of those the vendor no longer shows."""
        if not refs:
            return []
        log.info("Reading %d stored calls again that may have changed.", len(refs))
        found = self._hook.get_calls(refs.values())
        for call in found.values():
            self._spool.add(self._maker.row(call))
        return [call_id for call_id in refs if call_id not in found]


def _with_progress(calls: Iterator[Call], vendor: Vendor) -> Iterator[Call]:
    """Pass calls on, and say now and then how far it is."""
    began = said = time.monotonic()
    pages_before = vendor.pages_read
    for count, call in enumerate(calls, start=1):
        yield call
        if count % 100:  # a clock a row is a clock too many
            continue
        now = time.monotonic()
        if now - said < PROGRESS_SECONDS:
            continue
        said = now
        pages, of = vendor.pages_read - pages_before, vendor.pages_in_list
        left = "" if not of or pages > of else f", about {(now - began) * (of - pages) / pages:.0f} s left"
        log.info("%d pages, %d calls read, %.0f calls a second%s.", pages, count, count / (now - began), left)
