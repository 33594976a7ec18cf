"""Runs a command with all its children as one process group, so that none of them outlives the runner."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_GRACE_SECONDS = 30.0


def run_group(command: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run a command until it ends, or until this process gets SIGINT or SIGTERM; then end its whole group.

    :param command: the program and its arguments.
    :param environment: its environment variables.
    :return: the command's exit code; 0 when it was ended by a signal to this process.
    """
    # SIGTERM (`kill`, a supervisor) ends it as Ctrl-C does. Restored afterwards: a test runs this in its own process.
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    process = subprocess.Popen(command, env=dict(environment), start_new_session=True)  # noqa: S603 - our own command, no shell
    try:
        return process.wait()
    except KeyboardInterrupt:
        return 0
    finally:
        end_group(process)
        signal.signal(signal.SIGTERM, before)


def end_group(process: subprocess.Popen[bytes], grace: float = _GRACE_SECONDS) -> None:
    """End every process of a group: ask first, kill after a while.

    :param process: the group's first process, which was started in a session of its own.
    :param grace: seconds between SIGTERM and SIGKILL, default 30.
    """
    deadline = time.monotonic() + grace
    number: int = signal.SIGTERM
    while _signal_group(process.pid, number):
        process.poll()  # collects the first process, which would count as running otherwise
        time.sleep(0.05)
        number = signal.SIGKILL if time.monotonic() > deadline else 0


def _signal_group(group: int, number: int) -> bool:
    """Send a signal (0: none) to a group, and return whether the group still has processes."""
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return False
    return True
