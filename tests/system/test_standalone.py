"""A real ``airflow standalone``: scheduler, triggerer, workers and the API that the UI uses."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_voice.sandbox import Sandbox
from airflow_provider_voice.sandbox.ui import add_connections, free_port, standalone_environment

pytestmark = pytest.mark.standalone
DAGS = Path(__file__).parents[2] / "dags_examples"


class Standalone:
    """A running Airflow and the sandbox it calls."""

    def __init__(self, sandbox: Sandbox, home: Path) -> None:
        self.sandbox = sandbox
        self.home = home
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.environment = standalone_environment(home, self._dags(), sandbox, "talkover", port)
        self.log = home / "standalone.log"

    def _dags(self) -> Path:
        """Copy the examples without their schedules: unpausing one would start a run of its own."""
        folder = self.home / "dags"
        shutil.copytree(DAGS, folder)
        for file in folder.glob("*.py"):
            file.write_text(re.sub(r"schedule=\"[^\"]+\"", "schedule=None", file.read_text()))
        return folder

    def start(self) -> None:
        self._run("db", "migrate")
        add_connections(self.sandbox, self.environment)
        output = self.log.open("wb")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "airflow", "standalone"],
            env=self.environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self.until(lambda: self.api("GET", "/api/v2/version"), 120)
        self.until(lambda: self.api("GET", "/api/v2/dags/scheduled_outreach"), 120)

    def stop(self) -> None:
        os.killpg(self._process.pid, signal.SIGTERM)
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)

    def _run(self, *arguments: str) -> None:
        subprocess.run(
            [sys.executable, "-m", "airflow", *arguments], env=self.environment, check=True, capture_output=True
        )

    def api(self, method: str, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        token = self._token() if path != "/auth/token" else None
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        with urllib.request.urlopen(request, timeout=30) as response:
            text = response.read()
        return json.loads(text) if text else {}

    def _token(self) -> str:
        with urllib.request.urlopen(self.url + "/auth/token", timeout=30) as response:
            return str(json.loads(response.read())["access_token"])

    @staticmethod
    def until(what: Any, seconds: float) -> Any:
        """Ask until there is an answer; what never comes is a failure with the last reason."""
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


@pytest.fixture(scope="module")
def standalone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standalone]:
    with Sandbox(speed=60) as sandbox:
        airflow = Standalone(sandbox, tmp_path_factory.mktemp("standalone"))
        try:
            airflow.start()
            yield airflow
        finally:
            airflow.stop()


def test_outreach_runs_to_success_with_deferred_waits(standalone: Standalone) -> None:
    standalone.api("PATCH", "/api/v2/dags/scheduled_outreach", {"is_paused": False})
    run = standalone.api("POST", "/api/v2/dags/scheduled_outreach/dagRuns", {"logical_date": None})
    path = f"/api/v2/dags/scheduled_outreach/dagRuns/{run['dag_run_id']}"

    state = standalone.until(lambda: (s := standalone.api("GET", path)["state"]) in ("success", "failed") and s, 300)

    tasks = standalone.api("GET", f"{path}/taskInstances")["task_instances"]
    assert state == "success", [(task["task_id"], task["map_index"], task["state"]) for task in tasks]
    assert {task["state"] for task in tasks} == {"success"}
    assert set(standalone.sandbox.rings_per_number().values()) == {1}
    assert len(standalone.sandbox.rings) == 10
    fields = [task["rendered_fields"] for task in tasks if task["task_id"] in ("ring", "wait")]
    assert len(fields) == 20
    assert not any("415555" in json.dumps(field) or "212555" in json.dumps(field) for field in fields)
    logs = "".join(path.read_text(errors="replace") for path in standalone.home.rglob("*.log"))
    for ring in standalone.sandbox.rings:
        assert ring.number.lstrip("+") not in logs
    assert standalone.sandbox.connection("talkover")["password"] not in logs


@pytest.mark.parametrize("vendor", ["talkover", "talkstack", "unleashx"])
def test_connection_form_shows_the_fields_and_the_test_button_answers(standalone: Standalone, vendor: str) -> None:
    forms = {form["connection_type"]: form for form in standalone.api("GET", "/ui/connections/hook_meta")}
    fields = forms[vendor]["extra_fields"]
    assert {"default_agent_id", "default_region", "requests_per_minute", "status_overrides"} <= set(fields)
    assert ("project_id" in fields) == (vendor == "talkstack")
    assert all(field["schema"]["title"] and field["description"] for field in fields.values())

    connection = standalone.sandbox.connection(vendor)
    body = {"connection_id": f"voice_{vendor}", **connection, "extra": json.dumps(connection["extra"])}
    answer = standalone.api("POST", "/api/v2/connections/test", body)
    assert answer["status"] is True, answer
    assert "accepts" in answer["message"]

    refused = standalone.api("POST", "/api/v2/connections/test", {**body, "password": "wrong"})
    assert refused["status"] is False
    assert "Check the token" in refused["message"]
