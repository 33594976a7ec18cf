"""A contact policy by brute force: it tries every minute, and shares no code with the package.

It takes the content of a rule file as plain Python values, and instants on whole minutes.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone
from functools import cache
from zoneinfo import ZoneInfo

DAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
MINUTE = timedelta(minutes=1)
WEEK = 7 * 24 * 60


def _minute(text: str) -> int:
    hours, minutes = text.split(":")
    return int(hours) * 60 + int(minutes)


def open_minutes(hours: dict[str, list[str]], margin: int) -> list[bool]:
    """For each minute of the week: may a call start, so that the hours stay open for the margin after it?"""
    written = [False] * WEEK
    for key, intervals in hours.items():
        first, _, last = key.partition("-")
        start, end = DAYS.index(first), DAYS.index(last or first)
        for day in range(start, end + 1):
            for interval in intervals:
                begin, close = interval.split("-")
                for minute in range(_minute(begin), _minute(close)):
                    written[day * 24 * 60 + minute] = True
    return [
        all(written[(minute + later) % WEEK] for later in range(margin // 60 + 1)) if written[minute] else False
        for minute in range(WEEK)
    ]


@cache
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


class Oracle:
    """Answers for one rule file and the possible zones of one person, to whom every rule applies."""

    def __init__(self, content: dict, zones: list[str]) -> None:
        self.rules = content["rules"]
        self.quantifier = any if content.get("zones") == "any" else all
        self.zones = zones
        self.open = {
            rule["id"]: open_minutes(rule["hours"], content.get("margin", 60)) for rule in self.rules if "hours" in rule
        }

    def allows(self, at: datetime, attempts: list[datetime]) -> bool:
        return self.quantifier(
            all(self._rule_allows(rule, zone, at, attempts) for rule in self.rules) for zone in self.zones
        )

    def _rule_allows(self, rule: dict, zone: str, at: datetime, attempts: list[datetime]) -> bool:
        local = at.astimezone(_zone(zone))
        today = local.date().isoformat()
        if today < rule.get("since", "0000") or today >= rule.get("until", "9999"):
            return True
        if today in rule.get("closed_on", {}).get("dates", []):
            return False
        if "hours" in rule and not self.open[rule["id"]][local.weekday() * 1440 + local.hour * 60 + local.minute]:
            return False
        if "at_most" in rule:
            limit = rule["at_most"]
            span = timedelta(hours=limit.get("hours", 0), days=limit.get("days", 0))
            return sum(at - span < attempt <= at for attempt in attempts) < limit["attempts"]
        return True

    def next_at(self, at: datetime, attempts: list[datetime], window: timedelta) -> datetime | None:
        minute = at
        while minute <= at + window:
            if self.allows(minute, attempts):
                return minute
            minute += MINUTE
        return None


def offset_changes(zone: str, first: date, last: date) -> list[datetime]:
    """The hours after which the offset of a zone is another one, found by comparing every hour."""
    moment = datetime(first.year, first.month, first.day, tzinfo=timezone.utc)
    end = datetime(last.year, last.month, last.day, tzinfo=timezone.utc)
    found, before = [], moment.astimezone(_zone(zone)).utcoffset()
    while moment < end:
        moment += timedelta(hours=1)
        now = moment.astimezone(_zone(zone)).utcoffset()
        if now != before:
            found.append(moment)
        before = now
    return found
