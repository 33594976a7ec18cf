"""What an export writes down beside its rows: per hour what the vendor and the table have, and how far it came."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_voice.export.models import joined
from airflow_provider_voice.export.warehouse.dialects import LOG_COLUMNS
from airflow_provider_voice.models import write_time

if TYPE_CHECKING:
    from datetime import datetime

    from airflow_provider_voice.export.models import Load, Scope
    from airflow_provider_voice.export.warehouse.dialects import SqlDialect


class CoverageLog:
    """The log of one table, inside the transaction of a load.

    :param cursor: the transaction's.
    :param dialect: the database's.
    """

    def __init__(self, cursor: Any, dialect: SqlDialect) -> None:
        self._cursor = cursor
        self._dialect = dialect

    def certify(self, load: Load) -> list[dict[str, Any]]:
        """Write down, per hour of the load's windows, what vendor and table have, and what changed since last time.

        :return: per hour ``hour`` (ISO 8601), ``at_vendor``, ``in_table`` and ``changed``, in rows.
        """
        in_table, at_vendor = self._in_table(load), load.rows.hours()
        hours = {write_time(hour) or "": hour for hour in sorted({*at_vendor, *in_table})}
        before = self._logged(load.scope, list(hours))
        certified = [
            {
                "hour": name,
                "at_vendor": at_vendor.get(hour, 0),
                "in_table": in_table.get(hour, 0),
                "changed": at_vendor.get(hour, 0) - before.get(name, 0),
            }
            for name, hour in hours.items()
        ]
        lines = [
            (entry["hour"], begin, begin + timedelta(hours=1), entry["at_vendor"], entry["in_table"], entry["changed"])
            for entry, begin in zip(certified, hours.values(), strict=True)
        ]
        self._write(load, "hour", lines)
        return certified

    def write_run(self, load: Load) -> None:
        """Write down the bounds that the load's run has read, over what an earlier try of it wrote.

        Nothing of an empty window: nothing was read, and the next run must not go on from its end.
        """
        if load.window.start >= load.window.end:
            return
        self._write(load, load.run_kind, [(load.run, load.window.start, load.window.end, load.rows.count, None, None)])

    def _in_table(self, load: Load) -> dict[datetime, int]:
        dialect, filters = self._dialect, load.scope.filters
        counts: dict[datetime, int] = {}
        for span in joined([load.window, *load.rechecked]):
            of_span = (load.scope.source, dialect.time(span.start), dialect.time(span.end), *filters.values())
            self._cursor.execute(dialect.hours_statement(filters), of_span)
            for found, count in self._cursor.fetchall():
                hour = dialect.read_time(found)
                if hour is not None:
                    counts[hour] = counts.get(hour, 0) + int(count)
        return counts

    def _logged(self, scope: Scope, names: list[str]) -> dict[str, int]:
        """Return what the vendor had of each hour when it was last certified."""
        if not names:
            return {}
        bounds = (scope.source, scope.kind("hour"), names[0], names[-1])
        self._cursor.execute(self._dialect.logged_statement(), bounds)
        return {name: int(count) for name, count in self._cursor.fetchall()}

    def _write(self, load: Load, kind: str, lines: list[tuple[Any, ...]]) -> None:
        """Write lines (name, start, end, counts) over those of the same name."""
        time, source, kind = self._dialect.time, load.scope.source, load.scope.kind(kind)
        committed = time(load.fetched_at)
        at_once = self._dialect.most_values // len(LOG_COLUMNS)  # a month has 744 lines
        for first in range(0, len(lines), at_once):
            some = lines[first : first + at_once]
            names = [name for name, *_ in some]
            self._cursor.execute(self._dialect.forget_statement(len(some)), (source, kind, *names))
            rows = [
                (source, kind, name, time(start), time(end), *counts, committed) for name, start, end, *counts in some
            ]
            self._cursor.execute(self._dialect.log_statement(len(some)), [value for row in rows for value in row])
