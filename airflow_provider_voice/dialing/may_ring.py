"""Whether a contact policy lets a task ring somebody now. Asked right before an intent is stored."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_provider_voice.policy import ContactPolicy, Person, WhenClosed

log = logging.getLogger(__name__)


class ClosedNow(Exception):
    """The contact policy forbids the call now and allows it later; nothing was stored or sent.

    :param opens_at: when the policy is to be asked again.
    """

    def __init__(self, opens_at: datetime) -> None:
        super().__init__("closed now")
        self.opens_at = opens_at


@dataclass(frozen=True)
class PolicyCheck:
    """Asks a contact policy about one call.

    :param policy: the contact policy.
    :param person: who is called.
    :param when_closed: what the task does while the policy does not allow the call.
    :param deadline: last instant at which the call may be placed; ``None``: there is none.
    :param delay: how long after the create the phone rings. The rules are about the moment at which it rings.
    """

    policy: ContactPolicy
    person: Person
    when_closed: WhenClosed
    deadline: datetime | None
    delay: timedelta = timedelta(0)

    def check(self, attempts: Iterable[datetime]) -> None:
        """Raise unless the policy allows the call now.

        :param attempts: when creates of earlier calls to this person were sent.
        :raises ClosedNow: when the task is to wait until the policy may allow the call.
        :raises NotAllowedNow: when it is to be skipped or to fail, or to wait beyond the deadline.
        """
        # Rule files and calendars: only a task with a policy needs them.
        from airflow_provider_voice.policy import next_step

        rings_at = datetime.now(timezone.utc) + self.delay
        # An attempt never lies ahead: it was stored by a machine whose clock may be ahead of this one's.
        earlier = [min(attempt + self.delay, rings_at) for attempt in attempts]
        decision = self.policy.decide(self.person, rings_at, earlier)
        deadline = None if self.deadline is None else self.deadline + self.delay
        step = next_step(decision, when_closed=self.when_closed, deadline=deadline)
        log.info("Contact policy: %s", step.reason)
        if step.until is not None:
            raise ClosedNow(step.until - self.delay)
        if step.action != "call":
            raise step.error()
