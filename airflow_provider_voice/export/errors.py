"""Errors of databases and storages without the row values and texts that they quote."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from airflow_provider_voice.exceptions import VoiceError

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")
# Where drivers and storages keep a code: psycopg 3, psycopg2, sqlite3, and whatever wraps an error of the system.
_CODES = ("sqlstate", "pgcode", "sqlite_errorname", "errno")


def without_row_values(work: Callable[[], T], failed: type[VoiceError], message: str) -> T:
    """Work with a database or a storage, and replace the driver's error by one that quotes no row.

    A function, because a context manager would leak the text: an error that is raised while a ``with`` block ends is
    chained to the driver's error, and Airflow logs the whole chain.

    :param work: does it.
    :param failed: the class of the error.
    :param message: its message; ``{error}`` in it becomes the class and the code of the driver's error.
    :return: what ``work`` returns.
    :raises VoiceError: of the class ``failed``, without the driver's text; errors of ours pass.
    """
    try:
        return work()
    except VoiceError:
        raise
    except Exception as error:  # noqa: BLE001 - drivers and storages share no base class
        name = type(error).__name__
        code = next(filter(None, (getattr(error, attribute, None) for attribute in _CODES)), name)
    named = name if code == name else f"{name}, {code}"
    raise failed(message.replace("{error}", named), code=str(code))
