"""A real ``airflow standalone``: scheduler, triggerer, workers and the API that the UI uses."""

from __future__ import annotations

import csv
import json
from datetime import timedelta

import pytest

from airflow_provider_voice.sandbox.world import SandboxCall
from tests.system.airflow_standalone import DAGS, Standalone
from tests.system.conftest import Runs

pytestmark = pytest.mark.standalone


def test_mapped_calls_run_to_success_with_deferred_waits(standalone: Standalone, runs: Runs) -> None:
    path = f"/api/v2/dags/mapped_calls/dagRuns/{runs.mapped_calls}"

    state = standalone.until(lambda: (s := standalone.api("GET", path)["state"]) in ("success", "failed") and s, 300)

    tasks = standalone.api("GET", f"{path}/taskInstances")["task_instances"]
    assert state == "success", [(task["task_id"], task["map_index"], task["state"]) for task in tasks]
    assert {task["state"] for task in tasks} == {"success"}
    with (DAGS / "contacts.csv").open(newline="") as lines:
        people = [row["phone"].replace(" ", "") for row in csv.DictReader(lines)]
    assert len(people) == 10
    rings = standalone.sandbox.rings_per_number()
    assert {number: rings.get(number, 0) for number in people} == dict.fromkeys(people, 1)
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

    # The saved connection, with its token masked, as the UI sends it when one presses the button.
    saved = standalone.api("GET", f"/api/v2/connections/voice_{vendor}")
    body = {name: saved[name] for name in ("connection_id", "conn_type", "host", "port", "schema", "extra")}
    answer = standalone.api("POST", "/api/v2/connections/test", {**body, "password": "***"})
    assert answer["status"] is True, answer
    assert "accepts" in answer["message"]

    refused = standalone.api("POST", "/api/v2/connections/test", {**body, "password": "wrong"})
    assert refused["status"] is False
    assert "Check the token" in refused["message"]


def test_a_call_outside_its_hours_is_deferred_and_rings_once_when_they_begin(
    standalone: Standalone, runs: Runs
) -> None:
    sandbox, number = standalone.sandbox, "+14155552702"
    # It was deferred before the hours began: see the fixture.
    path = f"/api/v2/dags/held_back/dagRuns/{runs.held_back}/taskInstances/ring"

    state = standalone.until(lambda: (s := standalone.api("GET", path)["state"]) in ("success", "failed") and s, 240)
    assert state == "success"
    assert sandbox.rings_per_number()[number] == 1
    (ring,) = [ring for ring in sandbox.rings if ring.number == number]
    assert ring.at >= runs.opening


def test_a_dag_runs_when_calls_end(standalone: Standalone) -> None:
    sandbox = standalone.sandbox
    standalone.api("PATCH", "/api/v2/dags/on_call_finished", {"is_paused": False})

    def end_calls(count: int) -> list[SandboxCall]:
        return sandbox.seed(
            "talkover", count, sandbox.now() - timedelta(seconds=30), sandbox.now(), direction="inbound"
        )

    runs = "/api/v2/dags/on_call_finished/dagRuns"
    reported: set[str] = set()

    def read_reports() -> set[str]:
        for run in standalone.api("GET", runs)["dag_runs"]:
            if run["state"] == "success":
                path = f"{runs}/{run['dag_run_id']}/taskInstances/list_calls/xcomEntries/return_value"
                reported.update(json.loads(json.dumps(standalone.api("GET", path)["value"])))
        return reported

    # Only calls that end after the first poll are reported. Nothing shows when that was, so calls end until one is.
    tried: list[SandboxCall] = []

    def first_is_reported() -> bool:
        tried.extend(end_calls(1))
        return not read_reports().isdisjoint(call.id for call in tried)

    standalone.until(first_is_reported, 240)
    ended = end_calls(3)
    standalone.until(lambda: {call.id for call in ended} <= read_reports(), 240)
    state = standalone.api("GET", "/api/v2/assets?name_pattern=voice_calls_ended")
    assert state["total_entries"] == 1
    logs = "".join(path.read_text(errors="replace") for path in standalone.home.rglob("*.log"))
    assert not any(call.from_.lstrip("+") in logs or call.to.lstrip("+") in logs for call in ended)
