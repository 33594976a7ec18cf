"""Checks of an export's arguments: when a DAG is parsed, and once templates are rendered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, get_args

from airflow_provider_voice.exceptions import InvalidRequest
from airflow_provider_voice.export.models import NUMBER_MODES, Direction, Scope, check_identifier
from airflow_provider_voice.export.windows import bound_of, check_bounds
from airflow_provider_voice.phone import shown
from airflow_provider_voice.utils.validation import is_literal, one_of

if TYPE_CHECKING:
    from datetime import datetime

    from airflow_provider_voice.export.models import PhoneNumberMode

# A key column has 255 characters; connection ids have 250.
_MOST_TEXT = 250
_MOST_PAGES_AT_ONCE = 100
_MOST_AGENT = 10**18


#: The arguments of every export that may be templates.
TEMPLATED = ("voice_conn_id", "start", "end", "agent_id", "direction", "source")


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
    :raises InvalidRequest: with the argument and its accepted values.
    """
    one_of("phone_numbers", export.phone_numbers, NUMBER_MODES)
    pages = export.page_concurrency
    if isinstance(pages, bool) or not isinstance(pages, int) or not 1 <= pages <= _MOST_PAGES_AT_ONCE:
        raise InvalidRequest(
            f"page_concurrency must be a whole number from 1 to {_MOST_PAGES_AT_ONCE}, not {shown(pages)}."
        )
    scope_of(export)
    bounds = (("start", export.start), ("end", export.end))
    known = [bound_of(name, value) for name, value in bounds if is_literal(value)]
    if len(known) == len(bounds):
        check_bounds(known[0], known[1])


def check_text(name: str, value: object, *, optional: bool = False) -> None:
    """Refuse a value that is not text, is empty, or is too long; a template passes.

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
    """Refuse a value that is not a path; a template and a path object pass.

    :param name: the argument's name, for the error.
    :param value: the argument.
    :raises InvalidRequest: naming the argument.
    """
    if is_literal(value) and (not isinstance(value, str) or not value.strip() or not value.isprintable()):
        raise InvalidRequest(f"{name} must be a path such as s3://bucket/calls, not {shown(value)}.")


def check_table(table: object, schema: object) -> None:
    """Refuse names of a table and a schema that are not plain identifiers; a template passes.

    :param table: the table's name.
    :param schema: the schema's name; None or empty: the connection's default.
    :raises InvalidRequest: naming the one that is wrong.
    """
    for name, value in (("table", table), ("schema", schema)):
        if is_literal(value) and not (name == "schema" and value in (None, "")):
            check_identifier(name, value)


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
    """Return which calls are exported, of arguments that are rendered; those that are templates yet are not checked.

    :param export: the operator.
    :return: the scope; ids are text, as vendors' ids are in the table.
    :raises InvalidRequest: for a direction there is not, or an id that is none.
    """
    check_text("voice_conn_id", export.voice_conn_id)
    source, agent_id = export.source or export.voice_conn_id, export.agent_id
    check_text("source", source)
    if isinstance(agent_id, int) and not isinstance(agent_id, bool) and 0 <= agent_id < _MOST_AGENT:
        agent_id = str(agent_id)
    check_text("agent_id", agent_id, optional=True)
    if export.direction and is_literal(export.direction):  # a template may be rendered to nothing, which means both
        one_of("direction", export.direction, get_args(Direction))
    return Scope(source, str(agent_id).strip() if agent_id else None, export.direction or None)
