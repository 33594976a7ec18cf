"""Reading a paged list that may change while it is read, and telling a whole list from a cut one."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

from airflow_provider_voice.exceptions import IncompleteHistory
from airflow_provider_voice.vendors.idset import IdSet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from airflow_provider_voice.models import Call

MAX_PASSES = 4
LOOKUP_PASSES = 2


@dataclass(frozen=True)
class Page:
    """One page: its calls, and what the vendor says of the whole list (None where it says nothing)."""

    calls: list[Call]
    total: int | None = None
    last_page: int | None = None


class _Pass:
    """One reading of all pages, first to last."""

    def __init__(self) -> None:
        self.ids = IdSet()
        self.totals: set[int] = set()
        self.first_total: int | None = None
        self.repeated = False

    @property
    def is_stable(self) -> bool:
        """Whether nothing moved: no call twice, one total throughout, and as many calls as it says."""
        return not self.repeated and (not self.totals or self.totals == {len(self.ids)})

    @property
    def is_complete(self) -> bool:
        """Whether it held as many calls as the vendor counts, whichever these were."""
        return bool(self.totals) and len(self.ids) >= min(self.totals)


def walk(
    read_page: Callable[[int], Page],
    *,
    page_size: int,
    smallest_page_size: int,
    what: str,
    at_once: int = 1,
    for_lookup: bool = False,
    began: Callable[[], datetime] | None = None,
) -> Iterator[Call]:
    """Yield every call of a paged list once.

    Calls move between pages when the list changes while it is read. A pass in which one came twice, or whose calls are
    not as many as the vendor counts, is followed by another one, until one is stable, or finds none that was there
    before and all that were counted at the beginning have been seen. So a list to which calls are added all the time
    can be read: what comes after the beginning is not waited for.

    :param read_page: reads the page of that number, from 1.
    :param page_size: calls asked for per page.
    :param smallest_page_size: calls the vendor gives per page at the very least. It may give fewer than asked for, so a
        first page shorter than asked for is only known to be the last when it is shorter than this.
    :param what: the list, for messages.
    :param at_once: pages read at the same time, default 1. Where the vendor does not say which page is the last, up to
        ``at_once - 1`` are read in vain, but never more than were needed.
    :param for_lookup: calls are only looked for in the list: a pass that held as many as the vendor counts will do
        although some were added meanwhile, and fewer passes are made: who looks will look again.
    :param began: tells when the reading began, by the vendor's clock; asked once the first page is there. What was
        created later has come since; None: of no call it is known.
    :return: the calls, in the order they were first seen.
    :raises IncompleteHistory: when no pass gave a whole picture.
    """
    seen = IdSet()
    passes = LOOKUP_PASSES if for_lookup else MAX_PASSES
    old, counted, moment = 0, None, None
    for number in range(passes):
        current, old_before, old_now = _Pass(), old, 0
        pages = _pages(read_page, at_once)
        if number == 0:
            seen = current.ids  # one set for both while there is only one pass
            if began is not None:
                first = next(pages)
                pages = chain([first], pages)
                moment = _latest(began(), first)
        for call in _one_pass(pages, current, page_size, smallest_page_size):
            created = call.created_at
            was_there = moment is None or created is None or created <= moment
            old_now += was_there
            if number == 0 or seen.add(call.id):
                old += was_there
                yield call
        counted = current.first_total if number == 0 else counted
        # Where the vendor counts nothing, a pass must have held everything that any pass did. Where it counts, what
        # came since does not make up for what is missing.
        whole = old_now == old if counted is None else old >= counted
        if current.is_stable or (number > 0 and old == old_before and whole):
            return
        if for_lookup and current.is_complete:
            return
    raise IncompleteHistory(
        f"{what} kept changing while it was read, {passes} times over: {len(current.ids)} calls read, "
        f"{max(current.totals, default=len(seen))} counted by the vendor. Nothing of it is used; read a smaller or "
        "older window.",
        permanent=False,  # another time it may stand still
    )


def _latest(began: datetime, first: Page) -> datetime:
    """Return when the last call was created that was there when the reading began."""
    # What the first page shows was there, whatever the vendor's clock says of it.
    return max([began, *(call.created_at for call in first.calls if call.created_at is not None)])


def _pages(read_page: Callable[[int], Page], at_once: int) -> Iterator[Page]:
    """Yield page after page, in order; the reader stops when it has enough."""
    page = read_page(1)
    yield page
    last, number = page.last_page, 2
    if at_once > 1 and number <= (last or number):
        pool = ThreadPoolExecutor(at_once, thread_name_prefix="voice-pages")
        try:
            waiting: deque[Future[Page]] = deque()
            while True:
                # Twice as many as are read at once: some wait to be taken while others are under way, so that no thread
                # stands still while others are taken; and no more, so that memory stays that of a few pages.
                # Where nobody knows the last page, no more are read ahead than have come: few are read in vain.
                ahead = min(at_once, number - 1 - len(waiting)) if last is None else 2 * at_once
                while len(waiting) < ahead and (last is None or number <= last):
                    waiting.append(pool.submit(read_page, number))
                    number += 1
                if not waiting:
                    break
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)
    while True:  # and whatever was added since
        yield read_page(number)
        number += 1


def _one_pass(
    pages: Iterator[Page],
    current: _Pass,
    page_size: int,
    smallest_page_size: int,
) -> Iterator[Call]:
    largest = smallest_page_size
    for number, page in enumerate(pages, start=1):
        if page.total is not None:
            current.totals.add(page.total)
            current.first_total = page.total if current.first_total is None else current.first_total
        fresh = 0
        for call in page.calls:
            if not current.ids.add(call.id):
                current.repeated = True
                continue
            fresh += 1
            yield call
        largest = max(largest, len(page.calls))
        if not page.calls or (number > 1 and not fresh):
            # A vendor that ignores the page number repeats its whole list: that is no movement.
            if number == 2 and len(page.calls) == len(current.ids) < page_size:  # noqa: PLR2004 - the second page
                current.repeated = False
            return
        if _says_it_is_last(page, number, len(current.ids), largest):
            return


def _says_it_is_last(page: Page, number: int, calls_read: int, largest: int) -> bool:
    if page.last_page is not None:
        return number >= page.last_page
    if page.total is not None:
        return calls_read >= page.total
    return len(page.calls) < largest
