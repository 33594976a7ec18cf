"""``VoiceCallNotifier``: rings people from Airflow's callbacks and deadline alerts until somebody answers."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from copy import copy
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowException
from airflow.sdk import BaseNotifier, Variable
from asgiref.sync import sync_to_async

from airflow_provider_voice.dialing.record import digest
from airflow_provider_voice.exceptions import InvalidPhoneNumber, InvalidRequest, VoiceError
from airflow_provider_voice.hooks.voice import VoiceHook
from airflow_provider_voice.models import json_object
from airflow_provider_voice.phone import mask_numbers_in, parse_number, shown
from airflow_provider_voice.utils.call_arguments import check_number, id_or_none, text_or_none
from airflow_provider_voice.utils.validation import connection_id, duration, endings_of, is_literal

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Generator, Mapping, Sequence

    from airflow_provider_voice.models import CallStatus
    from airflow_provider_voice.outreach.escalation import Escalation

log = logging.getLogger(__name__)

#: How often in a row a step may fail for a passing reason before the notifier gives up.
TRIES = 5
_KEY_PREFIX = "notifier:"
_LONGEST_KEY = 200


class VoiceCallNotifier(BaseNotifier):
    """Ring the first number, and the next one when nobody answers; once per failure, however many callbacks fire.

    .. code-block:: python

        ring = VoiceCallNotifier(to=["+14155552601", "+14155552602"], agent_id="agent_1")
        with DAG("etl", on_failure_callback=ring, default_args={"on_failure_callback": ring}): ...

    Airflow lets callbacks of tasks and DAGs run for seconds only, so there the notifier places the call that is due and
    returns; the next callback of the same key continues with the next number. In a deadline alert it stays until
    somebody has answered, and in a task of your own as long as ``max_wait`` says. It raises nothing into a callback:
    errors are logged.

    :param to: the numbers, in the order in which they are rung, each once; one text with commas is a list too.
    :param variables: values for the agent's prompt; None: ``dag_id``, ``run_id``, ``task_id`` and ``reason``.
    :param voice_conn_id: the voice connection, default ``voice_default``.
    :param agent_id: the vendor's agent; None: the connection's ``default_agent_id``.
    :param ledger_conn_id: the SQL connection of the ledger, which keeps the calls of each alarm; None: a SQLite file
        under ``AIRFLOW_HOME``, for an Airflow on one machine.
    :param dedup_key: callbacks with the same key ring once; None: the DAG, the run and the numbers.
    :param cooldown: how long after its last call a key does not ring again, as a ``timedelta`` or in seconds, default
        15 minutes.
    :param escalate_after: how long a person has to answer before the next one is rung, as a ``timedelta`` or in
        seconds, default two minutes.
    :param success_statuses: endings after which nobody else is rung, default ``completed``.
    :param max_wait: how long ``notify`` may wait for an answer, as a ``timedelta`` or in seconds. None (default): not
        at all in callbacks, without a limit in deadline alerts.
    :param context: set by Airflow when it makes a notifier of a deadline alert.
    :raises InvalidRequest: when the DAG is parsed, for arguments that are wrong, unless they are templates.
    """

    template_fields: Sequence[str] = (
        "to",
        "variables",
        "voice_conn_id",
        "agent_id",
        "ledger_conn_id",
        "dedup_key",
    )

    def __init__(
        self,
        *,
        to: Sequence[str] | str,
        variables: Mapping[str, Any] | None = None,
        voice_conn_id: str = VoiceHook.default_conn_name,
        agent_id: str | int | None = None,
        ledger_conn_id: str | None = None,
        dedup_key: str | None = None,
        cooldown: float | timedelta = timedelta(minutes=15),
        escalate_after: float | timedelta = timedelta(minutes=2),
        success_statuses: Collection[CallStatus | str] = ("completed",),
        max_wait: float | timedelta | None = None,
        context: Any = None,
    ) -> None:
        super().__init__(context)
        self.to = to
        self.variables = variables
        self.voice_conn_id = voice_conn_id
        self.agent_id = agent_id
        self.ledger_conn_id = ledger_conn_id
        self.dedup_key = dedup_key
        self.cooldown = cooldown
        self.escalate_after = escalate_after
        self.success_statuses = success_statuses
        self.max_wait = max_wait
        if context is None:
            # A notifier of a deadline alert is checked when it rings: Airflow logs its arguments when this raises.
            self._check()
            for number in _listed(to):
                check_number(number, None)

    def _check(self) -> None:
        """Refuse wrong arguments; templates are checked when they are rendered."""
        wait = duration("escalate_after", self.escalate_after)
        if duration("cooldown", self.cooldown) < wait:
            raise InvalidRequest(
                "cooldown must not be shorter than escalate_after: the alarm would begin again before it has gone on "
                "to the next number."
            )
        if self.max_wait is not None:
            duration("max_wait", self.max_wait)
        endings_of("success_statuses", self.success_statuses)
        if is_literal(self.voice_conn_id):
            connection_id(self.voice_conn_id)
        if is_literal(self.agent_id):
            id_or_none("agent_id", self.agent_id)
        if is_literal(self.variables):
            json_object("variables", self.variables)
        if is_literal(self.dedup_key):
            text_or_none("dedup_key", self.dedup_key)

    def __call__(self, *args: Any) -> None:
        """Ring from a callback; Airflow calls this. Nothing is ever raised.

        :param args: the context of the callback.
        """
        context = args[0] if args else {}
        _without_raising(lambda: self._rendered(context).notify(context))

    def __await__(self) -> Generator[Any, None, None]:
        """Ring from a deadline alert; Airflow awaits this in the triggerer. Nothing is ever raised."""
        return self.async_notify(self.context, is_rendered=False).__await__()

    def notify(self, context: Any) -> None:
        """Place the call that is due, and go on to the next numbers while ``max_wait`` allows it.

        :param context: the context of the callback. The template fields are rendered already.
        """
        _without_raising(lambda: self._notify(context))

    async def async_notify(self, context: Any, *, is_rendered: bool = True) -> None:
        """Ring until somebody has answered or nobody is left, without blocking the event loop.

        :param context: the context of the deadline alert.
        :param is_rendered: whether the template fields are rendered already, default True.
        """
        # Airflow's connections, the ledger and the vendor are all read in one thread, so that a step that is under way
        # when the trigger is canceled ends before its connections are closed.
        in_thread = sync_to_async(_without_raising, thread_sensitive=False, executor=ThreadPoolExecutor(1))
        steps = await in_thread(lambda: (self if is_rendered else self._rendered(context))._steps(context))
        if steps is None:
            return
        try:
            seconds = await in_thread(lambda: next(steps, None))
            while seconds is not None:
                await asyncio.sleep(seconds)
                seconds = await in_thread(lambda: next(steps, None))
        finally:
            await in_thread(steps.close)

    def _notify(self, context: Any) -> None:
        limit = float("inf") if self.max_wait is None else duration("max_wait", self.max_wait).total_seconds()
        if self.max_wait is None and "deadline" not in context:
            limit = 0.0
        began = time.monotonic()
        with closing(self._steps(context)) as steps:
            for seconds in steps:
                if seconds and time.monotonic() - began + seconds > limit:
                    log.info("The alarm is left to the next callback with its key; this one waits no longer.")
                    return
                time.sleep(seconds)

    def _steps(self, context: Any) -> Generator[float, None, None]:
        """Ring the numbers, and yield the seconds to wait before each further step.

        A step that fails for a passing reason is tried again a few times. Closing the generator closes all connections.
        """
        escalation = self.escalation(context)
        failures = 0
        try:
            while True:
                try:
                    seconds = escalation.step()
                    failures = 0
                except VoiceError as error:
                    failures += 1
                    if error.permanent or failures >= TRIES:
                        raise
                    # It may quote the key, and the key may be a number.
                    log.warning("A step of the alarm failed and is tried again: %s", mask_numbers_in(error.message))
                    seconds = failures * 5.0
                if seconds is None:
                    return
                yield seconds
        finally:
            escalation.close()

    def escalation(self, context: Any) -> Escalation:
        """Return the escalation that rings the numbers; the template fields are rendered already.

        :param context: the context of the callback.
        :return: the escalation, on the ledger and the voice connection of this notifier.
        :raises VoiceError: for an invalid argument or connection.
        """
        # SQLAlchemy and the dialer: only a notifier that rings needs them, not a DAG file.
        from airflow_provider_voice.hooks.sql import ledger_engine
        from airflow_provider_voice.outreach.database import Database
        from airflow_provider_voice.outreach.escalation import Alarm, Escalation

        self._check()
        hook = VoiceHook.for_connection(connection_id(self.voice_conn_id))
        facts = _facts_of(context)
        numbers = _numbers(self.to, hook.vendor.settings.default_region)
        alarm = Alarm(
            key=_key(_given(self.dedup_key) or "/".join((facts["dag_id"], facts["run_id"], digest(*numbers)[:16]))),
            numbers=numbers,
            agent_id=id_or_none("agent_id", self.agent_id),
            variables=facts if self.variables is None else self.variables,
            cooldown=duration("cooldown", self.cooldown),
            escalate_after=duration("escalate_after", self.escalate_after),
            success_statuses=endings_of("success_statuses", self.success_statuses),
        )
        return Escalation(Database(ledger_engine(self.ledger_conn_id)), hook, alarm)

    def _rendered(self, context: Any) -> VoiceCallNotifier:
        """Return a copy with rendered fields: one notifier serves many runs, and rendering cannot be taken back.

        Airflow's own rendering also puts the fields, and with them the numbers, into the context of later callbacks.
        """
        # A deadline alert's context has no variables, and numbers should not be written down in a DAG.
        values = {"var": {"value": _Variables(as_json=False), "json": _Variables(as_json=True)}, **context}
        # `airflow dags test` gives callbacks of a DAG its serialized form, which makes no template environment.
        dag = context.get("dag")
        env = self.get_template_env(dag if hasattr(dag, "get_template_env") else None)
        rendered = copy(self)
        for name in self.template_fields:
            try:
                # Airflow's render_template_fields would log the field, and with it the numbers, when a template fails.
                value = self.render_template(getattr(self, name), values, env)  # type: ignore[arg-type]  # a context like Airflow's
            except Exception as error:  # a template can raise anything
                log.warning("A template of %s failed (%s).", name, type(error).__name__)
                if name != "variables":
                    raise
                value = None  # the call is placed with the default
            setattr(rendered, name, value)
        return rendered


class _Variables:
    """Airflow's Variables as a template reads them: ``var.json.on_call``, ``var.json.get("on_call", [])``."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json

    def __getattr__(self, name: str) -> Any:
        return Variable.get(name, deserialize_json=self._as_json)

    def get(self, name: str, default: Any = None) -> Any:
        """Return the value of a Variable.

        :param name: its name.
        :param default: the result when there is no such Variable.
        :return: the value.
        """
        return Variable.get(name, default, deserialize_json=self._as_json)


