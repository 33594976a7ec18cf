"""``CallsToObjectStorageOperator``: call history as files, in any storage that ``ObjectStoragePath`` reaches."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator, ObjectStoragePath

from airflow_provider_voice.export.options import bounds_of, check_export_arguments, scope_of
from airflow_provider_voice.export.windows import window_of
from airflow_provider_voice.hooks.voice import VoiceHook
from airflow_provider_voice.models import write_time
from airflow_provider_voice.utils.task_errors import permanent_errors_end_the_task
from airflow_provider_voice.utils.validation import one_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.sdk import Context


class CallsToObjectStorageOperator(BaseOperator):
    """Write the calls created in ``[start, end)`` as files, one a day (UTC), with a manifest.

    One interval is one set of files, ``<path>/source=<source>/day=<YYYY-MM-DD>/<start>-<end>.<ending>``: a rerun
    replaces each of them in one step and the manifest (``_manifests/<start>-<end>_<format>.json``: rows, bytes and
    SHA-256 of each file) last. The same calls are the same bytes.

    :param voice_conn_id: the voice connection.
    :param path: where to, e.g. ``s3://bucket/calls``, ``gs://``, ``abfs://`` or ``file:///data/calls``.
    :param storage_conn_id: the storage's connection; None: the one in ``path``, or none.
    :param file_format: ``parquet`` (default; needs the extra ``parquet``) or ``jsonl`` (gzipped).
    :param start: the first instant, a ``datetime`` or ISO 8601 text; None: the run's data interval when it has a
        length, otherwise the day before the run was due.
    :param end: the first instant after; None: now where there is a start, otherwise the end of the interval.
    :param agent_id: only calls of this agent.
    :param direction: ``inbound`` or ``outbound``; None: both.
    :param source: named in the path and the first column; None: the voice connection's id.
    :param numbers: ``plain`` (default), ``masked`` or ``hashed``.
    :param page_concurrency: pages read at once where the vendor has page numbers, default 4.
    :return: the manifest, with its own path as ``manifest``.
    """

    template_fields: Sequence[str] = (
        "voice_conn_id",
        "path",
        "storage_conn_id",
        "start",
        "end",
        "agent_id",
        "direction",
        "source",
    )
    ui_color = "#f5e9d9"

    def __init__(
        self,
        *,
        voice_conn_id: str = VoiceHook.default_conn_name,
        path: str,
        storage_conn_id: str | None = None,
        file_format: str = "parquet",
        start: datetime | str | None = None,
        end: datetime | str | None = None,
        agent_id: str | None = None,
        direction: str | None = None,
        source: str | None = None,
        numbers: str = "plain",
        page_concurrency: int = 4,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.voice_conn_id = voice_conn_id
        self.path = path
        self.storage_conn_id = storage_conn_id
        self.file_format = file_format
        self.start = start
        self.end = end
        self.agent_id = agent_id
        self.direction = direction
        self.source = source
        self.numbers = numbers
        self.page_concurrency = page_concurrency
        one_of("file_format", file_format, ("parquet", "jsonl"))
        check_export_arguments(self)

    @cached_property
    def hook(self) -> VoiceHook:
        """The hook of the voice connection."""
        return VoiceHook.for_connection(self.voice_conn_id)

    def execute(self, context: Context) -> dict[str, Any]:
        """Pull everything, then write the files and last the manifest."""
        from airflow_provider_voice.export.files.day_partitions import DayRows
        from airflow_provider_voice.export.files.storage import FileSet
        from airflow_provider_voice.export.reader import HistoryReader
        from airflow_provider_voice.export.rows import RowMaker

        with permanent_errors_end_the_task(), DayRows() as days:
            scope, bounds = scope_of(self), bounds_of(self)
            read_at, vendor_now = datetime.now(timezone.utc), self.hook.vendor.now()
            window = window_of(context, *bounds, own=None, last_end=None, now=vendor_now)
            shown = (write_time(window.start), write_time(window.end))
            self.log.info("Exporting the calls created from %s to %s.", *shown)
            root = ObjectStoragePath(self.path, conn_id=self.storage_conn_id or None)
            files = FileSet(root, scope, window, self.file_format)
            maker = RowMaker(scope.source, self.numbers, read_at, vendor_now, timedelta(0))
            HistoryReader(self.hook, maker, days, page_concurrency=self.page_concurrency).windows([window], scope)
            manifest = files.replace(days, read_at)
        self.log.info("Wrote %d calls into %d files.", manifest["rows"], len(manifest["files"]))
        return {**manifest, "manifest": str(files.manifest)}
