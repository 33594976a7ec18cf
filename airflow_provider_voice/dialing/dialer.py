"""Places one call at most once, whatever dies, hangs or is retried.

A create cannot be taken back, and no vendor here has an idempotency key. So the order is: store an intent; send; store
the call id. The table of :mod:`airflow_provider_voice.dialing.decisions` lists the step of a later try.

Nothing here imports Airflow: the operator hands in the facts of the task and its state store.
"""

from __future__ import annotations

import logging
import time
import uuid
from dataclasses import KW_ONLY, dataclass, replace
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_voice.dialing.deadline import Deadline
from airflow_provider_voice.dialing.decisions import Occasion, step_for
from airflow_provider_voice.dialing.no_ring_proof import proves_no_ring
from airflow_provider_voice.dialing.reconcile import (
    LATE_ARRIVAL,
    LONGEST_CREATE,
    LONGEST_LOOK_BACK,
    Evidence,
    clock_offset,
    find_call,
)
from airflow_provider_voice.dialing.record import IntentTaken, Record, RecordStore, digest
from airflow_provider_voice.exceptions import (
    AuthenticationFailed,
    CallNotCompleted,
    CallOutcomeUnknown,
    InvalidRequest,
    RateLimited,
    VendorUnavailable,
    VoiceError,
)
from airflow_provider_voice.models import Call, CallRef, CallRequest, CallStatus, write_time
from airflow_provider_voice.phone import mask_number, mask_numbers_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from airflow_provider_voice.dialing.record import StateStore
    from airflow_provider_voice.dialing.task_facts import TaskFacts
    from airflow_provider_voice.hooks.voice import VoiceHook

log = logging.getLogger(__name__)

#: Seconds to wait before each search for a call within one try: the vendor's list may show the call late.
SEARCH_DELAYS = (0.0, 2.0, 5.0, 10.0, 15.0)
#: Seconds a try waits for a place in the pace of its connection before it leaves the rest to Airflow's retry.
LONGEST_WAIT = 600.0
#: Seconds of one part of that wait, after which policy and kill are checked again.
LONGEST_NAP = 5.0

#: ``placed``: by this try. ``reattached``: by an earlier try that stored its id. ``adopted``: found at the vendor.
How = Literal["placed", "reattached", "adopted"]


@dataclass(frozen=True)
class DialedCall:
    """The call of a task, as it is handed from the dialer through the wait to the task's result.

    .. code-block:: python

        dialed = Dialer(hook, store, facts).dial(request)
        ended = replace(dialed, call=wait_for(dialed.call))
        return ended.to_dict()
    """

    #: The call as the vendor last reported it.
    call: Call
    #: How the task came by the call.
    how: How
    #: Number of the intended call: 1, and one more for each redial or new call after a clear.
    generation: int

    def to_dict(self) -> dict[str, Any]:
        """Return ``Call.to_dict()`` with ``how`` and ``generation``: the result of the task."""
        return {**self.call.to_dict(), "how": self.how, "generation": self.generation}


class _HeldBack(VendorUnavailable):
    """A create was not sent, because its process stood still. The record may be another try's by now; it stays."""


