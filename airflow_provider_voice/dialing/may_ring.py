"""Whether the contact policy of a task allows its call now."""

from __future__ import annotations

import logging
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


def ask_policy(
    policy: ContactPolicy,
    person: Person,
    attempts: Iterable[datetime],
    *,
    delay: timedelta = timedelta(0),
    when_closed: WhenClosed = "wait",
    deadline: datetime | None = None,
) -> None:
    """Raise unless the policy allows a call that is placed now.

    :param policy: the contact policy.
    :param person: the person to be rung.
    :param attempts: when creates of earlier calls to this person were sent.
    :param delay: how long the vendor waits before it rings (``delay_seconds``).
    :param when_closed: the task's reaction while the policy does not allow the call.
    :param deadline: last moment at which the call may be placed; None: there is none.
    :raises ClosedNow: when the task is to wait until the policy may allow the call.
    :raises NotAllowedNow: when the task is to be skipped or to fail, or would have to wait beyond the deadline.
    """
    from airflow_provider_voice.policy import next_step  # rule files and calendars: only a task with a policy

    # The rules are about the moment at which the phone rings.
    rings_at = datetime.now(timezone.utc) + delay
    # An attempt never lies ahead: it was stored by a machine whose clock may be ahead of this one's.
    decision = policy.decide(person, rings_at, [min(attempt + delay, rings_at) for attempt in attempts])
    step = next_step(decision, when_closed=when_closed, deadline=None if deadline is None else deadline + delay)
    log.info("Contact policy: %s", step.reason)
    if step.until is not None:
        raise ClosedNow(step.until - delay)
    if step.action != "call":
        raise step.error()
