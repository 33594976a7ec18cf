"""Breaks the guard on purpose, in each way of ``tests/mutations.py``, and runs the crash matrix: it must fail each time.

Run as ``python -m tests.mutate_guard``; exits with 1 when a broken guard went unnoticed.
"""

from __future__ import annotations

import os
import subprocess
import sys

from tests.mutations import MUTATIONS

MATRIX = "tests/integration/test_at_most_once.py"


def survives(mutation: str) -> bool:
    """Whether the matrix passes although the guard is broken."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-x",
        "-q",
        "-p",
        "no:cacheprovider",
        MATRIX,
        "-k",
        "crash_matrix or late or cleared or forgets",
    ]
    done = subprocess.run(
        command, env={**os.environ, "VOICE_MUTATION": mutation}, capture_output=True, text=True, check=False
    )
    if done.returncode not in (0, 1):
        raise RuntimeError(f"pytest could not run with {mutation}: {done.stdout[-2000:]}")
    return done.returncode == 0


def main() -> int:
    """Run every mutation."""
    unnoticed = []
    for mutation in MUTATIONS:
        if mutation == "none":
            continue
        caught = not survives(mutation)
        print(f"{mutation:<20} {'caught' if caught else 'NOT NOTICED'}")
        if not caught:
            unnoticed.append(mutation)
    return 1 if unnoticed else 0


if __name__ == "__main__":
    raise SystemExit(main())
