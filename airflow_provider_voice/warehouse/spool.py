"""Rows on disk between the pull and the merge, so that neither memory nor a transaction waits for the vendor."""

from __future__ import annotations

import pickle
import tempfile
from abc import ABC, abstractmethod
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime
    from types import TracebackType

    from airflow_provider_voice.warehouse.rows import Row

BATCH = 1000


class Spool(ABC):
    """Rows in a temporary file that goes with the process; a subclass says in which form."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file
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
        self.file.close()

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

    def rewound(self) -> IO[bytes]:
        """Return the file from its beginning, complete."""
        self._flush()
        self.file.flush()
        self.file.seek(0)
        return self.file

    def _flush(self) -> None:
        if self._batch:
            self._write(self._batch)
            self._batch = []

    @abstractmethod
    def _write(self, batch: list[Row]) -> None: ...


class RowSpool(Spool):
    """Rows as Python's own values, for drivers that take parameters.

    :param adapted: makes of a row what the driver takes.
    """

    def __init__(self, adapted: Callable[[Row], Row]) -> None:
        # Without a name: only this process can read it.
        super().__init__(tempfile.TemporaryFile())  # noqa: SIM115 - closed by __exit__
        self._adapted = adapted

    def batches(self) -> Iterator[list[Row]]:
        """Yield the rows, :data:`BATCH` at a time."""
        file = self.rewound()
        while True:
            try:
                # Our own file, which nobody else could have written to.
                yield pickle.load(file)  # noqa: S301
            except EOFError:
                break

    def _write(self, batch: list[Row]) -> None:
        pickle.dump([self._adapted(row) for row in batch], self.file, protocol=pickle.HIGHEST_PROTOCOL)


class CsvSpool(Spool):
    """Rows as CSV, for databases that read it by themselves: the text is made while pages are awaited.

    The delimiter and the quote are control characters, so that JSON, which is full of the usual ones, is written as it
    is. No value of a row is an empty text, so an empty field is NULL. Times are written in UTC.
    """

    DELIMITER, QUOTE = "\x01", "\x02"

    def __init__(self) -> None:
        # With a name, for DuckDB opens it itself; it can be read by this user only, and goes with the process.
        super().__init__(tempfile.NamedTemporaryFile(suffix=".csv"))  # noqa: SIM115 - closed by __exit__

    @property
    def path(self) -> str:
        """Where the file is, complete."""
        self.rewound()
        return str(self.file.name)

    def _write(self, batch: list[Row]) -> None:
        lines = [
            self.DELIMITER.join(["" if value is None else value if type(value) is str else str(value) for value in row])
            for row in batch
        ]
        text = "\n".join(lines)
        if not self._is_plain(text, batch):
            text = "\n".join(self.DELIMITER.join(map(self._quoted, row)) for row in batch)
        self.file.write(text.encode())
        self.file.write(b"\n")

    def _quoted(self, value: Any) -> str:
        # Not csv.writer: before Python 3.13 it leaves a bare carriage return unquoted, which ends a line elsewhere.
        text = "" if value is None else str(value)
        if not any(sign in text for sign in (self.DELIMITER, self.QUOTE, "\r", "\n")):
            return text
        return self.QUOTE + text.replace(self.QUOTE, self.QUOTE * 2) + self.QUOTE

    def _is_plain(self, text: str, batch: list[Row]) -> bool:
        """Tell whether nothing needs quotes; asked of a batch at once, because that costs next to nothing."""
        return (
            self.QUOTE not in text
            and "\r" not in text
            and text.count("\n") == len(batch) - 1
            and text.count(self.DELIMITER) == len(batch) * (len(batch[0]) - 1)
        )
