"""The answers of a vendor where its published pages leave the answer open.

The sandbox must not be right by accident: for every fact that no page documents, a test can choose each answer.
Faults (``faults.py``) hit single requests; a quirk holds for as long as the sandbox runs.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Literal

from airflow_provider_voice.sandbox.arguments import check_choices, seconds_of

if TYPE_CHECKING:
    from collections.abc import Mapping

ListOrder = Literal["newest", "oldest", "changed", "shuffled"]
Pagination = Literal["complete", "missing", "off_by_one"]
UpdatedAt = Literal["sent", "missing", "backwards"]


@dataclass(frozen=True)
class VendorQuirks:
    """The open facts of a vendor, each with the answer of this sandbox. A quirk that a vendor cannot have is ignored.

    :param max_page: rows that a page of a list holds at most, however many are requested. Default ``None``: 100,
        1,000 for Talkstack.
    :param order: order of lists: ``newest`` (by creation, default), ``oldest``, ``changed`` (the last changed first)
        or ``shuffled`` (another order in each request).
    :param pagination: Talkover's ``pagination`` object: ``complete`` (default), ``missing`` or ``off_by_one`` (its
        total stays one too high).
    :param total_cap: Talkover counts no further than this in ``total`` and ``last_page``, although later pages have
        rows. Default ``None``: it counts every call.
    :param excludes_last_day: whether the last day of a date filter is left out (Talkover, UnleashX), default False.
    :param day_offset: offset from UTC of the days in date filters (Talkover, UnleashX), from -12 to +14 hours,
        default 0. Talkstack documents UTC.
    :param clock_offset: how far the vendor's clock is ahead of this machine's; negative: behind. Default 0. Like every
        duration here, it is given as a ``timedelta`` or in seconds.
    :param sends_date: whether responses have a ``Date`` header, default True.
    :param list_delay: time until a new call appears in lists and searches, default 0; ``speed`` shortens it.
    :param new_calls_per_page: inbound calls that begin whenever a page of a list is read, default 0.
    :param touched_per_page: how many of the oldest calls change (only their ``updated_at``) whenever a page of a list
        is read, default 0.
    :param updated_at: Talkover's ``updated_at``: ``sent`` (default), ``missing``, or ``backwards`` (each change of a
        call makes it earlier).
    :param statuses: our status, such as ``"completed"``, to the status that the vendor shows for it. Default: the
        documented statuses.
    :raises ValueError: for a value that is not possible.

    >>> from airflow_provider_voice.sandbox import Sandbox
    >>> with Sandbox(quirks=VendorQuirks(max_page=15, pagination="missing")) as sandbox:
    ...     sandbox.rings
    []
    """

    max_page: int | None = None
    order: ListOrder = "newest"
    pagination: Pagination = "complete"
    total_cap: int | None = None
    excludes_last_day: bool = False
    day_offset: timedelta | float = timedelta(0)
    clock_offset: timedelta | float = timedelta(0)
    sends_date: bool = True
    list_delay: timedelta | float = 0.0
    new_calls_per_page: int = 0
    touched_per_page: int = 0
    updated_at: UpdatedAt = "sent"
    statuses: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_choices(self, order=ListOrder, pagination=Pagination, updated_at=UpdatedAt)
        for name in ("max_page", "total_cap"):
            if getattr(self, name) is not None and getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}.")
        if not -12 * 3600 <= seconds_of(self.day_offset) <= 14 * 3600:
            raise ValueError(f"day_offset must be between -12 and +14 hours, not {self.day_offset}.")
