"""Rows missed and rows stale after three exports of a history that changes: ours beside dlt's ``rest_api`` with merge.

Five things that happen at every vendor, on the sandbox (Talkover, lists with the last changed call first). In the first
three the list changes while it is paged, in every one of the first two runs; the third run finds it at rest.

1. calls are inserted, 2. calls end, 3. calls are touched (a label changes), while pages are read;
4. calls are in progress at the first run and end before the second;
5. calls settle late: a label changes ten minutes after they ended, between the runs.

dlt runs as its own guide has it: the list by pages, merge by ``id``, incremental by ``created_at``, without and with
``--lag`` seconds of look-back; and, the dear way, without a cursor: the whole list in every run. It needs a Python of
its own: ``--dlt-python`` with 'dlt[duckdb]'. Missed: calls of the vendor that are not in the table. Stale: rows whose
status or agent differs from the vendor's at the end.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

from airflow_provider_voice.sandbox import Sandbox, VendorQuirks

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_voice.models import CallStatus
    from airflow_provider_voice.sandbox.routes import VendorRoutes
    from airflow_provider_voice.sandbox.world import SandboxCall

CALLS, PAGE = 1000, 100
SCENARIOS = ("inserted", "ended", "touched", "in progress", "settled late")
AGENT = "agent_second"


class World:
    """The sandbox, and what happens to it while it is read and between the runs."""

    def __init__(self, sandbox: Sandbox, scenario: str) -> None:
        self.sandbox, self.scenario, self.rng = sandbox, scenario, random.Random(7)
        sandbox.advance(60)
        self.start = sandbox.now() - timedelta(hours=6)
        self.calls: list[SandboxCall] = sandbox.seed("talkover", CALLS, self.start, sandbox.now() - timedelta(hours=1))
        if scenario in ("ended", "in progress"):
            for call in self.rng.sample(self.calls, 60):
                call.delay_seconds = 30 * 3600  # still to come
        self.requests = 0

    def while_paging(self) -> None:
        """Change something between two pages."""
        self.requests += 1
        self.sandbox.advance(1)
        if self.scenario == "inserted":
            self.calls += self.sandbox.seed(
                "talkover", 3, self.sandbox.now() - timedelta(seconds=1), self.sandbox.now()
            )
        elif self.scenario == "ended":
            for call in [call for call in self.calls if call.delay_seconds][:3]:
                self._end(call)
        elif self.scenario == "touched":
            for call in self.rng.sample(self.calls, 3):
                call.agent_id, call.touched_at = AGENT, self.sandbox.now()

    def between_runs(self) -> None:
        """Let time pass, and what happens meanwhile."""
        self.sandbox.advance(900)
        if self.scenario == "in progress":
            for call in [call for call in self.calls if call.delay_seconds]:
                self._end(call)
        elif self.scenario == "settled late":
            for call in self.rng.sample(self.calls, 20):
                call.agent_id, call.touched_at = AGENT, self.sandbox.now()

    def _end(self, call: SandboxCall) -> None:
        call.delay_seconds, call.hung_up_at, call.touched_at = 0, self.sandbox.now(), self.sandbox.now()

    def compare(self, rows: dict[str, tuple[str, str]]) -> tuple[int, int]:
        """Return how many calls are missed and how many rows are stale."""
        now = self.sandbox.now()
        shown = {call.id: (_word(call.status(now)), call.agent_id) for call in self.sandbox.calls("talkover")}
        missed = len(shown.keys() - rows.keys())
        return missed, sum(rows[key] != shown[key] for key in shown.keys() & rows.keys())


def _word(status: CallStatus) -> str:
    return {"voicemail": "completed"}.get(status.value, status.value)


def run_ours(world: World, folder: Path) -> Callable[[], dict[str, tuple[str, str]]]:
    """Export as an hourly task would: from the start of the day to now."""
    from airflow_provider_voice.export.warehouse.table import Warehouse
    from airflow_provider_voice.hooks.voice import VoiceHook
    from airflow_provider_voice.transfers.calls_to_warehouse import CallsToWarehouseOperator

    os.environ["AIRFLOW_CONN_VOICE_DEFAULT"] = world.sandbox.connection_json("talkover")
    path, done = folder / "ours.db", []

    def run() -> dict[str, tuple[str, str]]:
        # Each run takes the hours since the one before, as a scheduled one does.
        start: datetime = done[-1] if done else world.start
        done.append(world.sandbox.now())
        operator = CallsToWarehouseOperator(
            task_id="export", warehouse_conn_id="w", start=start.isoformat(), end=done[-1].isoformat()
        )
        hook = SimpleNamespace(conn_type="sqlite", get_conn=lambda: sqlite3.connect(path))
        operator.warehouse, operator.hook = Warehouse(hook, "calls"), VoiceHook.for_connection("voice_default")
        ti = SimpleNamespace(dag_id="d", task_id="t", map_index=-1, run_id=f"run {len(done)}")
        for attempt in range(20):  # what Airflow's retries do when a list would not stand still
            try:
                operator.execute({"ti": ti, "dag_run": None})
                break
            except Exception as error:
                if attempt == 19 or "kept changing" not in str(error):
                    raise
        with closing(sqlite3.connect(path)) as connection:
            found = connection.execute("SELECT call_id, status, agent_id FROM calls").fetchall()
        return {key: (status, agent) for key, status, agent in found}

    return run


def run_dlt(world: World, folder: Path, python: str, lag: float) -> Callable[[], dict[str, tuple[str, str]]]:
    """Run dlt's pipeline in its own Python."""
    script = Path(__file__).with_name("dlt_pipeline.py")
    arguments = [python, str(script), world.sandbox.url, world.sandbox.connection("talkover")["password"], str(folder)]

    def run() -> dict[str, tuple[str, str]]:
        command = [*arguments, str(lag), world.start.date().isoformat()]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(done.stderr[-2000:])
        statuses = {"initiated": "queued", "answered": "in_progress", "no-answer": "no_answer"}
        return {
            key: (statuses.get(status, status), agent)
            for key, status, agent in json.loads(done.stdout.splitlines()[-1])
        }

    return run


