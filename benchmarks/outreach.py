"""The cost of a campaign, beside one mapped task per call; the plan of 100,000 contacts, memory, the pace it keeps.

The vendor is the sandbox, which answers a create after 20 ms; the ledger is a PostgreSQL of its own. First the campaign
without Airflow. Then, in a real Airflow (LocalExecutor with four slots, its metadata in the same PostgreSQL), the same
kind of calls by three contenders: mapped ``HttpOperator``, mapped ``MakeCallOperator``, ``OutreachOperator``. Their CPU
is that of all of Airflow's processes, less the use of an idle Airflow in the same time; PostgreSQL is not in it.

``--pace`` adds the runs at 100 calls a minute by one worker and by three, which take six minutes; ``--no-airflow``
leaves out the second part.

Run as ``python benchmarks/outreach.py [--calls N] [--contacts N] [--mapped N] [--pace] [--no-airflow]``.
"""

from __future__ import annotations

import argparse
import json
import logging
import multiprocessing
import os
import resource
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # the tests' databases
os.environ.setdefault("AIRFLOW_HOME", tempfile.mkdtemp(prefix="voice-bench-"))

from airflow.sdk import Connection
from sqlalchemy import create_engine, text

from airflow_provider_voice.hooks.voice import VoiceHook
from airflow_provider_voice.outreach.campaign import Campaign, CampaignSettings
from airflow_provider_voice.outreach.campaign_record import CampaignRecord
from airflow_provider_voice.outreach.contact_loading import ContactLoader
from airflow_provider_voice.outreach.contacts import Columns, contacts_of
from airflow_provider_voice.outreach.database import Database
from airflow_provider_voice.outreach.gate import Gate
from airflow_provider_voice.outreach.ledger import Ledger
from airflow_provider_voice.outreach.pacing import Limits
from airflow_provider_voice.outreach.plan import Planner
from airflow_provider_voice.outreach.redial import RedialRules
from airflow_provider_voice.policy import ContactPolicy
from airflow_provider_voice.sandbox import Sandbox
from tests.integration.databases import postgres_server
from tests.system.airflow_standalone import Standalone

LATENCY = 0.02
IDLE_SECONDS = 30.0

DAG_FILE = """
import json, os
from airflow.providers.http.operators.http import HttpOperator
from airflow.sdk import DAG
from airflow_provider_voice.operators.make_call import MakeCallOperator
from airflow_provider_voice.operators.outreach import OutreachOperator

NUMBERS = json.loads(os.environ["BENCH_NUMBERS"])
HEADERS = {"Authorization": "Bearer " + os.environ["BENCH_TOKEN"], "Content-Type": "application/json"}

with DAG("mapped_http", schedule=None):
    HttpOperator.partial(task_id="ring", http_conn_id="bench", method="POST", headers=HEADERS,
                         endpoint="/api/v1/agents/agent_sandbox/call").expand(
        data=[json.dumps({"to": number}) for number in NUMBERS["mapped_http"]])
with DAG("mapped_make_call", schedule=None):
    MakeCallOperator.partial(task_id="ring").expand(to=NUMBERS["mapped_make_call"])
with DAG("campaign", schedule=None):
    OutreachOperator(task_id="ring", campaign="bench", contacts=os.environ["BENCH_CONTACTS"], max_attempts=1,
                     ledger_conn_id="outreach_ledger", max_concurrent=2000, poll_interval=5)
"""


def serve(ready: Any) -> None:
    """Run the sandbox with a latency until the process is ended."""
    sandbox = Sandbox(speed=1)
    with sandbox:
        sandbox.add_fault("slow", operation="create", seconds=LATENCY, times=0)
        ready.send((sandbox.url, sandbox.connection("talkover")))
        ready.recv()
        ready.send([ring.at.timestamp() for ring in sandbox.rings])
        ready.recv()


def people(count: int) -> Any:
    """Yield contacts whose lines are busy, made as they are needed."""
    for index in range(count):
        # Lines that are busy: a call is over after four seconds.
        number = f"+1{_area(index)}{2_000_002 + index % 7_000 * 100:07d}"
        yield {"contact_id": f"c{index}", "to": number, "name": "Ada"}


