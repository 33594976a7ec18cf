"""Reads a paged list that may change while it is read, and distinguishes a complete list from a cut one."""

from __future__ import annotations

import logging
import math
import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import cached_property, partial
from itertools import chain, count, pairwise
from typing import TYPE_CHECKING, Any

from airflow_provider_voice.exceptions import IncompleteHistory
from airflow_provider_voice.vendors.listed_calls import ListedCalls

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from airflow_provider_voice.models import Call
    from airflow_provider_voice.vendors.date_filters import Span

log = logging.getLogger(__name__)

#: Calls asked for per page: Talkover's documented maximum (list-calls); UnleashX documents none.
PAGE_SIZE = 100
MAX_PASSES = 4
#: Seconds before the second, third and fourth pass. More than a second, which is how coarse a vendor's clock is.
PAUSES = (2.0, 4.0, 8.0)
#: A vendor's count may be this many calls too high without any call being missing.
COUNT_TOLERANCE = 1
# Pages in a row without a new call that end a list; one alone may be the page before, pushed down by new calls.
_PAGES_WITHOUT_NEWS = 2
_ENOUGH_TO_TELL_ORDER = 5


@dataclass(frozen=True)
class Page:
    """One page of a list.

    :param rows: the vendor's records of its calls.
    :param read_row: returns the call of a record.
    :param total: calls in the list, as the vendor counts them; None where it does not.
    :param last_page: number of the last page, as the vendor states it; None where it does not.
    """

    rows: Sequence[Any] = field(repr=False)
    read_row: Callable[[Any], Call]
    total: int | None = None
    last_page: int | None = None

    @cached_property
    def calls(self) -> list[Call]:
        """The calls. The consumer's thread makes them, so that a page thread requests its next page at once."""
        return list(map(self.read_row, self.rows))


class _Pass:
    """One reading of all pages, first to last."""

    def __init__(self, listed: ListedCalls) -> None:
        self.listed = listed
        self.totals: list[int] = []
        #: Calls listed again.
        self.repeats = 0
        #: Of the calls that existed when the reading began: all, and those that no earlier pass listed.
        self.existing = self.new = 0
        #: Calls created since, which no earlier pass listed.
        self.later = 0
        #: Changes with every id, repeated ones included, and with their order.
        self.fingerprint = 0

    def add(self, calls: Sequence[Call]) -> list[Call]:
        """Note the calls of a page; return those that this pass had not listed."""
        for call in calls:
            self.fingerprint = hash((self.fingerprint, call.id))
        new = self.listed.add(calls)
        self.repeats += len(calls) - len(new)
        return new

    @property
    def is_consistent(self) -> bool:
        """Whether no call was listed twice and there are as many as the vendor counts."""
        return not self.repeats and len(self.listed) >= max(self.totals, default=0)


def search_pages(read_page: Callable[[int], Page]) -> Iterator[Call]:
    """Yield the calls of a list that is read once, for a search that stops early and will be repeated.

    The list need not be complete: a call that moves between pages meanwhile may be missed, and no page more is read
    where only the vendor's counts deny that it is there.

    :param read_page: reads the page of that number, from 1.
    :return: the calls, page after page.
    """
    pages = _iter_pages_once(read_page, 1)
    return chain.from_iterable(_iter_pass(pages, _Pass(ListedCalls()), PAGE_SIZE))


