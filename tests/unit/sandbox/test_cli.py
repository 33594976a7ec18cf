"""The lines that ``voice-sandbox`` prints, and the examples that it copies."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from airflow.sdk import Connection

from airflow_provider_voice.hooks.voice import VoiceHook
from airflow_provider_voice.sandbox import Sandbox
from airflow_provider_voice.sandbox.cli import copy_examples, export_lines, main

DAGS = Path(__file__).parents[3] / "dags_examples"


def test_everything_it_prints_can_be_pasted_into_a_shell_and_works(tmp_path, monkeypatch) -> None:
    command = [
        sys.executable,
        "-c",
        "import sys; from airflow_provider_voice.sandbox.cli import main; sys.exit(main())",
    ]
    process = subprocess.Popen(
        [*command, "--port", "0", "--vendor", "unleashx"], stdout=subprocess.PIPE, text=True, cwd=tmp_path
    )
    try:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(6)]
        shell = subprocess.run(
            ["/bin/sh", "-ec", "".join(lines) + f"\n{shlex.quote(sys.executable)} -c 'import json, os; print(json.dumps(dict(os.environ)))'"],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        for name, value in json.loads(shell.stdout).items():
            if name.startswith("AIRFLOW_CONN_"):
                monkeypatch.setenv(name, value)
        assert json.loads(os.environ["AIRFLOW_CONN_WAREHOUSE"])["host"] == str(tmp_path / "warehouse.db")
        assert VoiceHook.for_connection().conn_type == "unleashx"
        for name in ("default", "talkover", "talkstack", "unleashx"):
            assert VoiceHook.for_connection(f"voice_{name}").test_connection()[0] is True
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0


def test_it_defines_every_connection_that_an_example_names() -> None:
    wanted = set()
    for path in DAGS.glob("*.py"):
        wanted |= set(re.findall(r"conn_id=\"(\w+)\"", path.read_text()))
    lines = export_lines(Sandbox(port=8765), "talkover")
    defined = {re.findall(r"AIRFLOW_CONN_(\w+)=", line)[0].lower() for line in lines}
    assert wanted == {"voice_default", "warehouse", "crm", "outreach_ledger"}
    assert wanted <= defined


@pytest.mark.parametrize("vendor", ["talkover", "talkstack", "unleashx"])
def test_a_connection_has_host_port_and_scheme_apart(vendor) -> None:
    # Airflow 3.3 compares host and port of a saved connection with those of the form, which sends 0 for no port.
    fields = Sandbox(port=8765).connection(vendor)
    assert (fields["schema"], fields["host"], fields["port"]) == ("http", "127.0.0.1", 8765)
    connection = Connection(conn_id="voice", **{**fields, "extra": json.dumps(fields["extra"])})
    assert connection.port == 8765


def test_the_examples_are_copied_once(tmp_path, capsys) -> None:
    folder = tmp_path / "dags"
    assert main(["--examples", str(folder)]) == 0
    names = {path.name for path in DAGS.iterdir() if path.is_file()}
    assert {path.name for path in folder.iterdir()} == names
    assert set(capsys.readouterr().out.split()) == {str(folder / name) for name in names}
    (folder / "make_one_call.py").write_text("# mine\n")
    assert copy_examples(folder) == []
    assert (folder / "make_one_call.py").read_text() == "# mine\n"


def test_a_port_in_use_and_an_impossible_speed_are_reported(capsys) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        for arguments, message in (
            (["--port", str(taken.getsockname()[1])], "in use"),
            (["--speed", "-1"], "greater than 0"),
        ):
            with pytest.raises(SystemExit) as stopped:
                main(arguments)
            assert stopped.value.code == 2
            assert message in capsys.readouterr().err
