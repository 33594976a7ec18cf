"""The words of an export: its bounds, what of a source it takes, what one load brings and what it did."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from datetime import datetime, timedelta

    from airflow_provider_voice.export.row_buffer import RowBuffer


#: How phone numbers are stored: as they are, masked, or as a hash that still joins.
NUMBER_MODES = ("plain", "masked", "hashed")


#: The log's words for a run that goes on from the last one, and for one whose bounds were given.
RUN_KINDS = ("run", "asked")


@dataclass(frozen=True)
class Window:
    """The bounds of an export: created at or after ``start`` and before ``end``."""

    start: datetime
    end: datetime


def joined(windows: Iterable[Window]) -> list[Window]:
    """Join windows that overlap or touch, in order of time."""
    spans: list[Window] = []
    for window in sorted(windows, key=lambda one: one.start):
        if spans and window.start <= spans[-1].end:
            spans[-1] = Window(spans[-1].start, max(spans[-1].end, window.end))
        else:
            spans.append(window)
    return spans


@dataclass(frozen=True)
class Scope:
    """What is exported: a source, or some of its calls only.

    The log keeps scopes apart: an export of one agent says nothing of how far another one's came.
    """

    source: str
    agent_id: str | None = None
    direction: str | None = None

    @property
    def filters(self) -> dict[str, str]:
        """The columns the export is limited by."""
        both = {"agent_id": self.agent_id, "direction": self.direction}
        return {name: value for name, value in both.items() if value}

    def kind(self, word: str) -> str:
        """Return the log's word for lines of this scope."""
        return " ".join([word, *(f"{name}={value}" for name, value in self.filters.items())])


@dataclass(frozen=True)
class Load:
    """What one transaction brings.

    :param scope: what is exported.
    :param run: names the run, so that a rerun finds its own bounds again.
    :param window: what was read completely.
    :param rows: the rows, spooled.
    :param fetched_at: when they were read.
    :param settle_after: how long a row must stay the same to be settled.
    :param missing: ids of stored rows that the vendor no longer shows.
    :param rechecked: earlier exported windows that were read completely once more.
    :param asked: whether the bounds were given: such a run may lie ahead of those that go on from each other.
    """

    scope: Scope
    run: str
    window: Window
    rows: RowBuffer
    fetched_at: datetime
    settle_after: timedelta
    missing: Collection[str] = ()
    rechecked: Sequence[Window] = ()
    asked: bool = False

    @property
    def run_kind(self) -> str:
        """The log's word for the run: one of :data:`RUN_KINDS`."""
        return RUN_KINDS[self.asked]


@dataclass
class Merged:
    """What a merge did, in rows."""

    inserted: int
    updated: int
    stale_ignored: int


@dataclass
class Survey:
    """What a stage brings, in rows."""

    staged: int
    known: int = 0
    stale: int = 0
    newer: int = 0
    unsettled: int = 0
    missing: int = 0


@dataclass
class Loaded:
    """What the transaction did, in rows."""

    fetched: int = 0
    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    stale_ignored: int = 0
    unsettled: int = 0
    missing: int = 0
    hours: list[dict[str, Any]] = field(default_factory=list)