@dataclass(frozen=True)
class PagedList:
    """A paged list of calls that may change while it is read.

    .. code-block:: python

        calls = PagedList("Talkover's call list", read_page, split, is_in_window, vendor_time).calls_in(span)

    :param name: the list, for messages.
    :param read_page: reads a page of a span of the vendor's filter; the first has number 1.
    :param split: returns two spans that cover a span together; none when it cannot be split.
    :param is_in_window: whether a call is asked for, rather than part of a span's margins.
    :param vendor_time: converts an instant by this machine's clock to the vendor's; asked once a page has been read.
    :param page_concurrency: pages read at the same time in the first pass, default 1. Where the vendor does not state
        the last page, up to ``page_concurrency - 1`` are read in vain, but never more than were needed.
    """

    name: str
    read_page: Callable[[Span, int], Page]
    split: Callable[[Span], Sequence[Span]]
    is_in_window: Callable[[Call], bool]
    vendor_time: Callable[[datetime], datetime]
    page_concurrency: int = 1

    def calls_in(self, span: Span) -> Iterator[Call]:
        """Yield every call of a window once; where its list never stands still, read ever smaller parts of it.

        :param span: the window, with its margins.
        :return: the calls that are asked for.
        :raises IncompleteHistory: when the smallest part cannot be read, or the parts show fewer calls than the window.
        """
        listed = ListedCalls()
        outside: set[str] = set()  # of the margins, which are short
        try:
            for call in self.read(span, MAX_PASSES, listed):
                if self.is_in_window(call):
                    yield call
                else:
                    outside.add(call.id)
        except IncompleteHistory as error:
            parts = self.split(span)
            if error.permanent or not parts:
                raise
            log.info("%s Reading it in smaller parts.", error.message)
        else:
            return
        missing, in_parts = len(listed) - len(outside), ListedCalls()
        for call in filter(self.is_in_window, chain.from_iterable(map(self._read_parts, parts))):
            if not in_parts.add([call]):
                continue
            if call.id in outside or listed.add([call]):
                yield call
            else:
                missing -= 1
        if missing:
            raise IncompleteHistory(
                f"{self.name} shows {missing} calls in a large window that are missing from the parts of it: its time "
                "filters do not work as documented. Nothing of it is used.",
                permanent=False,
            )

    def _read_parts(self, span: Span) -> Iterator[Call]:
        """Yield the calls of a span, of which some may come again."""
        parts = self.split(span)
        # The pauses before further passes are for the smallest parts only: a long list without an order is halved a
        # hundred times, and each time they would take a quarter of a minute.
        passes = 1 if parts else MAX_PASSES
        try:
            yield from self.read(span, passes, ListedCalls())
        except IncompleteHistory as error:
            if error.permanent or not parts:
                raise
        else:
            return
        for part in parts:
            yield from self._read_parts(part)

    def read(self, span: Span, passes: int, seen: ListedCalls) -> Iterator[Call]:
        """Yield every call of a span once.

        Calls move between pages when the list changes while it is read: a pass then lists a call twice, or misses one.
        So a pass that is not consistent is followed by another one after a pause, until

        - one is consistent, or
        - two passes in a row list exactly the same: then the list stands still and only its bookkeeping is wrong, or
        - a pass finds no further call of those that existed at the beginning, and all of these have been seen.

        Only a page without calls ends a pass, or one that is shorter than an earlier one and that the vendor counts as
        the last: pages may be shorter than asked for, and counts may be capped.

        :param span: the span.
        :param passes: passes at most.
        :param seen: receives all calls that any pass lists, for the caller.
        :return: the calls, in the order in which they were first seen.
        :raises IncompleteHistory: when no pass gave a complete picture.
        """
        started, read_page = datetime.now(timezone.utc), partial(self.read_page, span)
        pages = _iter_pages_once(read_page, self.page_concurrency)
        first = next(pages)
        pages = chain([first], pages)
        existing = _ExistingCalls(_newest_at_the_beginning(first, self.vendor_time(started)), first.total)
        previous: _Pass | None = None
        for number in range(passes):
            if number:
                time.sleep(PAUSES[min(number, len(PAUSES)) - 1])
                # Of pages read at the same time, a later one may be answered first, and calls that move in between are
                # missed. So a list that has changed is read page by page.
                pages = _iter_pages_once(read_page, 1)
            # One set serves both in the first pass, mostly the only one.
            current = _Pass(ListedCalls() if number else seen)
            for calls in _iter_pass(pages, current):
                new = seen.add(calls) if number else calls
                existing.note(calls, new, current)
                yield from new
            if current.is_consistent:
                return
            if previous is not None and previous.fingerprint == current.fingerprint:
                _accept_unmoved_list(current, self.name, len(first.calls))
                return
            if previous is not None and existing.are_all_seen(current, previous.repeats):
                return
            previous = current
        raise IncompleteHistory(
            f"{self.name} kept changing while it was read, {passes} times over: {len(current.listed)} calls read, "
            f"{max(current.totals, default=len(seen))} counted by the vendor. Nothing of it is used; read a smaller or "
            "older window.",
            permanent=False,  # another time it may stand still
        )


