"""Thirty calls whose workers are killed at a random moment, twice each."""

from __future__ import annotations

import os
import random
import signal
import threading
from datetime import timedelta
from typing import Any

from airflow.sdk import dag

from airflow_provider_voice.operators.make_call import MakeCallOperator

# The endings busy, no answer, voicemail and failed: over within half a minute of the sandbox's clock, which here runs as
# real time does. A create is searched for by its time, and no vendor's clock runs faster than ours.
NUMBERS = [f"+1415555{line}{ending}" for line in range(26, 34) for ending in ("02", "03", "04", "05")][:30]


class MortalCall(MakeCallOperator):
    """Dies by SIGKILL at some moment of its first two tries, unless it is done before."""

    def execute(self, context: Any) -> Any:
        """Place the call, or die while doing so."""
        if context["ti"].try_number <= 2:
            seconds = random.uniform(0.0, 0.4)
            killer = threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGKILL))
            killer.daemon = True
            killer.start()
        return super().execute(context)


@dag(schedule=None, default_args={"retries": 3, "retry_delay": timedelta(seconds=1)})
def under_fire() -> None:
    """Ring everybody once."""
    MortalCall.partial(
        task_id="ring",
        wait_for_completion=True,
        deferrable=True,
        poll_interval=6,
        success_statuses=["completed", "busy", "no_answer", "failed", "voicemail"],
    ).expand(to=NUMBERS)


under_fire()
