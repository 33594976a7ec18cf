"""Reads Talkstack's call history completely, or not at all.

The history has a ``pageSize`` and no cursor (Talkstack docs: get-call-history), and no page of the docs states how
large ``pageSize`` may be. So a reply of n rows to a larger ``pageSize`` is either complete or cut at n. It is
certainly complete when some other reply had more than n rows. Where none had, a larger reply is sought without the
filters, then the window is split by day and then by status, until every part is certain.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from datetime import date, timedelta
from typing import TYPE_CHECKING

from airflow_provider_voice.exceptions import (
    AgentNotUsable,
    IncompleteHistory,
    InvalidPhoneNumber,
    RequestRejected,
    VendorUnavailable,
)
from airflow_provider_voice.models import fold_status

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from airflow_provider_voice.models import Call

log = logging.getLogger(__name__)

#: Asked for one after the other while a reply is full; the default is 20.
PAGE_SIZES = (100, 1000, 10_000)
#: No vendor limits a reply to fewer rows, nor to a number that is neither round nor a power of two.
SMALLEST_LIMIT = 10
_ROUND = 5
#: Values of the status filter (Talkstack docs: get-call-history); ``voicemail`` and ``silence`` are not among them.
FILTER_STATUSES = ("queued", "initiated", "ringing", "in-progress", "completed", "busy", "failed", "no-answer")
#: Failures of one reply that leave the other replies usable.
FAILURES = (RequestRejected, InvalidPhoneNumber, AgentNotUsable, VendorUnavailable)
# On no page as filters. A vendor that knows them shows what a cut reply leaves out; one that does not costs requests.
_OTHER_STATUSES = ("voicemail", "silence")
_FILTERED = frozenset(fold_status(status) for status in FILTER_STATUSES)


class TalkstackHistory:
    """The history of one project, read by as few replies as prove that nothing is missing.

    :param ask: asks once, with filters and a page size.
    :param largest: the most rows that any earlier reply of this vendor had.
    """

    def __init__(self, ask: Callable[[Mapping[str, str], int], list[Call]], largest: int) -> None:
        self._ask_once = ask
        self._has_sought_larger = False
        #: Ids of all rows of all replies, and the most rows of one reply.
        self._ids: set[str] = set()
        self._largest = largest
        #: Whether any reply had a row with a status that the history cannot filter by.
        self._shows_others = False
        #: Days whose reply may be cut, with its number of rows.
        self._cut_days: list[tuple[date, int]] = []

    def read(self, first: date, last: date) -> dict[str, Call]:
        """Return every row of some days.

        :param first: first day, included.
        :param last: last day, included.
        :return: the calls by id.
        :raises IncompleteHistory: when a day's calls of one status are as many as one reply can hold.
        """
        # "Before" means on or before that day's midnight, "After" on or after it.
        rows, is_complete = self._ask(
            {"startTimeAfter": first.isoformat(), "startTimeBefore": (last + timedelta(days=1)).isoformat()}
        )
        if is_complete:
            return rows
        for number in range((last - first).days + 1):
            rows.update(self._read_day(first + timedelta(days=number)))
        # Rows that no filter shows may be among those that were cut off, also where this day's reply has none.
        cut_days = [(day, count) for day, count in self._cut_days if not self._is_plausible(count)]
        for day, count in cut_days:
            if self._shows_others:
                raise _cut(day, "of which some may have a status that it cannot filter by", count)
            log.warning(
                "Talkstack's history of %s has more calls than one reply holds, so it was read by status. No filter is "
                "documented for voicemail, silence and canceled, and no reply showed such a call: if the history has "
                "any on this day, they are missing. Ask the vendor for a larger page.",
                day,
            )
        return rows

    def _read_day(self, day: date) -> dict[str, Call]:
        query = {"startTime": day.isoformat()}
        rows, is_complete = self._ask(query)
        if is_complete:
            return rows
        self._cut_days.append((day, len(rows)))
        for status in FILTER_STATUSES:
            part, is_complete = self._ask({**query, "status": status})
            if not is_complete and not self._is_plausible(len(part)):
                raise _cut(day, f"with status {status}", len(part))
            rows.update(part)
        for status in _OTHER_STATUSES:
            with suppress(*FAILURES):
                rows.update(self._ask({**query, "status": status})[0])
        return rows

    def _is_plausible(self, count: int) -> bool:
        """Whether a reply is taken for complete although no other was larger, as in the first days of a project.

        Its size is no limit that anybody sets, and no other reply, under whatever filter, showed a row beyond those of
        the largest one: rows that were cut off would have shown there.
        """
        may_be_limit = count >= SMALLEST_LIMIT and (count % _ROUND == 0 or count.bit_count() == 1)
        return not may_be_limit and len(self._ids) <= self._largest

    def _ask(self, query: Mapping[str, str]) -> tuple[dict[str, Call], bool]:
        """Return the rows by id, and whether they are certainly all there are."""
        rows: dict[str, Call] = {}
        for size in PAGE_SIZES:
            try:
                count, rows = self._reply(query, size)
            except FAILURES:
                if not rows:
                    raise
                break  # the larger page was refused or too large to read
            if count < size:
                self._seek_larger(count, size)
                return rows, count < max(self._largest, 1)
        return rows, False

    def _seek_larger(self, count: int, size: int) -> None:
        """Ask once for all calls of the project when no reply is larger than one of so many rows."""
        if count >= self._largest and count and not self._has_sought_larger:
            self._has_sought_larger = True
            with suppress(*FAILURES):  # the other filters may do
                self._reply({}, size)

    def _reply(self, query: Mapping[str, str], size: int) -> tuple[int, dict[str, Call]]:
        """Ask once; return how many rows came, and the rows by id."""
        calls = self._ask_once(query, size)
        rows = {call.id: call for call in calls}
        self._ids.update(rows)
        self._shows_others |= any(fold_status(call.vendor_status or "") not in _FILTERED for call in calls)
        self._largest = max(self._largest, len(calls))
        return len(calls), rows


def _cut(day: date, which: str, count: int) -> IncompleteHistory:
    return IncompleteHistory(
        f"Talkstack's history of {day} has {count} calls {which}, as many as one reply seems to hold, and no way to "
        "ask for the rest. Nothing of it is used. In a new project the next few calls settle whether any are missing; "
        "otherwise ask the vendor for a larger page.",
        vendor="talkstack",
    )