def measure(
    scenario: str, contender: Callable[[World, Path], Callable[[], dict[str, tuple[str, str]]]]
) -> tuple[int, int]:
    """Run three exports and return rows missed and rows stale."""
    quirks = VendorQuirks(max_page=PAGE, order="changed")
    with Sandbox(frozen=True, quirks=quirks) as sandbox, tempfile.TemporaryDirectory() as folder:
        world = World(sandbox, scenario)
        routes: VendorRoutes = sandbox._vendors["talkover"]
        plain, changing = routes.ordered, True

        def ordered() -> list[SandboxCall]:
            if changing:
                world.while_paging()
            return plain()

        routes.ordered = ordered  # type: ignore[method-assign]  # what happens while paging
        run = contender(world, Path(folder))
        for number in range(3):
            changing = number < 2
            rows = run()
            if number < 2:
                world.between_runs()
        return world.compare(rows)


def main() -> None:
    """Print a line for each scenario."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dlt-python", default=os.environ.get("DLT_PYTHON", ""), help="a Python that has dlt[duckdb]")
    parser.add_argument("--lag", type=float, default=60.0, help="dlt's look-back in seconds, default 60")
    options = parser.parse_args()
    os.environ["AIRFLOW__LOGGING__LOGGING_LEVEL"] = "ERROR"
    if not options.dlt_python:
        print("dlt is left out: give --dlt-python a Python with 'dlt[duckdb]'.")
    print(f"{CALLS} calls, 3 runs; missed / stale rows at the end")
    print(f"{'':14} {'ours':>14} {'dlt':>14} {'dlt, look-back':>16} {'dlt, all again':>16}")
    for scenario in SCENARIOS:
        missed, stale = measure(scenario, run_ours)
        cells = [f"{f'{missed} / {stale}':>14}"]
        for lag, width in ((0.0, 14), (options.lag, 16), (-1.0, 16)) if options.dlt_python else ():
            missed, stale = measure(
                scenario, lambda world, folder, lag=lag: run_dlt(world, folder, options.dlt_python, lag)
            )
            cells.append(f"{f'{missed} / {stale}':>{width}}")
        print(f"{scenario:14} {' '.join(cells)}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
