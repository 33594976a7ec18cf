"""``CallsToObjectStorageOperator``: call history as files, in any storage that ``ObjectStoragePath`` reaches."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, get_args

from airflow.sdk import ObjectStoragePath

from airflow_provider_voice.export.models import FileFormat
from airflow_provider_voice.export.windows import before_the_previous_run, requested_window
from airflow_provider_voice.models import write_time
from airflow_provider_voice.transfers.call_export import CallExport, check_text
from airflow_provider_voice.utils.task_errors import bad_arguments_end_the_task, permanent_errors_end_the_task
from airflow_provider_voice.utils.validation import one_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.sdk import Context

_MOST_PATH = 4096


class CallsToObjectStorageOperator(CallExport):
    """Write the calls created in ``[start, end)`` as files, one a day (UTC), with a manifest.

    One window is one set of files, ``<path>/source=<source>/day=<YYYY-MM-DD>/<start>-<end>.<ending>``: a rerun of the
    run replaces each of them in one step, then the manifest (``_manifests/<start>-<end>_<format>.json``: rows, bytes
    and SHA-256 of each file), and last removes those of days without calls. The same calls give the same bytes.

    Example::

        CallsToObjectStorageOperator(task_id="archive_calls", path="s3://aws_default@bucket/calls")

    :param voice_conn_id: the voice connection, default ``voice_default``.
    :param path: the folder to write to, e.g. ``s3://bucket/calls``, ``gs://``, ``abfs://`` or ``file:///data/calls``; a
        path without a scheme is below the worker's working directory.
    :param storage_conn_id: the storage's connection; None: the one in ``path``, or none.
    :param file_format: ``parquet`` (default; needs the extra ``parquet``) or ``jsonl`` (gzipped).
    :param start: the first instant, a ``datetime`` or ISO 8601 text; None: the run's data interval when it has a
        length, otherwise the moment the previous run of the DAG was due, and at least the day before this run was due.
    :param end: the first instant after the window; None: the moment the run was due where there is a ``start``.
    :param agent_id: only calls of this agent; None: of every agent.
    :param direction: ``inbound`` or ``outbound``; None: both.
    :param source: the name of the source in the path and in the first column; None: the voice connection's id.
    :param phone_numbers: ``plain`` (default), ``masked`` or ``hashed``.
    :param page_concurrency: pages read at once where the vendor has page numbers, default 4.
    :param kwargs: the arguments of ``BaseOperator``, ``task_id`` for one.
    :return: the manifest, with its own path as ``manifest``.
    :raises InvalidRequest: when the DAG is parsed, for an invalid argument.
    """

    template_fields: Sequence[str] = (*CallExport.template_fields, "path", "storage_conn_id")

    def __init__(
        self,
        *,
        path: str,
        storage_conn_id: str | None = None,
        file_format: FileFormat = "parquet",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.path = path
        self.storage_conn_id = storage_conn_id
        self.file_format = file_format
        with bad_arguments_end_the_task():
            one_of("file_format", file_format, get_args(FileFormat))
            check_text("path", path, most=_MOST_PATH)
            check_text("storage_conn_id", storage_conn_id, optional=True)

    def execute(self, context: Context) -> dict[str, Any]:
        """Read everything, then write the files and last the manifest.

        :param context: the task's context.
        :return: the manifest.
        :raises VoiceError: when vendor or storage fail; then the manifest is as it was.
        """
        # A DAG file needs none of these.
        from airflow_provider_voice.export.files.day_partitions import DayRows
        from airflow_provider_voice.export.files.storage import FileSet
        from airflow_provider_voice.export.reader import HistoryReader, wait_for_vendor, warn_of_skew
        from airflow_provider_voice.export.rows import RowMaker

        with permanent_errors_end_the_task(), DayRows() as days:
            scope, bounds = self.scope(), self.bounds()
            check_text("path", self.path, most=_MOST_PATH)
            root = ObjectStoragePath(self.path, conn_id=self.storage_conn_id or None)
            _ = root.fs  # a storage without a provider, or without its connection, fails before the vendor is asked
            window = requested_window(context, *bounds, covered=before_the_previous_run(context))
            read_to = wait_for_vendor(self.hook, window.end)
            warn_of_skew(self.hook)
            readable = window.cut(window.start, read_to)
            self.log.info(
                "Exporting the calls created from %s to %s.", write_time(readable.start), write_time(readable.end)
            )
            files = FileSet(root, scope, window, self.file_format)
            read_at = datetime.now(timezone.utc)
            maker = RowMaker(scope.source, self.phone_numbers, read_at, read_to)
            reader = HistoryReader(self.hook, maker, days, page_concurrency=self.page_concurrency)
            reader.read([readable], scope)
            manifest = files.replace(days, read_at, read_to=readable.end)
        self.log.info("Wrote %d calls into %d files.", manifest["rows"], len(manifest["files"]))
        return {**manifest, "manifest": str(files.manifest)}
