"""Progress lines of a campaign, for the task's log: counts, pace and expected end; never a number or a name."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_voice.models import write_time
from airflow_provider_voice.outreach.states import OPEN, WAITING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from airflow_provider_voice.outreach.campaign_record import CampaignRecord
    from airflow_provider_voice.outreach.states import ContactState

log = logging.getLogger(__name__)

#: Seconds between two lines.
EVERY_SECONDS = 10.0


@dataclass(frozen=True)
class Snapshot:
    """The progress of a campaign.

    :param at: seconds of a steady clock.
    :param counts: the campaign's counts.
    :param now: the ledger's time.
    :param last_due_at: when the last contact that waits is due; ``None``: no contact waits.
    """

    at: float
    counts: Mapping[str, Any]
    now: datetime
    last_due_at: datetime | None = None

    def count(self, states: Iterable[ContactState]) -> int:
        """Return how many contacts have one of some states.

        :param states: the states.
        :return: the contacts of all of them.
        """
        return sum(int(self.counts[state.value]) for state in states)


def expected_end(now: datetime, waiting: int, pace: float, last_due_at: datetime | None) -> datetime | None:
    """Return when every waiting contact has been called once more; later redials are not counted.

    :param now: the ledger's time.
    :param waiting: contacts that wait for a call or a redial.
    :param pace: attempts a minute.
    :param last_due_at: when the last of them is due; the end is not before.
    :return: the time; ``None`` when no contact waits, or when contacts are due and none is being called.
    """
    if not waiting or (pace <= 0 and (last_due_at is None or last_due_at <= now)):
        return None
    by_pace = now if pace <= 0 else now + timedelta(minutes=waiting / pace)
    return by_pace if last_due_at is None else max(by_pace, last_due_at)


def line(first: Snapshot, last: Snapshot) -> str:
    """Return one line about a campaign.

    :param first: an earlier snapshot, which the pace is counted from.
    :param last: now.
    :return: the line, without a number or a name.
    """
    minutes = (last.at - first.at) / 60.0
    pace = (int(last.counts["attempts"]) - int(first.counts["attempts"])) / minutes if minutes > 0 else 0.0
    left = last.count(OPEN)
    end = expected_end(last.now, last.count(WAITING), pace, last.last_due_at)
    shown = "now" if not left else "not known yet" if end is None else write_time(end.replace(microsecond=0))
    return (
        f"{int(last.counts['contacts']) - left} of {last.counts['contacts']} contacts done, "
        f"{left - last.count(WAITING)} in progress, {last.count(WAITING)} waiting, {last.counts['attempts']} attempts, "
        f"{pace:.0f} a minute, expected end: {shown}."
    )


class Progress:
    """Logs where a campaign stands, every ten seconds.

    :param record: the campaign.
    """

    def __init__(self, record: CampaignRecord) -> None:
        self._record = record
        self._snapshots: list[Snapshot] = []
        self._next_at = 0.0

    def report(self) -> None:
        """Log a line when it is time; the first call only stores the counts at the start."""
        now = time.monotonic()
        if self._snapshots and now < self._next_at:
            return
        self._next_at = now + EVERY_SECONDS
        outlook = self._record.outlook()
        snapshot = Snapshot(now, self._record.counts(), outlook.now, outlook.last_due_at)
        # The pace of the last minute.
        self._snapshots = [*self._snapshots[-6:], snapshot]
        if len(self._snapshots) > 1:
            log.info("Campaign %s: %s", self._record.campaign, line(self._snapshots[0], snapshot))
