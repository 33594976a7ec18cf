"""Whether a task may ring somebody now: the age of its run, and its contact policy."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from airflow_provider_voice.dialing.run_age import check_run_age, latest_start

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from airflow_provider_voice.models import CallRequest
    from airflow_provider_voice.policy import ContactPolicy, WhenClosed

log = logging.getLogger(__name__)


class ClosedNow(Exception):
    """The contact policy forbids the call now and allows it later; nothing was stored or sent.

    :param opens_at: when the policy is to be asked again.
    """

    def __init__(self, opens_at: datetime) -> None:
        super().__init__("closed now")
        self.opens_at = opens_at


@dataclass(frozen=True)
class MayRing:
    """The conditions under which a task rings somebody; they are checked right before each intent is stored.

    .. code-block:: python

        MayRing(request, dag_run, max_run_age=timedelta(days=1), policy=ContactPolicy.load("us")).check(list)
    """

    #: The call wanted.
    request: CallRequest
    #: The DAG run of the task.
    run: Any
    #: How long ago the run may have been due; None: any run may ring.
    max_run_age: timedelta | None = None
    #: The contact policy; None: everybody, always.
    policy: ContactPolicy | None = None
    #: IANA time zone of the person; None: from the jurisdiction or the number.
    time_zone: str | None = None
    #: ISO 3166 code of the law that protects the person; None: from the number.
    jurisdiction: str | None = None
    #: The task's reaction while the policy does not allow the call: ``wait``, ``skip`` or ``fail``.
    when_closed: WhenClosed = "wait"
    #: Last instant at which the call may be placed; None: there is none but by ``max_run_age``.
    deadline: datetime | None = None

    def check(self, attempts: Callable[[], Iterable[datetime]]) -> None:
        """Raise unless somebody may be rung now.

        :param attempts: returns when creates of earlier calls to this person were sent; only asked for a policy.
        :raises StaleRun: when the run is too old.
        :raises ClosedNow: when the task is to wait until the policy may allow the call.
        :raises NotAllowedNow: when the task is to be skipped or to fail, or would have to wait beyond the deadline.
        """
        if self.max_run_age is not None:
            check_run_age(self.run, self.max_run_age)
        if self.policy is not None:
            self._ask(self.policy, attempts())

    def _ask(self, policy: ContactPolicy, attempts: Iterable[datetime]) -> None:
        # Rule files and calendars: only a task with a policy needs them.
        from airflow_provider_voice.policy import Person, next_step

        # The rules are about the moment at which the phone rings.
        delay = timedelta(seconds=self.request.delay_seconds)
        rings_at = datetime.now(timezone.utc) + delay
        person = Person(to=self.request.to, time_zone=self.time_zone, jurisdiction=self.jurisdiction)
        # An attempt never lies ahead: it was stored by a machine whose clock may be ahead of this one's.
        decision = policy.decide(person, rings_at, [min(attempt + delay, rings_at) for attempt in attempts])
        latest = None if self.max_run_age is None else latest_start(self.run, self.max_run_age)
        deadlines = [moment + delay for moment in (self.deadline, latest) if moment is not None]
        step = next_step(decision, when_closed=self.when_closed, deadline=min(deadlines, default=None))
        log.info("Contact policy: %s", step.reason)
        if step.until is not None:
            raise ClosedNow(step.until - delay)
        if step.action != "call":
            raise step.error()
