"""Looking at a vendor for the call of a create whose answer was lost. Reads only; rings nobody."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from airflow_provider_voice.exceptions import CallOutcomeUnknown
from airflow_provider_voice.models import Call, CallRef, write_time
from airflow_provider_voice.phone import mask_number, same_number

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_voice.models import CallRequest
    from airflow_provider_voice.vendors.base import Vendor

log = logging.getLogger(__name__)

# The vendor's clock is read off a Date header of whole seconds, and its database need not be the server that sent it.
BEFORE = timedelta(minutes=2)
# A create that hung may be worked off long after it was sent.
AFTER = timedelta(minutes=15)


@dataclass(frozen=True)
class Evidence:
    """What is known of the lost create, by the clock of this machine.

    :param since: not sent before this.
    :param until: not sent after this; None: up to now.
    :param clock_offset: seconds the vendor's clock was ahead of the clock that dated this; None: of ours, now.
    :param tag: our correlation text; the vendor may keep it.
    :param not_these: ids of earlier calls of the task.
    """

    since: datetime
    until: datetime | None
    clock_offset: float | None = None
    tag: str | None = None
    not_these: frozenset[str] = frozenset()


def look_for_call(
    vendor: Vendor, request: CallRequest, evidence: Evidence, *, now: Callable[[], datetime]
) -> Call | None:
    """Find the one call that the create can have made.

    By tag where the vendor's records show it; otherwise by number, agent and direction among the calls created around
    the time of the create, in the vendor's time.

    :param vendor: the vendor.
    :param request: the call wanted, with E.164 number and agent.
    :param evidence: what is known of the create.
    :param now: this machine's clock.
    :return: the call; None when the vendor's list was read completely and shows none.
    :raises CallOutcomeUnknown: when several calls fit, with their ids.
    :raises VoiceError: when the list can not be read.
    """
    offset = clock_offset(vendor) if evidence.clock_offset is None else timedelta(seconds=evidence.clock_offset)
    first = evidence.since + offset - BEFORE
    last = (evidence.until or now()) + offset + AFTER
    fitting: list[Call] = []
    for call in vendor.list_calls(first, last, to=request.to):
        if evidence.tag is not None and call.tag == evidence.tag:
            return _as_placed(vendor, call, request, evidence)
        if _fits(call, request, evidence):
            fitting.append(call)
    if evidence.tag is not None and vendor.keeps_tags:
        fitting = []  # its records show tags, so none of these is ours
    if len(fitting) > 1:
        ids = ", ".join(call.id for call in fitting[:10])
        raise CallOutcomeUnknown(
            f"{len(fitting)} calls to {mask_number(request.to)} fit the create whose answer was lost: {ids} (created "
            f"from {write_time(first)} to {write_time(last)}). Which one it was can not be known; nothing is sent "
            "again.",
            vendor=vendor.name,
        )
    return _as_placed(vendor, fitting[0], request, evidence) if fitting else None


def clock_offset(vendor: Vendor) -> timedelta:
    """Return how far the vendor's clock is ahead of ours."""
    return vendor.now() - datetime.now(timezone.utc)


def _fits(call: Call, request: CallRequest, evidence: Evidence) -> bool:
    return (
        call.id not in evidence.not_these
        and same_number(call.to, request.to)
        and call.agent_id in (None, request.agent_id)
        and call.direction in (None, "outbound")
    )


def _as_placed(vendor: Vendor, call: Call, request: CallRequest, evidence: Evidence) -> Call:
    log.debug("%s shows call %s for the lost create.", vendor.title, call.id)
    ref = CallRef(call.id, request.to, call.created_at, call.tag or evidence.tag, call.agent_id or request.agent_id)
    values = {
        **vars(call),
        "to": ref.to,
        "tag": ref.tag,
        "agent_id": ref.agent_id,
        "direction": call.direction or "outbound",
    }
    return Call(**values)
