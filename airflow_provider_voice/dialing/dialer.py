"""Placing one call at most once, whatever dies, hangs or is retried.

A create can not be taken back and no vendor here has an idempotency key. So, in this order: store an intent; send;
store the call id. What a later try finds decides what it may do:

======================  ==========================================================================================
the record says         the try does
======================  ==========================================================================================
nothing                 places the call (below Airflow 3.3, where nothing can be stored: looks for it first)
``placed``              attaches to the call it names; never a create
``intent``, no call id  looks the call up at the vendor: one match is adopted, anything else is an error
``refused``             places the call: the vendor is known not to have accepted the earlier create
``ended``               places the next call, when the ending is one the user wants to ring again after
======================  ==========================================================================================

Nothing here imports Airflow: the operator brings the task's facts and its state store.
"""

from __future__ import annotations

import hashlib
import logging
import time
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, Protocol

from airflow_provider_voice.dialing.outcomes import proves_no_ring
from airflow_provider_voice.dialing.reconcile import Evidence, clock_offset, look_for_call
from airflow_provider_voice.dialing.record import RECORD_KEY, Record
from airflow_provider_voice.exceptions import (
    AuthenticationFailed,
    CallOutcomeUnknown,
    InvalidRequest,
    VoiceError,
)
from airflow_provider_voice.models import Call, CallRef, CallRequest, CallStatus, read_time, write_time
from airflow_provider_voice.phone import mask_number

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from airflow_provider_voice.hooks.voice import VoiceHook

log = logging.getLogger(__name__)

#: Seconds between looks for a call whose answer was lost, within one try: lists may show it late.
LOOKS = (0.0, 2.0, 5.0, 10.0, 15.0)
PLACED, REATTACHED, ADOPTED = "placed", "reattached", "adopted"


class StateStore(Protocol):
    """The task state store, as far as it is needed: it survives retries and clears."""

    def get(self, key: str) -> Any:
        """Return the value under a key, None when there is none."""

    def set(self, key: str, value: Any) -> None:
        """Store a JSON value durably before returning."""


@dataclass(frozen=True)
class TaskFacts:
    """What the dialer must know of the task: who it is, which try this is, and whether a user cleared it."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int = -1
    try_number: int = 1
    max_tries: int = 0
    retries: int = 0
    run_started_at: datetime | None = None

    @property
    def is_last_try(self) -> bool:
        """Whether Airflow will not try again by itself."""
        return self.try_number > self.max_tries

    @property
    def was_cleared(self) -> bool:
        """Whether a user cleared the task at least once: a clear raises ``max_tries`` above the task's retries."""
        return self.max_tries > self.retries


@dataclass(frozen=True)
class Dialed:
    """The call of this task, how it came to be (``placed``, ``reattached``, ``adopted``) and its generation."""

    call: Call
    how: str
    generation: int


