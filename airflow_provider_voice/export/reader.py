"""Reads calls from a vendor into a buffer of rows: whole windows, and single calls again."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from types import MappingProxyType
from typing import TYPE_CHECKING

from airflow_provider_voice.exceptions import IncompleteHistory, VendorUnavailable
from airflow_provider_voice.export.models import Window, joined

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from airflow_provider_voice.export.files.day_partitions import DayRows
    from airflow_provider_voice.export.models import Scope
    from airflow_provider_voice.export.row_buffer import RowBuffer
    from airflow_provider_voice.export.rows import Row, RowMaker
    from airflow_provider_voice.hooks.voice import VoiceHook
    from airflow_provider_voice.models import Call, CallRef

log = logging.getLogger(__name__)
#: Seconds between two log lines about the progress.
PROGRESS_SECONDS = 10.0
#: Seconds between the vendor's clock and the worker's from which on a warning is logged.
MOST_SKEW_SECONDS = 60.0
#: Seconds that an export to files waits for a vendor's clock that is behind.
MOST_WAIT_SECONDS = 120.0
# So many calls may be answered with a server error before it is taken for an outage.
_MOST_FAILED = 5
# Windows with less between them are read as one list: vendors filter by the day.
_ONE_LIST = timedelta(days=1)


@dataclass
class HistoryReader:
    """Reads calls into a buffer of rows.

    :param hook: the vendor's hook.
    :param maker: makes the rows.
    :param rows: takes them: a buffer for a table, or one by days for files.
    :param page_concurrency: pages read at once where the vendor has page numbers.
    :param clock: converts a time of ``time.monotonic()`` to the clock that orders readings; None: every row has the
        maker's ``fetched_at``.
    """

    hook: VoiceHook
    maker: RowMaker
    rows: RowBuffer | DayRows
    page_concurrency: int
    clock: Callable[[float], datetime] | None = None

    def read(
        self, windows: Iterable[Window], scope: Scope, pending: Mapping[str, CallRef] = MappingProxyType({})
    ) -> list[str]:
        """Read every call created in the windows and every pending one, each once.

        :param windows: the windows; they may overlap.
        :param scope: only calls of this agent and direction.
        :param pending: stored calls, by id, that are read again wherever they are; default none.
        :return: the ids of the pending calls that the vendor does not show, or only answers with a server error.
        :raises IncompleteHistory: when the vendor's list cannot be read completely.
        :raises VendorUnavailable: when the vendor cannot be reached, or many calls are answered with a server error.
        """
        unseen = dict(pending)
        for spans in _lists(windows):
            calls = self.hook.list_calls(
                spans[0].start,
                spans[-1].end,
                agent_id=scope.agent_id,
                direction=scope.direction,
                page_concurrency=self.page_concurrency,
            )
            for call in self._with_progress(calls):
                if len(spans) > 1 and not any(call.created_at in span for span in spans):
                    continue
                unseen.pop(call.id, None)
                self.rows.add(self._row(call), call.created_at)
        return self._again(unseen)

    def _again(self, refs: Mapping[str, CallRef]) -> list[str]:
        if not refs:
            return []
        log.info("Reading %d stored calls again that may have changed.", len(refs))
        began = time.monotonic()  # before the requests: a row must not look newer than it is
        found = self._find(list(refs.values()), [])
        for call in found.values():
            self.rows.add(self._row(call, began))
        return [call_id for call_id in refs if call_id not in found]

    def _find(self, refs: list[CallRef], failed: list[CallRef]) -> dict[str, Call]:
        """Return the calls that the vendor shows; one that it answers with a server error is left out.

        Without this, one such call would end every export from then on. The calls are halved until it stands alone.

        :param refs: the calls.
        :param failed: receives those that are left out; many of them are an outage, which ends the export.
        """
        try:
            return self.hook.get_calls(refs)
        except VendorUnavailable as error:
            if error.status_code is None or len(failed) == _MOST_FAILED:
                raise
            if len(refs) == 1:
                log.warning("%s The call counts as missing in this run; the next run reads it again.", error.message)
                failed += refs
                return {}
        half = len(refs) // 2
        return self._find(refs[:half], failed) | self._find(refs[half:], failed)

    def _row(self, call: Call, began: float | None = None) -> Row:
        """Return the row of a call with the time at which its page was read."""
        return self.maker.row(call, self.clock and self.clock(call.read_at or began or time.monotonic()))

    def _with_progress(self, calls: Iterator[Call]) -> Iterator[Call]:
        """Pass calls on and log the progress now and then."""
        began = said = time.monotonic()
        for count, call in enumerate(calls, start=1):
            yield call
            now = time.monotonic()
            if now - said >= PROGRESS_SECONDS:
                said = now
                log.info("Read %d calls so far, %.0f a second.", count, count / (now - began))


def wait_for_vendor(hook: VoiceHook, end: datetime) -> datetime:
    """Wait until the vendor's clock has reached the end of a window, when it is only a little behind the worker's.

    For exports that keep no log: no later run reads the calls that they leave out.

    :param hook: the vendor's hook.
    :param end: the end of the window; one in the worker's future is not waited for.
    :return: the vendor's time.
    :raises IncompleteHistory: when the vendor's clock is further behind than two minutes.
    """
    now, behind = hook.vendor.now(), 0.0
    if end <= datetime.now(timezone.utc):
        behind = (end - now).total_seconds()
    if behind > MOST_WAIT_SECONDS:
        raise IncompleteHistory(
            f"The clock of {hook.vendor.title} is {behind:.0f} seconds before the end of the window, so calls that "
            "belong to it may still be created. No file was written. Run the task again later, or give an earlier end.",
            vendor=hook.vendor.name,
            permanent=False,
        )
    if behind > 0:
        log.info("Waiting %.0f seconds until the clock of %s has reached the window's end.", behind, hook.vendor.title)
        time.sleep(behind)
        now = max(end, hook.vendor.now())
    return now


def warn_of_skew(hook: VoiceHook) -> None:
    """Log a warning when the vendor's clock is far from the worker's, or unknown.

    Calls are dated by the vendor's clock and runs by Airflow's, so a run exports other calls than its interval says.

    :param hook: the vendor's hook, after its first request.
    """
    offset = hook.vendor.http.clock_offset
    if offset is None:
        log.warning(
            "%s sends no time (no Date header). The worker's clock stands in for the vendor's; calls that the "
            "vendor dates earlier are found by the recheck of later runs only.",
            hook.vendor.title,
        )
    elif abs(offset) > MOST_SKEW_SECONDS:
        log.warning(
            "The clock of %s is %.0f seconds %s the worker's. Calls are dated by the vendor's clock, so this run "
            "exports the calls that clock puts in its window. If the worker's clock is wrong, correct it.",
            hook.vendor.title,
            abs(offset),
            "ahead of" if offset > 0 else "behind",
        )


def _lists(windows: Iterable[Window]) -> Iterator[list[Window]]:
    """Yield windows in groups that are read as one list each."""
    group: list[Window] = []
    for window in joined(windows):
        if group and window.start - group[-1].end > _ONE_LIST:
            yield group
            group = []
        group.append(window)
    if group:
        yield group
