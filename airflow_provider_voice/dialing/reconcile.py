"""Searches a vendor's list for the call of a create whose answer is not known. Reads only; rings nobody."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from airflow_provider_voice.exceptions import CallOutcomeUnknown
from airflow_provider_voice.models import Call, write_time
from airflow_provider_voice.phone import mask_number, may_be_same_number, same_number

if TYPE_CHECKING:
    from airflow_provider_voice.models import CallRequest
    from airflow_provider_voice.vendors.base import Vendor

log = logging.getLogger(__name__)

#: How far a record's creation time may lie outside the time in which the create was under way. The vendor's clock is
#: read off a Date header of whole seconds, and its database need not be the server that sent the header.
CLOCK_TOLERANCE = timedelta(minutes=2)
#: How long after a create the vendor may still work it off, and how late its list may show the call. No vendor
#: documents either; ``redial_when_absent_for`` must not be shorter.
LATE_ARRIVAL = timedelta(minutes=15)
#: How long a create can be under way before the worker gives it up: the wait for the rate limit, refusals with 429 and
#: the read of the response. Used where the worker died and nobody knows when.
LONGEST_CREATE = timedelta(minutes=5)
#: How far the time of a row may be off at most: a day without a time, in any zone.
MOST_DOUBT = timedelta(hours=38)
#: How far back a search for a call goes at most. Vendors keep lists in windows of up to three months.
LONGEST_LOOK_BACK = timedelta(days=90)


@dataclass(frozen=True)
class Evidence:
    """Facts about the create, by the clock of the worker that sent it.

    .. code-block:: python

        find_call(vendor, request, Evidence(since=sent_at, until=given_up_at, tag="afv-1"))
    """

    #: The create was not sent before this moment.
    since: datetime
    #: The create was not under way after this moment; None: it may have been sent up to now.
    until: datetime | None
    #: Seconds the vendor's clock was ahead of the worker's; None: as far as it is ahead of this machine's now.
    clock_offset: float | None = None
    #: Our tag of the create. A vendor that keeps tags shows it.
    tag: str | None = None
    #: Ids of calls that are known to belong to somebody else, or to an earlier call of the task.
    not_these: frozenset[str] = frozenset()
    #: Whether a call with our tag is ours whenever it was created; False: a call before a clear had the same one.
    tag_decides: bool = True
    #: The beginning of our tag, where the whole tag is not known.
    tag_prefix: str | None = None
    #: A call created up to this moment may still be the one; None: up to ``until`` and :data:`LATE_ARRIVAL`.
    latest: datetime | None = None


def find_call(vendor: Vendor, request: CallRequest, evidence: Evidence) -> Call | None:
    """Find the one call that the create can have made.

    The tag decides where the vendor's records show tags. Otherwise number, agent and direction must match, and the call
    must have been created while the create was under way, by the vendor's clock. A call that matches but was created
    later, or at a time that another time zone would explain, or that has no tag although the vendor keeps tags, may or
    may not be the one, so it is an error.

    :param vendor: the vendor.
    :param request: the call wanted, with E.164 number and agent.
    :param evidence: the facts about the create.
    :return: the call; None when the vendor's list was read completely and shows no call that matches.
    :raises CallOutcomeUnknown: when several calls match, or it is not certain that the one that matches is ours, with
        their ids.
    :raises VoiceError: when the list cannot be read.
    """
    offset = clock_offset(vendor) if evidence.clock_offset is None else timedelta(seconds=evidence.clock_offset)
    until = evidence.until or datetime.now(timezone.utc)
    # The vendor's record may be dated by the ringing.
    delay = timedelta(seconds=request.delay_seconds)
    first = evidence.since + offset - CLOCK_TOLERANCE
    last = max(until + LATE_ARRIVAL, evidence.latest or until) + delay + offset
    certain_until = until + delay + offset + CLOCK_TOLERANCE
    expects_tag = vendor.keeps_tags and (evidence.tag or evidence.tag_prefix) is not None
    matching: list[Call] = []
    is_certain = True
    for call in vendor.candidates(
        first - MOST_DOUBT, last + MOST_DOUBT, to=request.to, tag=evidence.tag or evidence.tag_prefix
    ):
        is_in_window = call.created_at is None or first <= call.created_at < last
        if evidence.tag is not None and call.tag == evidence.tag and (is_in_window or evidence.tag_decides):
            return _as_placed(call, request, evidence)
        doubt = vendor.time_doubt(call)
        if call.created_at and not first - doubt <= call.created_at < last + doubt:
            continue
        shows_tag = evidence.tag_prefix is not None and (call.tag or "").startswith(evidence.tag_prefix)
        is_of_another_tag = vendor.keeps_tags and call.tag is not None
        if call.id in evidence.not_these or not (shows_tag or (not is_of_another_tag and _matches(call, request))):
            continue
        matching.append(call)
        in_time = call.created_at is not None and first <= call.created_at <= certain_until
        is_ours = evidence.tag_decides or is_in_window
        if not (shows_tag and is_ours) and (expects_tag or not in_time or not same_number(call.to, request.to)):
            is_certain = False
    if not matching:
        return None
    if len(matching) > 1 or not is_certain:
        raise _unclear(vendor, request, matching, first, last)
    return _as_placed(matching[0], request, evidence)


def clock_offset(vendor: Vendor) -> timedelta:
    """Return how far the vendor's clock is ahead of this machine's.

    :param vendor: the vendor; it is asked for its time when no response has shown it yet.
    :return: the difference, negative when the vendor's clock is behind.
    """
    return vendor.now() - datetime.now(timezone.utc)


def _matches(call: Call, request: CallRequest) -> bool:
    """Return whether a row agrees with the request; vendors spell numbers, agents and directions their own way."""
    return (
        may_be_same_number(call.to, request.to)
        and (call.agent_id or request.agent_id or "").strip().casefold() == (request.agent_id or "").strip().casefold()
        and not (call.direction or "").strip().lower().startswith("in")
    )


def _unclear(
    vendor: Vendor, request: CallRequest, calls: list[Call], first: datetime, last: datetime
) -> CallOutcomeUnknown:
    ids = ", ".join(call.id for call in calls[:10])
    which = "the call may or may not be" if len(calls) == 1 else f"each of {len(calls)} calls may be"
    return CallOutcomeUnknown(
        f"Nobody can tell whether {mask_number(request.to)} was rung by this task: {which} the one whose outcome is "
        f"not known: {ids} ({vendor.title}, created from {write_time(first)} to {write_time(last)}). Nothing is sent "
        "again. Look the ids up at the vendor before anybody rings this person again.",
        vendor=vendor.name,
    )


def _as_placed(call: Call, request: CallRequest, evidence: Evidence) -> Call:
    log.debug("The vendor shows call %s for the create whose outcome was not known.", call.id)
    return replace(
        call,
        to=request.to,
        tag=call.tag or evidence.tag,
        agent_id=call.agent_id or request.agent_id,
        direction="outbound",
    )