def _without_raising(work: Callable[[], Any]) -> Any:
    """Return the result of ``work``; ``None`` when it raised, and then the error is in the log, without numbers."""
    try:
        return work()
    except (VoiceError, AirflowException) as error:
        log.error("The alarm could not be raised: %s", mask_numbers_in(str(error)))  # noqa: TRY400 - a traceback quotes rows
    except Exception as error:  # noqa: BLE001 - a callback must not fail; the text of a foreign error may hold anything
        log.error("The alarm could not be raised (%s).", type(error).__name__)  # noqa: TRY400 - a traceback quotes rows
    return None


def _listed(to: Any) -> list[Any]:
    """Return the numbers that ``to`` lists; nothing while it is a template."""
    if isinstance(to, str):
        if not is_literal(to):
            return []
        # A template such as {{ var.json.oncall }} renders a list as its text.
        to = [part for part in re.split(r"[,\[\]'\"]+", to) if part.strip()]
    if not isinstance(to, (list, tuple)) or not to:
        raise InvalidRequest(f"to must be a list of at least one phone number, not {shown(to)}.")
    return [number for number in to if is_literal(number)]


def _numbers(to: Any, region: str | None) -> list[str]:
    """Return the numbers, E.164, each once. One that cannot be dialed is logged and left out: the others are rung."""
    numbers: dict[str, None] = {}
    for text in _listed(to):
        try:
            numbers[parse_number(text, region)] = None
        except (InvalidPhoneNumber, InvalidRequest) as error:
            log.warning("A number of the alarm is left out: %s", error.message)
    if not numbers:
        raise InvalidRequest("to has no number that can be rung. List at least one.")
    return list(numbers)


def _facts_of(context: Any) -> dict[str, str]:
    """Return the ids of the failed run: contexts of tasks and DAGs have objects, those of deadline alerts a mapping."""
    run = context.get("dag_run") or {}
    run = run if isinstance(run, dict) else {}
    dag, ti = context.get("dag"), context.get("ti")
    facts = {
        "dag_id": getattr(dag, "dag_id", None) or getattr(ti, "dag_id", None) or run.get("dag_id"),
        "run_id": context.get("run_id") or getattr(ti, "run_id", None) or run.get("dag_run_id"),
        "task_id": getattr(ti, "task_id", None),
        "reason": context.get("reason") or ("deadline missed" if "deadline" in context else None),
    }
    return {name: str(value or "") for name, value in facts.items()}


def _given(key: str | None) -> str | None:
    """Return the key; None for the text that a template makes of a missing value, which all alarms would share."""
    return None if key is None or key.strip() in ("", "None") else key


def _key(text: str) -> str:
    return _KEY_PREFIX + (text if len(text) <= _LONGEST_KEY else f"{text[:100]}/{digest(text)[:16]}")
