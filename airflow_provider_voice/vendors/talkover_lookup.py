"""Finds many of Talkover's calls in the lists of some days, with as few requests as the lists allow.

Knows neither HTTP nor the vendor object: it is handed one callable that reads a page and one that searches a call.
"""

from __future__ import annotations

import math
import random
from typing import TYPE_CHECKING

from airflow_provider_voice.vendors.pagination import PAGE_SIZE, iter_pages

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from airflow_provider_voice.models import Call, CallRef
    from airflow_provider_voice.vendors.pagination import Page

#: Statuses of calls that have not ended (Talkover docs: get-active-call), in the order in which a call goes through
#: them: a call whose status changes while the lists are read moves into a list that is read later.
ACTIVE_STATUSES = ("initiated", "ringing", "answered")
#: Single calls searched for when the lists change meanwhile; the others are left to the next poll.
MAX_SEARCHES = 10
# A list of at most this many pages is read again at once when it changed meanwhile; a longer one, with the next poll.
_SHORT_LIST = 3
_FEW_PAGES = 12


def find_in_lists(
    wanted: Mapping[str, CallRef],
    read_page: Callable[[str | None, int], Page],
    search: Callable[[CallRef], Call | None],
    sleep: Callable[[float], None],
) -> dict[str, Call]:
    """Return the calls that the lists show; a call that moves between pages meanwhile may be absent.

    1. Where the full list is short against the number of wanted calls, it is read.
    2. Where it is long (other people's calls of the day), the lists of the active statuses are read. A call in none of
       them has usually ended and is searched for alone; where these are many, the full list is read after all. While
       calls moved between the lists, only a few are searched for: most of the others will be in a list the next time.

    :param wanted: the calls by id.
    :param read_page: reads the list of one status (None: of all calls), and the page of that number.
    :param search: finds one call by its number.
    :param sleep: waits between two passes.
    :return: call id -> call.
    """
    lookup = _ListLookup(wanted, read_page, sleep)
    pages = lookup.read_first_page()
    is_long = pages > len(ACTIVE_STATUSES) + 2 * math.ceil(len(wanted) / PAGE_SIZE)
    # Where more calls may have ended than the list has pages, the full list may follow: not worth it for a few pages.
    is_worth_it = is_long and (len(wanted) <= pages or pages > _FEW_PAGES)
    pages_left = lookup.read_active_lists(most_pages=pages) if is_worth_it else 0
    if pages_left > 0:
        missing = list(lookup.missing.values())
        most = len(missing) if lookup.lists_stood_still else min(len(missing), pages_left, MAX_SEARCHES)
        if len(missing) <= pages and all(ref.to for ref in missing):
            # Random, so that every call that is left out has the same chance the next time.
            for ref in random.sample(missing, most):
                lookup.take(search(ref))
            return lookup.found
    lookup.read_list(None)
    return lookup.found


class _ListLookup:
    """The calls found so far, and the first pages of lists, which are not read twice."""

    def __init__(
        self,
        wanted: Mapping[str, CallRef],
        read_page: Callable[[str | None, int], Page],
        sleep: Callable[[float], None],
    ) -> None:
        self._sleep = sleep
        self.missing = dict(wanted)
        self.found: dict[str, Call] = {}
        self._read_page = read_page
        self._first_pages: dict[str | None, Page] = {}
        self._active_total = 0
        self._active_ids: set[str] = set()

    @property
    def lists_stood_still(self) -> bool:
        """Whether the active lists showed as many calls as their first pages counted."""
        return len(self._active_ids) == self._active_total

    def take(self, call: Call | None) -> None:
        if call is not None and self.missing.pop(call.id, None) is not None:
            self.found[call.id] = call

    def read_first_page(self) -> int:
        """Read the first page of the full list; return how many pages it has, 0 where the vendor does not state it."""
        page = self._first_pages[None] = self._read_page(None, 1)
        return page.last_page or 0

    def read_active_lists(self, *, most_pages: int) -> int:
        """Read the lists of the active statuses, unless that is not worth its requests.

        The first pages are read ahead, for their counts alone decide: the lists must be shorter than the full list,
        and the calls that are in none of them few enough to be searched for.

        :param most_pages: pages of the full list.
        :return: the pages left of these; 0 or less when the lists were not read to their ends.
        """
        firsts = [self._read_page(status, 1) for status in ACTIVE_STATUSES]
        active = self._active_total = sum(len(page.calls) if page.total is None else page.total for page in firsts)
        ended = len(self.missing) - active
        for page in firsts:
            for call in page.calls:
                self.take(call)
        pages_left = most_pages - sum(page.last_page or 1 for page in firsts)
        if pages_left > 0 and ended <= most_pages:
            # Only the first of these pages is still good: calls have moved into the later lists since.
            self._first_pages[ACTIVE_STATUSES[0]] = firsts[0]
            for status in ACTIVE_STATUSES:
                self.read_list(status)
            return pages_left
        return 0

    def read_list(self, status: str | None) -> None:
        """Read a list until nothing is missing.

        :param status: the list's status; None: the list of all calls.
        """
        if not self.missing:
            return
        first = self._first_pages.pop(status, None) or self._read_page(status, 1)
        once = [first]  # a second pass reads it anew
        calls = iter_pages(
            lambda number: once.pop() if number == 1 and once else self._read_page(status, number),
            name="Talkover's call list",
            passes=2 if (first.last_page or 0) <= _SHORT_LIST else 1,
            must_be_complete=False,
            sleep=self._sleep,
        )
        for call in calls:
            if status is not None:
                self._active_ids.add(call.id)
            self.take(call)
            if not self.missing:
                break
