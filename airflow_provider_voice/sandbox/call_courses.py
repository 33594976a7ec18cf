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
# How calls to other numbers go, and how often.
_SEEDED = {"completed": 60, "no answer": 15, "voicemail": 12, "busy": 8, "failed": 5}

QUEUED_SECONDS = 2.0
RINGING_SECONDS = 6.0
_RINGING = (QUEUED_SECONDS, CallStatus.RINGING)
_NOT_ANSWERED = {
    "busy": (_RINGING, (QUEUED_SECONDS + 2, CallStatus.BUSY)),
    "failed": ((QUEUED_SECONDS, CallStatus.FAILED),),
    "never answered": (_RINGING,),
    "no answer": (_RINGING, (QUEUED_SECONDS + 30, CallStatus.NO_ANSWER)),
}
# Seconds talked, where the seed does not decide.
_TALK_SECONDS = {"very long": 2 * 3600, "voicemail": 12}


@dataclass(frozen=True)
class Course:
    """The course of one call.

    :param stages: ``(seconds after the vendor began, status)``, in order; the call is queued before the first.
    :param talk_seconds: how long people talked.
    """

    stages: tuple[tuple[float, CallStatus], ...]
    talk_seconds: int

    def stage_at(self, seconds: float) -> tuple[float, CallStatus]:
        """Return the status at a moment, and when it began.

        :param seconds: seconds after the vendor began with the call.
        :return: seconds and status; 0 and queued before the first stage.
        """
        begun = [stage for stage in self.stages if stage[0] <= seconds]
        return begun[-1] if begun else (0.0, CallStatus.QUEUED)


def course_of(number: str, seed: int) -> Course:
    """Return the course of a call.

    :param number: the number that is called.
    :param seed: decides the course of numbers without a magic ending.
    :return: the course, the same for the same number and seed.
    """
    rng = random.Random(f"{seed} {number}")
    kind = MAGIC_ENDINGS.get(number[-2:]) or rng.choices(list(_SEEDED), list(_SEEDED.values()))[0]
    if kind in _NOT_ANSWERED:
        return Course(_NOT_ANSWERED[kind], 0)
    talk = _TALK_SECONDS.get(kind) or rng.randint(20, 180)
    answered = QUEUED_SECONDS + RINGING_SECONDS
    ending = CallStatus.VOICEMAIL if kind == "voicemail" else CallStatus.COMPLETED
    return Course((_RINGING, (answered, CallStatus.IN_PROGRESS), (answered + talk, ending)), talk)
