"""Rows on disk between reading and loading, so that neither memory nor a transaction waits for the vendor."""

from __future__ import annotations

import pickle
import tempfile
from abc import ABC, abstractmethod
from collections import Counter
from contextlib import suppress
from datetime import datetime
from typing import IO, TYPE_CHECKING, Any

import msgspec

from airflow_provider_voice.export.rows import COLUMNS, TIMES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import TracebackType

    from airflow_provider_voice.export.rows import Row

#: Rows that are written at once.
BATCH = 1000


class RowBuffer(ABC):
    """Rows in a temporary file that goes with the process; a subclass defines their form."""

    def __init__(self) -> None:
        # Without a name: only this process can read it, and a killed one leaves nothing behind.
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed by __exit__
        self._batch: list[Row] = []
        self._created: list[datetime] = []
        self._hours: Counter[str] = Counter()
        self.count = 0

    def __enter__(self) -> RowBuffer:
        """Return the buffer."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Delete the file."""
        self._file.close()

    def add(self, row: Row, created_at: datetime | None = None) -> None:
        """Add one row.

        :param row: the row.
        :param created_at: when its call was created, for a row that :meth:`hours` counts; None: it is not counted.
        """
        self._batch.append(row)
        self.count += 1
        if created_at is not None:
            self._created.append(created_at)
        if len(self._batch) >= BATCH:
            self._flush()

    def file(self) -> IO[bytes]:
        """Return the file with all rows, at its beginning."""
        self._flush()
        self._file.flush()
        self._file.seek(0)
        return self._file

    def hours(self) -> dict[datetime, int]:
        """Return how many rows of the exported windows were created in each hour, UTC; see :meth:`add`."""
        self._flush()
        return {datetime.fromisoformat(f"{hour}:00:00+00:00"): count for hour, count in self._hours.items()}

    def _flush(self) -> None:
        if not self._batch:
            return
        # The text of a whole batch at once takes a tenth of the time of an hour per row.
        self._hours.update([text[:13] for text in msgspec.to_builtins(self._created)])
        self._file.write(self._encoded(self._batch))
        self._batch, self._created = [], []

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
        columns: list[Sequence[Any]] = list(zip(*batch, strict=True))
        for place in TIMES:
            columns[place] = [self._time(value) if isinstance(value, datetime) else value for value in columns[place]]
        return pickle.dumps(list(zip(*columns, strict=True)), protocol=pickle.HIGHEST_PROTOCOL)


class CsvRowBuffer(RowBuffer):
    """Rows as CSV, for databases that read it by themselves.

    The delimiter and the quote are control characters, so that JSON, which is full of the usual ones, is written as it
    is. No value of a row is an empty text, so an empty field is NULL. Times are ISO 8601 in UTC.
    """

    DELIMITER, QUOTE = "\x01", "\x02"
    _SPECIAL = (DELIMITER, QUOTE, "\r", "\n")
    _NOT_TEXT = tuple(place for place, kind in enumerate(COLUMNS.values()) if kind in ("whole", "number", "flag"))
    # Texts of vendors and users. Other columns have no special sign, and JSON escapes them.
    _TEXT = tuple(place for place, kind in enumerate(COLUMNS.values()) if kind in ("key", "text"))

    def _encoded(self, batch: list[Row]) -> bytes:
        # By columns, which takes a third of the time that rows take.
        columns: list[Sequence[Any]] = list(zip(*batch, strict=True))
        for place in TIMES:
            columns[place] = [time or "" for time in msgspec.to_builtins(columns[place])]
        for place in self._NOT_TEXT:
            columns[place] = ["" if value is None else str(value) for value in columns[place]]
        for place in self._TEXT:
            columns[place] = self._quoted(columns[place])
        return ("\n".join(map(self.DELIMITER.join, zip(*columns, strict=True))) + "\n").encode()

    def _quoted(self, column: Sequence[Any]) -> Sequence[str]:
        """Return texts as fields; the column is searched as one text, because hardly any needs quotes."""
        try:
            together = "".join(column)
        except TypeError:  # there is a None among them
            column = [text or "" for text in column]
            together = "".join(column)
        if not any(sign in together for sign in self._SPECIAL):
            return column
        return [self._quoted_field(text) for text in column]

    def _quoted_field(self, text: str) -> str:
        # Not csv.writer: before Python 3.13 it leaves a bare carriage return unquoted, which ends a line elsewhere.
        if not any(sign in text for sign in self._SPECIAL):
            return text
        return self.QUOTE + text.replace(self.QUOTE, self.QUOTE * 2) + self.QUOTE
