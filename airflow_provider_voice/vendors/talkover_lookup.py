"""Finds many of Talkover's calls in the lists of some days, with as few requests as the lists allow.

Knows neither HTTP nor the vendor object: it is handed one callable that reads a page and one that searches a call.
"""

from __future__ import annotations

import math
import random
from typing import TYPE_CHECKING

from airflow_provider_voice.vendors.pagination import iter_pages

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from airflow_provider_voice.models import Call, CallRef
    from airflow_provider_voice.vendors.pagination import Page

PER_PAGE = 100  # the documented maximum (Talkover docs: list-calls)
#: Statuses of calls that have not ended (Talkover docs: get-active-call), in the order in which a call goes through
#: them: a call that moves on while the lists are read moves into a list that is read later.
ACTIVE_STATUSES = ("initiated", "ringing", "answered")
#: Single calls searched for in one look-up; the others are left to the next one.
MAX_SEARCHES = 10
# A list of so few pages is read again at once when it changed meanwhile; a longer one is left to the next look-up.
_SHORT_LIST = 3
_FEW_PAGES = 12


def find_in_lists(
    wanted: Mapping[str, CallRef],
    read_page: Callable[[str | None, int], Page],
    search: Callable[[CallRef], Call | None],
    sleep: Callable[[float], None],
) -> dict[str, Call]:
    """Return the calls that the lists show; a call that moves between pages meanwhile may be absent.

    1. Where the whole list is short against the number of wanted calls, it is read.
    2. Where it is long (other people's calls of the day), the lists of the active statuses are read. What is in none of
       them has ended, mostly: a few are searched for alone; where they are many, the whole list is read after all.

    :param wanted: the calls by id.
    :param read_page: reads the list of one status (None: of all calls), and the page of that number.
    :param search: looks up one call by its number.
    :param sleep: waits between two passes.
    :return: call id -> call.
    """
    lookup = _ListLookup(wanted, read_page, sleep)
    pages = lookup.read_first_page()
    is_long = pages > len(ACTIVE_STATUSES) + 2 * math.ceil(len(wanted) / PER_PAGE)
    # Where more calls may have ended than the list has pages, the whole list may follow: not worth it for a few pages.
    is_worth_it = is_long and (len(wanted) <= pages or pages > _FEW_PAGES)
    pages_left = lookup.read_active_lists(most_pages=pages) if is_worth_it else 0
    if pages_left > 0:
        missing = list(lookup.missing.values())
        if len(missing) <= pages and all(ref.to for ref in missing):
            # random is right here: what is left out has the same chance the next time
            chosen = random.sample(missing, min(len(missing), pages_left, MAX_SEARCHES))
            for ref in chosen:
                lookup.take(search(ref))
            return lookup.found
    lookup.read_list(None)
    return lookup.found


class _ListLookup:
    """What was found so far, and the first page of the whole list, which is read only once."""

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
        self._first_page: Page | None = None

    def take(self, call: Call | None) -> None:
        if call is not None and self.missing.pop(call.id, None) is not None:
            self.found[call.id] = call

    def read_first_page(self) -> int:
        """Read the first page of the whole list; return how many pages it has, 0 where the vendor does not say."""
        self._first_page = self._read_page(None, 1)
        return self._first_page.last_page or 0

    def read_active_lists(self, *, most_pages: int) -> int:
        """Read the lists of the active statuses while they are not longer than ``most_pages`` together.

        :return: the pages left; 0 or less when the lists are too long.
        """
        for status in ACTIVE_STATUSES:
            most_pages -= self.read_list(status, most_pages=most_pages)
            if most_pages <= 0:
                break
        return most_pages

    def read_list(self, status: str | None, *, most_pages: int | None = None) -> int:
        """Read a list until nothing is missing, or not further than its first page when it has too many pages.

        :return: the pages it has, as far as is known.
        """
        if not self.missing:
            return 0
        first = self._first_page if status is None and self._first_page else self._read_page(status, 1)
        pages = first.last_page or 1
        if most_pages is not None and pages > most_pages:
            return pages
        once = [first]  # a second pass reads it anew
        calls = iter_pages(
            lambda number: once.pop() if number == 1 and once else self._read_page(status, number),
            page_size=PER_PAGE,
            name="Talkover's call list",
            passes=2 if pages <= _SHORT_LIST else 1,
            must_be_complete=False,
            sleep=self._sleep,
        )
        for call in calls:
            self.take(call)
            if not self.missing:
                break
        return pages
