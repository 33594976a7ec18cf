"""Which calls have ended since the last look: an edge, not a level. No clock, no HTTP, no Airflow here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_voice.models import read_time, write_time

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime, timedelta

    from airflow_provider_voice.models import Call


class ReportedEndings:
    """Remembers which endings were already told, in as little as will do.

    Kept are the creation time from which on there may still be news, and the ids of the calls since then that have
    ended. The first look is the baseline: what had ended before it is no news.

    :param look_back: how long ago a call may have been created that has not ended; older ones are given up.
    :param late: how long after its creation a call may appear in the vendor's list.
    :param state: what an earlier cursor's :attr:`state` said; None: start anew.
    """

    def __init__(self, *, look_back: timedelta, late: timedelta, state: Mapping[str, Any] | None = None) -> None:
        self._look_back = look_back
        self._late = late
        self._since = read_time((state or {}).get("since"))
        self._told: set[str] = set((state or {}).get("told") or ())

    @property
    def is_new(self) -> bool:
        """Whether there was no look yet."""
        return self._since is None

    @property
    def state(self) -> dict[str, Any]:
        """What the next cursor must know: JSON, ids and a time only."""
        return {"since": write_time(self._since), "told": sorted(self._told)}

    def start(self, now: datetime) -> datetime:
        """Return from which creation time on calls must be looked at."""
        oldest = now - self._look_back
        return oldest if self._since is None else max(self._since, oldest)

    def take(self, calls: Iterable[Call], now: datetime) -> list[Call]:
        """Take every call created since :meth:`start` and return those whose ending was not told yet.

        :param calls: all of them, ended or not.
        :param now: when they were asked for, by the vendor's clock.
        """
        since, ended = now - self._late, []
        for call in calls:
            if call.status.is_terminal:
                ended.append(call)
            elif call.created_at is not None:
                since = min(since, call.created_at)
        since = max(since, self.start(now))
        news = [] if self.is_new else [call for call in ended if call.id not in self._told]
        self._since = since
        # What was created before `since` is not looked at again, so its id need not be kept.
        self._told = {call.id for call in ended if call.created_at is None or call.created_at >= since}
        return news
