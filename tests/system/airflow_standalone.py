"""A real ``airflow standalone`` for tests, on a PostgreSQL of its own: started, used through its API, stopped.

On SQLite, scheduler, API server and workers lock each other out; on a busy machine an answer is then a 500.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from sqlalchemy import URL

from airflow_provider_voice.sandbox import Sandbox
from dev.processes import end_group
from dev.ui import add_connections, free_port, standalone_environment
from tests.integration.databases import postgres_server

DAGS = Path(__file__).parents[2] / "dags_examples"


class Standalone:
    """A running Airflow, and the sandbox that its connections point to."""

    #: The Airflow commands that make it up, each a process group of its own.
    parts: tuple[tuple[str, ...], ...] = (("standalone",),)

    def __init__(self, sandbox: Sandbox, home: Path, vendor: str = "talkover") -> None:
        self.sandbox = sandbox
        self.home = home
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.environment = standalone_environment(home, self._dags(), sandbox, vendor, port)
        self.log = home / "standalone.log"
        self.processes: list[subprocess.Popen[bytes]] = []
        self._database = ExitStack()

    def _dags(self) -> Path:
        """Copy the examples, polling more often, without their schedules, which would start runs of their own."""
        folder = self.home / "dags"
        shutil.copytree(DAGS, folder)
        for file in folder.glob("*.py"):
            text = re.sub(r"schedule=\"[^\"]+\"", "schedule=None", file.read_text())
            text = text.replace("poke_interval=30", "poke_interval=1")
            file.write_text(text.replace("CallsFinishedTrigger(", "CallsFinishedTrigger(poll_interval=5, "))
        return folder

    def start(self, dag_id: str = "scheduled_outreach") -> None:
        fields = self._database.enter_context(postgres_server(self.home / "pg"))
        address = URL.create(
            "postgresql+psycopg2", fields["login"], database=fields["schema"], query={"host": fields["host"]}
        )
        self.environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] = address.render_as_string(hide_password=False)
        migrate = [sys.executable, "-m", "airflow", "db", "migrate"]
        subprocess.run(migrate, env=self.environment, check=True, capture_output=True)
        add_connections(self.sandbox, self.environment)
        self.launch()
        self.until(lambda: self.api("GET", "/api/v2/version"), 300)
        self.until(lambda: self.api("GET", f"/api/v2/dags/{dag_id}"), 300)

    def launch(self) -> None:
        for part in self.parts:
            self.run_part(part[0], [sys.executable, "-m", "airflow", *part])

    def run_part(self, name: str, command: list[str]) -> None:
        """Start a process group of this Airflow; its output goes to the home."""
        log = self.log if name == "standalone" else self.home / f"{name}.log"
        with log.open("ab") as output:
            self.processes.append(
                subprocess.Popen(
                    command, env=self.environment, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
                )
            )

    def stop(self) -> None:
        # Its executor would wait for tasks that still wait for their calls.
        for process in reversed(self.processes):
            end_group(process, grace=5)
        self._database.close()

    def api(self, method: str, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        token = self._token() if path != "/auth/token" else None
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                text = response.read()
        except urllib.error.HTTPError as error:
            error.msg += f" for {method} {path}: {error.read()[:2000]!r}; see {self.log}"
            raise
        return json.loads(text) if text else {}

    def _token(self) -> str:
        with urllib.request.urlopen(self.url + "/auth/token", timeout=30) as response:
            return str(json.loads(response.read())["access_token"])

    @staticmethod
    def until(what: Any, seconds: float) -> Any:
        """Call a function until its result is true, and return that; fail with the last error after so many seconds."""
        deadline, reason = time.monotonic() + seconds, None
        while time.monotonic() < deadline:
            try:
                answer = what()
            except OSError as error:
                reason = error
            else:
                if answer:
                    return answer
            time.sleep(0.5)
        raise AssertionError(f"nothing within {seconds} s: {reason}")

    def start_part(self, name: str) -> subprocess.Popen[bytes]:
        """Start another scheduler, triggerer, ... of this Airflow."""
        output = (self.home / f"{name}-2.log").open("wb")
        command = [sys.executable, "-m", "airflow", name]
        return subprocess.Popen(command, env=self.environment, stdout=output, stderr=subprocess.STDOUT)

    def pids_of(self, command: str) -> list[int]:
        """Return the processes of this Airflow whose command line contains a text."""
        found = []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                home = (entry / "environ").read_bytes()
            except OSError:
                continue
            if command in line and f"AIRFLOW_HOME={self.home}".encode() in home:
                found.append(int(entry.name))
        return found
