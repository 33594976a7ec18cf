"""Rows on disk between the pull and the merge, so that neither memory nor a transaction waits for the vendor."""

from __future__ import annotations

import pickle
import tempfile
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from types import TracebackType

    from airflow_provider_voice.warehouse.rows import Row

BATCH = 1000


class Spool:
    """Rows in a temporary file that has no name: only this process can read it, and it goes with it."""

    def __init__(self) -> None:
        self._file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed by __exit__
        self._batch: list[Row] = []
        self.count = 0
        #: Rows of the exported windows by the hour of their creation, UTC; see :meth:`add`.
        self.hours: dict[datetime, int] = {}

    def __enter__(self) -> Spool:
        """Begin to take rows."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Forget the rows."""
        self._file.close()

    def add(self, row: Row, created_at: datetime | None = None) -> None:
        """Keep one row.

        :param row: the row.
        :param created_at: when its call was created, where it is of an exported window and is to be certified.
        """
        self._batch.append(row)
        self.count += 1
        if created_at is not None:
            hour = created_at.replace(minute=0, second=0, microsecond=0)
            self.hours[hour] = self.hours.get(hour, 0) + 1
        if len(self._batch) >= BATCH:
            self._flush()

    def batches(self) -> Iterator[list[Row]]:
        """Yield the rows, :data:`BATCH` at a time."""
        self._flush()
        self._file.seek(0)
        while True:
            try:
                # Our own file, which nobody else could have written to.
                yield pickle.load(self._file)  # noqa: S301
            except EOFError:
                break
        self._file.seek(0, 2)

    def _flush(self) -> None:
        if self._batch:
            pickle.dump(self._batch, self._file, protocol=pickle.HIGHEST_PROTOCOL)
            self._batch = []
