"""One question to a policy: its rules, a person's possible clocks and an instant; and the answer with its reason.

Each file states how several possible zones count. ``all``: each of its rules must allow the call by each clock.
``any``: there must be one clock by which all of its rules allow the call.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property, partial
from typing import TYPE_CHECKING

from airflow_provider_voice.policy.decision import Decision, RuleAnswer
from airflow_provider_voice.policy.zones import UTC, hours_between, load_zone, next_offset_change, wall_clock

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from airflow_provider_voice.policy.decision import ZoneSource
    from airflow_provider_voice.policy.rule_format import RuleFile
    from airflow_provider_voice.policy.rules import Rule

    Step = Callable[[datetime], datetime | None]

_LOOK_AHEAD = timedelta(days=366)
_MANY_ZONES = 4
_NEVER = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Question:
    """Everything a decision is made of.

    :param asked: the files with those of their rules that apply to the person.
    :param zones: the possible zones of the person, at least one.
    :param zone_source: where the zones come from.
    :param max_zone_spread: most hours between the clocks of the zones.
    :param instant: when the call would start, in UTC.
    :param attempts: earlier attempts in ascending order, in UTC.
    """

    asked: Sequence[tuple[RuleFile, list[Rule]]]
    zones: tuple[str, ...]
    zone_source: ZoneSource
    max_zone_spread: float
    instant: datetime
    attempts: Sequence[datetime]

    def decide(self) -> Decision:
        """Return the decision."""
        steps = [self._file_step(file, rules) for file, rules in self.asked]
        if len(self.zones) > 1:
            steps.append(self._next_within_spread)
        return self._explained(_first_common(steps, self.instant))

    @cached_property
    def _end(self) -> datetime:
        return self.instant + _LOOK_AHEAD

    def _file_step(self, file: RuleFile, rules: list[Rule]) -> Step:
        """Return the function that finds the first instant at which a file allows the call."""
        if file.zones == "all":
            return partial(_first_common, [self._zone_step(rules, zone) for zone in self.zones])
        return partial(_first_of_any, [self._zone_step(rules, zone) for zone in self.zones])

    def _zone_step(self, rules: list[Rule], zone: str) -> Step:
        """Return the function that finds the first instant at which all rules allow the call by one clock."""
        return partial(_first_common, [self._rule_step(rule, zone) for rule in rules])

    def _rule_step(self, rule: Rule, zone: str) -> Step:
        clock = load_zone(zone)
        return lambda start: rule.next_allowed(clock, start, self._end, self.attempts)

    def _next_within_spread(self, start: datetime) -> datetime | None:
        """Return the first instant at which the clocks of the zones are near enough to each other."""
        instant: datetime | None = start
        while instant is not None and hours_between(self.zones, instant) > self.max_zone_spread:
            changes = (next_offset_change(load_zone(zone), instant, self._end) for zone in self.zones)
            instant = min((change for change in changes if change is not None), default=None)
        return instant

    def _explained(self, next_at: datetime | None) -> Decision:
        answers: list[RuleAnswer] = []
        worst, worst_opens = None, self.instant
        for file, rules in self.asked:
            zones = self._zones_to_explain(file, rules)
            for rule in rules:
                answer, opens = self._answer(file, rule, zones)
                answers.append(answer)
                if opens > worst_opens:
                    worst, worst_opens = answer, opens
        return Decision(
            allowed=next_at == self.instant,
            reason=self._reason(worst, len(answers), next_at),
            rule=None if worst is None else worst.rule,
            next_at=next_at,
            zones=self.zones,
            zone_source=self.zone_source,
            as_of=None if worst is None else worst.as_of,
            asked=tuple(answers),
        )

    def _zones_to_explain(self, file: RuleFile, rules: list[Rule]) -> tuple[str, ...]:
        """Return the zones in which the answers of a file are given: with ``any``, the one that opens first."""
        if file.zones == "all" or len(self.zones) == 1:
            return self.zones
        return (min(self.zones, key=lambda zone: self._zone_step(rules, zone)(self.instant) or _NEVER),)

    def _answer(self, file: RuleFile, rule: Rule, zones: tuple[str, ...]) -> tuple[RuleAnswer, datetime]:
        """Return the answer of a rule and when the rule opens; of several zones, about the one that opens last."""
        zone, opens = zones[0], self.instant
        for name in zones:
            zone_opens = self._rule_step(rule, name)(self.instant) or _NEVER
            if zone_opens > opens:
                zone, opens = name, zone_opens
        reason = rule.explain(self.instant, zone, wall_clock(load_zone(zone), self.instant), self.attempts)
        return RuleAnswer(rule.id, file.name, opens == self.instant, reason, rule.source, rule.as_of), opens

    def _reason(self, worst: RuleAnswer | None, asked: int, next_at: datetime | None) -> str:
        guess = ""
        if self.zone_source == "number":
            guess = "; the time zone is a guess from the number, which its owner may have taken elsewhere"
        if worst is None:
            rules = "No rule applies" if asked == 0 else f"{asked} {'rule applies' if asked == 1 else 'rules apply'}"
            clocks = " and ".join(self.zones) if len(self.zones) < _MANY_ZONES else f"{len(self.zones)} time zones"
            return f"{rules}, and nothing forbids a call by the clock of {clocks}{guess}."
        cited = [worst.source, None if worst.as_of is None else f"read on {worst.as_of}"]
        source = ", ".join(text for text in cited if text)
        never = "" if next_at is not None else ", and no instant within a year is allowed"
        return f"Rule {worst.rule}{f' ({source})' if source else ''} {worst.reason}{never}{guess}."


def _first_common(steps: Sequence[Step], start: datetime) -> datetime | None:
    """Return the first instant that every step accepts; a step returns the first one it accepts, not before its own."""
    instant = start
    while True:
        latest: datetime | None = instant
        for step in steps:
            latest = step(latest) if latest is not None else None
        if latest is None or latest == instant:
            return latest
        instant = latest


def _first_of_any(steps: Sequence[Step], start: datetime) -> datetime | None:
    return min((found for step in steps if (found := step(start)) is not None), default=None)
