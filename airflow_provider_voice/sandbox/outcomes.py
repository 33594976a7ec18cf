"""The course of a sandbox call, chosen by its number: documented magic endings, otherwise a seed."""

from __future__ import annotations

import random
from dataclasses import dataclass

from airflow_provider_voice.models import CallStatus

#: Last two digits of the number -> how the call goes. Listed in the README.
MAGIC_ENDINGS = {
    "01": "completed",
    "02": "busy",
    "03": "no answer",
    "04": "voicemail",
    "05": "failed",
    "06": "never answered",
    "07": "very long",
}
_SEEDED = (("completed", 60), ("no answer", 15), ("voicemail", 12), ("busy", 8), ("failed", 5))

QUEUED_SECONDS = 2.0
RINGING_SECONDS = 6.0
NO_ANSWER_SECONDS = 30.0
VERY_LONG_SECONDS = 2 * 3600.0
FOREVER = float("inf")


@dataclass(frozen=True)
class Course:
    """The course of one call.

    :param stages: ``(seconds after the vendor began, status)``, in order.
    :param talk_seconds: how long people talked.
    """

    stages: tuple[tuple[float, CallStatus], ...]
    talk_seconds: int

    def status_at(self, seconds: float) -> CallStatus:
        """Return the status at a moment.

        :param seconds: seconds after the vendor began with the call.
        :return: the status; queued before the first stage.
        """
        current = CallStatus.QUEUED
        for start, status in self.stages:
            if seconds >= start:
                current = status
        return current

    def last_change(self, seconds: float) -> float:
        """Return when the status changed last, in seconds after the vendor began with the call.

        :param seconds: the moment up to which changes count.
        :return: seconds; 0 before the first change.
        """
        return max((start for start, _ in self.stages if start <= seconds), default=0.0)

    @property
    def end(self) -> float:
        """Return when the call ends; infinity for one that never does."""
        start, status = self.stages[-1]
        return start if status.is_terminal else FOREVER


def course_of(number: str, seed: int) -> Course:
    """Return the course of a call.

    :param number: the number that is called.
    :param seed: decides the course of numbers without a magic ending.
    :return: the course, the same for the same number and seed.
    """
    rng = random.Random(f"{seed} {number}")
    kind = MAGIC_ENDINGS.get(number[-2:]) or rng.choices([name for name, _ in _SEEDED], [w for _, w in _SEEDED])[0]
    ringing = (QUEUED_SECONDS, CallStatus.RINGING)
    if kind == "never answered":
        return Course((ringing,), 0)
    if kind == "busy":
        return Course((ringing, (QUEUED_SECONDS + 2, CallStatus.BUSY)), 0)
    if kind == "failed":
        return Course(((QUEUED_SECONDS, CallStatus.FAILED),), 0)
    if kind == "no answer":
        return Course((ringing, (QUEUED_SECONDS + NO_ANSWER_SECONDS, CallStatus.NO_ANSWER)), 0)
    talk = VERY_LONG_SECONDS if kind == "very long" else float(rng.randint(20, 180))
    answered = QUEUED_SECONDS + RINGING_SECONDS
    ending = CallStatus.COMPLETED
    if kind == "voicemail":
        talk, ending = 12.0, CallStatus.VOICEMAIL
    return Course((ringing, (answered, CallStatus.IN_PROGRESS), (answered + talk, ending)), int(talk))
