"""Real processes: a campaign whose worker is killed again and again, and two that never hear of each other."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from airflow_provider_voice.outreach.database import Database
from airflow_provider_voice.sandbox import Sandbox
from tests.integration.outreach.rig import BUSY, Rig, people

pytestmark = pytest.mark.once

WORKER = """
import json, sys
from datetime import timedelta
from sqlalchemy import create_engine
from airflow.sdk import Connection
from airflow_provider_voice.dialing import reconcile
from airflow_provider_voice.hooks.voice import VoiceHook
from airflow_provider_voice.outreach import lost_calls
from airflow_provider_voice.outreach.campaign import Campaign, CampaignSettings
from airflow_provider_voice.outreach.database import Database
from airflow_provider_voice.outreach.pacing import Limits
from airflow_provider_voice.outreach.redial import RedialRules
url, fields = sys.argv[1], json.loads(sys.argv[2])
lost_calls.SEARCH_DELAYS = (0.0, 0.1)
# The sandbox's clock runs twenty times as fast as ours, which no vendor's does.
for name in ("CLOCK_TOLERANCE", "LATE_ARRIVAL"):
    setattr(reconcile, name, timedelta(hours=2))
connection = Connection(conn_id="voice_default", **{**fields, "extra": json.dumps(fields["extra"])})
hook = VoiceHook.for_connection("voice_default", connection=connection)
settings = CampaignSettings("spring", limits=Limits(calls_per_minute=1200, max_concurrent=20), poll_interval=0.3,
                            rules=RedialRules.of(max_attempts=1))
print("ready", flush=True)
Campaign(settings, Database(create_engine(url)), hook, lease_seconds=2.0).run()
"""
CONTACTS = int(os.environ.get("VOICE_KILLED_CONTACTS", "30"))
KILLS = int(os.environ.get("VOICE_KILLS", "1"))


@pytest.fixture
def live(engine_for: Callable[[str], Engine]) -> Iterator[Rig]:
    """A campaign in PostgreSQL, whose ledger keeps the real time."""
    with Sandbox(speed=20) as sandbox:
        rig = Rig(sandbox, engine_for("postgres"))
        rig.database = Database(rig.engine)
        rig.load(people(*[BUSY] * CONTACTS))
        yield rig


def start(rig: Rig) -> subprocess.Popen[str]:
    arguments = [rig.engine.url.render_as_string(hide_password=False), json.dumps(rig.sandbox.connection("talkover"))]
    worker = subprocess.Popen(
        [sys.executable, "-c", WORKER, *arguments], stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[3]
    )
    assert worker.stdout is not None
    while "ready" not in (line := worker.stdout.readline()):
        assert line, "the worker did not start"
    return worker


def check(rig: Rig) -> None:
    assert set(rig.states().values()) <= {"exhausted", "unknown"}, rig.states()
    assert set(rig.rings().values()) == {1}
    assert {row.call_id for row in rig.rang_attempts()} == {ring.call_id for ring in rig.sandbox.rings}
    unknown = [row for row in rig.attempts() if row.state == "unknown"]
    assert len(rig.sandbox.rings) + len(unknown) == CONTACTS


def test_killed_again_and_again(live) -> None:
    rng = random.Random(7)
    for _ in range(KILLS):
        worker, rings = start(live), len(live.sandbox.rings)
        deadline = time.monotonic() + 60
        while len(live.sandbox.rings) < min(CONTACTS, rings + rng.randint(1, 8)) and time.monotonic() < deadline:
            time.sleep(0.005)
        worker.send_signal(signal.SIGKILL)
        worker.wait(60)
    assert start(live).wait(120) == 0
    check(live)


def test_a_frozen_worker_that_wakes_up_rings_nobody_again(live) -> None:
    frozen = start(live)
    while not live.sandbox.rings:
        time.sleep(0.005)
    frozen.send_signal(signal.SIGSTOP)
    try:
        time.sleep(2.5)  # its leases end
        assert start(live).wait(120) == 0
    finally:
        frozen.send_signal(signal.SIGCONT)
    assert frozen.wait(120) == 0
    check(live)
