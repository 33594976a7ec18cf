"""The campaign loop: reconcile, claim, check, store intents, send, poll, settle; until every contact is final.

Every decision is taken from the ledger; the state in memory only saves queries and may be lost. Creates are
sent from threads, the vendor's lists are read in another one, and the ledger is written by the loop's own thread.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import defaultdict
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from airflow_provider_voice.dialing.deadline import Deadline
from airflow_provider_voice.exceptions import LedgerFailed, RateLimited, VendorUnavailable, VoiceError
from airflow_provider_voice.models import CallRef, CallRequest
from airflow_provider_voice.outreach.attempt_outcomes import AttemptOutcomes
from airflow_provider_voice.outreach.call_polls import CallPolls
from airflow_provider_voice.outreach.campaign_record import PAUSED, CampaignRecord
from airflow_provider_voice.outreach.clocks import Interval
from airflow_provider_voice.outreach.gate import Gate
from airflow_provider_voice.outreach.ledger import Ledger
from airflow_provider_voice.outreach.lost_calls import LostCalls
from airflow_provider_voice.outreach.pacing import Limits, Pacing, share_requests
from airflow_provider_voice.outreach.progress import line
from airflow_provider_voice.outreach.redial import RedialRules
from airflow_provider_voice.outreach.senders import MOST_SENDERS, Job, Result, Senders
from airflow_provider_voice.outreach.states import ContactState, NextState
from airflow_provider_voice.outreach.views import LedgerViews

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from airflow_provider_voice.hooks.voice import VoiceHook
    from airflow_provider_voice.outreach.campaign_record import Outlook
    from airflow_provider_voice.outreach.database import Database
    from airflow_provider_voice.outreach.gate import DoNotCall
    from airflow_provider_voice.outreach.states import Claimed
    from airflow_provider_voice.policy import ContactPolicy

log = logging.getLogger(__name__)

#: Seconds without ledger or vendor that a running campaign sits out.
OUTAGE_SECONDS = 3600.0
#: Nothing can happen for longer than this: the task gives its worker slot back.
WORTH_DEFERRING = timedelta(minutes=1)
#: How long a deferral lasts at most: a pause may end, a source may be changed by another run.
LONGEST_DEFERRAL = timedelta(minutes=30)
PAUSE_DEFERRAL = timedelta(minutes=5)
#: A campaign whose every call is refused stops after so many, and the other contacts stay as they are.
REFUSALS_IN_A_ROW = 10
# Due at once by any clock, and before contacts that were not called yet.
_LONG_AGO = datetime(2000, 1, 1, tzinfo=timezone.utc)
_ANY_NUMBER = "+14155552671"
_IDLE_SECONDS = 1.0
_SWEEP_SECONDS = 5.0
_REPORT_SECONDS = 10.0
_CLOSING_SECONDS = 20.0


@dataclass(frozen=True)
class CampaignSettings:
    """The settings of a campaign.

    :param campaign: its name.
    :param agent_id: the agent; ``None``: the connection's ``default_agent_id``.
    :param context: values that come back with the vendor's events.
    :param subject: the topic of the calls; caps count per number and subject.
    :param limits: the pace.
    :param rules: when a contact is called again.
    :param ends_at: nobody is called from then on; ``None``: no end.
    :param poll_interval: seconds between two polls of the calls in progress, default 30.
    :param call_timeout: how long a call may take; a call without an ending by then becomes ``unknown``, and an attempt
        of unknown outcome holds its place of ``max_concurrent`` for so long. Default 4 hours.
    :param end_calls_on_kill: whether calls in progress are hung up when the task is killed, default False.
    """

    campaign: str
    agent_id: str | None = None
    context: Mapping[str, Any] = field(default_factory=dict)
    subject: str | None = None
    limits: Limits = field(default_factory=lambda: Limits(max_concurrent=10))
    rules: RedialRules = field(default_factory=RedialRules)
    ends_at: datetime | None = None
    poll_interval: float = 30.0
    call_timeout: timedelta = timedelta(hours=4)
    end_calls_on_kill: bool = False


@dataclass(frozen=True)
class Waiting:
    """Nothing can happen in the campaign until a time, unless one of some calls ends.

    :param until: the time, by the ledger's clock.
    :param seconds: the same from now on.
    :param calls: the calls in progress.
    """

    until: datetime
    seconds: float
    calls: tuple[CallRef, ...] = ()


class CampaignKilled(Exception):
    """The campaign was stopped; its contacts keep their states, and another run continues with them."""


class Campaign:
    """Runs one campaign until every contact is final, together with the other workers that run it.

    :param settings: its settings.
    :param database: the ledger's database.
    :param hook: the voice connection.
    :param policy: the contact policy; ``None``: no rules.
    :param do_not_call: the do-not-call list; ``None``: there is none.
    :param lease_seconds: how long a claim lasts without a sign of life, default 60.
    :param sleep: waits for seconds; for tests. ``None``: waits, and wakes up when the campaign is killed.
    """

    def __init__(
        self,
        settings: CampaignSettings,
        database: Database,
        hook: VoiceHook,
        *,
        policy: ContactPolicy | None = None,
        do_not_call: DoNotCall | None = None,
        lease_seconds: float = 60.0,
        sleep: Callable[[float], object] | None = None,
    ) -> None:
        self.settings = settings
        self.record = CampaignRecord(database, settings.campaign)
        self.ledger = Ledger(
            database, settings.campaign, hook.voice_conn_id, subject=settings.subject, lease_seconds=lease_seconds
        )
        self._database = database
        self._hook = hook
        self._agent_id = settings.agent_id or hook.vendor.settings.default_agent_id
        self._gate = Gate(self.ledger, policy, do_not_call, settings.rules.max_attempts)
        self._killed = threading.Event()
        self._pacing = Pacing(database, hook.voice_conn_id, settings.limits, settings.call_timeout)
        share_requests(hook, database, self._pacing, self._killed)
        self._senders = Senders(hook, settings.limits.max_concurrent or MOST_SENDERS, settings.context)
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="voice-outreach-reads")
        self._outcomes = AttemptOutcomes(self.ledger)
        self._lost = LostCalls(hook, self.ledger, self._reader)
        self._polls = CallPolls(
            hook,
            self.ledger,
            self._outcomes,
            self.record,
            self._reader,
            rules=settings.rules,
            interval=settings.poll_interval,
            call_timeout=settings.call_timeout,
        )
        self._sleep = sleep or self._killed.wait
        # Outcomes that are not in the ledger yet, and claimed contacts that wait for a place.
        self._results: list[Result] = []
        self._buffer: list[Claimed] = []
        self._renewing = Interval(lease_seconds / 3)
        self._sweeping = Interval(_SWEEP_SECONDS)
        self._reporting = Interval(_REPORT_SECONDS)
        self._claim_at = self._place_at = 0.0
        self._failing_since: dict[str, float] = {}
        self._refusals = 0
        self._error: VoiceError | None = None
        # Whether the last transaction of intents failed, and may have been committed all the same.
        self._doubts_intents = False

    def kill(self) -> None:
        """Send no more creates from now on; :meth:`run` ends soon with :class:`CampaignKilled`.

        Safe in a signal handler.
        """
        self._senders.stop()
        self._killed.set()

    def run(self, *, may_defer: bool = False) -> dict[str, Any] | Waiting:
        """Work until every contact is final.

        :param may_defer: return instead of waiting when nothing can happen for longer than a minute.
        :return: the counts; or a :class:`Waiting` when nothing can happen for a while.
        :raises CampaignKilled: after :meth:`kill`.
        :raises VoiceError: when nobody can be called: the agent, the token, the credit; or an outage that lasted.
        """
        self._check()
        done = None
        try:
            while done is None:
                try:
                    done = self._step(may_defer=may_defer)
                    self._failing_since.pop("ledger", None)
                except LedgerFailed as error:
                    if error.permanent:
                        raise
                    # Outcomes stay in memory until they are stored.
                    self._sit_out("ledger", error)
        finally:
            self._close()
        return done

    def _check(self) -> None:
        """Refuse settings with which the vendor would refuse every call, before anybody is called."""
        vendor = self._hook.vendor
        request = CallRequest(to=_ANY_NUMBER, agent_id=self._agent_id, context=self.settings.context)
        vendor.check_request(vendor.complete(request))

    def _sit_out(self, service: str, error: VoiceError) -> None:
        since = self._failing_since.setdefault(service, time.monotonic())
        failing = time.monotonic() - since
        if failing >= OUTAGE_SECONDS or self._killed.is_set():
            raise error
        log.warning("%s Nobody is called until it works again (%.0f s so far).", error.message, failing)
        self._sleep(min(10.0, max(0.2, failing / 4)))

    def _step(self, *, may_defer: bool) -> dict[str, Any] | Waiting | None:
        self._renew()
        self._store_outcomes()
        if self._error is not None and not self._senders.under_way:
            raise self._error
        if self._killed.is_set():
            self._wind_down()
            return None
        self._lost.take_over()
        self._lost.search()
        self._follow_calls()
        if self._sweeping.is_due():
            self.record.sweep(self.settings.ends_at)
        if self._error is None:
            self._call()
        if self._reporting.is_due():
            self._report()
        return self._rest(may_defer=may_defer)

    def _report(self) -> None:
        summary = LedgerViews(self._database).campaign(self.settings.campaign)
        if summary is not None:
            log.info("Campaign %s: %s", summary.campaign, line(summary, self.record.counts()["attempts"]))

    # -- attempts under way --

    def _renew(self) -> None:
        if self._renewing.is_due():
            keys = [job.attempt.key for job in self._senders.under_way] + [item.key for item in self._buffer]
            self.ledger.renew(keys + [attempt.key for attempt in self._lost.attempts])

    def _store_outcomes(self) -> None:
        """Store the outcomes; they are kept in memory until the ledger has all of them."""
        self._results += self._senders.finished()
        self._withdraw_unsent()
        by_kind: dict[str, list[Result]] = defaultdict(list)
        for result in self._results:
            by_kind[result.kind].append(result)
        self._outcomes.placed([(item.job.attempt, item.call) for item in by_kind["placed"] if item.call is not None])
        refused = [result for result in self._results if result.kind not in ("placed", "lost")]
        self._outcomes.refused([(result.job.attempt, _step_after(result)) for result in refused])
        if by_kind["passing"]:
            self._slow_down([result.error for result in by_kind["passing"] if result.error is not None])
        # From here on nothing fails.
        for result in by_kind["lost"]:
            self._lost.add(result.job.attempt, _message(result))
        self._count_refusals(by_kind)
        self._results = []
        self._lost.store(self._outcomes)

    def _count_refusals(self, by_kind: Mapping[str, list[Result]]) -> None:
        """Remember the error that stops the campaign, if there is one."""
        if by_kind["placed"]:
            self._refusals = 0
            self._failing_since.pop("create", None)
        self._refusals += len(by_kind["contact"])
        stopping = by_kind["campaign"]
        if self._refusals >= REFUSALS_IN_A_ROW:
            stopping = stopping + by_kind["contact"]
        if stopping and self._error is None:
            self._error = stopping[0].error

    def _withdraw_unsent(self) -> None:
        """Withdraw intents that were committed although the ledger seemed to refuse them: they were never sent."""
        if not self._doubts_intents:
            return
        known = {job.attempt.id for job in self._senders.under_way}
        known |= {result.job.attempt.id for result in self._results}
        known |= {attempt.id for attempt in self._lost.attempts}
        unsent = [attempt for attempt in self.ledger.own_intents() if attempt.id not in known]
        step = NextState(ContactState.REDIAL, "not called: the ledger did not answer", _LONG_AGO)
        self._outcomes.refused([(attempt, step) for attempt in unsent])
        self._doubts_intents = False

    def _slow_down(self, errors: list[VoiceError]) -> None:
        """Let everybody on the connection wait: the vendor asks for it, or cannot be reached."""
        asked = [error.retry_after for error in errors if isinstance(error, RateLimited) and error.retry_after]
        seconds = max(asked, default=None)
        for error in errors:
            if isinstance(error, VendorUnavailable):
                since = self._failing_since.setdefault("create", time.monotonic())
                seconds = max(seconds or 0.0, min(60.0, 1.0 + (time.monotonic() - since) / 2))
                if time.monotonic() - since >= OUTAGE_SECONDS:
                    self._error = error
        self._database.transact(lambda connection: self._pacing.slow_down(connection, seconds))
        log.warning("Nobody is called over %s for a while: %s", self._hook.voice_conn_id, errors[0].message)

    def _follow_calls(self) -> None:
        """Settle the calls that ended; wait out a vendor whose list cannot be read."""
        try:
            has_ended = self._polls.follow()
        except LedgerFailed:
            raise
        except VoiceError as error:
            if error.permanent:
                raise
            if isinstance(error, RateLimited):
                self._slow_down([error])
            self._sit_out("poll", error)
            return
        self._failing_since.pop("poll", None)
        if has_ended:
            self._claim_at = self._place_at = 0.0

    # -- new calls --

    def _call(self) -> None:
        """Claim contacts, check them, store intents and send: as many as there are idle senders and places."""
        now = time.monotonic()
        idle = self._senders.idle
        if self._lost.block_calls or idle <= 0 or now < self._place_at:
            return
        if len(self._buffer) < idle and now >= self._claim_at:
            claimed = self.ledger.claim_due(idle - len(self._buffer), ends_at=self.settings.ends_at)
            self._buffer += claimed
            if not claimed:
                self._claim_at = now + _IDLE_SECONDS
        if not self._buffer:
            return
        # Before a list is read, which may be long: a campaign waits for a place most of the time.
        places = self._database.transact(self._pacing.lock)
        if places.count == 0:
            self._place_at = now + places.wait
            return
        verdicts = self._gate.check(self._buffer)
        self._renew()  # a long list may take longer to read than a lease lasts
        # After half a lease a create is not sent any more: another worker may soon treat it as lost, and the verdict is
        # as old. A ledger that lets us wait for its locks uses up the time, too.
        deadline = Deadline(self.ledger.lease_seconds / 2)
        self.ledger.decide(verdicts.refused)
        self._buffer = verdicts.allowed
        self._doubts_intents = True
        intents = self.ledger.store_intents(
            verdicts.allowed,
            self._pacing,
            agent_id=self._agent_id,
            clock_offset=self._clock_offset(),
            checked=verdicts.checked,
            ends_at=self.settings.ends_at,
        )
        self._doubts_intents = False
        if self.settings.ends_at is not None and intents.stored:
            deadline.shorten((self.settings.ends_at - intents.stored[0][0].intended_at).total_seconds())
        self._senders.send([Job(attempt, contact, deadline) for attempt, contact in intents.stored])
        self._buffer = list(intents.waiting)
        self._place_at = time.monotonic() + (intents.wait if intents.waiting else 0.0)
        self.ledger.release(intents.lost)

    def _clock_offset(self) -> float | None:
        offset = self._hook.vendor.http.clock_offset
        if offset is None:
            return None
        # The attempt is dated by the ledger's clock.
        now = self._database.time()
        return offset + (datetime.now(timezone.utc) - now).total_seconds()

    # -- nothing to do --

    def _rest(self, *, may_defer: bool) -> dict[str, Any] | Waiting | None:
        """Wait for the next event; return the counts when all is done, or a :class:`Waiting` when the wait is long."""
        if self._wait_for_work():
            return None
        outlook = self.record.outlook()
        if not outlook.open:
            return self.record.counts()
        waiting = self._waiting(outlook) if may_defer else None
        if waiting is not None:
            return waiting
        self._sleep(min(_IDLE_SECONDS, self.settings.poll_interval))
        return None

    def _wait_for_work(self) -> bool:
        """Wait a moment for the requests of this worker; return whether it has any attempt under way."""
        reads: list[Future[Any]] = [read for read in (self._lost.under_way, self._polls.under_way) if read is not None]
        if self._senders.under_way:
            # A result ends the wait at once; without an idle sender nothing else could.
            self._senders.wait(_IDLE_SECONDS if self._senders.idle <= 0 else self._seconds_to_next())
        elif reads:
            wait(reads, timeout=self._seconds_to_next(), return_when=FIRST_COMPLETED)
        elif not self._lost.attempts and not self._buffer:
            return False
        elif not self._lost.has_unstored:
            self._sleep(self._seconds_to_next())
        return True

    def _seconds_to_next(self) -> float:
        """Return the seconds until a claimed contact may get a place, or the next search for a lost call is due."""
        now = time.monotonic()
        moments = [now + _IDLE_SECONDS, self._lost.next_at, self._place_at if self._buffer else None]
        return max(0.001, min(moment for moment in moments if moment is not None) - now)

    def _waiting(self, outlook: Outlook) -> Waiting | None:
        """Return the time and the calls to wait for when nothing can happen for longer than a minute."""
        is_paused = outlook.state == PAUSED
        if outlook.is_dialing or (outlook.due and not is_paused):
            return None
        longest = outlook.now + (PAUSE_DEFERRAL if is_paused else LONGEST_DEFERRAL)
        moments = [longest, self.settings.ends_at, None if is_paused else outlook.next_due_at]
        if outlook.has_calls:
            # A call that ends right now makes its contact due again no sooner.
            moments.append(outlook.now + self.settings.rules.soonest)
        until = min(moment for moment in moments if moment is not None)
        if until - outlook.now <= WORTH_DEFERRING:
            return None
        refs = tuple(attempt.ref for attempt in self.ledger.in_progress()) if outlook.has_calls else ()
        return Waiting(until, (until - outlook.now).total_seconds(), refs)

    # -- the end --

    def _wind_down(self) -> None:
        """Wait for the creates that are on their way, store them, hang up if that is wanted, and end."""
        if self._senders.under_way:
            self._senders.wait(_IDLE_SECONDS)
            return
        if self.settings.end_calls_on_kill:
            for attempt in self.ledger.in_progress():
                self._hook.hang_up(attempt.ref)
        self.ledger.release(self._buffer)
        self._buffer = []
        raise CampaignKilled(
            f"The campaign {self.settings.campaign!r} was stopped: its task was killed. Run it again to continue."
        )

    def _close(self) -> None:
        """Send nothing more, and store the results of the next seconds; the next run reconciles the others."""
        self._senders.close()
        self._reader.shutdown(wait=False, cancel_futures=True)
        deadline = time.monotonic() + _CLOSING_SECONDS
        try:
            while self._senders.under_way and time.monotonic() < deadline:
                self._senders.wait(_IDLE_SECONDS)
                self._store_outcomes()
            self._store_outcomes()
            self.ledger.release(self._buffer)
        except VoiceError as error:
            log.warning("The last outcomes could not be stored; the next run reconciles them: %s", error.message)


def _step_after(result: Result) -> NextState:
    """Return the next state after a create that rang nobody; due at once, unless the contact caused the refusal."""
    if result.kind == "contact":
        return NextState(ContactState.REJECTED, _message(result))
    return NextState(result.job.contact.state, f"not called: {_message(result)}", _LONG_AGO)


def _message(result: Result) -> str:
    return "the create was held back" if result.error is None else result.error.message
