"""The states of a contact and of an attempt. No SQL here."""

from __future__ import annotations

from enum import Enum


class ContactState(str, Enum):
    """The state of one contact of a campaign; the values are what the ledger stores."""

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

    def __str__(self) -> str:
        return str(self.value)

    @property
    def is_final(self) -> bool:
        """Whether the campaign does nothing more for the contact by itself."""
        return self not in OPEN


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

    def __str__(self) -> str:
        return str(self.value)


#: Attempts that rang, or may have: these count for the caps of a policy and for ``max_attempts``.
COUNTED = (AttemptState.INTENT, AttemptState.PLACED, AttemptState.ENDED, AttemptState.UNKNOWN)
#: Attempts that hold one of the places of ``max_concurrent``.
IN_PROGRESS = (AttemptState.INTENT, AttemptState.PLACED)
