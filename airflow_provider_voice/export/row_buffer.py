"""Rows on disk between reading and loading, so that neither memory nor a transaction waits for the vendor."""

from __future__ import annotations

import pickle
import tempfile
from abc import ABC, abstractmethod
from collections import Counter
from contextlib import AbstractContextManager, suppress
from datetime import datetime
from typing import IO, TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_provider_voice.export.rows import Row

#: Rows that are written at once; few, because the page threads wait for the interpreter while rows are encoded.
BATCH = 200


class RowBuffer(AbstractContextManager["RowBuffer"], ABC):
    """Rows in a temporary file that goes with the process; a subclass defines their form."""

    def __init__(self) -> None:
        # Without a name: only this process can read it, and a killed one leaves nothing behind.
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed by __exit__
        self._batch: list[Row] = []
        self.count = 0
        #: How many rows of the exported windows were created in each hour, UTC; see :meth:`add`.
        self.hours: Counter[datetime] = Counter()

    def __exit__(self, *error: object) -> None:
        """Delete the file."""
        self._file.close()

    def add(self, row: Row, created_at: datetime | None = None) -> None:
        """Add one row.

        :param row: the row.
        :param created_at: when its call was created, for a row that :attr:`hours` counts; None: it is not counted.
        """
        self._batch.append(row)
        self.count += 1
        if created_at is not None:
            self.hours[created_at.replace(minute=0, second=0, microsecond=0)] += 1
        if len(self._batch) >= BATCH:
            self._flush()

    def staged(self) -> Any:
        """Return an open transaction whose stage has all rows; None: only the file has them."""
        return None

    def file(self) -> IO[bytes]:
        """Return the file with all rows, at its beginning."""
        self._flush()
        self._file.flush()
        self._file.seek(0)
        return self._file

    def _flush(self) -> None:
        batch, self._batch = self._batch, []
        if batch:
            self._write(self._encoded(batch))

    def _write(self, block: bytes) -> None:
        self._file.write(block)

    @abstractmethod
    def _encoded(self, batch: list[Row]) -> bytes: ...


class PlainRowBuffer(RowBuffer):
    """Rows as Python's own values, for drivers that take parameters.

    :param time: converts an instant to the driver's type, see :meth:`SqlDialect.time`.
    """

    def __init__(self, time: Callable[[datetime], Any]) -> None:
        super().__init__()
        self._time = time

    def batches(self) -> Iterator[list[Row]]:
        """Yield the rows, :data:`BATCH` at a time."""
        file = self.file()
        with suppress(EOFError):
            while True:
                yield pickle.load(file)  # noqa: S301 - our own file, which nobody else could have written

    def _encoded(self, batch: list[Row]) -> bytes:
        rows = [[self._time(value) if isinstance(value, datetime) else value for value in row] for row in batch]
        return pickle.dumps(rows, protocol=pickle.HIGHEST_PROTOCOL)


class CsvRowBuffer(RowBuffer):
    """Rows as CSV, for databases that read it by themselves.

    The delimiter and the quote are control characters, so that JSON, which is full of the usual ones, is written as it
    is. Every value is in quotes; an empty field without them is NULL. Times are ISO 8601 in UTC.
    """

    DELIMITER, QUOTE = "\x01", "\x02"

    def _encoded(self, batch: list[Row]) -> bytes:
        # Not csv.writer: it looks at each character, takes three times as long, and before Python 3.13 leaves a bare
        # carriage return unquoted, which ends a line elsewhere.
        delimiter, quote, two_quotes = self.DELIMITER, self.QUOTE, self.QUOTE * 2
        lines = [
            delimiter.join(
                ["" if value is None else f"{quote}{str(value).replace(quote, two_quotes)}{quote}" for value in row]
            )
            for row in msgspec.to_builtins(batch)  # makes texts of times
        ]
        return ("\n".join(lines) + "\n").encode()