@dataclass
class _ExistingCalls:
    """The calls that existed when the reading began: later ones need not be waited for.

    :param until: when the newest of them was created.
    :param counted: how many there were by the vendor's count; None where it does not count.
    """

    until: datetime
    counted: int | None
    _seen: int = 0

    def note(self, calls: list[Call], new: list[Call], current: _Pass) -> None:
        existing, new_existing = (sum(map(self._existed, some)) for some in (calls, new))
        current.existing += existing
        current.new += new_existing
        current.later += len(new) - new_existing
        self._seen += new_existing

    def _existed(self, call: Call) -> bool:
        return call.created_at is None or call.created_at <= self.until

    def are_all_seen(self, current: _Pass, repeats_before: int) -> bool:
        """Whether the pass found none that was new, and none is missing.

        Where the vendor counts, calls that were created since do not make up for a missing one. Where it does not, or
        counts fewer than there are (a capped count), the pass must have listed all that any pass did, and new calls
        must explain why the pass before listed some twice.

        :param current: the pass.
        :param repeats_before: calls that the pass before listed again.
        """
        if self.counted is not None and self._seen <= self.counted:
            return current.new == 0 and self._seen == self.counted
        return current.new == 0 and current.existing == self._seen and current.later >= repeats_before


def _newest_at_the_beginning(first: Page, began: datetime) -> datetime:
    """Return when the newest call was created that existed when the reading began, by the vendor's clock."""
    created = [call.created_at for call in first.calls if call.created_at is not None]
    # Two or three may be in this order by chance.
    if (
        len(created) >= _ENOUGH_TO_TELL_ORDER
        and all(one >= other for one, other in pairwise(created))
        and created[0] > created[-1]
    ):
        return created[0]  # newest first: true for any offset between the clocks
    return max([began, *created])


def _accept_unmoved_list(last: _Pass, name: str, first_page: int) -> None:
    """Accept a list that two passes showed alike, although it repeats a call or its count is wrong.

    :param first_page: calls of the first page.
    :raises IncompleteHistory: when calls are certainly missing.
    """
    counted = max(last.totals, default=0)
    ignores_page_number = not last.totals and len(last.listed) <= PAGE_SIZE <= first_page
    if counted > len(last.listed) + COUNT_TOLERANCE or ignores_page_number:
        raise IncompleteHistory(
            f"{name} holds {counted or 'more'} calls by the vendor's count, but its pages show {len(last.listed)}. "
            "Nothing of it is used; read a smaller window, or report it to the vendor.",
            permanent=False,
        )
    log.warning(
        "%s repeats a call or counts wrongly (%d calls shown, %d counted), the same in two passes: it is taken as "
        "complete.",
        name,
        len(last.listed),
        counted,
    )


def _iter_pages_once(read_page: Callable[[int], Page], page_concurrency: int) -> Iterator[Page]:
    """Yield page after page, in order; the consumer stops when it has enough."""
    first = read_page(1)
    yield first
    if page_concurrency == 1:
        yield from map(read_page, count(2))
    number, last = 2, first.last_page or math.inf
    waiting: deque[Future[Page]] = deque()
    pool = ThreadPoolExecutor(page_concurrency, thread_name_prefix="voice-pages")
    try:
        while True:
            # Where the vendor states the last page, as many pages again are read for a consumer that is busy: a vendor
            # that waits for it costs a tenth at 50 ms a request. Where it does not, no more pages are read ahead than
            # have come. Beyond a stated last page, where calls may have been added since, one page is read at a time.
            ahead = 2 * page_concurrency if first.last_page else min(page_concurrency, number - 1 - len(waiting))
            while not waiting or (len(waiting) < ahead and number <= last):
                waiting.append(pool.submit(read_page, number))
                number += 1
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _iter_pass(pages: Iterator[Page], current: _Pass, full_page: int = 0) -> Iterator[list[Call]]:
    """Yield the calls of one pass that it has not listed before, page by page.

    :param full_page: calls of a full page, where no page came before. A later page is full when it is as long as the
        longest before it, as pages may be shorter than asked for.
    """
    without_news = longest = 0
    for number, page in enumerate(pages, start=1):
        if page.total is not None:
            current.totals.append(page.total)
        listed = current.add(page.calls)
        yield listed
        without_news = 0 if listed else without_news + 1
        if not page.calls or without_news == _PAGES_WITHOUT_NEWS:
            return
        # A full page is never the last one for certain: counts may be capped.
        is_full = len(page.calls) >= (longest or full_page)
        if not is_full and _counts_are_reached(page, number, len(current.listed)):
            return
        longest = max(longest, len(page.calls))


def _counts_are_reached(page: Page, number: int, calls_read: int) -> bool:
    """Return whether, by the vendor's counts, no page follows; False where it does not count."""
    if page.total is None and page.last_page is None:
        return False
    return number >= (page.last_page or 0) and calls_read >= (page.total or 0)
