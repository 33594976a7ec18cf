"""Writers of Parquet and JSON Lines; the same rows in the same order give the same bytes."""

from __future__ import annotations

import gzip
from itertools import islice
from typing import IO, TYPE_CHECKING

import msgspec

from airflow_provider_voice.exceptions import InvalidRequest
from airflow_provider_voice.export.rows import BOOKKEEPING, COLUMNS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from airflow_provider_voice.export.rows import Row

#: The table's columns without the last ones, which say when a row was seen, so that unchanged calls give the same file.
FILE_COLUMNS = {name: kind for name, kind in COLUMNS.items() if name not in BOOKKEEPING}
ROW_GROUP = 20_000


def _write_parquet(file: IO[bytes], rows: Iterable[Row]) -> None:
    """Write rows as Parquet: text, whole numbers, times in UTC with microseconds, ``raw`` as JSON text.

    A row group has :data:`ROW_GROUP` rows; no more are in memory at a time.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise InvalidRequest("Parquet needs pyarrow: install airflow-provider-voice[parquet].") from None

    types = dict.fromkeys(("key", "text", "json"), pa.string())
    types |= {"whole": pa.int64(), "number": pa.float64(), "flag": pa.bool_(), "time": pa.timestamp("us", tz="UTC")}
    schema = pa.schema([(name, types[kind]) for name, kind in FILE_COLUMNS.items()])
    left = iter(rows)
    with pq.ParquetWriter(file, schema, compression="zstd") as writer:
        while group := list(islice(left, ROW_GROUP)):
            columns = zip(*group, strict=True)
            writer.write_table(pa.table(dict(zip(FILE_COLUMNS, columns, strict=False)), schema))  # the first of a row


def _write_jsonl(file: IO[bytes], rows: Iterable[Row]) -> None:
    """Write rows as gzipped JSON Lines: times in ISO 8601, ``raw`` as an object."""
    # Without name and time in the gzip header, so that the same rows give the same bytes.
    with gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as packed:
        for row in rows:
            record = dict(zip(FILE_COLUMNS, row, strict=False))  # the first of a row
            record["raw"] = msgspec.Raw(record["raw"].encode())
            packed.write(msgspec.json.encode(record) + b"\n")


#: Format -> ending of the file name, and its writer.
FORMATS: dict[str, tuple[str, Callable[[IO[bytes], Iterable[Row]], None]]] = {
    "parquet": ("parquet", _write_parquet),
    "jsonl": ("jsonl.gz", _write_jsonl),
}
