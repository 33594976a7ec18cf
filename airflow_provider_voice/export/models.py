"""Dataclasses shared by exports: windows, scopes and counts."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote

from airflow_provider_voice.exceptions import InvalidRequest
from airflow_provider_voice.phone import shown

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from airflow_provider_voice.models import Direction

#: How phone numbers are stored: as they are, masked, or as a hash that still joins.
PhoneNumberMode = Literal["plain", "masked", "hashed"]
FileFormat = Literal["parquet", "jsonl"]
# Names of tables and schemas, which are written into statements.
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_$]{0,49}")

# Bytes of a key column (255) that the longest kind and a separator leave free.
_MOST_KEY_BYTES = 200


def check_identifier(name: str, value: object) -> None:
    """Refuse a name of a table or a schema that is not a plain identifier.

    :param name: the argument's name, for the error.
    :param value: the argument.
    :raises InvalidRequest: naming the argument.
    """
    if not isinstance(value, str) or not _IDENTIFIER.fullmatch(value):
        raise InvalidRequest(f"{name} must be a name of at most 50 letters, digits and _, not {shown(value)}.")


@dataclass(frozen=True)
class Window:
    """A half-open stretch of creation times.

    :param start: the first instant that belongs to it, aware.
    :param end: the first instant after it, aware.
    """

    start: datetime
    end: datetime

    def __bool__(self) -> bool:
        """Return whether any instant lies in the window."""
        return self.start < self.end

    def __contains__(self, moment: object) -> bool:
        """Return whether an instant lies in the window."""
        return moment is not None and self.start <= moment < self.end  # type: ignore[operator]  # only datetimes are asked

    def cut(self, start: datetime, end: datetime) -> Window:
        """Return the part of the window between two instants.

        :param start: the first instant to keep, aware.
        :param end: the first instant after the part, aware.
        :return: the part; an empty window when no instant of the window lies between them.
        """
        first = max(self.start, start)
        return Window(first, max(first, min(self.end, end)))


def joined(windows: Iterable[Window]) -> list[Window]:
    """Join windows that overlap or touch.

    :param windows: the windows in any order; empty ones are left out.
    :return: windows in order of time, with a gap between each two.
    """
    spans: list[Window] = []
    for window in sorted(filter(None, windows), key=lambda one: one.start):
        if spans and window.start <= spans[-1].end:
            spans[-1] = Window(spans[-1].start, max(spans[-1].end, window.end))
        else:
            spans.append(window)
    return spans


def without(windows: Iterable[Window], taken: Iterable[Window]) -> list[Window]:
    """Return the parts of windows that other windows do not cover.

    :param windows: the windows in any order.
    :param taken: the windows to subtract.
    :return: the remaining parts in order of time, joined as by :func:`joined`.
    """
    left = joined(windows)
    for gone in taken:
        before = [window.cut(window.start, gone.start) for window in left]
        after = [window.cut(gone.end, window.end) for window in left]
        left = joined([*before, *after])
    return left


@dataclass(frozen=True)
class Scope:
    """The calls that an export is about: those of a source, or some of them.

    The log keeps scopes apart: an export of one agent's calls does not cover another agent's.

    :param source: the first key column, by default the voice connection's id.
    :param agent_id: only calls of this agent; None: of every agent.
    :param direction: only ``inbound`` or ``outbound`` calls; None: both.
    """

    source: str
    agent_id: str | None = None
    direction: Direction | None = None

    @property
    def filters(self) -> dict[str, str]:
        """The columns the export is limited by, with their values."""
        both = {"agent_id": self.agent_id, "direction": self.direction}
        return {name: str(value) for name, value in both.items() if value}  # the columns are text

    def kind(self, kind: str) -> str:
        """Return the log's name for lines of one kind and this scope.

        :param kind: ``run``, ``covered``, ``unread`` or ``hour``.
        :return: the kind, followed by the filters where there are any.
        """
        filters = " ".join(f"{name}={quote(value, safe='')}" for name, value in self.filters.items())
        return f"{kind} {fitting(filters)}" if filters else kind


def fitting(name: str) -> str:
    """Return a name that fits a key column.

    :param name: a name of any length.
    :return: the name itself when it has at most 200 bytes; otherwise its first 100 characters, percent-encoded, and a
        hash of the whole name.
    """
    if len(name.encode()) <= _MOST_KEY_BYTES:
        return name
    return f"{quote(name)[:100]}#{hashlib.sha256(name.encode()).hexdigest()}"


@dataclass
class Loaded:
    """Result of an export into a table; counts are rows.

    :param fetched: rows that the vendor showed.
    :param inserted: rows that are new in the table.
    :param updated: rows whose content changed.
    :param unchanged: rows that were stored as they are.
    :param stale_ignored: rows that another run has read more recently.
    :param unsettled: rows of the source that the next run reads again.
    :param missing: unsettled rows that the vendor did not show in this run, or answered with a server error.
    :param abandoned: rows that this run gave up on, see ``abandon_after``.
    :param changed_days: UTC days (``YYYY-MM-DD``) on which the inserted and updated calls were created.
    :param holes: stretches that no export covers, between or after covered ones: ``start`` and ``end``, ISO 8601.
    :param hours: for each hour that was read ``hour``, ``at_vendor``, ``in_table`` and ``changed``.

    >>> Loaded(fetched=3, inserted=1, updated=1, unchanged=1, changed_days=["2026-11-21"]).changed_days
    ['2026-11-21']
    """

    fetched: int = 0
    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    stale_ignored: int = 0
    unsettled: int = 0
    missing: int = 0
    abandoned: int = 0
    changed_days: list[str] = field(default_factory=list)
    holes: list[dict[str, str | None]] = field(default_factory=list)
    hours: list[dict[str, Any]] = field(default_factory=list)
