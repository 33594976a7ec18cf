"""Reading calls from a vendor into a spool: whole windows, and single calls again."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Protocol

from airflow_provider_voice.export.models import joined

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, MutableMapping, Sequence
    from datetime import datetime
    from typing import Any

    from airflow_provider_voice.export.models import Scope, Window
    from airflow_provider_voice.export.rows import Row, RowMaker
    from airflow_provider_voice.hooks.voice import VoiceHook
    from airflow_provider_voice.models import Call, CallRef

log = logging.getLogger(__name__)
#: Seconds between two lines about how far it is.
PROGRESS_SECONDS = 10.0


class Takes(Protocol):
    """What takes rows: a spool, or one that shares them out."""

    def add(self, row: Row, created_at: datetime | None = None) -> None:
        """Keep one row; see :meth:`RowBuffer.add`."""


class HistoryReader:
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
        self._vendor = hook.vendor
        self._vendor.page_concurrency = page_concurrency

    def windows_and_pending(self, windows: Sequence[Window], scope: Scope, pending: Mapping[str, CallRef]) -> list[str]:
        """Spool every call created in the windows and every pending one, each once.

        :param windows: what is to be read; they may overlap.
        :param scope: only calls of this agent and direction.
        :param pending: stored calls, by id, that are read again wherever they are.
        :return: the ids of the pending calls that the vendor no longer shows.
        :raises IncompleteHistory: when the vendor can not be read completely.
        """
        unseen = dict(pending)
        self.windows(windows, scope, seen=unseen)
        return self._again(unseen)

    def windows(self, windows: Sequence[Window], scope: Scope, *, seen: MutableMapping[str, Any] | None = None) -> None:
        """Spool every call created in the windows, each once.

        :param windows: what is to be read; they may overlap.
        :param scope: only calls of this agent and direction.
        :param seen: calls by id; those that come are taken out.
        :raises IncompleteHistory: when the vendor can not be read completely.
        """
        spans = joined(windows)
        calls = self._hook.list_calls(spans[0].start, spans[-1].end, agent_id=scope.agent_id, direction=scope.direction)
        for call in self._with_progress(calls):
            if len(spans) > 1 and not _is_within(call.created_at, spans):
                continue
            if seen:
                seen.pop(call.id, None)
            self._spool.add(self._maker.row(call), call.created_at)

    def _again(self, refs: Mapping[str, CallRef]) -> list[str]:
        if not refs:
            return []
        log.info("Reading %d stored calls again that may have changed.", len(refs))
        found = self._hook.get_calls(refs.values())
        for call in found.values():
            self._spool.add(self._maker.row(call))
        return [call_id for call_id in refs if call_id not in found]

    def _with_progress(self, calls: Iterator[Call]) -> Iterator[Call]:
        """Pass calls on, and say now and then how far it is."""
        began = said = time.monotonic()
        pages_before = self._vendor.pages_read
        for count, call in enumerate(calls, start=1):
            yield call
            if count % 100:  # a clock a row is a clock too many
                continue
            now = time.monotonic()
            if now - said < PROGRESS_SECONDS:
                continue
            said, pages = now, self._vendor.pages_read - pages_before
            log.info("Read %d pages, %d calls, %.0f calls a second.", pages, count, count / (now - began))


def _is_within(moment: datetime | None, spans: Sequence[Window]) -> bool:
    return moment is not None and any(span.start <= moment < span.end for span in spans)
