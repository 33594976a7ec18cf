"""Rows of CSV, JSONL and Parquet files, one at a time; a malformed file is refused with line and column."""

from __future__ import annotations

import csv
import json
from typing import IO, TYPE_CHECKING, Any

from airflow_provider_voice.exceptions import InvalidRequest
from airflow_provider_voice.phone import mask_numbers_in

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_BATCH = 1000
#: A field of a CSV that is longer is a quote that nobody closed.
_LONGEST_FIELD = 1_000_000


def read_rows(name: str, file: IO[bytes]) -> Iterator[dict[str, Any]]:
    """Yield the rows of a file.

    :param name: its name, whose ending is its format: ``.csv``, ``.jsonl``, ``.ndjson`` or ``.parquet``.
    :param file: the file, opened for reading bytes.
    :return: rows by column name; an empty field of a CSV is None.
    :raises InvalidRequest: for another ending, and for a file that is malformed, with line and column.
    """
    for ending, reader in _READERS.items():
        if name.lower().endswith(ending):
            return reader(name, file)
    raise InvalidRequest(f"Contacts are read from {', '.join(ENDINGS)} files, not from {name!r:.120}.")


def _csv_rows(name: str, file: IO[bytes]) -> Iterator[dict[str, Any]]:
    csv.field_size_limit(max(csv.field_size_limit(), _LONGEST_FIELD))
    reader = csv.reader(_lines(name, file), strict=True)
    header: list[str] = []
    began = 1
    try:
        for fields in reader:
            if not header:
                header = checked_header(name, fields)
            elif fields and len(fields) != len(header):
                column = min(len(fields), len(header)) + 1
                raise _malformed(name, began, column, f"{len(fields)} fields, and the header has {len(header)}")
            elif fields:  # not a blank line
                yield {column: value if value != "" else None for column, value in zip(header, fields, strict=True)}
            began = reader.line_num + 1
    except csv.Error as error:
        raise _malformed(name, reader.line_num, 1, f"{error} (the row begins in line {began})") from None
    if not header:
        raise _malformed(name, 1, 1, "the file is empty, and a CSV begins with a header")


def checked_header(name: str, fields: Iterable[str]) -> list[str]:
    """Return the names of columns, without blanks around them.

    :param name: the source, for the error text.
    :param fields: the names.
    :return: the names.
    :raises InvalidRequest: when a column has no name, or that of another one: only one of them would be used.
    """
    header = [field.strip() for field in fields]
    # With a number among them it is the first line of a file without a header, and its values are somebody's.
    are_values = any(mask_numbers_in(field) != field for field in header)
    for number, column in enumerate(header, 1):
        if not column:
            raise _malformed(name, 1, number, "the column has no name")
        if header.index(column) != number - 1:
            quoted = "" if are_values else f" {column[:40]!r}"
            raise _malformed(name, 1, number, f"the column name{quoted} is used twice")
    return header


def _jsonl_rows(name: str, file: IO[bytes]) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(_lines(name, file), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line, object_pairs_hook=_object)
        except ValueError as error:  # json's own, and those of _object and of an integer that is too long
            raise _malformed(name, number, getattr(error, "colno", 1), getattr(error, "msg", str(error))) from None
        except RecursionError:
            raise _malformed(name, number, 1, "the row is nested too deeply") from None
        if not isinstance(row, dict):
            raise _malformed(name, number, 1, f"a JSON object is needed, not {type(row).__name__}")
        yield row


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    row = dict(pairs)
    if len(row) != len(pairs):
        raise ValueError("an object uses a name twice")
    return row


def _parquet_rows(name: str, file: IO[bytes]) -> Iterator[dict[str, Any]]:
    from pyarrow import parquet  # an extra of this package, and large

    try:
        content = parquet.ParquetFile(file)
        checked_header(name, content.schema_arrow.names)
        for batch in content.iter_batches(_BATCH):
            yield from batch.to_pylist()
    except InvalidRequest:
        raise
    except Exception as error:  # noqa: BLE001 - text, times and zones of a value raise errors of Python's own
        text = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
        raise InvalidRequest(f"{name} is not a readable Parquet file: {text}. Nobody was called.") from None


def _lines(name: str, file: IO[bytes]) -> Iterator[str]:
    for number, line in enumerate(iter(file.readline, b""), 1):
        try:
            yield line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise _malformed(name, number, error.start + 1, "the line is not UTF-8") from None


def _malformed(name: str, line: int, column: int, why: str) -> InvalidRequest:
    return InvalidRequest(f"{name} is malformed at line {line}, column {column}: {why}. Correct it; nobody was called.")


_READERS = {".csv": _csv_rows, ".jsonl": _jsonl_rows, ".ndjson": _jsonl_rows, ".parquet": _parquet_rows}
#: The endings of the names of files that can be read.
ENDINGS = tuple(_READERS)
