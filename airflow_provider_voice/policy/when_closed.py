"""Reads the ``policy`` argument of an operator, and turns a decision into the next step: call, wait, or end."""

from __future__ import annotations

import os
from datetime import timezone
from typing import TYPE_CHECKING, Any

from airflow_provider_voice.exceptions import InvalidRequest, NotAllowedNow
from airflow_provider_voice.policy.policy import ContactPolicy

if TYPE_CHECKING:
    from datetime import datetime

    from airflow_provider_voice.policy.decision import Decision


def wait_until(decision: Decision, *, may_wait: bool = True, deadline: datetime | None = None) -> datetime | None:
    """Return when to ask again about a call that is not allowed now; ``None``: call now.

    :param decision: the policy's decision about the call, for the present instant.
    :param may_wait: whether to wait for the next allowed instant, default True.
    :param deadline: last instant at which the call may still be placed, aware; ``None``: there is none.
    :return: the next allowed instant, in UTC, or ``None``.
    :raises NotAllowedNow: when the call is not allowed and must not wait, is never allowed by itself, or not before
        the deadline.
    """
    if decision.allowed:
        return None
    reason, next_at = decision.reason, decision.next_at
    if may_wait and next_at is not None:
        if deadline is None or next_at <= deadline:
            return next_at
        reason = (
            f"{reason} The next allowed instant is {next_at:%Y-%m-%d %H:%M:%S} UTC, after the deadline "
            f"{deadline.astimezone(timezone.utc):%Y-%m-%d %H:%M:%S} UTC. To wait longer, raise max_run_age."
        )
    raise NotAllowedNow(reason, next_at=next_at)


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
