"""The asset of a table, and the lineage of an export."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk import Asset

from airflow_provider_voice.exceptions import InvalidRequest
from airflow_provider_voice.utils.validation import is_literal

if TYPE_CHECKING:
    from collections.abc import Mapping


def table_asset(warehouse_conn_id: str, table: str = "voice_calls", schema: str | None = None) -> Asset:
    """Return the asset that ``CallsToWarehouseOperator`` updates, to schedule DAGs by.

    Example::

        with DAG("marts", schedule=[table_asset("warehouse")]): ...

    :param warehouse_conn_id: the database's connection, as given to the operator.
    :param table: the table, default ``voice_calls``.
    :param schema: its schema, as given to the operator.
    :return: an asset named ``<connection>.<schema>.<table>``; its events carry the export's counts.
    :raises InvalidRequest: for a template or another task's output: an asset must be known when the DAG is parsed.
    """
    parts = [part for part in (warehouse_conn_id, schema, table) if part]
    if not all(isinstance(part, str) and is_literal(part) for part in parts):
        raise InvalidRequest("An asset's name cannot be a template. Name the table's asset in outlets yourself.")
    return Asset(name=".".join(parts), uri=f"x-voice-table://{'/'.join(parts)}")


def report(context: Mapping[str, Any], asset: Asset | None, counts: Mapping[str, Any]) -> None:
    """Put the counts of an export or a campaign on the event of the task's asset.

    :param context: the task's context.
    :param asset: the asset; None where the task has none.
    :param counts: the counts, JSON.
    """
    events = context.get("outlet_events")
    if asset is not None and events is not None:
        events[asset].extra = dict(counts)


def report_lineage(hook: Any, table: str, rows: int) -> None:
    """Report to Airflow's lineage that a table was written, as ``DbApiHook.run`` does; OpenLineage reads it.

    :param hook: the database's hook.
    :param table: the table, as statements name it.
    :param rows: how many rows were inserted or updated.
    """
    try:
        from airflow.providers.common.sql.hooks.lineage import send_sql_hook_lineage  # not while a DAG is parsed
    except ImportError:
        return  # it came with version 1.31 of the provider
    # A statement with the name of the table and nothing of its rows.
    send_sql_hook_lineage(context=hook, sql=f"INSERT INTO {table} DEFAULT VALUES", row_count=rows)
