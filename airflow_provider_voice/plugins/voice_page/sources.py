"""The ledger and the call table that ``[voice]`` names in Airflow's configuration."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar

from airflow.providers.common.compat.sdk import conf
from airflow.sdk import BaseHook

from airflow_provider_voice.exceptions import InvalidRequest, VoiceError
from airflow_provider_voice.export.models import check_identifier
from airflow_provider_voice.hooks.sql import ledger_engine
from airflow_provider_voice.outreach.database import Database
from airflow_provider_voice.outreach.views import LedgerViews, NoLedgerYet, ReadOnlyDatabase
from airflow_provider_voice.plugins.voice_page.recent_calls import RecentCalls

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")
_DEFAULT_TABLE = "voice_calls"


def ledger_conn_id() -> str | None:
    """Return ``[voice] ledger_conn_id``; ``None``: the file under ``AIRFLOW_HOME``."""
    return conf.get("voice", "ledger_conn_id", fallback=None) or None


def warehouse_conn_id() -> str | None:
    """Return ``[voice] warehouse_conn_id``; ``None``: no call table is shown."""
    return conf.get("voice", "warehouse_conn_id", fallback=None) or None


def recent_calls() -> RecentCalls | None:
    """Return the call table; ``None`` when none is configured.

    :raises VoiceError: when the connection cannot be used, with the remedy.
    """
    conn_id = warehouse_conn_id()
    if conn_id is None:
        return None
    name = conf.get("voice", "warehouse_table", fallback=None) or _DEFAULT_TABLE
    schema, _, table = name.rpartition(".")
    for part in (schema, table) if schema else (table,):
        check_identifier("[voice] warehouse_table", part)
    return _usable("warehouse_conn_id", conn_id, lambda: RecentCalls(_sql_hook(conn_id), table, schema or None))


def ledger_views() -> LedgerViews:
    """Return the ledger for reading.

    :raises VoiceError: when its connection cannot be used, with the remedy.
    """
    return _ledger()[0]


def ledger_database() -> Database:
    """Return the ledger for changes.

    :raises VoiceError: when its connection cannot be used, with the remedy.
    """
    return _ledger()[1]


def _ledger() -> tuple[LedgerViews, Database]:
    conn_id = ledger_conn_id()
    return _opened(conn_id, _usable("ledger_conn_id", conn_id, lambda: _fields(conn_id)))


@lru_cache(maxsize=1)
def _opened(conn_id: str | None, _fields_of_connection: tuple[Any, ...]) -> tuple[LedgerViews, Database]:
    """Open the ledger; it keeps its connections from request to request, until the Airflow connection is edited."""
    engine = _usable("ledger_conn_id", conn_id, lambda: ledger_engine(conn_id))
    _check_file(engine, conn_id)
    return LedgerViews(ReadOnlyDatabase(engine)), Database(engine)


def _check_file(engine: Any, conn_id: str | None) -> None:
    """Raise when the file of the default ledger is missing: a page that reads it must not create it."""
    from pathlib import Path

    if conn_id is None and not Path(str(engine.url.database)).exists():
        raise NoLedgerYet("No campaign has run on this machine yet.")


def _fields(conn_id: str | None) -> tuple[Any, ...]:
    if conn_id is None:
        return ()
    found = BaseHook.get_connection(conn_id)
    return (found.conn_type, found.host, found.port, found.schema, found.login, found.password, found.extra)


def _sql_hook(conn_id: str) -> Any:
    hook = BaseHook.get_hook(conn_id)
    if not hasattr(hook, "get_conn"):
        raise InvalidRequest(f"The connection {conn_id!r} is not a SQL database, so it has no table of calls.")
    return hook


def _usable(option: str, conn_id: str | None, work: Callable[[], T]) -> T:
    """Return the result of ``work``; each of its errors becomes one that names the option and the remedy."""
    try:
        return work()
    except VoiceError as error:
        reason = f"cannot be used: {error.message}"
    except Exception as error:  # noqa: BLE001 - a hook raises what its driver raises, and may quote a password
        reason = f"is missing or cannot be used ({type(error).__name__})."
    raise InvalidRequest(
        f"The connection {conn_id!r}, which [voice] {option} names, {reason} Create or correct it under Admin > "
        "Connections, or change the option and restart the API server."
    )
