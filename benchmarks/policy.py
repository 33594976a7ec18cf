"""How long a decision takes with the shipped US rules, once the place of the number is known.

Prints the median and the 99th percentile for calls that are allowed, for calls that wait for the morning, and for a
number with a full window of attempts; and what loading the rules and placing a number for the first time costs.
Goal: a median under 200 microseconds for each.
"""

from __future__ import annotations

import statistics
import sys
import time
from datetime import datetime, timedelta, timezone

from airflow_provider_voice.policy import ContactPolicy, Person

ROUNDS = 3000
GOAL_MICROSECONDS = 200
NOON = datetime(2026, 11, 23, 17, tzinfo=timezone.utc)
NIGHT = datetime(2026, 11, 24, 4, tzinfo=timezone.utc)
FULL = [NOON - timedelta(hours=hours) for hours in (1, 2, 3)]
CASES = {
    "California, noon: allowed": ("+14155552601", NOON, []),
    "Florida, noon: allowed": ("+13055552601", NOON, []),
    "Florida, night: next morning": ("+13055552601", NIGHT, []),
    "Florida, noon, three attempts": ("+13055552601", NOON, FULL),
    "Pennsylvania, night before a holiday": ("+12155551234", datetime(2026, 11, 26, 1, tzinfo=timezone.utc), []),
}


def microseconds(policy: ContactPolicy, number: str, at: datetime, attempts: list[datetime]) -> list[float]:
    """Return the duration of each of many decisions, the place of the number being known."""
    person = Person(number)
    for _ in range(20):
        policy.decide(person, at=at, attempts=attempts)
    took = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        policy.decide(person, at=at, attempts=attempts)
        took.append((time.perf_counter() - began) * 1e6)
    return took


def main() -> int:
    """Measure, print, and tell whether the goal is met."""
    began = time.perf_counter()
    policy = ContactPolicy.load("us")
    loaded = time.perf_counter()
    policy.decide(Person("+14155552602"), at=NOON)
    placed = time.perf_counter()
    print(
        f"loading the US rules: {(loaded - began) * 1000:.0f} ms; the first number: {(placed - loaded) * 1000:.0f} ms"
    )
    worst = 0.0
    for name, (number, at, attempts) in CASES.items():
        took = microseconds(policy, number, at, attempts)
        median = statistics.median(took)
        worst = max(worst, median)
        print(f"{name:<38} median {median:6.1f} us   99 % under {statistics.quantiles(took, n=100)[98]:7.1f} us")
    print(f"goal: under {GOAL_MICROSECONDS} us: {'met' if worst < GOAL_MICROSECONDS else 'NOT met'}")
    return 0 if worst < GOAL_MICROSECONDS else 1


if __name__ == "__main__":
    sys.exit(main())
