"""The arguments that every export of calls has, and their checks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

from airflow.sdk import BaseOperator

from airflow_provider_voice.exceptions import InvalidRequest
from airflow_provider_voice.export.models import PhoneNumberMode, Scope
from airflow_provider_voice.export.windows import bound_of, check_bounds
from airflow_provider_voice.hooks.voice import HasVoiceHook, VoiceHook
from airflow_provider_voice.models import Direction
from airflow_provider_voice.phone import shown
from airflow_provider_voice.utils.call_arguments import id_or_none
from airflow_provider_voice.utils.task_errors import bad_arguments_end_the_task
from airflow_provider_voice.utils.validation import is_literal, one_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

# A key column has 255 characters; connection ids have 250.
_MOST_TEXT = 250


class CallExport(HasVoiceHook, BaseOperator):
    """An export of the calls created in ``[start, end)``; a subclass for each target.

    Arguments that are known are checked when the DAG is parsed, templates once they are rendered.

    Example::

        class CallsToStdout(CallExport):
            def execute(self, context): ...

    :param voice_conn_id: the voice connection, default ``voice_default``.
    :param start: the first instant, a ``datetime`` or ISO 8601 text; None: the target decides.
    :param end: the first instant after the window; None: the target decides.
    :param agent_id: only calls of this agent; None: of every agent.
    :param direction: ``inbound`` or ``outbound``; None: both.
    :param source: the name of the source; None: the voice connection's id.
    :param phone_numbers: ``plain`` (default), ``masked`` or ``hashed``.
    :param page_concurrency: pages read at once where the vendor has page numbers, default 4.
    :param kwargs: the arguments of ``BaseOperator``, ``task_id`` for one.
    :raises InvalidRequest: when the DAG is parsed, for an invalid argument.
    """

    template_fields: Sequence[str] = ("voice_conn_id", "start", "end", "agent_id", "direction", "source")
    ui_color = "#f5e9d9"

    def __init__(
        self,
        *,
        voice_conn_id: str = VoiceHook.default_conn_name,
        start: datetime | str | None = None,
        end: datetime | str | None = None,
        agent_id: str | int | None = None,
        direction: Direction | None = None,
        source: str | None = None,
        phone_numbers: PhoneNumberMode = "plain",
        page_concurrency: int = 4,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.voice_conn_id = voice_conn_id
        self.start = start
        self.end = end
        self.agent_id = agent_id
        self.direction = direction
        self.source = source
        self.phone_numbers = phone_numbers
        self.page_concurrency = page_concurrency
        with bad_arguments_end_the_task():
            one_of("phone_numbers", phone_numbers, get_args(PhoneNumberMode))
            if type(page_concurrency) is not int or page_concurrency < 1:
                raise InvalidRequest(f"page_concurrency must be a whole number above 0, not {shown(page_concurrency)}.")
            self.scope()
            known = [bound_of(name, value) for name, value in (("start", start), ("end", end)) if is_literal(value)]
            if len(known) == 2:  # noqa: PLR2004 - both bounds
                check_bounds(*known)

    def bounds(self) -> tuple[datetime | None, datetime | None]:
        """Return the bounds that a user gave, as aware UTC instants, of arguments that are rendered.

        :return: start and end; None where none was given.
        :raises InvalidRequest: when one cannot be read, or nothing is between them.
        """
        start, end = bound_of("start", self.start), bound_of("end", self.end)
        check_bounds(start, end)
        return start, end

    def scope(self) -> Scope:
        """Return which calls are exported; arguments that are still templates are not checked.

        :return: the scope; ids are text, as vendors' ids are in the table.
        :raises InvalidRequest: for a direction there is not, or an id that is none.
        """
        check_text("voice_conn_id", self.voice_conn_id)
        source, agent_id = self.source or self.voice_conn_id, self.agent_id
        check_text("source", source)
        if isinstance(agent_id, int):
            agent_id = id_or_none("agent_id", agent_id)
        check_text("agent_id", agent_id, optional=True)
        if self.direction and is_literal(self.direction):  # a template may be rendered to nothing, which means both
            one_of("direction", self.direction, get_args(Direction))
        # As text: when the DAG is parsed, it may be another task's output.
        return Scope(source, str(agent_id).strip() if agent_id else None, self.direction or None)


def check_text(name: str, value: object, *, optional: bool = False, most: int = _MOST_TEXT) -> None:
    """Refuse a value that is no text, is empty, is too long, or has a character that cannot be printed.

    A template passes.

    :param name: the argument's name, for the error.
    :param value: the argument.
    :param optional: whether None and an empty text will do.
    :param most: the most bytes, default 250.
    :raises InvalidRequest: naming the argument.
    """
    if not is_literal(value) or (optional and value in (None, "")):
        return
    is_text = isinstance(value, str) and value.strip() and value.isprintable()
    if not is_text or len(str(value).encode(errors="replace")) > most:
        raise InvalidRequest(f"{name} must be a text of 1 to {most} bytes, all printable, not {shown(value)}.")
