"""The asset of a table, and the lineage of an export."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from airflow.sdk import Asset

from airflow_provider_voice.exceptions import InvalidRequest
from airflow_provider_voice.utils.validation import is_literal

if TYPE_CHECKING:
    from collections.abc import Mapping

log = logging.getLogger(__name__)

_PORTS = {"postgres": 5432, "mysql": 3306}


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


def report_lineage(hook: Any, table: str, schema: str | None, counts: Mapping[str, Any]) -> None:
    """Report to Airflow's lineage which table was written, by its :func:`database_uri`.

    An error is only logged: plugins of others run here, and the load is committed.

    :param hook: the database's hook.
    :param table: the table.
    :param schema: its schema; None: the database's default.
    :param counts: the result of the export without its hours, JSON.
    """
    try:
        from airflow.providers.common.compat.lineage.hook import get_hook_lineage_collector  # imports every plugin

        uri = database_uri(hook, table, schema)
        if uri is not None:
            collector = get_hook_lineage_collector()  # type: ignore[no-untyped-call]  # the compat module is untyped
            collector.add_output_asset(context=hook, uri=uri, asset_extra=dict(counts))
    except Exception as error:  # noqa: BLE001 - a plugin may raise any error; the load is committed
        log.warning("The lineage of %s could not be reported (%s).", table, type(error).__name__)


def database_uri(hook: Any, table: str, schema: str | None) -> str | None:
    """Return the table's address in the form of Airflow's asset handlers for the database, which OpenLineage reads.

    :param hook: the database's hook.
    :param table: the table.
    :param schema: its schema; None: the database's default.
    :return: ``postgres://host:5432/database/schema/table``, ``mysql://host:3306/database/table``; None for other
        databases, for which Airflow has no such form, and where the connection names no host (a socket).
    """
    kind = getattr(hook, "conn_type", None)
    if kind not in _PORTS:
        return None
    connection = hook.get_connection(getattr(hook, hook.conn_name_attr))
    host, database = connection.host or "", getattr(hook, "database", None) or connection.schema
    if not host or "/" in host or not database:
        return None
    path = f"{database}/{schema or 'public'}" if kind == "postgres" else schema or database
    return f"{kind}://{host}:{connection.port or _PORTS[kind]}/{path}/{table}"
