"""Searches, by the rules of ``dialing``, for the calls of creates whose response was lost, also by a dead worker."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from airflow_provider_voice.dialing.reconcile import Evidence, clock_offset, find_call
from airflow_provider_voice.exceptions import CallOutcomeUnknown, VoiceError
from airflow_provider_voice.models import Call, CallRequest, write_time
from airflow_provider_voice.outreach.clocks import Interval
from airflow_provider_voice.outreach.contacts import shown_key
from airflow_provider_voice.outreach.states import ContactState
from airflow_provider_voice.phone import mask_number

if TYPE_CHECKING:
    from concurrent.futures import Executor, Future

    from airflow_provider_voice.hooks.voice import VoiceHook
    from airflow_provider_voice.outreach.attempt_outcomes import AttemptOutcomes
    from airflow_provider_voice.outreach.ledger import Ledger
    from airflow_provider_voice.outreach.states import Attempt

log = logging.getLogger(__name__)

#: Seconds before each search for a create whose answer was lost: lists may show it late.
SEARCH_DELAYS = (0.0, 2.0, 5.0, 10.0, 15.0)
#: Contacts that are taken over at once.
_TAKEN_OVER = 100


@dataclass(eq=False)
class LostCall:
    """One create without an outcome.

    :param attempt: the attempt; the fence in it is the one under which it is searched for.
    :param cause: how the response to the create was lost.
    :param is_known: whether the ledger has it as unknown already, with its evidence.
    :param due_at: the monotonic time of the next search.
    :param searches: how often it was searched for.
    :param last_problem: why the last search proved nothing.
    :param call: the call, once it is found.
    """

    attempt: Attempt
    cause: str
    is_known: bool = False
    due_at: float = field(default_factory=time.monotonic)
    searches: int = 0
    last_problem: str | None = None
    call: Call | None = field(default=None, repr=False)

    @property
    def is_given_up(self) -> bool:
        """Whether it was searched for often enough; one that the ledger has as unknown is searched for once."""
        return self.searches >= (1 if self.is_known else len(SEARCH_DELAYS))

    @property
    def evidence(self) -> str:
        """The facts that a person needs to settle it; the number is masked."""
        problem = self.last_problem or "the vendor's list does not show it"
        if not self.searches:
            problem = f"a run over its voice connection, {self.attempt.voice_conn_id!r}, can search for it"
        return (
            f"A create to {mask_number(self.attempt.to)} was intended at {write_time(self.attempt.intended_at)}; "
            f"{self.cause.rstrip('.')}; {problem} (searched {self.searches} time(s), tag {self.attempt.id}, agent "
            f"{self.attempt.agent_id})."
        )


class LostCalls:
    """All creates without an outcome that one worker searches for, one at a time.

    :param hook: the voice connection.
    :param ledger: the campaign's ledger.
    :param reader: runs the searches.
    """

    def __init__(self, hook: VoiceHook, ledger: Ledger, reader: Executor) -> None:
        self._hook = hook
        self._ledger = ledger
        self._reader = reader
        self._waiting: list[LostCall] = []
        self._search: tuple[Future[None], LostCall] | None = None
        self._settled: list[LostCall] = []
        # Ids of the attempts taken over from a worker that ended, and the fences of contacts that others still dial.
        self._recovering: set[str] = set()
        self._others: dict[str, int] | None = None
        self._take_over_interval = Interval(ledger.lease_seconds / 2)

    @property
    def attempts(self) -> list[Attempt]:
        """The attempts whose outcome is not in the ledger yet."""
        searched = [] if self._search is None else [self._search[1]]
        return [lost.attempt for lost in [*self._waiting, *searched, *self._settled]]

    @property
    def block_calls(self) -> bool:
        """Whether attempts of an earlier run are not reconciled yet; until then nobody is called."""
        return bool(self._others or self._recovering)

    @property
    def under_way(self) -> Future[None] | None:
        """The search that is under way."""
        return None if self._search is None else self._search[0]

    @property
    def has_unstored(self) -> bool:
        """Whether there is something for :meth:`store`."""
        return bool(self._settled)

    @property
    def next_at(self) -> float | None:
        """The monotonic time of the next search; ``None``: nothing is searched for."""
        return min((lost.due_at for lost in self._waiting), default=None)

    def add(self, attempt: Attempt, cause: str) -> None:
        """Search for the call of an attempt.

        :param attempt: the attempt.
        :param cause: how the answer was lost.
        """
        self._waiting.append(LostCall(attempt, cause))

    def take_over(self) -> None:
        """Claim the attempts without an outcome of workers whose lease has ended."""
        is_first = self._others is None
        if is_first:
            self._others = self._ledger.others_dialing()
        if not (is_first or self._others or self._take_over_interval.is_due()):
            return
        for attempt in self._ledger.claim_unsettled(_TAKEN_OVER, ContactState.DIALING):
            self._recovering.add(attempt.id)
            lost = LostCall(attempt, "its worker ended before it stored an answer")
            (self._waiting if self._can_see(attempt) else self._settled).append(lost)
        if is_first:
            # The vendor's list may by now show calls that an earlier run gave up.
            for attempt in self._ledger.claim_unsettled(_TAKEN_OVER, ContactState.UNKNOWN):
                if self._can_see(attempt):
                    self._waiting.append(LostCall(attempt, "", is_known=True))
        if self._others:
            now = self._ledger.others_dialing()
            self._others = {key: fence for key, fence in self._others.items() if now.get(key) == fence}

    def _can_see(self, attempt: Attempt) -> bool:
        """Return whether our connection's list would show the call of an attempt; if not, a search proves nothing."""
        return attempt.voice_conn_id == self._ledger.voice_conn_id

    def search(self) -> None:
        """Take the result of the search under way, and begin the next one that is due."""
        if self._search is not None:
            future, lost = self._search
            if not future.done():
                return
            future.result()
            self._refuse_another_ones(lost)
            self._search = None
            self._took(lost)
        ready = next((lost for lost in self._waiting if lost.due_at <= time.monotonic()), None)
        if ready is not None:
            # Read here and not with the vendor's list: a ledger that does not answer is no search.
            ledger_now, others = self._ledger.now_and_calls_to(ready.attempt.to)
            seconds = self._ledger.lease_seconds
            self._waiting.remove(ready)
            self._search = (
                self._reader.submit(find_lost_call, self._hook, ready, ledger_now, others, lease_seconds=seconds),
                ready,
            )

    def store(self, outcomes: AttemptOutcomes) -> None:
        """Store the outcomes since the last time.

        :param outcomes: stores the outcomes of the campaign's attempts.
        :raises LedgerFailed: when it cannot be stored; the next call stores it.
        """
        given_up = [lost for lost in self._settled if lost.call is None]
        outcomes.placed([(lost.attempt, lost.call) for lost in self._settled if lost.call is not None])
        outcomes.unknown([(lost.attempt, lost.evidence) for lost in given_up])
        for lost in given_up:
            log.warning("Contact %s is unknown: %s", shown_key(lost.attempt.key), lost.evidence)
        self._recovering -= {lost.attempt.id for lost in self._settled}
        self._settled = []

    def _refuse_another_ones(self, lost: LostCall) -> None:
        """Adopt no call that may be another attempt's; a vendor that shows our tags leaves no doubt."""
        if lost.call is None or self._hook.vendor.keeps_tags:
            return
        if self._ledger.may_be_of_another(lost.attempt, lost.call.id):
            lost.last_problem = f"call {lost.call.id} may be that of another attempt to the same number"
            lost.call = None

    def _took(self, lost: LostCall) -> None:
        if lost.call is not None:
            log.info("Found call %s of a create whose answer was lost.", lost.call.id)
            self._settled.append(lost)
        elif not lost.is_given_up:
            lost.due_at = time.monotonic() + SEARCH_DELAYS[lost.searches]
            self._waiting.append(lost)
        elif lost.is_known:
            log.info("Contact %s is still unknown.", shown_key(lost.attempt.key))
        else:
            self._settled.append(lost)


