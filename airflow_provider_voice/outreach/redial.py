"""The next state of a contact after an attempt: reached, called again at a time, or final without success."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from airflow_provider_voice.exceptions import InvalidRequest
from airflow_provider_voice.models import CallStatus, status_of
from airflow_provider_voice.outreach.states import ContactState, NextState
from airflow_provider_voice.utils.validation import duration, endings_of

if TYPE_CHECKING:
    from collections.abc import Collection

#: How long after an ending a contact is called again, unless the user says otherwise; other endings are final.
REDIAL_AFTER: dict[str, timedelta] = {
    "busy": timedelta(minutes=15),
    "no_answer": timedelta(hours=2),
    "voicemail": timedelta(hours=24),
    "failed": timedelta(hours=1),
}


@dataclass(frozen=True)
class RedialRules:
    """When a contact is called again.

    :param max_attempts: attempts a contact gets at most, the first one included.
    :param after: how long after an ending the next attempt is due, by status; an ending that is not named is final.
    :param success: the endings after which the contact counts as reached.
    """

    max_attempts: int = 3
    after: Mapping[CallStatus, timedelta] = field(
        default_factory=lambda: {CallStatus(name): span for name, span in REDIAL_AFTER.items()}
    )
    success: frozenset[CallStatus] = frozenset({CallStatus.COMPLETED})

    @classmethod
    def of(
        cls,
        max_attempts: int = 3,
        redial_after: Mapping[str, timedelta | float] | None = None,
        success_statuses: Collection[CallStatus | str] = ("completed",),
    ) -> RedialRules:
        """Return the rules a user wrote.

        :param max_attempts: a whole number from 1 on.
        :param redial_after: status to ``timedelta`` or seconds; ``None``: :data:`REDIAL_AFTER`.
        :param success_statuses: the endings that reach the contact.
        :return: the rules.
        :raises InvalidRequest: for a number of attempts below 1, a wait that is not positive, a status that is not
            an ending, or one that is both a success and a reason to call again.
        """
        if isinstance(max_attempts, bool) or not isinstance(max_attempts, int) or max_attempts < 1:
            raise InvalidRequest(f"max_attempts must be a whole number of at least 1, not {max_attempts!r:.40}.")
        success = endings_of("success_statuses", success_statuses)
        if redial_after is not None and not isinstance(redial_after, Mapping):
            raise InvalidRequest(f"redial_after must map endings to durations, not be {type(redial_after).__name__}.")
        after = {
            status_of(name): duration(f"redial_after[{str(name)!r:.30}]", span, minimum=timedelta(0))
            for name, span in (REDIAL_AFTER if redial_after is None else redial_after).items()
        }
        if redial_after is None:
            after = {status: span for status, span in after.items() if status not in success}
        endings_of("redial_after", tuple(after), may_be_empty=True)
        both = sorted(status.value for status in success & after.keys())
        if both:
            raise InvalidRequest(f"{', '.join(both)} is in success_statuses and in redial_after; keep it in one.")
        return cls(max_attempts, after, success)

    @property
    def soonest(self) -> timedelta:
        """The shortest time from an ending to the next attempt."""
        return min(self.after.values(), default=timedelta(days=1))

    def after_ending(self, status: CallStatus, attempts: int, ended_at: datetime) -> NextState:
        """Return the next state of a contact after a call.

        :param status: how the call ended.
        :param attempts: the contact's attempts so far, this one included.
        :param ended_at: when it ended; the spacing counts from here.
        :return: the contact's next state, why, and when it is due.
        """
        if status in self.success:
            return NextState(ContactState.REACHED, f"the call ended as {status}")
        span = self.after.get(status)
        if span is None:
            return NextState(ContactState.EXHAUSTED, f"the call ended as {status}, which is not redialed")
        if attempts >= self.max_attempts:
            return NextState(ContactState.EXHAUSTED, f"the last of {attempts} attempts ended as {status}")
        return NextState(ContactState.REDIAL, f"attempt {attempts} ended as {status}", ended_at + span)
