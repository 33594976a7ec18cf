"""Follows the calls in progress: one poll for all of them, and the settlement of those that ended."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from airflow_provider_voice.outreach.clocks import Interval

if TYPE_CHECKING:
    from collections.abc import Mapping
    from concurrent.futures import Executor, Future

    from airflow_provider_voice.hooks.voice import VoiceHook
    from airflow_provider_voice.models import Call
    from airflow_provider_voice.outreach.attempt_outcomes import AttemptOutcomes
    from airflow_provider_voice.outreach.campaign_record import CampaignRecord
    from airflow_provider_voice.outreach.ledger import Ledger
    from airflow_provider_voice.outreach.redial import RedialRules
    from airflow_provider_voice.outreach.states import Attempt

#: Seconds between two questions to the ledger whether it is time for the next poll.
_ASK_SECONDS = 1.0


class CallPolls:
    """Polls the calls of one campaign, in turns with the campaign's other workers.

    :param hook: the voice connection.
    :param ledger: the campaign's ledger.
    :param outcomes: where endings are stored.
    :param record: keeps the workers' turns.
    :param reader: runs the polls.
    :param rules: decides the next state of a contact after an ending.
    :param interval: seconds between two polls.
    :param call_timeout: how long a call may take before it counts as ``unknown``.
    """

    def __init__(
        self,
        hook: VoiceHook,
        ledger: Ledger,
        outcomes: AttemptOutcomes,
        record: CampaignRecord,
        reader: Executor,
        *,
        rules: RedialRules,
        interval: float,
        call_timeout: timedelta,
    ) -> None:
        self._hook = hook
        self._ledger = ledger
        self._outcomes = outcomes
        self._record = record
        self._reader = reader
        self._rules = rules
        self._between_polls = timedelta(seconds=interval)
        self._call_timeout = call_timeout
        self._asking = Interval(min(interval, _ASK_SECONDS))
        self._poll: tuple[Future[dict[str, Call]], list[Attempt]] | None = None
        # The first poll waits for no turn: a task that its trigger woke up for an ending would only defer again.
        self._is_first = True

    @property
    def under_way(self) -> Future[dict[str, Call]] | None:
        """The poll that is under way."""
        return None if self._poll is None else self._poll[0]

    def follow(self) -> bool:
        """Settle the endings of a poll, and begin the next one when it is time.

        :return: whether calls have ended, so that there may be places for others.
        :raises VoiceError: when the poll failed.
        """
        has_ended = False
        if self._poll is not None:
            future, asked = self._poll
            if not future.done():
                return False
            self._poll = None
            has_ended = self._settle(asked, future.result())
        if self._asking.is_due() and (
            self._record.take_turn_to_poll(self._ledger.voice_conn_id, self._between_polls) or self._is_first
        ):
            self._is_first = False
            # A run over another voice connection cannot read these calls, and it must end all the same.
            now = self._ledger.database.time()
            self._give_up_old(self._ledger.in_progress(over_others=True), now, " over another voice connection")
            attempts = self._ledger.in_progress()
            if attempts:
                refs = [attempt.ref for attempt in attempts]
                self._poll = (self._reader.submit(self._hook.get_calls, refs), attempts)
        return has_ended

    def _settle(self, asked: list[Attempt], found: Mapping[str, Call]) -> bool:
        now = self._ledger.database.time()
        # How far the vendor's clock is ahead of the ledger's.
        offset = timedelta(seconds=self._hook.vendor.http.clock_offset or 0.0)
        ahead = datetime.now(timezone.utc) - now + offset
        ended = [
            (attempt, call)
            for attempt in asked
            if (call := found.get(attempt.call_id or "")) is not None and call.status.is_terminal
        ]
        counts = self._ledger.attempts_counted([attempt.key for attempt, _ in ended])
        endings = []
        for attempt, call in ended:
            # By the ledger's clock; never in the future, never before the call.
            at = max(attempt.intended_at, min(now, (call.ended_at or call.updated_at or now + ahead) - ahead))
            step = self._rules.after_ending(call.status, counts.get(attempt.key, attempt.number), at)
            endings.append((attempt, call.status.value, at, step))
        self._outcomes.ended(endings)
        settled = {attempt.id for attempt, _ in ended}
        self._give_up_old([attempt for attempt in asked if attempt.id not in settled], now)
        return bool(ended)

    def _give_up_old(self, attempts: list[Attempt], now: datetime, where: str = "") -> None:
        """Settle as unknown the calls that should have ended long ago."""
        evidence = f"was placed{where}, and its ending did not show in {self._call_timeout}."
        self._outcomes.vanished(
            [
                (attempt, f"Call {attempt.call_id} {evidence}")
                for attempt in attempts
                if now - attempt.intended_at > self._call_timeout
            ]
        )
