"""What became of a create whose answer was lost: looked for at the vendor, by the rules of ``dialing``."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from airflow_provider_voice.dialing.reconcile import Evidence, clock_offset, find_call
from airflow_provider_voice.exceptions import CallOutcomeUnknown, VoiceError
from airflow_provider_voice.models import Call, CallRequest, write_time
from airflow_provider_voice.phone import mask_number

if TYPE_CHECKING:
    from airflow_provider_voice.hooks.voice import VoiceHook
    from airflow_provider_voice.outreach.ledger import Attempt, Ledger


class LostCall:
    """One create without an outcome.

    :param attempt: the attempt; the fence in it is the one under which it is looked for.
    :param cause: what is known of the create itself.
    :param is_known: whether the ledger has it as unknown already, with its evidence.
    """

    def __init__(self, attempt: Attempt, cause: str, *, is_known: bool = False) -> None:
        self.attempt = attempt
        self.cause = cause
        self.is_known = is_known
        self.looks = 0
        self.last_problem: str | None = None

    @property
    def evidence(self) -> str:
        """Return what a person must know to settle it; without the number in clear."""
        problem = self.last_problem or "the vendor's list does not show it"
        return (
            f"A create to {mask_number(self.attempt.to)} was intended at {write_time(self.attempt.intended_at)}; "
            f"{self.cause}; {problem} (looked {self.looks} time(s), tag {self.attempt.id}, agent "
            f"{self.attempt.agent_id})."
        )


def find_lost_call(hook: VoiceHook, ledger: Ledger, lost: LostCall, ledger_now: datetime) -> Call | None:
    """Look once for the call of a create; read only.

    :param hook: the voice connection.
    :param ledger: knows the calls to the number that are not this one.
    :param lost: the create; what is found out about it is noted there.
    :param ledger_now: the ledger's time, by which the attempt is dated.
    :return: the call, or ``None`` when it is not there, cannot be told from others or the list cannot be read.
    """
    attempt = lost.attempt
    lost.looks += 1
    try:
        offset = attempt.clock_offset
        if offset is None:
            ahead = (datetime.now(timezone.utc) - ledger_now).total_seconds()
            offset = clock_offset(hook.vendor).total_seconds() + ahead
        evidence = Evidence(
            since=attempt.intended_at,
            # The intent is stored some time before the create is sent, at most a lease.
            until=attempt.intended_at + timedelta(seconds=ledger.lease_seconds),
            clock_offset=offset,
            tag=attempt.id,
            not_these=ledger.call_ids_of(attempt.to),
        )
        request = CallRequest(to=attempt.to, agent_id=attempt.agent_id)
        found = find_call(hook.vendor, request, evidence, now=lambda: datetime.now(timezone.utc))
    except CallOutcomeUnknown as error:
        lost.last_problem = error.message
        return None
    except VoiceError as error:
        lost.last_problem = f"the vendor's list cannot be read ({error.message})"
        return None
    lost.last_problem = None
    return found
