"""The log of exports beside a table: what every run was asked for, which stretches are covered, and counts per hour."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_voice.export.models import Window, gaps, joined, without
from airflow_provider_voice.export.warehouse.dialects import LOG_COLUMNS
from airflow_provider_voice.models import write_time

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from airflow_provider_voice.export.models import Scope
    from airflow_provider_voice.export.warehouse.dialects import SqlDialect


class CoverageLog:
    """The lines of one scope, inside a transaction.

    There are four kinds of lines. ``run``: the window that a run was asked for. ``covered``: a stretch that was read
    completely. ``unread``: what a run was asked for and could not read yet. ``hour``: counts of one hour. Lines of
    ``covered`` and ``unread`` are kept as few as possible: stretches that touch are one line, so that a gap between two
    lines is a hole.

    :param cursor: the transaction's cursor.
    :param dialect: the database's dialect.
    :param scope: the calls whose export is logged.
    """

    def __init__(self, cursor: Any, dialect: SqlDialect, scope: Scope) -> None:
        self._cursor = cursor
        self._dialect = dialect
        self._scope = scope

    def covered(self) -> list[Window]:
        """Return the stretches that were exported, in order of time."""
        return joined(self._windows("covered").values())

    def unread(self) -> list[Window]:
        """Return the stretches that runs requested and could not read yet, in order of time."""
        return joined(self._windows("unread").values())

    def window_of_run(self, run: str) -> Window | None:
        """Return the window that an earlier try of a run was asked for; None when no try has committed.

        :param run: the run's name.
        """
        rows = self._query(self._dialect.run_statement(), "run", run)
        return self._read_window(*rows[0]) if rows else None

    def write_run(self, run: str, requested: Window, count: int, committed_at: datetime) -> None:
        """Write the window of a run, over the line of an earlier try.

        :param run: the run's name.
        :param requested: the window it was asked for; nothing is written of an empty one.
        :param count: the rows it brought.
        :param committed_at: the database's time.
        """
        if requested:
            self._write("run", [(run, requested, count, None, None)], committed_at)

    def cover(self, windows: Iterable[Window], unread: Iterable[Window], committed_at: datetime) -> list[Window]:
        """Add stretches to what is covered.

        :param windows: stretches that were read completely.
        :param unread: stretches that the run was asked for and could not read yet.
        :param committed_at: the database's time.
        :return: the holes: unread stretches, and the gaps between these and the covered ones.
        """
        covered = joined([*self._windows("covered").values(), *windows])
        left = without([*self._windows("unread").values(), *unread], covered)
        self._replace("covered", covered, committed_at)
        self._replace("unread", left, committed_at)
        return joined([*gaps([*covered, *left]), *left])

    def write_hours(
        self, windows: Sequence[Window], at_vendor: Mapping[datetime, int], committed_at: datetime
    ) -> list[dict[str, Any]]:
        """Write, per hour of some windows, how many calls vendor and table have, and the change since the last time.

        :param windows: what was read completely; they may overlap.
        :param at_vendor: how many calls the vendor showed of each hour.
        :param committed_at: the database's time.
        :return: per hour ``hour`` (ISO 8601), ``at_vendor``, ``in_table`` and ``changed``, in rows.
        """
        in_table = self._in_table(windows)
        hours = {write_time(hour) or "": hour for hour in sorted({*at_vendor, *in_table})}
        before = self._logged(list(hours))
        counts = [
            {
                "hour": name,
                "at_vendor": at_vendor.get(hour, 0),
                "in_table": in_table.get(hour, 0),
                "changed": at_vendor.get(hour, 0) - before.get(name, 0),
            }
            for name, hour in hours.items()
        ]
        lines = [
            (entry["hour"], Window(hour, hour + timedelta(hours=1)), *(entry[name] for name in _COUNTS))
            for entry, hour in zip(counts, hours.values(), strict=True)
        ]
        self._write("hour", lines, committed_at)
        return counts

    def _in_table(self, windows: Sequence[Window]) -> dict[datetime, int]:
        dialect, filters = self._dialect, self._scope.filters
        counts: dict[datetime, int] = {}
        for span in joined(windows):
            values = (self._scope.source, dialect.time(span.start), dialect.time(span.end), *filters.values())
            self._cursor.execute(dialect.hours_statement(filters), values)
            for found, count in self._cursor.fetchall():
                hour = dialect.read_time(found)
                if hour is not None:
                    counts[hour] = counts.get(hour, 0) + int(count)
        return counts

    def _logged(self, names: list[str]) -> dict[str, int]:
        """Return how many calls the vendor had of each hour when it was last logged."""
        if not names:
            return {}
        rows = self._query(self._dialect.logged_statement(), "hour", names[0], names[-1])
        return {name: int(count) for name, count in rows}

    def _windows(self, kind: str) -> dict[str, Window]:
        windows = (self._read_window(*row) for row in self._query(self._dialect.windows_statement(), kind))
        return {_name(window): window for window in windows}

    def _read_window(self, start: Any, end: Any) -> Window:
        first, last = self._dialect.read_time(start), self._dialect.read_time(end)
        if first is None or last is None:
            raise ValueError("a line of the log has no window")
        return Window(first, last)

    def _replace(self, kind: str, windows: Iterable[Window], committed_at: datetime) -> None:
        before, after = self._windows(kind), {_name(window): window for window in windows}
        new = [(name, window, None, None, None) for name, window in after.items() if name not in before]
        self._write(kind, new, committed_at)
        # After the new lines: where each statement commits by itself, a stop in between loses no stretch.
        self._forget(kind, [name for name in before if name not in after])

    def _write(self, kind: str, lines: Sequence[Any], committed_at: datetime) -> None:
        """Write lines (name, window, counts) over those of the same name."""
        self._forget(kind, [line[0] for line in lines])
        time, key = self._dialect.time, (self._scope.source, self._scope.kind(kind))
        for some in self._shared_out(lines):
            rows = [
                (*key, name, time(window.start), time(window.end), *counts, time(committed_at))
                for name, window, *counts in some
            ]
            self._cursor.execute(self._dialect.log_statement(len(some)), [value for row in rows for value in row])

    def _forget(self, kind: str, names: Sequence[str]) -> None:
        for some in self._shared_out(names):
            values = (self._scope.source, self._scope.kind(kind), *some)
            self._cursor.execute(self._dialect.forget_statement(len(some)), values)

    def _shared_out(self, lines: Sequence[Any]) -> Iterable[Sequence[Any]]:
        """Return lines in groups that one statement takes; a month has 744 hours."""
        at_once = self._dialect.most_values // len(LOG_COLUMNS)
        return (lines[first : first + at_once] for first in range(0, len(lines), at_once))

    def _query(self, sql: str, kind: str, *values: Any) -> list[Any]:
        self._cursor.execute(sql, (self._scope.source, self._scope.kind(kind), *values))
        return list(self._cursor.fetchall())


_COUNTS = ("at_vendor", "in_table", "changed")


def _name(window: Window) -> str:
    return f"{write_time(window.start)}/{write_time(window.end)}"
