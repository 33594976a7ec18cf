"""Reads Talkstack's call history completely, or not at all.

The history has a ``pageSize`` and nothing to continue with (Talkstack docs: get-call-history), and no page says how
large ``pageSize`` may be. So a reply of n rows to a larger ``pageSize`` is either complete or cut at n. It is
certainly complete when some other reply had more than n rows. Where none had, a larger reply is sought without the
filters, then the window is split by day and then by status, until every part is certain.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_voice.exceptions import IncompleteHistory, InvalidPhoneNumber, RequestRejected, VendorUnavailable
from airflow_provider_voice.models import fold_word

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

#: Asked for one after the other while a reply is full; the default is 20.
PAGE_SIZES = (100, 1000, 10_000)
#: A reply of fewer rows is taken for complete although none was larger: a new project has a handful of calls.
SMALLEST_CUT = 10
#: Values of the status filter (Talkstack docs: get-call-history); ``voicemail`` and ``silence`` are not among them.
FILTER_STATUSES = ("queued", "initiated", "ringing", "in-progress", "completed", "busy", "failed", "no-answer")
_FILTERED = frozenset(fold_word(word) for word in FILTER_STATUSES)

Row = dict[str, Any]


@dataclass(frozen=True)
class HistoryReply:
    """One reply of the history.

    :param rows: its rows by id.
    :param count: how many rows it had.
    :param largest: the most rows that any reply of this vendor had so far, this one included.
    """

    rows: Mapping[str, Row]
    count: int
    largest: int


def read_history(ask: Callable[[Mapping[str, str], int], HistoryReply], first: date, last: date) -> Iterator[Row]:
    """Yield every row of the days from ``first`` to ``last``, each once.

    :param ask: asks once, with filters and a page size.
    :param first: first day, included.
    :param last: last day, included.
    :return: the rows.
    :raises IncompleteHistory: when a day's calls of one status are as many as one reply can hold.
    """
    return iter(_History(ask).read(first, last).values())


class _History:
    def __init__(self, ask: Callable[[Mapping[str, str], int], HistoryReply]) -> None:
        self._ask_once = ask
        self._has_sought_larger = False

    def read(self, first: date, last: date) -> dict[str, Row]:
        # "Before" means on or before that day's midnight, "After" on or after it.
        rows, is_complete = self._ask(
            {"startTimeAfter": first.isoformat(), "startTimeBefore": (last + timedelta(days=1)).isoformat()}
        )
        if is_complete:
            return rows
        for number in range((last - first).days + 1):
            rows.update(self._read_day(first + timedelta(days=number)))
        return rows

    def _read_day(self, day: date) -> dict[str, Row]:
        query = {"startTime": day.isoformat()}
        rows, is_complete = self._ask(query)
        if is_complete:
            return rows
        beyond = [row for row in rows.values() if fold_word(row.get("status") or "") not in _FILTERED]
        if beyond:
            raise _cut(day, "of which some have a status that the history cannot filter by", len(rows))
        for status in FILTER_STATUSES:
            part, is_complete = self._ask({**query, "status": status})
            if not is_complete:
                raise _cut(day, f"with status {status}", len(part))
            rows.update(part)
        return rows

    def _ask(self, query: Mapping[str, str]) -> tuple[dict[str, Row], bool]:
        """Return the rows by id, and whether they are certainly all there are."""
        reply: HistoryReply | None = None
        for size in PAGE_SIZES:
            try:
                reply = self._ask_once(query, size)
            except (RequestRejected, InvalidPhoneNumber, VendorUnavailable):
                if reply is None:
                    raise
                return dict(reply.rows), False  # the larger page was refused or too large to read
            if reply.count < size:
                return dict(reply.rows), self._is_complete(reply, size)
        return dict(reply.rows) if reply else {}, False

    def _is_complete(self, reply: HistoryReply, size: int) -> bool:
        if reply.count < reply.largest or reply.count < SMALLEST_CUT:
            return True
        if self._has_sought_larger:
            return False
        self._has_sought_larger = True
        try:
            return reply.count < self._ask_once({}, size).largest
        except (RequestRejected, InvalidPhoneNumber, VendorUnavailable):
            return False  # the day and status filters may do


def _cut(day: date, which: str, count: int) -> IncompleteHistory:
    return IncompleteHistory(
        f"Talkstack's history of {day} has {count} calls {which}, as many as one reply seems to hold, and no way to "
        "ask for the rest. Nothing of it is used; ask the vendor for a larger page.",
        vendor="talkstack",
    )
