"""The log of exports beside a table: the window of every run, the covered stretches, and counts per hour."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, func, insert, select

from airflow_provider_voice.export.models import Window, joined, without
from airflow_provider_voice.models import read_time, write_time

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from sqlalchemy import ColumnElement

    from airflow_provider_voice.export.models import Scope
    from airflow_provider_voice.export.warehouse.transaction import Transaction

# Older versions of SQLite take 999 values in a statement, and a line has 9.
_LINES_AT_ONCE = 100
_COUNTS = ("at_vendor", "in_table", "changed")


class CoverageLog:
    """The lines of one scope, inside a transaction.

    There are four kinds of lines. ``run``: the window that a run was asked for. ``covered``: a stretch that was read
    completely. ``unread``: a stretch that a run was asked for and could not read yet. ``hour``: counts of one hour.
    ``covered`` and ``unread`` have as few lines as possible: stretches that touch are one line, so that a gap between
    two lines is a hole.

    :param transaction: the table in the transaction.
    :param scope: the calls whose export is logged.
    """

    def __init__(self, transaction: Transaction, scope: Scope) -> None:
        self._transaction = transaction
        self._scope = scope
        self._log = transaction.dialect.log.c

    def covered(self) -> list[Window]:
        """Return the stretches that were exported, in order of time."""
        return joined(self._windows("covered").values())

    def unread(self) -> list[Window]:
        """Return the stretches that runs requested and could not read yet, in order of time."""
        return joined(self._windows("unread").values())

    def window_of_run(self, run: str) -> Window | None:
        """Return the window that an earlier try of a run was asked for.

        :param run: the run's name, from :func:`~airflow_provider_voice.export.windows.run_name`.
        :return: the window; None when no try of the run has committed.
        """
        return self._windows("run", self._log.name == run).get(run)

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
        """Add stretches to the covered ones.

        :param windows: stretches that were read completely.
        :param unread: stretches that the run was asked for and could not read yet.
        :param committed_at: the database's time.
        :return: the holes: from the first to the last of all stretches, what is not covered.
        """
        covered = joined([*self.covered(), *windows])
        left = without([*self.unread(), *unread], covered)
        for kind, stretches in (("covered", covered), ("unread", left)):
            self._forget(kind)
            lines = [(f"{write_time(one.start)}/{write_time(one.end)}", one, None, None, None) for one in stretches]
            self._write(kind, lines, committed_at)
        known = joined([*covered, *left])
        return without([Window(known[0].start, known[-1].end)], covered) if known else []

    def write_hours(
        self, windows: Sequence[Window], at_vendor: Counter[datetime], committed_at: datetime
    ) -> list[dict[str, Any]]:
        """Write, per hour of some windows, how many calls vendor and table have, and the change since the last time.

        :param windows: the stretches that were read completely; they may overlap.
        :param at_vendor: how many calls the vendor showed of each hour.
        :param committed_at: the database's time.
        :return: per hour ``hour`` (ISO 8601), ``at_vendor``, ``in_table`` and ``changed``, in rows.
        """
        in_table, hour_long = self._in_table(windows), timedelta(hours=1)
        hours = {f"{write_time(hour)}": hour for hour in sorted({*at_vendor, *in_table})}
        before = self._logged(list(hours))
        lines = [
            (name, Window(hour, hour + hour_long), at_vendor[hour], in_table[hour], at_vendor[hour] - before[name])
            for name, hour in hours.items()
        ]
        self._write("hour", lines, committed_at)
        return [{"hour": name, **dict(zip(_COUNTS, counts, strict=True))} for name, _, *counts in lines]

    def _in_table(self, windows: Sequence[Window]) -> Counter[datetime]:
        dialect = self._transaction.dialect
        stored, filters = dialect.table.c, self._scope.filters
        hour = dialect.hour(stored.created_at).label("hour")
        of_scope = [stored.source == self._scope.source, *(stored[name] == value for name, value in filters.items())]
        counts: Counter[Any] = Counter()
        for span in joined(windows):
            of_span = (stored.created_at >= span.start, stored.created_at < span.end)
            # A subquery: GROUP BY takes a name for a column of the table first, and the user may have one named hour.
            calls = select(hour).where(*of_scope, *of_span).subquery()
            for found, count in self._transaction.execute(select(calls.c.hour, func.count()).group_by(calls.c.hour)):
                counts[read_time(found)] += int(count)
        return counts

    def _logged(self, names: list[str]) -> Counter[str]:
        """Return how many calls the vendor had of each hour when it was last logged."""
        if not names:
            return Counter()
        lines = select(self._log.name, self._log.at_vendor).where(*self._of_scope("hour"))
        return Counter(dict(self._transaction.execute(lines.where(self._log.name.between(names[0], names[-1])))))

    def _windows(self, kind: str, *conditions: ColumnElement[bool]) -> dict[str, Window]:
        lines = select(self._log.name, self._log.window_start, self._log.window_end)
        rows = self._transaction.execute(lines.where(*self._of_scope(kind), *conditions))
        instant: Any = read_time  # the columns have no NULL
        return {name: Window(instant(start), instant(end)) for name, start, end in rows}

    def _write(self, kind: str, lines: Sequence[Any], committed_at: datetime) -> None:
        """Write lines (name, window, counts) over those of the same name."""
        key = (self._scope.source, self._scope.kind(kind))
        rows = [(*key, name, window.start, window.end, *counts, committed_at) for name, window, *counts in lines]
        for first in range(0, len(rows), _LINES_AT_ONCE):  # a month has 744 hours
            some = rows[first : first + _LINES_AT_ONCE]
            self._forget(kind, self._log.name.in_([row[len(key)] for row in some]))
            self._transaction.execute(insert(self._transaction.dialect.log).values(some))

    def _forget(self, kind: str, *conditions: ColumnElement[bool]) -> None:
        self._transaction.execute(delete(self._transaction.dialect.log).where(*self._of_scope(kind), *conditions))

    def _of_scope(self, kind: str) -> tuple[ColumnElement[bool], ...]:
        return self._log.source == self._scope.source, self._log.kind == self._scope.kind(kind)
