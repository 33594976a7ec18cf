"""Who may be called when: rules as data files, time zones, and decisions that explain themselves.

Stands on ``phone`` and ``exceptions`` alone; nothing here imports Airflow.
"""

from __future__ import annotations

from airflow_provider_voice.policy.decision import Decision, Person, Place, RuleAnswer
from airflow_provider_voice.policy.policy import ContactPolicy
from airflow_provider_voice.policy.when_closed import as_policy, wait_until

__all__ = [
    "ContactPolicy",
    "Decision",
    "Person",
    "Place",
    "RuleAnswer",
    "as_policy",
    "wait_until",
]
