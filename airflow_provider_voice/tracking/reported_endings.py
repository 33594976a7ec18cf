"""Decides which calls have ended since the last poll, so that each ending is reported once.

The cursor is a creation time and a few call ids; storing it is up to the caller. No clock, no HTTP, no Airflow here.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_voice.models import read_time, write_time

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import datetime

    from airflow_provider_voice.models import Call

log = logging.getLogger(__name__)

#: After an outage the calls of so long a time are read again at most; an older cursor leaves a hole, which is logged.
MAX_CATCH_UP = timedelta(days=31)


class ReportedEndings:
    """The cursor of one trigger: where its next poll begins, and which endings after that were reported.

    The first poll is the baseline: calls that had ended before it are not reported.

    .. code-block:: python

        endings = ReportedEndings(look_back=timedelta(days=1), listing_delay=timedelta(hours=1), state=stored)
        calls = hook.list_calls(endings.start(now), now)
        for call in endings.take(calls, now):
            print(call.id, "has ended")

    :param look_back: how long ago a call may have been created that has not ended; the ending of an older one is not
        reported. It does not limit how far the cursor goes back after an outage; :data:`MAX_CATCH_UP` does.
    :param listing_delay: how long after its creation a call may appear in the vendor's list.
    :param state: the :attr:`state` of an earlier process; None: there is none.
    """

    def __init__(
        self, *, look_back: timedelta, listing_delay: timedelta, state: Mapping[str, Any] | None = None
    ) -> None:
        self._look_back = look_back
        self._listing_delay = listing_delay
        self._since = read_time((state or {}).get("since"))
        reported = (state or {}).get("reported")
        self._reported = {str(call_id) for call_id in reported} if isinstance(reported, list) else set()

    @property
    def state(self) -> dict[str, Any]:
        """Return the JSON state from which the next process continues: ids and a time only."""
        return {"since": write_time(self._since), "reported": sorted(self._reported)}

    def start(self, now: datetime) -> datetime:
        """Return the creation time from which on calls must be read.

        However old the cursor is, the next poll continues from it, so that an outage of the triggerer or of the vendor
        loses no ending; :data:`MAX_CATCH_UP` is the limit.

        :param now: the vendor's time.
        :return: the creation time, included.
        """
        if self._since is None:
            return now - self._look_back
        return max(self._since, now - max(MAX_CATCH_UP, self._look_back))

    def take(self, calls: Collection[Call], now: datetime) -> list[Call]:
        """Move the cursor and return the calls whose ending was not reported yet.

        :param calls: every call created since :meth:`start`, ended or not.
        :param now: the vendor's time when they were requested.
        :return: the calls to report; none for the first poll.
        """
        start = self.start(now)
        if self._since is not None and start > self._since:
            log.warning(
                "The endings of calls created from %s to %s are not reported: the last poll was too long ago, and at "
                "most %d days are read again. Find these calls in the vendor's call history.",
                write_time(self._since), write_time(start), (now - start).days,
            )  # fmt: skip
        ended = [call for call in calls if call.status.is_terminal]
        active = {call.id: call.created_at for call in calls if not call.status.is_terminal and call.created_at}
        # Calls that never end do not hold the cursor back for longer than ``look_back``.
        oldest = max(start, now - max(self._look_back, self._listing_delay))
        # The newest call stands for the vendor's present: its times may be hours behind the clock, or of a zone that
        # they do not name.
        newest = max((call.created_at for call in calls if call.created_at is not None), default=start)
        since = max(oldest, min([min(now, newest) - self._listing_delay, *active.values()]))
        given_up = sorted(call_id for call_id, created_at in active.items() if created_at < since)
        if given_up:
            log.warning(
                "%d call(s) have not ended within look_back (%s) and their endings will not be reported: %s",
                len(given_up), self._look_back, ", ".join(given_up[:5]),
            )  # fmt: skip
        unreported = [] if self._since is None else [call for call in ended if call.id not in self._reported]
        self._since = since
        # A list may show an older state once more: such a call is active again, and its ending stays reported. Calls
        # created before the cursor are not read again, so their ids need not be kept.
        known = [call for call in calls if call.status.is_terminal or call.id in self._reported]
        self._reported = {call.id for call in known if call.created_at is None or call.created_at >= since}
        return unreported
