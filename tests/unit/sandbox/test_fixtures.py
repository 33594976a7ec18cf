"""The pytest plugin: it costs nothing until the fixture is used, and its clock runs by itself."""

from __future__ import annotations

import subprocess
import sys
import time

HEAVY = ("fastapi", "starlette", "uvicorn", "airflow", "requests", "phonenumbers")


def test_the_plugin_imports_neither_a_web_server_nor_airflow(tmp_path) -> None:
    (tmp_path / "test_plain.py").write_text(
        "import sys\n\n\ndef test_plain():\n"
        "    assert 'airflow_provider_voice.sandbox.fixtures' in sys.modules\n"
        f"    assert [name for name in {HEAVY!r} if name in sys.modules] == []\n"
    )
    # Of the installed plugins ours alone: those of other packages may load anything.
    command = [sys.executable, "-m", "pytest", "-q", "-p", "airflow_provider_voice.sandbox.fixtures", str(tmp_path)]
    environment = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PATH": "/usr/bin:/bin"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_calls_end_without_advance(voice_sandbox) -> None:
    call = voice_sandbox.world.place("talkover", "+14155552602", "agent_sandbox")
    deadline = time.monotonic() + 60
    while not call.status(voice_sandbox.now()).is_terminal:
        assert time.monotonic() < deadline, "the clock of the fixture stands still"
        time.sleep(0.01)


def test_advance_still_jumps(voice_sandbox) -> None:
    call = voice_sandbox.world.place("talkover", "+14155552607", "agent_sandbox")
    voice_sandbox.advance(3 * 3600)
    assert call.status(voice_sandbox.now()).is_terminal
