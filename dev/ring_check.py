"""Checks the sandbox's own list of calls: nobody may be rung more often than the endings of earlier calls allow."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from airflow_provider_voice.phone import mask_number

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from datetime import datetime

    from airflow_provider_voice.sandbox.world import SandboxCall

#: The rules of the demo's campaign.
MAX_ATTEMPTS = 3
REDIAL_AFTER = {"busy": 2, "no_answer": 3, "voicemail": 4, "failed": 2}


def rings_too_many(
    calls: Iterable[SandboxCall], now: datetime, redialed: Collection[str], max_attempts: int
) -> list[str]:
    """Return a sentence for each call that should not have been placed.

    A second call to a number is right when the one before it had ended, in an ending that is redialed, and attempts
    were left.

    :param calls: the calls of one vendor, as the sandbox has them.
    :param now: the sandbox's time.
    :param redialed: the statuses after which a number is called again.
    :param max_attempts: how often a number may be called.
    :return: sentences without a number in clear; empty when every call was right.
    """
    by_number: dict[str, list[SandboxCall]] = {}
    for call in sorted(calls, key=lambda item: item.created_at):
        by_number.setdefault(call.to, []).append(call)
    problems = []
    for number, placed in by_number.items():
        for before, call in pairwise(placed):
            if before.status(now).value not in redialed or before.updated_at(now) > call.created_at:
                problems.append(
                    f"{mask_number(number)} was rung again after a call that ended as {before.status(now)}."
                )
        if len(placed) > max_attempts:
            problems.append(f"{mask_number(number)} was rung {len(placed)} times.")
    return problems