def find_lost_call(
    hook: VoiceHook, lost: LostCall, ledger_now: datetime, others: frozenset[str], *, lease_seconds: float
) -> None:
    """Search once for the call of a create and write the result into ``lost``; nothing is sent.

    :param hook: the voice connection.
    :param lost: the create.
    :param ledger_now: the ledger's time, by which the attempt is dated.
    :param others: ids of the calls to the number that are not this one.
    :param lease_seconds: how long after its intent a create was sent at the latest.
    """
    attempt = lost.attempt
    lost.searches += 1
    lost.last_problem = None
    try:
        offset = attempt.clock_offset
        if offset is None:
            ahead = (datetime.now(timezone.utc) - ledger_now).total_seconds()
            offset = clock_offset(hook.vendor).total_seconds() + ahead
        evidence = Evidence(
            since=attempt.intended_at,
            until=attempt.intended_at + timedelta(seconds=lease_seconds),
            clock_offset=offset,
            tag=attempt.id,
            not_these=others,
        )
        request = CallRequest(to=attempt.to, agent_id=attempt.agent_id)
        lost.call = find_call(hook.vendor, request, evidence)
    except CallOutcomeUnknown as error:
        lost.last_problem = error.message
    except VoiceError as error:
        lost.last_problem = f"the vendor's list cannot be read ({error.message})"
