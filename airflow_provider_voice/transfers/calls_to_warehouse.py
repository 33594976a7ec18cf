"""``CallsToWarehouseOperator``: call history into a SQL table."""

from __future__ import annotations

import dataclasses
from datetime import datetime, timedelta, timezone
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseHook, BaseOperator

from airflow_provider_voice.exceptions import InvalidRequest
from airflow_provider_voice.export.options import bounds_of, check_export_arguments, check_settling, scope_of
from airflow_provider_voice.export.windows import window_of
from airflow_provider_voice.hooks.voice import VoiceHook
from airflow_provider_voice.models import write_time
from airflow_provider_voice.utils.task_errors import permanent_errors_end_the_task

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from airflow.sdk import Asset, Context

    from airflow_provider_voice.export.models import Loaded, Scope, Window
    from airflow_provider_voice.export.row_buffer import RowBuffer
    from airflow_provider_voice.export.warehouse.table import Warehouse
    from airflow_provider_voice.export.warehouse.table_state import TableState
    from airflow_provider_voice.models import CallRef

    Bounds = tuple[datetime | None, datetime | None]


class CallsToWarehouseOperator(BaseOperator):
    """Load the calls created in ``[start, end)`` into a table; running it again changes nothing.

    :param voice_conn_id: the voice connection.
    :param warehouse_conn_id: the database's connection, of any type with a ``DbApiHook``.
    :param table: the table, created where it is missing, default ``voice_calls``.
    :param schema: its schema; None: the connection's default.
    :param start: the first instant, a ``datetime`` or ISO 8601 text; None: the run's own interval, or where the last
        export of this source ended.
    :param end: the first instant after; None: now where there is a start, otherwise the run's own or the moment the
        run was due.
    :param agent_id: only calls of this agent.
    :param direction: ``inbound`` or ``outbound``; None: both.
    :param source: the first key column; None: the voice connection's id.
    :param numbers: ``plain`` (default), ``masked`` or ``hashed``: both number columns and the same values in ``raw``.
    :param settle_after: how long an ended call must stay the same to be settled, default 24 hours; until then every
        run reads it again.
    :param page_concurrency: pages read at once where the vendor has page numbers, default 4.
    :param recheck_hours: how far before ``start`` what was exported earlier is read once more, default 24: calls that a
        vendor listed late, and whatever else has changed there, are then in the table.
    :return: counts of rows: ``fetched``, ``inserted``, ``updated``, ``unchanged``, ``stale_ignored``, ``unsettled``,
        ``missing``, and ``hours``: per hour the rows at the vendor, in the table, and the change since the last look.
    """

    template_fields: Sequence[str] = (
        "voice_conn_id",
        "warehouse_conn_id",
        "table",
        "schema",
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
        warehouse_conn_id: str,
        table: str = "voice_calls",
        schema: str | None = None,
        start: datetime | str | None = None,
        end: datetime | str | None = None,
        agent_id: str | None = None,
        direction: str | None = None,
        source: str | None = None,
        numbers: str = "plain",
        settle_after: timedelta = timedelta(hours=24),
        page_concurrency: int = 4,
        recheck_hours: float = 24,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.voice_conn_id = voice_conn_id
        self.warehouse_conn_id = warehouse_conn_id
        self.table = table
        self.schema = schema
        self.start = start
        self.end = end
        self.agent_id = agent_id
        self.direction = direction
        self.source = source
        self.numbers = numbers
        self.settle_after = settle_after
        self.page_concurrency = page_concurrency
        self.recheck_hours = recheck_hours
        check_export_arguments(self)
        check_settling(settle_after, recheck_hours)
        self._asset = self._own_asset()
        if self._asset is not None and self._asset not in self.outlets:
            self.outlets = [*self.outlets, self._asset]

    def _own_asset(self) -> Asset | None:
        from airflow_provider_voice.export.assets import table_asset

        try:
            return table_asset(self.warehouse_conn_id, self.table, self.schema)
        except InvalidRequest:
            return None  # a template: what it will be is not known when the DAG is parsed

    @cached_property
    def hook(self) -> VoiceHook:
        """The hook of the voice connection."""
        return VoiceHook.for_connection(self.voice_conn_id)

    @cached_property
    def warehouse(self) -> Warehouse:
        """The table.

        :raises InvalidRequest: when the connection is no database's.
        """
        from airflow_provider_voice.export.warehouse.table import Warehouse  # costs a DAG file what it never needs

        hook = BaseHook.get_hook(self.warehouse_conn_id)
        if not callable(getattr(hook, "get_conn", None)) or not hasattr(hook, "placeholder"):
            raise InvalidRequest(f"The connection {self.warehouse_conn_id!r} is no SQL database (no DbApiHook).")
        return Warehouse(hook, self.table, self.schema or None)

    def execute(self, context: Context) -> dict[str, Any]:
        """Pull, then merge in one transaction."""
        from airflow_provider_voice.export.assets import report, report_lineage

        with permanent_errors_end_the_task():
            scope, bounds = scope_of(self), bounds_of(self)
            with self.warehouse.spool() as spool:
                done = self._export(spool, context, scope, bounds)
        result = dataclasses.asdict(done)
        self.log.info("Loaded: %s.", ", ".join(f"{count} {name}" for name, count in result.items() if name != "hours"))
        counts = {name: value for name, value in result.items() if name != "hours"}
        report(context, self._asset, counts)
        report_lineage(self.warehouse.hook, self.table, self.schema or None, counts)
        return result

    def _export(self, spool: RowBuffer, context: Context, scope: Scope, bounds: Bounds) -> Loaded:
        from airflow_provider_voice.export.models import Load
        from airflow_provider_voice.export.reader import HistoryReader
        from airflow_provider_voice.export.rows import RowMaker

        now, run, warehouse = datetime.now(timezone.utc), _run_name(context), self.warehouse
        warehouse.prepare()
        vendor_now = self.hook.vendor.now()
        window, rechecked, pending = warehouse.read(self._plan(context, scope, run, bounds, vendor_now))
        self.log.info("Exporting the calls created from %s to %s.", write_time(window.start), write_time(window.end))
        stamp = warehouse.dialect.stamp(now)
        maker = RowMaker(scope.source, self.numbers, now, vendor_now, self.settle_after, stamp)
        pull = HistoryReader(self.hook, maker, spool, page_concurrency=self.page_concurrency)
        missing = pull.windows_and_pending([*rechecked, window], scope, pending)
        asked = bounds[0] is not None
        return warehouse.load(Load(scope, run, window, spool, now, self.settle_after, missing, rechecked, asked))

    def _plan(
        self, context: Context, scope: Scope, run: str, bounds: Bounds, now: datetime
    ) -> Callable[[TableState], tuple[Window, list[Window], dict[str, CallRef]]]:
        """Return what asks the table for the run's window, what is read once more, and the calls that may change."""
        recheck = timedelta(hours=float(self.recheck_hours))

        def plan(stored: TableState) -> tuple[Window, list[Window], dict[str, CallRef]]:
            own, last_end = stored.window_of_run(scope, run), stored.last_end(scope)
            window = window_of(context, *bounds, own=own, last_end=last_end, now=now)
            rechecked = stored.exported(scope, _hour(window.start - recheck), window.start)
            return window, rechecked, stored.unsettled(scope.source)

        return plan


def _hour(moment: datetime) -> datetime:
    # Whole hours: what is certified of an hour is then certified of all of it.
    return moment.replace(minute=0, second=0, microsecond=0)


def _run_name(context: Context) -> str:
    ti = context["ti"]
    return f"{ti.dag_id}/{ti.task_id}/{-1 if ti.map_index is None else ti.map_index}/{ti.run_id}"[:255]
