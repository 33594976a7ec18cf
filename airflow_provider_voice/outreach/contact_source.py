"""Reads the rows of a campaign's source: SQL, a file, or rows as they are. Its errors name ``contacts``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import partial
from typing import IO, TYPE_CHECKING, Any

from airflow_provider_voice.exceptions import InvalidRequest
from airflow_provider_voice.outreach.contact_files import ENDINGS, checked_header, read_rows
from airflow_provider_voice.phone import mask_numbers_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Connection, Engine

_BATCH = 1000
_LONGEST_PATH = 120
_QUERY = re.compile(r"\s*\(?\s*(--|/\*|(select|with|values|table|exec|call)\s)", re.IGNORECASE)
#: How a list of people begins that a template turned into text; neither SQL nor a path does.
LIST_AS_TEXT = ("[", "{")


def check_source(contacts: Any, *, has_connection: bool) -> None:
    """Raise when a source can never be read, as far as its value shows.

    :param contacts: SQL, a path, or rows.
    :param has_connection: whether there is a connection for SQL.
    :raises InvalidRequest: for SQL without a connection, the text of a list, and a value that is not a list of rows.
    """
    if contacts is None or (isinstance(contacts, str) and contacts.lstrip().startswith(LIST_AS_TEXT)):
        raise InvalidRequest(
            "contacts were rendered as nothing or as the text of a list. Hand over the other task's output itself "
            "(contacts=task.output), or set render_template_as_native_obj=True on the DAG. Nobody was called."
        )
    if isinstance(contacts, str):
        is_query = _QUERY.match(contacts) and not contacts.rstrip().lower().endswith(ENDINGS)
        if not has_connection and (is_query or contacts.rstrip().endswith(".sql")):
            raise InvalidRequest("contacts is SQL, so it needs contacts_conn_id: the connection it runs on.")
    elif isinstance(contacts, Mapping) or not isinstance(contacts, Iterable):
        raise InvalidRequest(f"contacts must be SQL, a path or a list of mappings, not {type(contacts).__name__}.")


def rows_of(contacts: Any, engine: Engine | None, open_file: Callable[[str], IO[bytes]]) -> Iterator[Mapping[str, Any]]:
    """Yield the rows of a source, none of them kept.

    :param contacts: SQL, a path, or rows.
    :param engine: the database of ``contacts_conn_id``; ``None``: text is a path.
    :param open_file: opens a path for reading bytes.
    :return: the rows.
    :raises InvalidRequest: when the source is wrong: the query, the path, the file.
    :raises VoiceError: when the database does not answer; not permanent.
    """
    check_source(contacts, has_connection=engine is not None)
    if not isinstance(contacts, str):
        yield from contacts
    elif engine is not None:
        from airflow_provider_voice.outreach.user_queries import ask  # SQLAlchemy: not with a DAG file

        yield from ask("contacts", engine, partial(_queried, contacts))
    else:
        with _opened(contacts, open_file) as file:
            yield from read_rows(contacts.rpartition("/")[2], file)


def _queried(sql: str, connection: Connection) -> Iterator[dict[Any, Any]]:
    streamed = connection.execution_options(stream_results=True, yield_per=_BATCH)
    result = streamed.exec_driver_sql(sql)
    checked_header("the result of the SQL in contacts", result.keys())
    yield from map(dict, result.mappings())


def _opened(path: str, open_file: Callable[[str], IO[bytes]]) -> IO[bytes]:
    try:
        return open_file(path)
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError, ValueError) as error:
        name = type(error).__name__
    raise InvalidRequest(
        f"contacts: the file {mask_numbers_in(path[:_LONGEST_PATH])!r} cannot be opened ({name}). Nobody was called. "
        "Text is SQL when contacts_conn_id is given, and otherwise the path of a file."
    )
