"""Many deferred sensors on a real Airflow: their requests, calls that have ended already, and a triggerer that dies.

``WAITING_SENSORS=300 pytest tests/system/test_waiting.py -s`` prints the numbers for 300, and says when Airflow warned
that the triggerer's loop was blocked. Without it that is no failure: on a busy machine Airflow warns of itself. How our
own work is cut into steps of the loop is in ``tests/unit/triggers/test_poll_loop.py``.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from airflow_provider_voice.sandbox import Sandbox
from tests.system.airflow_standalone import Standalone

pytestmark = [pytest.mark.standalone, pytest.mark.thorough]

COUNT = int(os.environ.get("WAITING_SENSORS", "10"))
ENDINGS = {"completed", "busy", "no_answer", "failed"}


@pytest.fixture
def waiting(tmp_path: Path) -> Iterator[Callable[[], Standalone]]:
    """Start an Airflow whose sensors wait for calls of a sandbox that stands still."""
    started: list[Standalone] = []
    with Sandbox(frozen=True) as sandbox:

        def start() -> Standalone:
            airflow = Standalone(sandbox, tmp_path)
            # Endings below 10 are magic; some of those calls never end.
            numbers = [f"+1415555{number}" for number in range(2000, 9999) if number % 100 >= 10][:COUNT]
            calls = [sandbox.world.place("talkover", number, "agent_sandbox") for number in numbers]
            refs = [
                {"id": call.id, "to": call.to, "created_at": call.created_at.isoformat(), "agent_id": call.agent_id}
                for call in calls
            ]
            (tmp_path / "calls.json").write_text(json.dumps(refs))
            (tmp_path / "waiting").mkdir()
            shutil.copy(Path(__file__).with_name("dags_waiting.py"), tmp_path / "waiting" / "waiting.py")
            airflow.environment |= {
                "AIRFLOW__CORE__DAGS_FOLDER": str(tmp_path / "waiting"),
                "AIRFLOW__CORE__MAX_ACTIVE_TASKS_PER_DAG": "1000",
                "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "1",
                "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "6",
                "WAITING_CALLS": str(tmp_path / "calls.json"),
            }
            started.append(airflow)
            airflow.start("waiting")
            return airflow

        yield start
        for airflow in started:
            airflow.stop()


def states(airflow: Standalone, path: str) -> list[str]:
    found: list[str] = []
    while True:
        page = airflow.api("GET", f"{path}/taskInstances?limit=100&offset={len(found)}")
        found += [task["state"] for task in page["task_instances"]]
        if len(found) >= page["total_entries"]:
            return found


def start_run(airflow: Standalone) -> str:
    airflow.api("PATCH", "/api/v2/dags/waiting", {"is_paused": False})
    run = airflow.api("POST", "/api/v2/dags/waiting/dagRuns", {"logical_date": None})
    return f"/api/v2/dags/waiting/dagRuns/{run['dag_run_id']}"


def check_every_call_ended_right(airflow: Standalone, path: str) -> None:
    assert (
        airflow.until(lambda: (s := airflow.api("GET", path)["state"]) in ("success", "failed") and s, 900) == "success"
    )
    assert states(airflow, path) == ["success"] * COUNT
    now = airflow.sandbox.now()
    shown = {
        call.id: call.status(now).value.replace("voicemail", "completed") for call in airflow.sandbox.calls("talkover")
    }
    got = {}
    for index in range(COUNT):
        entry = airflow.api("GET", f"{path}/taskInstances/wait/xcomEntries/return_value?map_index={index}")
        value = entry["value"] if isinstance(entry["value"], dict) else json.loads(entry["value"])
        got[value["id"]] = value["status"]
    assert got == shown


def memory_of(pids: list[int]) -> int:
    """Return the resident KiB of the processes."""
    total = 0
    for pid in pids:
        status = Path(f"/proc/{pid}/status").read_text()
        total += int(status.split("VmRSS:")[1].split()[0])
    return total


def test_many_deferred_sensors_cost_a_few_list_requests(waiting) -> None:
    airflow = waiting()
    before = memory_of(airflow.pids_of("triggerer"))
    path = start_run(airflow)
    airflow.until(lambda: states(airflow, path).count("deferred") == COUNT, 900)
    grown = memory_of(airflow.pids_of("triggerer")) - before
    log_so_far = airflow.log.stat().st_size
    asked, watched = len(airflow.sandbox.requests), 30
    time.sleep(watched)  # requests are counted over this time
    spent = airflow.sandbox.requests[asked:]
    log_while_watched = airflow.log.read_bytes()[log_so_far:]
    airflow.sandbox.advance(600)
    check_every_call_ended_right(airflow, path)
    # Once more, over calls that have ended already: with an event within a second or two of the deferral, the scheduler
    # failed 12 to 28 of 200 of them ("finished with state success, but ... queued").
    check_every_call_ended_right(airflow, start_run(airflow))

    pages = -(-COUNT // 100)
    print(f"\n{COUNT} sensors deferred: {len(spent)} list requests in {watched} s, {grown / COUNT:.0f} KiB each")
    print(re.findall(r"blocked for [\d.]+ seconds", airflow.log.read_text(errors="replace")), "in all")
    assert {request.operation for request in spent} == {"list"}
    # Every 10 s by the interval; the budget of half of 100 requests a minute would allow more.
    assert len(spent) <= pages * (watched / 10 + 3)
    logs = "".join(file.read_text(errors="replace") for file in airflow.home.rglob("*.log"))
    assert "Asked Talkover for" in logs
    # Read while no workers run: with as many as there are cores, Airflow's own triggerer waits for a core.
    assert "WAITING_SENSORS" not in os.environ or b"async thread was blocked" not in log_while_watched
    assert not any(call.to.lstrip("+") in logs for call in airflow.sandbox.calls("talkover"))


@pytest.mark.skipif(COUNT > 100, reason="this one is about one triggerer that dies, not about many sensors")
def test_a_triggerer_that_dies_takes_no_wait_with_it(waiting) -> None:
    airflow = waiting()
    first = airflow.pids_of("airflow triggerer")
    second = airflow.start_part("triggerer")
    try:
        path = start_run(airflow)
        airflow.until(lambda: states(airflow, path).count("deferred") == COUNT, 600)
        # Both wait for some: there are triggers in both.
        for pid in first:
            os.kill(pid, signal.SIGKILL)
        airflow.sandbox.advance(600)
        check_every_call_ended_right(airflow, path)
    finally:
        second.terminate()
        second.wait(60)
    assert not airflow.sandbox.rings[COUNT:], "a wait never rings"
