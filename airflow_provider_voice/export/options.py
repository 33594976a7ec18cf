"""Checks of an export's arguments: when a DAG is parsed, and once templates are rendered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, get_args

from airflow_provider_voice.exceptions import InvalidRequest
from airflow_provider_voice.export.models import IDENTIFIER, NUMBER_MODES, Direction, Scope
from airflow_provider_voice.export.windows import bound_of, check_bounds
from airflow_provider_voice.utils.validation import is_literal, one_of, shown

if TYPE_CHECKING:
    from datetime import datetime

    from airflow_provider_voice.export.models import PhoneNumberMode

# A key column has 255 characters; connection ids have 250.
_MOST_TEXT = 250
_MOST_PAGES_AT_ONCE = 100
_MOST_AGENT = 10**18


class Export(Protocol):
    """The arguments that every export has."""

    voice_conn_id: str
    start: Any
    end: Any
    agent_id: str | int | None
    direction: Direction | None
    source: str | None
    phone_numbers: PhoneNumberMode
    page_concurrency: int


def check_export_arguments(export: Export) -> None:
    """Refuse arguments that are known to be wrong before the task runs; templates are checked when they are rendered.

    :param export: the operator.
    :raises InvalidRequest: naming the argument and what it may be.
    """
    one_of("phone_numbers", export.phone_numbers, NUMBER_MODES)
    pages = export.page_concurrency
    if isinstance(pages, bool) or not isinstance(pages, int) or not 1 <= pages <= _MOST_PAGES_AT_ONCE:
        raise InvalidRequest(
            f"page_concurrency must be a whole number from 1 to {_MOST_PAGES_AT_ONCE}, not {shown(pages)}."
        )
    check_text("voice_conn_id", export.voice_conn_id)
    _scope_when_known(export)
    if is_literal(export.start) and is_literal(export.end):
        bounds_of(export)
    else:
        for name, value in (("start", export.start), ("end", export.end)):
            if is_literal(value):
                bound_of(name, value)


def check_text(name: str, value: object, *, optional: bool = False) -> None:
    """Refuse a value that is no text, is empty, or is too long; a template passes.

    :param name: the argument's name, for the error.
    :param value: the argument.
    :param optional: whether None and an empty text will do.
    :raises InvalidRequest: naming the argument.
    """
    if not is_literal(value) or (optional and value in (None, "")):
        return
    if not isinstance(value, str) or not value.strip() or len(value.encode(errors="replace")) > _MOST_TEXT:
        raise InvalidRequest(f"{name} must be a text of 1 to {_MOST_TEXT} bytes, not {shown(value)}.")
    if not value.isprintable():
        raise InvalidRequest(f"{name} holds a character that cannot be printed: {shown(value)}.")


def check_path(name: str, value: object) -> None:
    """Refuse a value that is no path; a template and a path object pass.

    :param name: the argument's name, for the error.
    :param value: the argument.
    :raises InvalidRequest: naming the argument.
    """
    if is_literal(value) and (not isinstance(value, str) or not value.strip() or not value.isprintable()):
        raise InvalidRequest(f"{name} must be a path such as s3://bucket/calls, not {shown(value)}.")


def check_table(table: object, schema: object) -> None:
    """Refuse names of a table and a schema that are no plain identifiers; a template passes.

    :param table: the table's name.
    :param schema: the schema's name; None or empty: the connection's default.
    :raises InvalidRequest: naming the one that is wrong.
    """
    for name, value in (("table", table), ("schema", schema or None)):
        if not is_literal(value) or (name == "schema" and value is None):
            continue
        if not isinstance(value, str) or not IDENTIFIER.fullmatch(value):
            raise InvalidRequest(f"{name} must be a name of at most 50 letters, digits and _, not {shown(value)}.")


def bounds_of(export: Export) -> tuple[datetime | None, datetime | None]:
    """Return the bounds that a user gave, as aware UTC instants, of arguments that are rendered.

    :param export: the operator.
    :return: start and end; None where none was given.
    :raises InvalidRequest: when one cannot be read, or nothing is between them.
    """
    start, end = bound_of("start", export.start), bound_of("end", export.end)
    check_bounds(start, end)
    return start, end


def scope_of(export: Export) -> Scope:
    """Return which calls are exported, of arguments that are rendered.

    :param export: the operator.
    :return: the scope; ids are text, as vendors' ids are in the table.
    :raises InvalidRequest: for a direction there is not, or an id that is none.
    """
    check_text("voice_conn_id", export.voice_conn_id)
    source = export.source or export.voice_conn_id
    check_text("source", source)
    agent_id = _agent_of(export.agent_id)
    if export.direction:  # a template may be rendered to nothing, which means both
        one_of("direction", export.direction, get_args(Direction))
    return Scope(source, agent_id, export.direction or None)


def _scope_when_known(export: Export) -> None:
    check_text("source", export.source, optional=True)
    if is_literal(export.agent_id):
        _agent_of(export.agent_id)
    if is_literal(export.direction) and export.direction not in (None, ""):
        one_of("direction", export.direction, get_args(Direction))


def _agent_of(value: object) -> str | None:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _MOST_AGENT:
        value = str(value)
    check_text("agent_id", value, optional=True)
    return str(value).strip() if value else None
