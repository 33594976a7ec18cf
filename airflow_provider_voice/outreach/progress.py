"""Progress lines of a campaign, for the task's log: counts, pace and expected end; never a number or a name."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from airflow_provider_voice.models import write_time
from airflow_provider_voice.outreach.states import OPEN, ContactState

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_voice.outreach.campaign_record import CampaignRecord

log = logging.getLogger(__name__)

#: Seconds between two lines.
EVERY_SECONDS = 10.0


@dataclass(frozen=True)
class Snapshot:
    """Where a campaign stands.

    :param at: seconds of a steady clock.
    :param counts: the campaign's counts.
    """

    at: float
    counts: Mapping[str, Any]

    @property
    def done(self) -> int:
        """Contacts that are final."""
        return int(self.counts["contacts"]) - sum(int(self.counts[state.value]) for state in OPEN)

    @property
    def in_progress(self) -> int:
        """Contacts that are being dialed or in a call."""
        return int(self.counts[ContactState.DIALING.value]) + int(self.counts[ContactState.IN_CALL.value])


def per_minute(first: Snapshot, last: Snapshot, name: str) -> float:
    """Return how fast something grew between two snapshots: ``attempts`` or ``done``."""
    minutes = (last.at - first.at) / 60.0
    grown = last.done - first.done if name == "done" else int(last.counts[name]) - int(first.counts[name])
    return grown / minutes if minutes > 0 else 0.0


def line(first: Snapshot, last: Snapshot, now: datetime) -> str:
    """Return one line about a campaign.

    :param first: an earlier snapshot, which the pace is counted from.
    :param last: now.
    :param now: the time, for the expected end.
    """
    left = int(last.counts["contacts"]) - last.done
    done_pace = per_minute(first, last, "done")
    end = "not known yet"
    if left and done_pace > 0:
        end = str(write_time((now + timedelta(minutes=left / done_pace)).replace(second=0, microsecond=0)))
    return (
        f"{last.done} of {last.counts['contacts']} contacts done, {last.in_progress} in progress, "
        f"{last.counts['attempts']} attempts, {per_minute(first, last, 'attempts'):.0f} a minute, expected end: "
        f"{'now' if not left else end}."
    )


class Progress:
    """Logs where a campaign stands, every ten seconds.

    :param record: the campaign.
    """

    def __init__(self, record: CampaignRecord) -> None:
        self._record = record
        self._snapshots: list[Snapshot] = []
        self._next_at = time.monotonic() + EVERY_SECONDS

    def report(self) -> None:
        """Log a line when it is time."""
        now = time.monotonic()
        if now < self._next_at:
            return
        self._next_at = now + EVERY_SECONDS
        # The pace of the last minute.
        self._snapshots = [*self._snapshots[-6:], Snapshot(now, self._record.counts())]
        first, last = self._snapshots[0], self._snapshots[-1]
        log.info("Campaign %s: %s", self._record.campaign, line(first, last, datetime.now(timezone.utc)))
