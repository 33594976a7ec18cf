"""What a campaign costs: calls placed a second, CPU a call, the plan of 100,000 contacts, memory, the pace it keeps.

The vendor is the sandbox in a process of its own, which answers a create after 20 ms; the ledger is a PostgreSQL of its
own. ``--pace`` adds the runs at 100 calls a minute by one worker and by three, which take six minutes.

Run as ``python benchmarks/outreach.py [--calls N] [--contacts N] [--pace]``.
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

LATENCY = 0.02


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


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--calls", type=int, default=1000)
    parser.add_argument("--contacts", type=int, default=100_000)
    parser.add_argument("--pace", action="store_true")
    options = parser.parse_args()
    logging.disable(logging.INFO)
    from tests.integration.databases import postgres_server

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
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
