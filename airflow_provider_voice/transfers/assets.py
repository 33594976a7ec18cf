"""What an export writes, as Airflow's assets and for lineage."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.lineage.hook import get_hook_lineage_collector
from airflow.sdk import Asset

from airflow_provider_voice.exceptions import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Mapping


def table_asset(warehouse_conn_id: str, table: str = "voice_calls", schema: str | None = None) -> Asset:
    """Return the asset that ``CallsToWarehouseOperator`` updates, to schedule DAGs by.

    :param warehouse_conn_id: the database's connection, as the operator has it.
    :param table: the table, default ``voice_calls``.
    :param schema: its schema, as the operator has it.
    :return: an asset named ``<connection>.<schema>.<table>``; its events carry the export's counts.
    :raises InvalidRequest: for a value with a template in it: an asset must be known when the DAG is parsed.
    """
    parts = [part for part in (warehouse_conn_id, schema, table) if part]
    if any("{{" in part or "{%" in part for part in parts):
        raise InvalidRequest("An asset can not be made of a template: name the table's asset in outlets yourself.")
    return Asset(name=".".join(parts), uri=f"x-voice-table://{'/'.join(parts)}")


def report(context: Mapping[str, Any], asset: Asset | None, counts: Mapping[str, Any]) -> None:
    """Put the counts of an export on its asset's event, and tell lineage that the table was written.

    :param context: the task's context.
    :param asset: the asset; None where the task has none.
    :param counts: what is said of the export, JSON.
    """
    if asset is None:
        return
    events = context.get("outlet_events")
    if events is not None:
        events[asset].extra = dict(counts)
    collector = get_hook_lineage_collector()  # type: ignore[no-untyped-call]  # the compat module is untyped
    collector.add_output_asset(context=context.get("task"), uri=asset.uri, name=asset.name, asset_extra=dict(counts))