class Dialer:
    """Places the call of one task at most once.

    :param hook: the connection.
    :param store: the task state store; None below Airflow 3.3.
    :param facts: the task.
    :param new_call_on_clear: whether a user's clear means a new call (``on_clear="new_call"``).
    :param redial_statuses: endings after which a retry rings again.
    :param redial_when_absent_for: how long the vendor's list must have been readable and without the call before a
        create whose answer was lost is given up and sent again; None: never.
    :param before_ringing: called right before a new call is placed; raises when none may be (a stale run).
    """

    def __init__(
        self,
        hook: VoiceHook,
        store: StateStore | None,
        facts: TaskFacts,
        *,
        new_call_on_clear: bool = False,
        redial_statuses: frozenset[CallStatus] = frozenset(),
        redial_when_absent_for: timedelta | None = None,
        before_ringing: Callable[[], None] = lambda: None,
        sleep: Callable[[float], None] = time.sleep,
        now: Callable[[], datetime] = lambda: datetime.now(timezone.utc),
    ) -> None:
        self._hook = hook
        self._store = store
        self._facts = facts
        self._new_call_on_clear = new_call_on_clear
        self._redial_statuses = redial_statuses
        self._redial_when_absent_for = redial_when_absent_for
        self._before_ringing = before_ringing
        self._sleep = sleep
        self._now = now

    def dial(self, request: CallRequest) -> Dialed:
        """Return the call of this task: the one an earlier try placed, or a new one.

        :param request: the call wanted.
        :raises CallOutcomeUnknown: when it can not be known whether the phone rang, with what was looked for.
        :raises VoiceError: what the vendor's refusal means; nothing rang.
        """
        request = self._hook.vendor.complete(request)
        self._hook.vendor.check_request(request)
        record = self._load()
        if record is None:
            return self._dial_without_record(request)
        if self._starts_anew(record):
            return self._place(request, self._next(record, request))
        self._check_same(record, request)
        if record.call is not None:
            log.info("An earlier try placed call %s; this one attaches to it.", record.call.get("id"))
            return Dialed(self._attached(record, request), REATTACHED, record.generation)
        return self._settle(request, record)

    def ended(self, call: Call) -> None:
        """Store how the call ended, so that a retry may ring again after an ending in ``redial_statuses``."""
        record = self._load()
        if record is not None and record.call is not None and record.call.get("id") == call.id:
            record.state, record.status = "ended", call.status.value
            # What may ring again is a retry that follows this try, not a clear: see _starts_anew.
            record.try_number, record.max_tries = self._facts.try_number, self._facts.max_tries
            self._save_if_possible(record)

    def _dial_without_record(self, request: CallRequest) -> Dialed:
        """Place the call, after looking for an earlier one where an earlier try could have placed it unrecorded."""
        cleared_anew = self._facts.was_cleared and self._new_call_on_clear
        # With a store no record means that nothing was ever sent: the intent is stored first. Only a clear of a task
        # that had succeeded may have lost it ([state_store] clear_on_success).
        may_have_rung = self._facts.try_number > 1 and (self._store is None or self._facts.was_cleared)
        if may_have_rung and not cleared_anew:
            if self._store is None:
                log.warning(
                    "Airflow below 3.3 stores nothing between tries: this try looks for the call of an earlier one in "
                    "the vendor's list, which may show it late. Upgrade to be sure."
                )
            record = self._next(None, request)
            since = self._facts.run_started_at or self._now() - timedelta(days=1)
            tag = record.key if self._store is None else None
            found = self._look(request, Evidence(since=since, until=None, tag=tag))
            if found is not None:
                self._save_call(record, found)
                return Dialed(found, ADOPTED, record.generation)
        return self._place(request, self._next(None, request))

    def _starts_anew(self, record: Record) -> bool:
        """Tell whether this try belongs to a new intended call; what is unclear belongs to the old one."""
        if self._new_call_on_clear and self._facts.max_tries > record.max_tries:
            return True
        if record.state == "refused":
            return True
        ended = record.state == "ended" and record.status in {status.value for status in self._redial_statuses}
        is_retry = self._facts.try_number > record.try_number and self._facts.max_tries == record.max_tries
        return ended and is_retry

    def _next(self, record: Record | None, request: CallRequest) -> Record:
        generation = record.generation + 1 if record else 1
        earlier = list(record.earlier_ids) if record else []
        if record and record.call:
            earlier.append(str(record.call.get("id")))
        return Record(
            generation=generation,
            key=self._key(generation),
            state="intent",
            intent_at=self._now(),
            fingerprint=self._fingerprint(request),
            max_tries=self._facts.max_tries,
            try_number=self._facts.try_number,
            clock_offset=self._hook.vendor.http.clock_offset,
            earlier_ids=earlier,
        )

    def _place(self, request: CallRequest, record: Record) -> Dialed:
        """Store the intent, send, store the id: the order is the promise."""
        self._before_ringing()
        self._save(record)
        try:
            call = self._hook.make_call(_tagged(request, record.key))
        except CallOutcomeUnknown as error:
            return self._settle(request, record, error)
        except VoiceError as error:
            if proves_no_ring(error):
                record.state = "refused"
                self._save_if_possible(record)
                raise
            return self._settle(request, record, error)
        self._save_call(record, call)
        log.info("Placed call %s to %s (generation %d).", call.id, mask_number(request.to), record.generation)
        return Dialed(call, PLACED, record.generation)

    def _settle(self, request: CallRequest, record: Record, cause: VoiceError | None = None) -> Dialed:
        """Find out what became of a create whose answer is not known; never by sending it again."""
        try:
            if record.clock_offset is None:
                # Kept with the intent: a later try may run on a machine whose clock is another.
                record.clock_offset = clock_offset(self._hook.vendor).total_seconds()
            evidence = Evidence(
                since=record.intent_at,
                until=record.intent_at,
                clock_offset=record.clock_offset,
                tag=record.key,
                not_these=frozenset(record.earlier_ids),
            )
            found = self._look(request, evidence)
        except (CallOutcomeUnknown, AuthenticationFailed):
            raise
        except VoiceError as error:
            record.absent_since = None
            self._save_if_possible(record)
            why = f"the vendor's list can not be read ({error.message})"
            raise self._still_unknown(request, record, why, cause) from None
        if found is not None:
            self._save_call(record, found)
            log.info("Found call %s of the create whose answer was lost.", found.id)
            return Dialed(found, ADOPTED, record.generation)
        if self._absent_long_enough(record):
            log.warning(
                "The vendor's list has been without the call for %s: ringing again, as redial_when_absent_for asks.",
                self._redial_when_absent_for,
            )
            return self._place(request, self._next(record, request))
        raise self._still_unknown(request, record, "the vendor's list does not show it", cause)

    def _absent_long_enough(self, record: Record) -> bool:
        now = self._now()
        if record.absent_since is None:
            record.absent_since = now
            self._save_if_possible(record)
        wanted = self._redial_when_absent_for
        return wanted is not None and now - record.absent_since >= wanted

    def _still_unknown(
        self, request: CallRequest, record: Record, why: str, cause: VoiceError | None
    ) -> CallOutcomeUnknown:
        last = (
            " This was the last try; look there by hand before you clear the task." if self._facts.is_last_try else ""
        )
        return CallOutcomeUnknown(
            f"It is not known whether {mask_number(request.to)} was rung: a create was sent at "
            f"{write_time(record.intent_at)} without a readable answer, and {why} (looked for agent "
            f"{request.agent_id}, tag {record.key}, at {write_time(self._now())} on connection "
            f"{self._hook.voice_conn_id}). Nothing is sent "
            f"again.{last}",
            vendor=self._hook.vendor.name,
            status_code=cause.status_code if cause else None,
            request_id=cause.request_id if cause else None,
            # Looking again later can settle it and rings nobody.
            permanent=False,
        )

    def _look(self, request: CallRequest, evidence: Evidence) -> Call | None:
        for pause in LOOKS:
            self._sleep(pause)
            found = look_for_call(self._hook.vendor, request, evidence, now=self._now)
            if found is not None:
                return found
        return None

    def _attached(self, record: Record, request: CallRequest) -> Call:
        data: Mapping[str, Any] = record.call or {}
        tag = data.get("tag") or record.key
        ref = CallRef(str(data["id"]), request.to, read_time(data.get("created_at")), tag, request.agent_id)
        try:
            call = self._hook.get_call(ref)
        except VoiceError as error:
            if error.permanent:
                raise
            log.info("The call can not be looked at now: %s", error.message)
            call = None
        if call is not None:
            return call
        status = CallStatus(data.get("status", CallStatus.QUEUED.value))
        return Call(
            id=ref.id, vendor=self._hook.vendor.name, status=status, to=request.to, direction="outbound",
            agent_id=request.agent_id, created_at=ref.placed_at, tag=tag,
        )  # fmt: skip

    def _check_same(self, record: Record, request: CallRequest) -> None:
        if record.fingerprint != self._fingerprint(request):
            raise InvalidRequest(
                f"An earlier try of this task was to ring another number, by another agent or connection, than "
                f"{mask_number(request.to)}, so neither call can stand for the other. Clear the task with "
                "on_clear='new_call' to ring the new one."
            )

    def _fingerprint(self, request: CallRequest) -> str:
        text = "\x1f".join((self._hook.voice_conn_id, request.to, request.agent_id or "", *self._name()))
        return hashlib.sha256(text.encode()).hexdigest()

    def _name(self) -> tuple[str, ...]:
        facts = self._facts
        return facts.dag_id, facts.run_id, facts.task_id, str(facts.map_index)

    def _key(self, generation: int) -> str:
        """Return the dial key: of dag, run, task, map index and generation, and unlike any other deployment's.

        The random part is stored with the intent before it is sent. Without a store every try must find the same key.
        """
        nonce = uuid.uuid4().hex if self._store is not None else ""
        text = "\x1f".join((*self._name(), str(generation), nonce))
        return f"afv-{hashlib.sha256(text.encode()).hexdigest()[:40]}"

    def _load(self) -> Record | None:
        data = self._store.get(RECORD_KEY) if self._store is not None else None
        return None if data is None else Record.from_json(data)

    def _save(self, record: Record) -> None:
        if self._store is not None:
            self._store.set(RECORD_KEY, record.to_json())

    def _save_call(self, record: Record, call: Call) -> None:
        record.state = "placed"
        # No number: the record may be shown in Airflow's UI.
        created_at = write_time(call.created_at)
        record.call = {"id": call.id, "created_at": created_at, "status": call.status.value, "tag": call.tag}
        self._save_if_possible(record)

    def _save_if_possible(self, record: Record) -> None:
        """Store what makes the next try quicker; the stored intent already keeps it from ringing."""
        try:
            self._save(record)
        except Exception as error:  # noqa: BLE001 - whatever a state backend raises, the call is placed
            log.warning("Could not store the state of the call (%s); a retry will look it up.", type(error).__name__)


def _tagged(request: CallRequest, key: str) -> CallRequest:
    return CallRequest(**{**vars(request), "tag": key})
