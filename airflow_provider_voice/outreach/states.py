"""The states of a contact and of an attempt, and a worker's view of both. No SQL here."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any

from airflow_provider_voice.models import CallRef

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime


class ContactState(str, Enum):
    """The state of one contact of a campaign; the ledger stores the values."""

    PENDING = "pending"
    DIALING = "dialing"
    IN_CALL = "in_call"
    REDIAL = "redial"
    REACHED = "reached"
    EXHAUSTED = "exhausted"
    REJECTED = "rejected"
    EXCLUDED = "excluded"
    MERGED = "merged"
    EXPIRED = "expired"
    UNKNOWN = "unknown"
    CANCELED = "canceled"

    # The same on every Python: a plain str-Enum prints its class from 3.11 on.
    __str__ = str.__str__


#: The contact waits for a call.
WAITING = (ContactState.PENDING, ContactState.REDIAL)
#: The campaign is not done with the contact.
OPEN = (*WAITING, ContactState.DIALING, ContactState.IN_CALL)


class AttemptState(str, Enum):
    """The state of one attempt to call a contact."""

    #: Stored before the create; the outcome of the create is not known yet.
    INTENT = "intent"
    #: The vendor accepted the create; ``call_id`` names the call.
    PLACED = "placed"
    #: The call ended; ``status`` says how.
    ENDED = "ended"
    #: The create provably rang nobody: it was refused, or it was never sent.
    REFUSED = "refused"
    #: The phone may have rung; nobody knows.
    UNKNOWN = "unknown"

    __str__ = str.__str__  # as above


#: Attempts that rang, or may have: these count for the caps of a policy and for ``max_attempts``.
COUNTED = (AttemptState.INTENT, AttemptState.PLACED, AttemptState.ENDED, AttemptState.UNKNOWN)
#: Attempts that hold one of the places of ``max_concurrent``: the phone of an unknown one may be ringing.
IN_PROGRESS = (AttemptState.INTENT, AttemptState.PLACED, AttemptState.UNKNOWN)


#: Why a contact is ``excluded`` whose number was on the do-not-call list.
ON_DO_NOT_CALL_LIST = "on the do-not-call list"


@dataclass(frozen=True)
class Claimed:
    """A contact that one worker holds a lease on.

    :param key: the contact's key.
    :param to: its number, E.164.
    :param state: its state before the claim.
    :param fence: the number of this claim; a later claim has a higher one.
    :param attempts: the attempts that rang or may have.
    :param last_attempt: the number of the last attempt of any outcome.
    :param time_zone: as the contact's row gives it.
    :param jurisdiction: as the contact's row gives it.
    :param variables: the values for the agent.
    """

    key: str
    to: str = field(repr=False)
    state: ContactState
    fence: int
    attempts: int
    last_attempt: int
    time_zone: str | None = None
    jurisdiction: str | None = None
    variables: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Attempt:
    """One attempt as the ledger has it.

    :param id: the text that is sent as the call's tag.
    :param key: the contact's key.
    :param to: the number, E.164.
    :param number: the position among the contact's attempts, from 1, refused ones included.
    :param agent_id: the agent.
    :param call_id: the vendor's id of the call; ``None`` until it is known.
    :param intended_at: when the intent was stored, by the ledger's clock.
    :param placed_at: when the call was created, by the vendor's clock.
    :param clock_offset: seconds the vendor's clock was ahead of the ledger's; ``None``: not known then.
    :param fence: the claim under which it was made or is searched for.
    :param voice_conn_id: the voice connection that it goes through.
    """

    id: str
    key: str
    to: str = field(repr=False)
    number: int
    agent_id: str | None
    call_id: str | None
    intended_at: datetime
    placed_at: datetime | None = None
    clock_offset: float | None = None
    fence: int = 0
    voice_conn_id: str | None = None

    @property
    def ref(self) -> CallRef:
        """The reference by which the vendor is asked for the call."""
        return CallRef(self.call_id or "", self.to, self.placed_at, self.id, self.agent_id)


@dataclass(frozen=True)
class NextState:
    """The next state of a contact after an attempt.

    :param state: its next state.
    :param reason: why, for people.
    :param due_at: when it may be called again; ``None`` for a final state.
    """

    state: ContactState
    reason: str
    due_at: datetime | None = None
