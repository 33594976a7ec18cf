"""``CallsToWarehouseOperator``: call history into a SQL table."""

from __future__ import annotations

import dataclasses
import logging
import time
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseHook

from airflow_provider_voice.exceptions import InvalidRequest
from airflow_provider_voice.export.assets import report, report_lineage, table_asset
from airflow_provider_voice.export.models import check_identifier
from airflow_provider_voice.export.windows import due_time, plan_reading, requested_window, run_name
from airflow_provider_voice.models import write_time
from airflow_provider_voice.transfers.call_export import CallExport, check_text
from airflow_provider_voice.utils.task_errors import bad_arguments_end_the_task, permanent_errors_end_the_task
from airflow_provider_voice.utils.validation import duration, is_literal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from airflow.sdk import Asset, Context

    from airflow_provider_voice.export.models import Loaded, Scope
    from airflow_provider_voice.export.row_buffer import RowBuffer
    from airflow_provider_voice.export.warehouse.table import Warehouse
    from airflow_provider_voice.export.warehouse.transaction import Transaction
    from airflow_provider_voice.export.windows import ReadPlan
    from airflow_provider_voice.models import CallRef

log = logging.getLogger(__name__)


class CallsToWarehouseOperator(CallExport):
    """Load the calls created in ``[start, end)`` into a table; running it again changes nothing.

    Example::

        CallsToWarehouseOperator(task_id="load_calls", voice_conn_id="voice_default", warehouse_conn_id="warehouse")

    :param voice_conn_id: the voice connection, default ``voice_default``.
    :param warehouse_conn_id: the connection of a PostgreSQL, MySQL, MariaDB, SQLite or DuckDB database; for other
        warehouses, write files with ``CallsToObjectStorageOperator`` and load them by the warehouse's own loader.
    :param table: the table, created where it is missing, default ``voice_calls``; its log is ``<table>_export_log``.
    :param schema: its schema; None: the connection's default.
    :param start: the first instant, a ``datetime`` or ISO 8601 text; None: the run's data interval when it has a
        length, otherwise from where the exports before the run ended to the moment it was due.
    :param end: the first instant after the window; None: the present where there is a ``start``.
    :param agent_id: only calls of this agent; None: of every agent.
    :param direction: ``inbound`` or ``outbound``; None: both.
    :param source: the first key column; None: the voice connection's id.
    :param phone_numbers: ``plain`` (default), ``masked`` or ``hashed``, in every column and in ``raw``; see
        :class:`~airflow_provider_voice.export.redaction.PhoneRedactor`.
    :param settle_after: how long a call that has ended must stay the same to be settled, a ``timedelta`` or seconds,
        default 24 hours; until then every run reads it again.
    :param recheck: how far before its window a run reads exported stretches once more, a ``timedelta`` or
        seconds, default 27 hours: calls that the vendor listed late, and other changes there, are then in the table.
        Give a few hours more than ``settle_after``: an older call that is not settled yet may cost a request of its
        own in every run.
    :param abandon_after: how long a call may be missing at the vendor, or stay in a status that does not end it, before
        it is no longer read again, a ``timedelta`` or seconds, default 7 days. The row stays and says so in
        ``abandoned_at``.
    :param page_concurrency: pages read at once where the vendor has page numbers, default 4.
    :param kwargs: the arguments of ``BaseOperator``, ``task_id`` for one.
    :return: see :class:`~airflow_provider_voice.export.models.Loaded`: counts of rows, ``changed_days``, ``holes``,
        ``hours``.
    :raises InvalidRequest: when the DAG is parsed, for an invalid argument.
    """

    template_fields: Sequence[str] = (*CallExport.template_fields, "warehouse_conn_id", "table", "schema")

    def __init__(
        self,
        *,
        warehouse_conn_id: str,
        table: str = "voice_calls",
        schema: str | None = None,
        settle_after: timedelta | float = timedelta(hours=24),
        recheck: timedelta | float = timedelta(hours=27),
        abandon_after: timedelta | float = timedelta(days=7),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.warehouse_conn_id = warehouse_conn_id
        self.table = table
        self.schema = schema
        with bad_arguments_end_the_task():
            self.settle_after = duration("settle_after", settle_after, minimum=timedelta(0))
            self.recheck = duration("recheck", recheck, minimum=timedelta(0))
            self.abandon_after = duration("abandon_after", abandon_after, minimum=timedelta(0))
            check_text("warehouse_conn_id", warehouse_conn_id)
            if is_literal(table):
                check_identifier("table", table)
            if schema and is_literal(schema):
                check_identifier("schema", schema)
        self._asset: Asset | None = None
        with suppress(InvalidRequest):  # a template: the table is not known when the DAG is parsed
            self._asset = table_asset(warehouse_conn_id, table, schema)
            self.outlets = [*(outlet for outlet in self.outlets if outlet != self._asset), self._asset]

    @cached_property
    def warehouse(self) -> Warehouse:
        """The table.

        :raises InvalidRequest: when the connection is not one of a database that calls are loaded into.
        """
        from airflow_provider_voice.export.warehouse.table import Warehouse  # a DAG file does not need the SQL modules

        return Warehouse(BaseHook.get_hook(self.warehouse_conn_id), self.table, self.schema or None)

    def execute(self, context: Context) -> dict[str, Any]:
        """Plan the windows, read them, and merge the rows in one transaction.

        :param context: the task's context.
        :return: the counts.
        :raises VoiceError: when vendor or database fail; then the table is as it was.
        """
        with permanent_errors_end_the_task():
            scope = self.scope()
            self.bounds()
            with self.warehouse.new_buffer() as buffer:
                result = dataclasses.asdict(self._export(buffer, context, scope))
        summary = {name: value for name, value in result.items() if name != "hours"}
        _log_result(result)
        report(context, self._asset, summary)
        report_lineage(self.warehouse.hook, self.table, self.schema or None, summary)
        return result

    def _export(self, buffer: RowBuffer, context: Context, scope: Scope) -> Loaded:
        # A DAG file needs none of these.
        from airflow_provider_voice.export.reader import HistoryReader, warn_of_skew
        from airflow_provider_voice.export.rows import RowMaker
        from airflow_provider_voice.export.warehouse.load import Load

        run, warehouse = run_name(context), self.warehouse
        warehouse.prepare()
        vendor_now = self.hook.vendor.now()
        warn_of_skew(self.hook)
        clock, plan, pending = warehouse.read(lambda table: self._plan(table, context, scope, run, vendor_now))
        for window in plan.windows:
            log.info("Exporting the calls created from %s to %s.", write_time(window.start), write_time(window.end))
        maker = RowMaker(scope.source, self.phone_numbers, clock(time.monotonic()), vendor_now - self.settle_after)
        reader = HistoryReader(self.hook, maker, buffer, page_concurrency=self.page_concurrency, clock=clock)
        missing = reader.read([*plan.rechecked, *plan.windows], scope, pending)
        read_at = clock(time.monotonic())
        return warehouse.load(Load(scope, run, plan, buffer, read_at, self.settle_after, self.abandon_after, missing))

    def _plan(
        self, transaction: Transaction, context: Context, scope: Scope, run: str, vendor_now: datetime
    ) -> tuple[Callable[[float], datetime], ReadPlan, dict[str, CallRef]]:
        """Return the database's clock, the run's windows, and the stored calls that may still change."""
        from airflow_provider_voice.export.warehouse.coverage_log import CoverageLog

        coverage, now = CoverageLog(transaction, scope), datetime.now(timezone.utc)
        covered = coverage.covered()
        window = requested_window(
            context,
            *self.bounds(),
            own=coverage.window_of_run(run),
            covered=covered,
            open_end=vendor_now,
        )
        plan = plan_reading(
            window,
            now=vendor_now,
            present=max(due_time(context) or now, now),
            recheck=self.recheck,
            covered=covered,
            unread=coverage.unread(),
        )
        return transaction.clock(), plan, transaction.unsettled(scope.source)


def _log_result(result: dict[str, Any]) -> None:
    counts = (f"{value} {name}" for name, value in result.items() if isinstance(value, int))
    log.info("Loaded: %s.", ", ".join(counts))
    for hole in result["holes"]:
        log.warning(
            'No export covers %(start)s to %(end)s. Run the task once with start="%(start)s" and end="%(end)s" to load '
            "these calls, unless the next run does: it reads what lay in the future by the vendor's clock and, without "
            "bounds, what begins within its last day.",
            hole,
        )
