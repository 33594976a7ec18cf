"""Sets of files in a storage: each file whole or absent, and a manifest that lists them."""

from __future__ import annotations

import hashlib
import os
import tempfile
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec

from airflow_provider_voice.exceptions import StorageFailed
from airflow_provider_voice.export.errors import without_row_values
from airflow_provider_voice.export.files.formats import FILE_COLUMNS, FORMATS
from airflow_provider_voice.models import write_time

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from datetime import datetime
    from pathlib import Path

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
        self._base = root / f"source={quote(scope.source, safe='')}"
        self._window = window
        self._scope = scope
        self._ending, self._write = FORMATS[file_format]
        parts = [f"{_short(window.start)}-{_short(window.end)}"]
        parts += [f"{name}={quote(value, safe='')}" for name, value in scope.filters.items()]
        self._name = "_".join(parts)
        self.manifest = self._base / "_manifests" / f"{self._name}_{file_format}.json"

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
            "unchanged; a retry writes the set again. Check the path, the connection and its rights."
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
        with tempfile.NamedTemporaryFile() as local:
            local.write(msgspec.json.format(msgspec.json.encode(manifest), indent=2))
            local.flush()
            _put(local.name, self.manifest)
        self._remove_stale(counts)
        return manifest

    def _remove_stale(self, written: Collection[str]) -> None:
        """Remove the files that earlier tries wrote for other days, also a try that broke off before its manifest."""
        day, last = self._window.start.date(), self._window.end.date()
        while day <= last:
            stale = self._base / f"day={day}" / self._file_name
            if str(day) not in written and stale.exists():
                stale.unlink()
            day += timedelta(days=1)

    @property
    def _file_name(self) -> str:
        return f"{self._name}.{self._ending}"

    def _put_day(self, day: str, rows: Iterable[Row], count: int) -> dict[str, Any]:
        name = f"day={day}/{self._file_name}"
        with tempfile.NamedTemporaryFile() as local:
            self._write(local, rows)
            local.flush()
            size = local.tell()
            local.seek(0)
            digest = hashlib.sha256()
            while chunk := local.read(_CHUNK):
                digest.update(chunk)
            _put(local.name, self._base / name)
        return {"path": name, "day": day, "rows": count, "bytes": size, "sha256": digest.hexdigest()}


def _put(local: str | Path, target: ObjectStoragePath) -> None:
    """Put a file in its place in one step: an object appears when it is complete, a local file is renamed."""
    if target.protocol in ("file", "local", ""):
        target.parent.mkdir(parents=True, exist_ok=True)
        beside = target.parent / f".{target.name}.{os.getpid()}"
        beside.fs.put_file(str(local), beside.path)
        os.replace(beside.path, target.path)  # noqa: PTH105 - Path.replace of an ObjectStoragePath copies
        return
    target.fs.put_file(str(local), target.path)


def _short(moment: datetime) -> str:
    return (write_time(moment) or "").replace("-", "").replace(":", "")
