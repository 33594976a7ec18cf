"""Errors of a database without row values: its own messages quote the row that it refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from airflow_provider_voice.exceptions import VoiceError, WarehouseFailed

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


def without_row_values(doing: str, table: str, work: Callable[[], T]) -> T:
    """Do something with a database; whatever its driver raises becomes a :class:`WarehouseFailed` that quotes no row.

    A function and no context manager: what is raised while a ``with`` block ends is chained to the driver's error, and
    Airflow logs the whole chain.

    :param doing: what is being done, for the message.
    :param table: the table.
    :param work: does it.
    :return: what ``work`` returns.
    :raises WarehouseFailed: with the driver's error code, without its text.
    """
    try:
        return work()
    except VoiceError:
        raise
    except Exception as error:  # noqa: BLE001 - drivers share no base class
        code = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None)
        code = code or getattr(error, "sqlite_errorname", None) or type(error).__name__
        name = type(error).__name__
    raise WarehouseFailed(
        f"The database broke off {doing} of {table} ({name}, {code}). Nothing of this load was kept. Its own message "
        "is left out here, because it may quote a row; the database's log has it.",
        code=str(code),
    )