def _area(index: int) -> str:
    areas = ("212", "213", "312", "415", "202", "303", "305", "404", "512", "617", "702", "713", "206", "214", "215")
    return areas[index // 7_000 % len(areas)]


def hook_of(fields: dict[str, Any]) -> VoiceHook:
    """Return the hook of the sandbox."""
    connection = Connection(conn_id="voice_default", **{**fields, "extra": json.dumps(fields["extra"])})
    return VoiceHook.for_connection("voice_default", connection=connection)


def engine_of(fields: dict[str, Any]) -> Any:
    """Return an engine for the ledger's PostgreSQL."""
    url = (
        f"postgresql+psycopg2://{fields['login']}:{fields['password'] or ''}@/{fields['schema']}?host={fields['host']}"
    )
    return create_engine(url)


def campaign_of(name: str, engine: Any, fields: dict[str, Any], limits: Limits) -> Campaign:
    """Return a worker's campaign."""
    settings = CampaignSettings(name, limits=limits, rules=RedialRules.of(max_attempts=1), poll_interval=5)
    return Campaign(settings, Database(engine), hook_of(fields))


def load(name: str, engine: Any, count: int) -> None:
    """Load contacts into a campaign."""
    database = Database(engine)
    CampaignRecord(database, name).begin("bench")
    ContactLoader(database, name).load(contacts_of(people(count), Columns()))


def placing(engine: Any, fields: dict[str, Any], count: int) -> None:
    """Print calls placed a second and CPU a call."""
    load("placing", engine, count)
    campaign = campaign_of("placing", engine, fields, Limits(max_concurrent=count))
    cpu, began = time.process_time(), time.monotonic()
    result = campaign.run()
    cpu, took = time.process_time() - cpu, time.monotonic() - began
    with engine.connect() as connection:
        query = (
            "SELECT extract(epoch FROM max(intended_at) - min(intended_at)) FROM voice_outreach_attempts "
            "WHERE campaign = 'placing'"
        )
        placed = float(connection.execute(text(query)).scalar())
    print(
        f"placed            {result['attempts']} calls in {placed:.1f} s: {count / placed:.0f} calls a second (>= 50)"
    )
    print(f"CPU               {cpu / count:.4f} s a call, polls and settlement included (<= 0.015)")
    print(f"whole campaign    {took:.1f} s; {result['exhausted']} settled, {result['unknown']} unknown")


def planning(engine: Any, count: int) -> None:
    """Print how long a plan takes and what memory it needs."""
    database = Database(engine)
    cpu, began = time.process_time(), time.monotonic()
    load("planning", engine, count)
    loaded = time.monotonic() - began
    ledger = Ledger(database, "planning", "voice_default")
    gate = Gate(ledger, ContactPolicy.load("us"), None, 3)
    plan = Planner(ledger, gate, Limits(calls_per_minute=1000, max_concurrent=1000)).plan()
    cpu, took = time.process_time() - cpu, time.monotonic() - began
    asked = plan["planned"] + plan["not_called"]
    print(f"planned           {asked} contacts in {took:.1f} s (100,000 in < 60), CPU {cpu:.1f} s")
    print(f"of which loading  {loaded:.1f} s")
    print(f"first, last call  {plan['first_call_at']}, {plan['finish_at']}")


def pace(engine: Any, fields: dict[str, Any], workers: int, seconds: int) -> None:
    """Print the fewest and most calls of any minute at 100 a minute."""
    name = f"pace {workers}"
    load(name, engine, 1000)
    limits = Limits(calls_per_minute=100, max_concurrent=1000)
    campaigns = [campaign_of(name, engine, fields, limits) for _ in range(workers)]
    threads = [threading.Thread(target=_run, args=(campaign,)) for campaign in campaigns]
    for thread in threads:
        thread.start()
    time.sleep(seconds)
    for campaign in campaigns:
        campaign.kill()
    for thread in threads:
        thread.join()
    with engine.connect() as connection:
        query = text(
            "SELECT extract(epoch FROM intended_at) FROM voice_outreach_attempts WHERE campaign = :name AND placed_at "
            "IS NOT NULL"
        )
        times = sorted(float(at) for (at,) in connection.execute(query, {"name": name}))
    windows = [sum(start <= at < start + 60 for at in times) for start in times if start + 60 <= times[-1]]
    print(f"pace, {workers} worker(s)  {min(windows)} to {max(windows)} calls in any full minute (97 to 105)")


def _run(campaign: Campaign) -> None:
    try:
        campaign.run()
    except Exception as error:  # noqa: BLE001 - it was killed, as it should be
        if type(error).__name__ != "CampaignKilled":
            print(f"a worker failed: {error}")


@dataclass(frozen=True)
class Figures:
    """The cost of one contender.

    :param calls: the calls it placed.
    :param pace: calls a second, from the first to the last.
    :param cpu: CPU seconds of Airflow's processes.
    :param took: seconds from the trigger to the end of the run.
    """

    calls: int
    pace: float
    cpu: float
    took: float


class Contest:
    """The three contenders in one Airflow."""

    def __init__(self, home: Path, database: dict[str, Any], mapped: int, campaign: int) -> None:
        everybody = [person["to"] for person in people(2 * mapped + campaign)]
        self.numbers = {
            "mapped_http": everybody[:mapped],
            "mapped_make_call": everybody[mapped : 2 * mapped],
            "campaign": everybody[2 * mapped :],
        }
        self._home = home
        self._database = database
        self._figures: dict[str, Figures] = {}

    def run(self) -> None:
        """Run one contender after the other and print calls a second, CPU seconds a call, and the ratios."""
        with Sandbox(speed=1) as sandbox:
            sandbox.add_fault("slow", operation="create", seconds=LATENCY, times=0)
            airflow = Standalone(sandbox, self._home)
            airflow.environment |= self._environment(sandbox)
            try:
                airflow.start("campaign")
                for dag_id in self.numbers:
                    self._figures[dag_id] = self._measure(airflow, dag_id)
                idle = idle_cpu_of(airflow)
            finally:
                airflow.stop()
        self._print(idle)

    def _print(self, idle: float) -> None:
        """Print the figures.

        :param idle: CPU seconds that an Airflow without work uses in a second.
        """
        print(f"Airflow without work uses {idle:.2f} CPU s a second; it is taken off the figures:")
        each = {name: (made.cpu - idle * made.took) / made.calls for name, made in self._figures.items()}
        for name, made in self._figures.items():
            shown = f"{made.pace:.1f} a second, {each[name]:.4f} CPU s a call, {made.took:.0f} s in all"
            print(f"{name:<18}{made.calls} calls: {shown}")
        for name in ("mapped_http", "mapped_make_call"):
            faster = self._figures["campaign"].pace / self._figures[name].pace
            print(f"campaign : {name:<18} {faster:.0f} times as fast, 1/{each[name] / each['campaign']:.0f} of the CPU")

    def _environment(self, sandbox: Sandbox) -> dict[str, str]:
        dags, contacts = self._home / "bench", self._home / "contacts.jsonl"
        dags.mkdir()
        (dags / "bench.py").write_text(DAG_FILE)
        contacts.write_text("".join(json.dumps({"to": number}) + "\n" for number in self.numbers["campaign"]))
        fields = self._database
        metadata = f"postgresql+psycopg2://{fields['login']}@/{fields['schema']}?host={fields['host']}"
        return {
            "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": metadata,
            "AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING",
            "AIRFLOW_CONN_OUTREACH_LEDGER": json.dumps(fields),
            "AIRFLOW_CONN_BENCH": sandbox.url,
            "BENCH_CONTACTS": f"file://{contacts}",
            "BENCH_NUMBERS": json.dumps(self.numbers),
            "BENCH_TOKEN": sandbox.connection("talkover")["password"],
        }

    def _measure(self, airflow: Standalone, dag_id: str) -> Figures:
        airflow.api("PATCH", f"/api/v2/dags/{dag_id}", {"is_paused": False})
        before, began = cpu_of(airflow), time.monotonic()
        run = airflow.api("POST", f"/api/v2/dags/{dag_id}/dagRuns", {"logical_date": None})["dag_run_id"]
        path = f"/api/v2/dags/{dag_id}/dagRuns/{run}"
        airflow.until(lambda: airflow.api("GET", path)["state"] in ("success", "failed"), 1800)
        took, cpu = time.monotonic() - began, cpu_of(airflow) - before
        wanted = set(self.numbers[dag_id])
        times = sorted(ring.at.timestamp() for ring in airflow.sandbox.rings if ring.number in wanted)
        state = airflow.api("GET", path)["state"]
        assert (state, len(times)) == ("success", len(wanted)), (dag_id, state, len(times))
        return Figures(len(times), (len(times) - 1) / (times[-1] - times[0]), cpu, took)


def idle_cpu_of(airflow: Standalone) -> float:
    """Return the CPU seconds that an Airflow uses in a second while it has no work, long after it came up."""
    before, began = cpu_of(airflow), time.monotonic()
    time.sleep(IDLE_SECONDS)
    return (cpu_of(airflow) - before) / (time.monotonic() - began)


def cpu_of(airflow: Standalone) -> float:
    """Return the CPU seconds of an Airflow's processes so far, those included that have ended."""
    parents, ticks = {}, {}
    for entry in Path("/proc").iterdir():
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:  # no process, or one that has just ended: its parent has its ticks
            continue
        if entry.name.isdigit():
            parents[int(entry.name)] = int(fields[1])
            # Its own and those of the children it waited for, user and system.
            ticks[int(entry.name)] = sum(int(field) for field in fields[11:15])
    ours = {process.pid for process in airflow.processes}
    while children := {pid for pid, parent in parents.items() if parent in ours} - ours:
        ours |= children
    return sum(ticks.get(pid, 0) for pid in ours) / os.sysconf("SC_CLK_TCK")


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--calls", type=int, default=1000)
    parser.add_argument("--contacts", type=int, default=100_000)
    parser.add_argument("--mapped", type=int, default=60)
    parser.add_argument("--pace", action="store_true")
    parser.add_argument("--no-airflow", action="store_true")
    options = parser.parse_args()
    logging.disable(logging.INFO)
    here, there = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(there,), daemon=True)
    server.start()
    _, fields = here.recv()
    with postgres_server(Path(tempfile.mkdtemp(prefix="voice-bench-pg-"))) as database:
        engine = engine_of(database)
        placing(engine, fields, options.calls)
        planning(engine, options.contacts)
        print(f"memory            {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB at most (< 300)")
        if options.pace:
            for workers in (1, 3):
                pace(engine, fields, workers, 170)
        engine.dispose()
        here.send("end")
        here.recv()
        here.send("end")
        server.terminate()
        if not options.no_airflow:
            Contest(Path(tempfile.mkdtemp(prefix="voice-bench-af-")), database, options.mapped, options.calls).run()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
