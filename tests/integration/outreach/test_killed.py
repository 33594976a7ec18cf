"""Real processes: a campaign whose worker is killed again and again, and two that never hear of each other."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from multiprocessing.process import BaseProcess

import pytest
from sqlalchemy import Engine

from airflow_provider_voice.outreach.database import Database
from airflow_provider_voice.sandbox import Sandbox
from tests.integration.outreach.rig import BUSY, Rig, people
from tests.integration.outreach.worker import LEASE_SECONDS, start_worker

pytestmark = pytest.mark.once

CONTACTS = int(os.environ.get("VOICE_KILLED_CONTACTS", "16"))
KILLS = int(os.environ.get("VOICE_KILLS", "1"))


@pytest.fixture
def live(engine_for: Callable[[str], Engine]) -> Iterator[Rig]:
    """A campaign in PostgreSQL, whose ledger keeps the real time."""
    with Sandbox(speed=20) as sandbox:
        rig = Rig(sandbox, engine_for("postgres"))
        rig.database = Database(rig.engine)
        rig.load(people(*[BUSY] * CONTACTS))
        yield rig


def start(rig: Rig) -> BaseProcess:
    return start_worker(rig.engine.url.render_as_string(hide_password=False), rig.sandbox.connection("talkover"))


def finish(worker: BaseProcess) -> None:
    worker.join(120)
    assert worker.exitcode == 0


def signal_to(worker: BaseProcess, number: signal.Signals) -> None:
    assert worker.pid is not None
    os.kill(worker.pid, number)


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
        worker.kill()
        worker.join(60)
    finish(start(live))
    check(live)


def test_a_frozen_worker_that_wakes_up_rings_nobody_again(live) -> None:
    frozen = start(live)
    while not live.sandbox.rings:
        time.sleep(0.005)
    signal_to(frozen, signal.SIGSTOP)
    try:
        time.sleep(LEASE_SECONDS + 0.1)  # its leases end, by a clock that no test can move
        finish(start(live))
    finally:
        signal_to(frozen, signal.SIGCONT)
    finish(frozen)
    check(live)
