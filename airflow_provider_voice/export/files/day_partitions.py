"""Rows on disk between reading and writing: by day, and in order of time."""

from __future__ import annotations

import pickle
import sqlite3
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from airflow_provider_voice.exceptions import IncompleteHistory

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from airflow_provider_voice.export.rows import Row


class DayRows(AbstractContextManager["DayRows"]):
    """Rows on disk by the UTC day of their creation; SQLite sorts them, in a few MiB of memory.

    Example::

        with DayRows() as days:
            days.add(row, created_at)
            for day in days.counts():
                for row in days.of(day): ...
    """

    def __init__(self) -> None:
        # "" is a database of this connection alone, in a file without a name that is gone when it is closed.
        self._database = sqlite3.connect("")
        self._database.execute("CREATE TABLE calls (day TEXT, created TEXT, id TEXT, row BLOB)")

    def __exit__(self, *error: object) -> None:
        """Delete the rows."""
        self._database.close()

    def add(self, row: Row, created_at: datetime | None = None) -> None:
        """Keep one row.

        :param row: the row.
        :param created_at: when its call was created, in UTC.
        :raises IncompleteHistory: when the call has no creation time.
        """
        if created_at is None:
            raise IncompleteHistory(
                f"The vendor shows call {row[1]} without a creation time, so it belongs to no day. No file was written."
            )
        created = created_at.isoformat(timespec="microseconds")
        values = (created[:10], created, row[1], pickle.dumps(row, protocol=pickle.HIGHEST_PROTOCOL))
        self._database.execute("INSERT INTO calls VALUES (?, ?, ?, ?)", values)

    def counts(self) -> dict[str, int]:
        """Return the number of rows of each day that has any, by ``YYYY-MM-DD``, in order."""
        return dict(self._database.execute("SELECT day, COUNT(*) FROM calls GROUP BY day ORDER BY day"))

    def of(self, day: str) -> Iterator[Row]:
        """Return the rows of a day.

        :param day: the UTC day, as ``YYYY-MM-DD``.
        :return: an iterator over the rows by the time of their creation, then by id.
        """
        rows = self._database.execute("SELECT row FROM calls WHERE day = ? ORDER BY created, id", (day,))
        return (pickle.loads(row) for (row,) in rows)  # noqa: S301 - our own file, which nobody else could have written