@dataclass(eq=False, repr=False)
class Dialer:
    """Places the call of one task, or of one business key, at most once.

    :param hook: the hook of the connection.
    :param store: keeps the record between tries: the task state store, or a ledger; None below Airflow 3.3.
    :param facts: the task and its try.
    :param new_call_on_clear: whether a user's clear asks for a new call (``on_clear="new_call"``), default False.
    :param redial_statuses: endings after which a retry rings again, default none.
    :param redial_when_absent_for: how long the vendor's list must have been readable and without the call, beyond
        ``delay_seconds``, before a create whose outcome is not known is given up and sent again; None (default): never.
    :param hangs_up_when_deferred: whether a trigger hangs up when the deferred task is killed, default False; it has no
        state store to say so.
    :param before_ringing: called right before an intent is stored, with the times at which the person may have been
        rung before; raises when nobody may be rung now (a stale run, a contact policy).
    :param calls_of_others: returns the ids of calls that are known to belong to other tasks.
    :param before_sending: called right before a create is sent, which may have waited; raises when it must not be sent.
    :param on_refusal: called with the vendor's refusal of a create, before it is raised.
    :param sleep: waits between two searches, and for a place in a ledger's pace; for tests.

    >>> dialer = Dialer(hook, store, facts)  # doctest: +SKIP
    >>> dialer.dial(CallRequest(to="+14155552671", agent_id="agent_1")).how  # doctest: +SKIP
    'placed'
    """

    hook: VoiceHook
    store: StateStore | None
    facts: TaskFacts
    _: KW_ONLY
    new_call_on_clear: bool = False
    redial_statuses: frozenset[CallStatus] = frozenset()
    redial_when_absent_for: timedelta | None = None
    hangs_up_when_deferred: bool = False
    before_ringing: Callable[[list[datetime]], None] = lambda _attempts: None
    calls_of_others: Callable[[], frozenset[str]] = frozenset
    before_sending: Callable[[], None] = lambda: None
    on_refusal: Callable[[VoiceError], None] = lambda _error: None
    sleep: Callable[[float], None] = time.sleep

    def __post_init__(self) -> None:
        self._records = RecordStore(self.store)

    def dial(self, request: CallRequest) -> DialedCall:
        """Return the call of this task or key: the one that was placed before, or a new one.

        :param request: the call wanted.
        :return: the call, how the task came by it, and its generation.
        :raises CallOutcomeUnknown: when nobody can tell whether the phone rang, with the search that was made.
        :raises InvalidRequest: when an earlier try, or another task with the key, was to ring somebody else.
        :raises VoiceError: the vendor's refusal; nothing rang.
        """
        request = self.hook.vendor.complete(request)
        self.hook.vendor.check_request(request)
        return self._follow(request, self._records.load())

    def ended(self, call: Call) -> None:
        """Store how the call ended, so that a retry may ring again after an ending in ``redial_statuses``.

        :param call: the call that has ended.
        """
        record = self._records.of_call(call)
        if record is not None:
            if record.owner == self.facts.instance:
                # A retry that follows this try may ring again; a clear may not: see TaskFacts.is_retry_since.
                record.try_number, record.max_tries = self.facts.try_number, self.facts.max_tries
            self._records.save_call(record, call, "ended")

    def hung_up(self, call: Call) -> None:
        """Store that the killed task asked the vendor to end the call, so that no retry takes its end for a success.

        :param call: the call of this task.
        """
        record = self._records.of_call(call)
        if record is not None:
            record.was_hung_up = True
            self._records.save_if_possible(record)

    def _follow(self, request: CallRequest, record: Record | None) -> DialedCall:
        """Do the step that the table names."""
        is_same = record is None or record.fingerprint == self._fingerprint(request)
        step = step_for(record.state if record else "none", is_same, self._occasion(record))
        if step == "place":
            return self._place(request, self._next(record, request))
        if step == "search, then place":
            return self._search_then_place(request, record)
        if record is None or step == "refuse":
            raise self._of_another_request(request)
        if step == "attach":
            return self._attach(record, request)
        return self._search_then_fail(request, record)

    def _occasion(self, record: Record | None) -> Occasion:
        """Return the occasion of this try; in doubt, the one that rings nobody."""
        facts = self.facts
        if self.new_call_on_clear and facts.was_cleared_since(record):
            return "new call"
        if record is None:
            return "again" if facts.may_follow_a_call else "first"
        if self.new_call_on_clear and facts.run_was_cleared_since(record):
            log.warning(
                "The DAG run was cleared while this task was running, and Airflow does not say whether this task was "
                "among the cleared ones. No new call is placed; to get one, clear the task again when it has ended."
            )
        may_redial = record.status in [status.value for status in self.redial_statuses]
        return "redial" if may_redial and facts.is_retry_since(record) else "again"

    def _next(self, record: Record | None, request: CallRequest) -> Record:
        """Return the record of the next intended call; it lists the calls before it."""
        facts, generation = self.facts, record.generation + 1 if record else 1
        fresh = Record(
            generation=generation,
            key=self._key(request, generation),
            state="intent",
            intent_at=_now(),
            fingerprint=self._fingerprint(request),
            max_tries=facts.max_tries,
            try_number=facts.try_number,
            owner=facts.instance,
            clear_number=facts.clear_number,
        )
        if record is not None:
            fresh.earlier_ids = record.earlier_ids + ([str(record.call["id"])] if record.call else [])
            rang = [] if record.state == "refused" else [record.intent_at]
            fresh.earlier_attempts = record.earlier_attempts + rang
        return fresh

    def _place(self, request: CallRequest, record: Record) -> DialedCall:
        """Store the intent, send, store the id: this order is the promise."""
        try:
            deadline = self._store_intent(record)
        except IntentTaken:
            log.info("Another task or try places this call right now; this one attaches to it.")
            return self._follow(request, self._records.load())
        self.hook.vendor.http.before_create = lambda: self._check_before_sending(record, deadline)
        try:
            call = self.hook.make_call(replace(request, tag=record.key))
        except _HeldBack:
            raise
        except VoiceError as error:
            if record.state == "refused" or proves_no_ring(error):
                record.state = "refused"
                self._records.save_if_possible(record)
                self.on_refusal(error)
                raise
            record.given_up_at = _now()
            self._records.save_if_possible(record)
            return self._search_then_fail(request, record, error)
        self._records.save_call(record, call)
        log.info("Placed call %s to %s (generation %d).", call.id, mask_number(request.to), record.generation)
        return DialedCall(call, "placed", record.generation)

    def _check_before_sending(self, record: Record, deadline: Deadline) -> None:
        """Raise when this process stood still for so long that a retry may have rung, or nobody may be rung by now."""
        if deadline.has_passed:
            raise _HeldBack(
                f"Nothing was sent: the intent is older than {LATE_ARRIVAL}, and a retry may have rung meanwhile.",
                vendor=self.hook.vendor.name,
            )
        try:
            self.before_sending()
        except BaseException:  # whatever speaks against the call, Airflow's signal to defer too; nothing was sent
            record.state = "refused"
            self._records.save_if_possible(record)
            raise

    def _store_intent(self, record: Record) -> Deadline:
        """Store the intent once the pace has a place and the person may be rung; return the deadline of its create."""
        waited = 0.0
        while True:
            self.before_ringing(record.earlier_attempts)
            deadline = Deadline(LATE_ARRIVAL.total_seconds())
            record.intent_at, record.clock_offset = _now(), self.hook.vendor.http.clock_offset
            try:
                self._records.save(record)
            except IntentTaken:
                raise
            except RateLimited as error:
                wait = min(error.retry_after or 1.0, LONGEST_NAP)
                waited += wait
                if waited > LONGEST_WAIT:
                    raise
                self.sleep(wait)
            except Exception:  # whatever a state backend raises; it is raised again
                # The store may have kept the intent although it failed. Nothing was sent, so a retry may send.
                record.state = "refused"
                self._records.save_if_possible(record)
                raise
            else:
                return deadline

    def _search_then_place(self, request: CallRequest, record: Record | None) -> DialedCall:
        """Place the call unless the vendor shows that this run has already rung the person."""
        if self.store is None:
            log.warning(
                "Airflow below 3.3 stores nothing between tries: this try searches the vendor's list for the call of "
                "an earlier one, and the list may show it late. Upgrade to be sure."
            )
        fresh = self._next(record, request)
        # Another index of a mapped task rang long ago, if at all: one search does, for perhaps a thousand indexes.
        delays = SEARCH_DELAYS if self.facts.try_number > 1 else SEARCH_DELAYS[:1]
        # An unclear or unreadable list is raised, and fails the try.
        found = self._search(request, record, self._evidence_of_run(request, fresh), delays)
        if isinstance(found, Record):
            return self._follow(request, found)
        return self._place(request, fresh) if found is None else self._adopt(fresh, found)

    def _evidence_of_run(self, request: CallRequest, fresh: Record) -> Evidence:
        """Return the evidence of a call that an unrecorded try of this run may have placed."""
        facts, now = self.facts, _now()
        began = facts.run_began_at or now - timedelta(days=1)
        follows_clear = self.new_call_on_clear and facts.max_tries > facts.retries
        if follows_clear and facts.run_started_at is not None:
            began = facts.run_started_at  # the calls before the clear are not the new one
        if began < now - LONGEST_LOOK_BACK:
            log.warning("The run was due at %s; calls older than %s are not searched for.",
                        write_time(began), LONGEST_LOOK_BACK)  # fmt: skip
            began = now - LONGEST_LOOK_BACK
        by_prefix = self.store is not None or facts.list_may_have_changed
        return Evidence(
            since=began,
            until=None,
            # Without a store every try of an index makes the same tag; with one, the tag has a random part.
            tag=fresh.key if self.store is None else None,
            tag_decides=not follows_clear,
            tag_prefix=self._tag_prefix(request) if by_prefix else None,
            not_these=frozenset(fresh.earlier_ids) | self.calls_of_others(),
        )

    def _search_then_fail(self, request: CallRequest, record: Record, cause: VoiceError | None = None) -> DialedCall:
        """Search for the call of a create whose outcome is not known; send nothing unless the user allows it."""
        found, problem = None, None
        try:
            found = self._search(request, record, self._evidence_of_intent(record), SEARCH_DELAYS)
        except CallOutcomeUnknown as error:
            record.absent_since = None  # the list showed a call that may be the lost one
            self._records.save_if_possible(record)
            error.permanent = False  # a retry only searches, and the row may show its tag by then
            raise
        except VoiceError as error:
            problem = error
        if isinstance(found, Record):
            return self._follow(request, found)
        if found is not None:
            return self._adopt(record, found)
        if self._is_absent_for_long(request, record, problem):
            log.warning(
                "The vendor's list has been without the call since %s: ringing again, as redial_when_absent_for asks.",
                write_time(record.absent_since),
            )
            return self._place(request, self._next(record, request))
        raise self._still_unknown(request, record, problem, cause)

    def _search(
        self, request: CallRequest, record: Record | None, evidence: Evidence, delays: Iterable[float]
    ) -> Call | Record | None:
        """Search until the vendor's list shows the call, or another try or task has changed the stored record."""
        known = record and (record.generation, record.state)
        for delay in delays:
            self.sleep(delay)
            stored = self._records.load_if_possible()
            if stored is not None and (stored.generation, stored.state) != known:
                log.info("The stored record of the call has changed, or was not readable at first.")
                return stored
            found = find_call(self.hook.vendor, request, evidence)
            if found is not None:
                return found
        return None

    def _evidence_of_intent(self, record: Record) -> Evidence:
        """Return the evidence of the call of a stored intent."""
        if record.clock_offset is None:
            # Kept with the intent: a later try may run on a machine whose clock is another.
            record.clock_offset = clock_offset(self.hook.vendor).total_seconds()
        return Evidence(
            since=record.intent_at,
            until=record.given_up_at or record.intent_at + LONGEST_CREATE,
            clock_offset=record.clock_offset,
            tag=record.key,
            not_these=frozenset(record.earlier_ids) | self.calls_of_others(),
            # Before anybody is rung a second time, no call of any later moment may be the lost one.
            latest=_now() + LATE_ARRIVAL if self.redial_when_absent_for is not None else None,
        )

    def _is_absent_for_long(self, request: CallRequest, record: Record, problem: VoiceError | None) -> bool:
        """Store since when the list has been without the call; return whether the user allows another ring by now."""
        # By the vendor's clock: the next try may run on a machine whose clock is another.
        now = _now() + timedelta(seconds=self.hook.vendor.http.clock_offset or 0.0)
        record.absent_since = None if problem is not None else record.absent_since or now
        self._records.save_if_possible(record)  # with the clock offset of the search
        wanted = self.redial_when_absent_for
        if wanted is None or record.absent_since is None:
            return False
        return now - record.absent_since >= wanted + timedelta(seconds=request.delay_seconds)

    def _adopt(self, record: Record, call: Call) -> DialedCall:
        self._records.save_call(record, call)
        log.info("Found call %s of an earlier create; this try adopts it.", call.id)
        return DialedCall(call, "adopted", record.generation)

    def _attach(self, record: Record, request: CallRequest) -> DialedCall:
        """Return the call that the record names, as the vendor shows it now or as it was stored."""
        if record.call is None:
            raise CallOutcomeUnknown(f"A person found that {mask_number(request.to)} was rung, by a call whose id is "
                                     f"not known, so there is no call to attach to. {self._to_ring_again}")  # fmt: skip
        ref = replace(CallRef.of(record.call), to=request.to, agent_id=request.agent_id)
        if record.was_hung_up:
            raise self._hung_up_error(f"Call {ref.id} may have been hung up, because an earlier try of the task was "
                                      "killed and end_call_on_kill is set.", record.status)  # fmt: skip
        log.info("Call %s was placed before; this try attaches to it.", ref.id)
        call = None
        try:
            call = self.hook.get_call(ref)
        except VoiceError as error:
            if error.permanent:
                raise
            log.info("The vendor does not show the call now: %s", error.message)
        if call is None:
            # A vendor keeps its list for a while only, and the record keeps how the call ended.
            call = Call(
                id=ref.id, vendor=self.hook.vendor.name, status=CallStatus(record.status or CallStatus.QUEUED),
                to=ref.to, direction="outbound", agent_id=ref.agent_id, created_at=ref.placed_at, tag=ref.tag,
            )  # fmt: skip
        # The trigger of a deferred try may have ended the call when a user killed that try.
        was_waiting = self.hangs_up_when_deferred and record.state == "placed"
        if call.status.is_terminal and was_waiting and self.facts.was_cleared_since(record):
            raise self._hung_up_error(f"Call {call.id} ended as {call.status}, and may have been hung up: the task was "
                                      "cleared before it had seen the end, and end_call_on_kill is set. Look the call "
                                      "up at the vendor.", call.status)  # fmt: skip
        return DialedCall(call, "reattached", record.generation)

    def _hung_up_error(self, message: str, status: str | None) -> CallNotCompleted:
        return CallNotCompleted(f"{message} {self._to_ring_again}", status=status, vendor=self.hook.vendor.name)

    @property
    def _to_ring_again(self) -> str:
        """Advice for a person who wants another ring all the same."""
        if self.facts.call_key:
            return "To ring all the same, use another call_key."
        return "To ring all the same, clear the task with on_clear='new_call'."

    def _still_unknown(
        self, request: CallRequest, record: Record, problem: VoiceError | None, cause: VoiceError | None
    ) -> CallOutcomeUnknown:
        advice = "A retry searches again."
        if self.facts.try_number > self.facts.max_tries:
            advice = f"This was the last try; search for the call at the vendor. {self._to_ring_again}"
            if self.facts.call_key:
                advice += " Or settle this one with 'voice-outreach resolve-key'."
        found = "the vendor's list does not show the call"
        if problem is not None:
            found = f"the search for the call failed ({problem.message})"
        return CallOutcomeUnknown(
            f"Nobody can tell whether {mask_number(request.to)} was rung: a create may have been sent at "
            f"{write_time(record.intent_at)}, its answer is not known, and {found} (tag {record.key}, connection "
            f"{self.hook.voice_conn_id}, searched at {write_time(_now())}). Nothing is sent again. {advice}",
            vendor=self.hook.vendor.name,
            status_code=cause.status_code if cause else None,
            request_id=cause.request_id if cause else None,
            # A later search can settle it and rings nobody; but not with a token that is refused.
            permanent=isinstance(problem, AuthenticationFailed),
        )

    def _of_another_request(self, request: CallRequest) -> InvalidRequest:
        facts = self.facts
        if facts.call_key:
            owner, advice = f"The call_key {mask_numbers_in(facts.call_key)!r}", "One key is one call."
        else:
            owner = "The record of " + (f"map index {facts.map_index}" if facts.map_index >= 0 else "the task")
            advice = "If the list of a mapped task has changed, start a new run for the people who are new in it."
        return InvalidRequest(
            f"{owner} belongs to a call with another number, agent or connection than this call to "
            f"{mask_number(request.to)}, so nobody is rung. {advice} {self._to_ring_again}"
        )

    def _fingerprint(self, request: CallRequest) -> str:
        return digest(self.hook.voice_conn_id, request.to, request.agent_id or "", *self.facts.name)

    def _tag_prefix(self, request: CallRequest) -> str:
        """Return the part of the tag that is the same for all tries and indexes of the task for this request."""
        return f"afv-{self._fingerprint(request)[:24]}-"

    def _key(self, request: CallRequest, generation: int) -> str:
        """Return the tag of a create.

        With a store it ends in a random part, stored before it is sent; without one, every try makes the same tag.
        """
        nonce = "" if self.store is None else uuid.uuid4().hex
        return self._tag_prefix(request) + digest(str(self.facts.map_index), str(generation), nonce)[:16]


def _now() -> datetime:
    return datetime.now(timezone.utc)
