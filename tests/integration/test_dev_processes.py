"""``make ui`` leaves no process behind, however it is ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# Stands for `airflow standalone`: a parent that ignores SIGTERM, and a child; both print their process ids.
PARENT = (
    "import os, signal, subprocess, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']);"
    "print(os.getpid(), child.pid, flush=True); time.sleep(600)"
)
# A shell starts its background jobs with SIGINT ignored, and so do all their children.
RUNNER = (
    "import os, signal, sys, dev.processes as processes; processes.end_group.__defaults__ = (0.5,);"
    "signal.signal(signal.SIGINT, signal.default_int_handler);"
    "sys.exit(processes.run_group([sys.executable, '-c', sys.argv[1]], os.environ))"
)


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="reads /proc")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_the_runner_ends_the_whole_group(number) -> None:
    runner = subprocess.Popen(
        [sys.executable, "-c", RUNNER, PARENT], cwd=ROOT, stdout=subprocess.PIPE, text=True, env={**os.environ}
    )
    assert runner.stdout is not None
    pids = [int(word) for word in runner.stdout.readline().split()]
    assert len(pids) == 2
    assert all(is_running(pid) for pid in pids)
    runner.send_signal(number)
    assert runner.wait(120) == 0
    deadline = time.monotonic() + 60
    while any(is_running(pid) for pid in pids):
        assert time.monotonic() < deadline, "a process outlived the runner"
        time.sleep(0.05)


def test_the_runner_returns_the_exit_code_of_a_command_that_ends_by_itself() -> None:
    done = subprocess.run([sys.executable, "-c", RUNNER, "raise SystemExit(3)"], cwd=ROOT, check=False)
    assert done.returncode == 3
