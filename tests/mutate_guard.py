"""Breaks the guard on purpose, in each way of ``tests/mutations.py``, and runs the crash matrix: it must fail each time.

Run as ``python -m tests.mutate_guard``; exits with 1 when a broken guard went unnoticed.
"""

from __future__ import annotations

import os
import subprocess
import sys

from tests.mutations import MUTATIONS

MATRIX = "tests/integration/test_at_most_once.py"
#: File and ``-k`` expression of each part; the quick one first: most broken guards are noticed there.
PARTS = ((MATRIX, "late or cleared or forgets"), (MATRIX, "crash_matrix"))
#: The parts that notice the guard of call keys broken.
KEY_PARTS = (("tests/integration/outreach/test_call_key.py", "any_effect and talkover and sqlite"),)


def survives(mutation: str) -> bool:
    """Return whether the matrix passes although the guard is broken."""
    parts = KEY_PARTS if mutation == "keys_are_not_shared" else PARTS
    return all(_passes(file, part, mutation) for file, part in parts)


def _passes(file: str, part: str, mutation: str) -> bool:
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", file, "-k", part]
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
