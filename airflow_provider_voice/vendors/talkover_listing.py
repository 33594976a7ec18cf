"""Looking for many of Talkover's calls in the lists of some days: what that would cost, and doing it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from airflow_provider_voice.exceptions import IncompleteHistory

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

    from airflow_provider_voice.models import Call, CallRef
    from airflow_provider_voice.vendors.pagination import Page
    from airflow_provider_voice.vendors.talkover import Talkover

PER_PAGE = 100  # the documented maximum (List calls)
# Not ended (Get active call); a call in a status the filter has no word for is looked for without it.
ACTIVE_WORDS = ("answered", "ringing", "initiated")


class Listing:
    """Reads the call list of some days until every wanted call was seen."""

    def __init__(self, vendor: Talkover, wanted: Mapping[str, CallRef], first: date, last: date) -> None:
        self._vendor = vendor
        self._wanted = wanted
        self._days = (first, last)
        self.found: dict[str, Call] = {}
        #: Whether a call that is missing is so because the vendor does not show it, and not because rows moved.
        self.is_whole = True
        agents = {ref.agent_id for ref in wanted.values()}
        self._agent_id = agents.pop() if len(agents) == 1 else None
        # Our tag is on calls we placed, and those are outbound.
        self._direction = "outbound" if all(ref.tag for ref in wanted.values()) else None
        self._doing = f"{len(wanted)} calls"
        # Read first: it says how long the list is. By status; None is the list of all.
        self._first_pages: dict[str | None, Page] = {None: self._first_page(None)}

    def _first_page(self, status: str | None) -> Page:
        filters = {"agent_id": self._agent_id, "direction": self._direction, "status": status}
        return self._vendor.page_reader(filters, *self._days, self._doing)(1)

    @property
    def pages(self) -> int:
        """How many pages the whole list has; 0 where the vendor does not say."""
        return self._first_pages[None].last_page or 0

    def active_ones_are_cheaper(self) -> bool:
        """Ask how many calls are active, and compare: their pages and a search for each of ours that is not."""
        firsts: dict[str | None, Page] = {word: self._first_page(word) for word in ACTIVE_WORDS}
        self._first_pages.update(firsts)
        active, pages = (sum(getattr(page, name) or 0 for page in firsts.values()) for name in ("total", "last_page"))
        return pages + max(0, len(self._wanted) - active) < self.pages

    @property
    def is_long(self) -> bool:
        """Whether the list is longer than the lists of the active statuses could well be together."""
        return self.pages > len(ACTIVE_WORDS) + 2 * math.ceil(len(self._wanted) / PER_PAGE)

    @property
    def missing(self) -> dict[str, CallRef]:
        """The calls that were not seen so far."""
        return without(self._wanted, self.found)

    @property
    def searches_left(self) -> float:
        """How many searches the missing calls would cost; no search finds one without its number."""
        missing = self.missing
        return len(missing) if all(ref.to for ref in missing.values()) else math.inf

    def read(self, status: str | None = None) -> None:
        """Read the list (of one status), and stop as soon as nothing is missing."""
        missing = self.missing
        if not missing:
            return
        calls = self._vendor.listed(
            *self._days,
            agent_id=self._agent_id,
            direction=self._direction,
            status=status,
            doing=self._doing,
            first_page=self._first_pages.get(status),
        )
        try:
            for call in calls:
                if call.id in missing:
                    self.found[call.id] = call
                    del missing[call.id]
                    if not missing:
                        return
        except IncompleteHistory:
            self.is_whole = False


def without(wanted: Mapping[str, CallRef], found: Mapping[str, Call]) -> dict[str, CallRef]:
    """Return the wanted calls that were not found."""
    return {key: ref for key, ref in wanted.items() if key not in found}
