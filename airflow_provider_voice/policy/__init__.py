"""Who may be called when: rules as data files, time zones, and decisions that explain themselves.

Stands on ``phone`` and ``exceptions`` alone; nothing here imports Airflow.
"""

from __future__ import annotations

from airflow_provider_voice.policy.decision import Decision, Person, Place, RuleAnswer
from airflow_provider_voice.policy.policy import ContactPolicy
from airflow_provider_voice.policy.when_closed import NextStep, WhenClosed, as_policy, next_step

__all__ = [
    "ContactPolicy",
    "Decision",
    "NextStep",
    "Person",
    "Place",
    "RuleAnswer",
    "WhenClosed",
    "as_policy",
    "next_step",
]
