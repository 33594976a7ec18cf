"""Finds many of Talkover's calls in the lists of some days, with as few requests as the lists allow.

Knows neither HTTP nor the vendor object: it is handed one callable that reads a page and one that searches a call.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from airflow_provider_voice.vendors.pagination import PAGE_SIZE, search_pages

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from airflow_provider_voice.models import Call, CallRef
    from airflow_provider_voice.vendors.pagination import Page

#: Statuses of calls that have not ended (Talkover docs: get-active-call), in the order in which a call goes through
#: them: a call whose status changes while the lists are read moves into a list that is read later.
ACTIVE_STATUSES = ("initiated", "ringing", "answered")
# The counts of the active calls cost three requests, which a list of fewer pages does not save.
_FEW_PAGES = 12


def find_in_lists(
    wanted: Mapping[str, CallRef],
    read_page: Callable[[str | None, int], Page],
    search: Callable[[Mapping[str, CallRef]], Mapping[str, Call]],
) -> dict[str, Call]:
    """Return the calls that the lists show; a call that moves between pages meanwhile may be absent.

    1. Where the full list is short against the number of wanted calls, it is read.
    2. Where it is long (other people's calls of the day), the lists of the active statuses are read, as long as their
       counts leave requests for the calls that have ended. A call in none of them has usually ended and is searched for
       alone; where these are more than the full list has pages, that list is read after all.

    :param wanted: the calls by id.
    :param read_page: reads the list of one status (None: of all calls), and the page of that number.
    :param search: finds each call alone, by its number.
    :return: call id -> call.
    """
    missing = dict(wanted)
    found: dict[str, Call] = {}

    def take(calls: Iterable[Call]) -> None:
        for call in calls:
            if missing.pop(call.id, None) is not None:
                found[call.id] = call
            if not missing:
                break

    def read(status: str | None, first: Page) -> None:
        take(search_pages(lambda number: first if number == 1 else read_page(status, number)))

    full = read_page(None, 1)
    pages = full.last_page or 0
    if pages > _FEW_PAGES + 2 * math.ceil(len(wanted) / PAGE_SIZE):
        firsts = {status: read_page(status, 1) for status in ACTIVE_STATUSES}
        active = sum(len(page.calls) if page.total is None else page.total for page in firsts.values())
        pages_left = pages - sum(page.last_page or 1 for page in firsts.values())
        if max(0, len(wanted) - active) < pages_left:
            for status, first in firsts.items():
                read(status, first)
            if len(missing) <= pages and all(ref.to for ref in missing.values()):
                # All of them: a caller takes a call that is absent for one that the vendor does not show.
                take(search(dict(missing)).values())
                return found
    read(None, full)
    return found
