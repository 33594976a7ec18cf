"""Helpers of the policy tests: policies from YAML text, instants, and numbers of known places."""

from __future__ import annotations

from datetime import datetime, timezone
from zoneinfo import ZoneInfo

from airflow_provider_voice.policy import ContactPolicy, Decision, Person
from airflow_provider_voice.policy.rule_format import parse_rule_file

UTC = timezone.utc
BERLIN = "+493012345678"
SAN_FRANCISCO = "+14155552601"
MIAMI = "+13055552601"
TOLL_FREE = "+18005552601"
INDONESIAN_MOBILE = "+6281234567890"


def load(*texts: str, **options) -> ContactPolicy:
    """Return the policy of one or several rule files."""
    files = tuple(parse_rule_file(text.encode(), f"file{number}") for number, text in enumerate(texts))
    return ContactPolicy(files, **options)


def rule(line: str, top: str = "") -> str:
    """Return a rule file with one rule, and further lines of the file above it."""
    return f"{top}\nrules:\n  - id: rule\n    {line}\n"


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def local(text: str, zone: str, fold: int = 0) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold)


def berlin(policy: ContactPolicy, text: str, attempts=()) -> Decision:
    """Return the decision about a person in Berlin at a local time."""
    return policy.decide(Person(BERLIN), at=local(text, "Europe/Berlin"), attempts=attempts)
