"""The step after a decision: call, wait, skip or fail.

Pure functions for operators and the outreach engine, so that every caller of a policy behaves alike.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Literal, get_args

from airflow_provider_voice.exceptions import InvalidRequest, NotAllowedNow
from airflow_provider_voice.policy.policy import ContactPolicy

if TYPE_CHECKING:
    from airflow_provider_voice.policy.decision import Decision

WhenClosed = Literal["wait", "skip", "fail"]


@dataclass(frozen=True)
class NextStep:
    """The step after a decision about one call.

    :param action: ``call`` now; ``wait`` until :attr:`until` and ask again; ``skip`` the call; ``fail``.
    :param until: when to ask again, in UTC; only with ``wait``.
    :param reason: one sentence for logs and errors; it holds no phone number.
    :param next_at: first instant at which the call is allowed, or ``None``.
    """

    action: Literal["call", "wait", "skip", "fail"]
    until: datetime | None
    reason: str
    next_at: datetime | None = None

    def error(self) -> NotAllowedNow:
        """Return the error to raise when :attr:`action` is ``fail``."""
        return NotAllowedNow(self.reason, next_at=self.next_at)


def next_step(decision: Decision, *, when_closed: WhenClosed = "wait", deadline: datetime | None = None) -> NextStep:
    """Return the next step after a decision.

    :param decision: the policy's decision about the call, for the present instant.
    :param when_closed: what to do when the call is not allowed. ``wait`` becomes ``fail`` when the call is never
        allowed by itself, or not before the deadline.
    :param deadline: last instant at which the call may still be placed, aware; ``None``: there is none.
    :return: the step.
    :raises InvalidRequest: when ``when_closed`` is not one of the three.
    """
    if when_closed not in get_args(WhenClosed):
        raise InvalidRequest(f"when_closed is {when_closed!r:.40}. Write 'wait', 'skip' or 'fail'.")
    if deadline is not None and deadline.utcoffset() is None:
        raise InvalidRequest("deadline has no time zone. Write an aware datetime, such as one in UTC.")
    if decision.allowed:
        return NextStep("call", None, decision.reason, decision.next_at)
    if when_closed != "wait":
        return NextStep(when_closed, None, decision.reason, decision.next_at)
    if decision.next_at is None:
        return NextStep("fail", None, decision.reason)
    opens = f"The next allowed instant is {decision.next_at.astimezone(timezone.utc):%Y-%m-%d %H:%M:%S} UTC"
    if deadline is not None and decision.next_at > deadline:
        late = (
            f"{decision.reason} {opens}, after the deadline {deadline.astimezone(timezone.utc):%Y-%m-%d %H:%M:%S} UTC. "
            "To wait longer, raise max_run_age."
        )
        return NextStep("fail", None, late, decision.next_at)
    return NextStep("wait", decision.next_at, f"{decision.reason} {opens}.", decision.next_at)


def as_policy(value: Any) -> ContactPolicy | None:
    """Return the ``policy`` argument of an operator as a policy.

    :param value: a policy, the name or path of one rule file, a list of them, or ``None``.
    :return: the loaded policy, or ``None`` for ``None``.
    :raises InvalidRequest: when it is none of these, or a file is missing or disagrees with the format.
    """
    if value is None or isinstance(value, ContactPolicy):
        return value
    if isinstance(value, str | os.PathLike):
        return ContactPolicy.load(value)
    if isinstance(value, list | tuple):
        return ContactPolicy.load(*value)
    raise InvalidRequest(
        f"policy is a {type(value).__name__}. Write ContactPolicy.load('us'), the name or path of a rule file, or a "
        "list of them."
    )
