"""Sets of files in a storage: each file whole or absent, and a manifest that lists them."""

from __future__ import annotations

import hashlib
import os
import tempfile
from datetime import timedelta
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec

from airflow_provider_voice.exceptions import StorageFailed
from airflow_provider_voice.export.errors import without_row_values
from airflow_provider_voice.export.files.formats import FILE_COLUMNS, FORMATS
from airflow_provider_voice.models import write_time

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable
    from datetime import datetime

    from airflow.sdk import ObjectStoragePath

    from airflow_provider_voice.export.files.day_partitions import DayRows
    from airflow_provider_voice.export.models import Scope, Window
    from airflow_provider_voice.export.rows import Row

_CHUNK = 1024 * 1024


class FileSet:
    """The files of one window below one path.

    :param root: where the files go.
    :param scope: the calls that are exported.
    :param window: the window the run was asked for. It names the files, so that a rerun replaces them.
    :param file_format: ``parquet`` or ``jsonl``.
    """

    def __init__(self, root: ObjectStoragePath, scope: Scope, window: Window, file_format: str) -> None:
        ending, self._write = FORMATS[file_format]
        filters = [f"{name}={quote(value, safe='')}" for name, value in scope.filters.items()]
        name = "_".join([f"{_short(window.start)}-{_short(window.end)}", *filters])
        self._base = root / f"source={quote(scope.source, safe='')}"
        self._window = window
        self._scope = scope
        self._file_name = f"{name}.{ending}"
        self.manifest = self._base / "_manifests" / f"{name}_{file_format}.json"

    def replace(self, days: DayRows, read_at: datetime, *, read_to: datetime) -> dict[str, Any]:
        """Write a file for each day, then the manifest, and remove the files of days that have no calls (any more).

        :param days: the rows.
        :param read_at: when they were read.
        :param read_to: up to where the window was read; earlier than its end when the vendor's clock had not got there.
        :return: the manifest.
        :raises StorageFailed: when the storage cannot be written.
        """
        message = (
            f"The storage failed while the files of {self.manifest} were written ({{error}}). The manifest is "
            "unchanged, unless only the removal of old files failed. A retry writes the set again. Check the path, the "
            "connection and its rights."
        )
        return without_row_values(lambda: self._replace(days, read_at, read_to), StorageFailed, message)

    def _replace(self, days: DayRows, read_at: datetime, read_to: datetime) -> dict[str, Any]:
        counts = days.counts()
        files = [self._put_day(day, days.of(day), count) for day, count in counts.items()]
        manifest = {
            "source": self._scope.source,
            **self._scope.filters,
            "start": write_time(self._window.start),
            "end": write_time(self._window.end),
            "read_to": write_time(read_to),
            "read_at": write_time(read_at),
            "rows": sum(file["rows"] for file in files),
            "columns": list(FILE_COLUMNS),
            "files": files,
        }
        text = msgspec.json.format(msgspec.json.encode(manifest), indent=2)
        _put(self.manifest, lambda file: file.write(text))
        self._remove_stale(counts)
        return manifest

    def _remove_stale(self, written: Collection[str]) -> None:
        """Remove the files that earlier tries wrote for other days, also a try that broke off before its manifest."""
        day, last = self._window.start.date(), self._window.end.date()
        while day <= last:
            if str(day) not in written:
                (self._base / f"day={day}" / self._file_name).unlink(missing_ok=True)
            day += timedelta(days=1)

    def _put_day(self, day: str, rows: Iterable[Row], count: int) -> dict[str, Any]:
        name = f"day={day}/{self._file_name}"
        written = _put(self._base / name, lambda file: self._write(file, rows))
        return {"path": name, "day": day, "rows": count, **written}


def _put(target: ObjectStoragePath, write: Callable[[IO[bytes]], object]) -> dict[str, Any]:
    """Put a file in its place in one step: an object appears when it is complete, a local file is renamed.

    :param target: the place.
    :param write: writes the file's content.
    :return: the size and the hash of the content.
    """
    with tempfile.NamedTemporaryFile() as local:
        write(local)
        size = local.tell()
        local.seek(0)  # also flushes it
        digest = hashlib.sha256()
        while chunk := local.read(_CHUNK):
            digest.update(chunk)
        if target.protocol in ("file", "local", ""):
            target.parent.mkdir(parents=True, exist_ok=True)
            beside = target.parent / f".{target.name}.{os.getpid()}"
            beside.fs.put_file(local.name, beside.path)
            os.replace(beside.path, target.path)  # noqa: PTH105 - Path.replace of an ObjectStoragePath copies
        else:
            target.fs.put_file(local.name, target.path)
    return {"bytes": size, "sha256": digest.hexdigest()}


def _short(moment: datetime) -> str:
    return (write_time(moment) or "").replace("-", "").replace(":", "")
