"""Queries that users write: contacts and do-not-call lists. Tells a wrong query from a silent database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy.exc import DataError, DBAPIError, NotSupportedError, OperationalError, ProgrammingError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from airflow_provider_voice.exceptions import InvalidRequest, VoiceError
from airflow_provider_voice.phone import mask_numbers_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from sqlalchemy import Connection, Engine

T = TypeVar("T")
_LONGEST_TEXT = 200
_MISSING_PRIVILEGE = "42501"
# Those of other databases, such as Snowflake's, report a value that cannot be converted as they do a wrong name.
_WHOSE_TEXT_NAMES_NO_VALUE = ("MySQLdb", "mysql", "pymysql", "sqlalchemy", "sqlite3")
# Drivers of MySQL and SQLite raise OperationalError for these too: an unknown or ambiguous column, an unknown function,
# a wrong number of columns or arguments, a GROUP BY that lacks a column, a subquery without an alias, a missing
# privilege on a table or a column, a row where a value belongs; any error in the text of a statement.
_WRONG_QUERY_IN_MYSQL = {1052, 1054, 1055, 1140, 1142, 1143, 1222, 1241, 1248, 1305, 1370, 1582, 4078}
_WRONG_QUERY_IN_SQLITE = (
    "no such ", "syntax error", "incomplete input", "unrecognized token", "misuse", "wrong number of arguments",
    "ambiguous column",
)  # fmt: skip


def ask(argument: str, engine: Engine, query: Callable[[Connection], Iterable[T]]) -> Iterator[T]:
    """Yield what a query of a user's database returns, and turn the database's errors into ours.

    A generator, because a context manager would chain ours to the database's, whose text may quote rows.

    :param argument: the operator's argument that holds the query, for the error text.
    :param engine: the database.
    :param query: asks a connection, on which ``exec_driver_sql`` takes a ``%`` as it is.
    :return: the rows or values, as they are needed.
    :raises InvalidRequest: when the query is wrong.
    :raises VoiceError: when the database does not answer; not permanent.
    """
    try:
        # Without parameters, drivers of PostgreSQL and MySQL must not look for placeholders in LIKE 'A%'.
        with engine.connect().execution_options(no_parameters=True) as connection:
            yield from query(connection)
            return
    except SQLAlchemyError as error:
        failure = _failure(argument, error)
    raise failure


def _failure(argument: str, error: SQLAlchemyError) -> VoiceError:
    original: Any = getattr(error, "orig", None) or error
    name = type(original).__name__
    if isinstance(error, PoolTimeout) or (isinstance(error, DBAPIError) and not _is_wrong_query(error)):
        text = f"The database of {argument} does not answer or broke off ({name}). Nobody is called until it works."
        return VoiceError(text, code=name, permanent=False)
    quoted = f": {_first_line(original)}" if _is_about_the_text(error, original) else ""
    return InvalidRequest(f"The SQL in {argument} is refused by its database ({name}{quoted}). Correct it.", code=name)


def _is_about_the_text(error: SQLAlchemyError, original: Any) -> bool:
    """Return whether an error is about names and syntax, so that its text quotes the query and no value of a row."""
    if isinstance(error, DataError):
        return False
    # PostgreSQL names a place in the query for what it finds before it runs the query, but for missing privileges.
    found = getattr(original, "diag", None)
    if found is not None:
        return found.statement_position is not None or found.sqlstate == _MISSING_PRIVILEGE
    return type(original).__module__.partition(".")[0] in _WHOSE_TEXT_NAMES_NO_VALUE


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
