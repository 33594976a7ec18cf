"""Queries that users write: contacts and do-not-call lists. A wrong query is told from a database that is away."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import DataError, DBAPIError, NotSupportedError, OperationalError, ProgrammingError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from airflow_provider_voice.exceptions import InvalidRequest, VoiceError
from airflow_provider_voice.phone import mask_numbers_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection, Engine

_LONGEST_TEXT = 200
# Drivers of MySQL and SQLite raise OperationalError for these too: an unknown or ambiguous column, an unknown function,
# a wrong number of columns or arguments, a GROUP BY that lacks a column, a subquery without an alias, a missing
# privilege on a table or a column, a row where a value belongs; any error in the text of a statement.
_WRONG_QUERY_IN_MYSQL = {1052, 1054, 1055, 1140, 1142, 1143, 1222, 1241, 1248, 1305, 1370, 1582, 4078}
_WRONG_QUERY_IN_SQLITE = (
    "no such ", "syntax error", "incomplete input", "unrecognized token", "misuse", "wrong number of arguments",
    "ambiguous column",
)  # fmt: skip


@contextmanager
def querying(argument: str, engine: Engine) -> Iterator[Connection]:
    """Connect to a user's database, and turn its errors into ours.

    :param argument: the operator's argument that holds the query, for the error text.
    :param engine: the database.
    :return: a context manager that gives a connection, on which ``exec_driver_sql`` takes a ``%`` as it is.
    :raises InvalidRequest: when the query is wrong.
    :raises VoiceError: when the database does not answer; not permanent.
    """
    try:
        # Without parameters, drivers of PostgreSQL and MySQL must not look for placeholders in LIKE 'A%'.
        with engine.connect().execution_options(no_parameters=True) as connection:
            yield connection
    except SQLAlchemyError as error:
        # Not chained: the text of the database may quote rows, and with them numbers.
        raise _failure(argument, error) from None


def _failure(argument: str, error: SQLAlchemyError) -> VoiceError:
    original: Any = getattr(error, "orig", None) or error
    name = type(original).__name__
    if isinstance(error, PoolTimeout) or (isinstance(error, DBAPIError) and not _is_wrong_query(error)):
        text = f"The database of {argument} does not answer or broke off ({name}). Nobody is called until it works."
        return VoiceError(text, code=name, permanent=False)
    # The values of rows are in the texts of a DataError, not in those about names and syntax.
    quoted = "" if isinstance(error, DataError) else f": {_first_line(original)}"
    return InvalidRequest(f"The SQL in {argument} is refused by its database ({name}{quoted}). Correct it.", code=name)


def _is_wrong_query(error: DBAPIError) -> bool:
    if isinstance(error, (ProgrammingError, DataError, NotSupportedError)):
        return not error.connection_invalidated
    if not isinstance(error, OperationalError) or error.orig is None:
        return False
    code = error.orig.args[0] if error.orig.args else None
    return code in _WRONG_QUERY_IN_MYSQL or any(text in str(code) for text in _WRONG_QUERY_IN_SQLITE)


def _first_line(error: Any) -> str:
    texts = [str(text) for text in error.args if isinstance(text, str)] or [""]
    return mask_numbers_in(texts[0].strip().partition("\n")[0])[:_LONGEST_TEXT]
