"""A campaign under everything at once: crashes, pauses, cancels, new rows, do-not-call entries, clock moves, faults."""

from __future__ import annotations

import os
import tempfile
import threading
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from sqlalchemy import create_engine

from airflow_provider_voice.outreach import lost_calls
from airflow_provider_voice.outreach.campaign import Waiting
from airflow_provider_voice.outreach.gate import ListedNumbers
from airflow_provider_voice.outreach.redial import RedialRules
from airflow_provider_voice.sandbox import Sandbox
from airflow_provider_voice.vendors import http as http_module
from tests.integration.outreach.effects import Effects, run_until_death
from tests.integration.outreach.rig import BUSY, COMPLETED, FAILED, Rig, number

pytestmark = pytest.mark.once

RULES = RedialRules.of(max_attempts=2, redial_after={"busy": 900, "failed": 300})
EXAMPLES = int(os.environ.get("VOICE_EXAMPLES", "8"))
FINAL = {"reached", "exhausted", "excluded", "canceled", "unknown"}


class CampaignMachine(RuleBasedStateMachine):
    """The events in a campaign's life; the invariants check the results."""

    def __init__(self) -> None:
        super().__init__()
        self.sandbox = Sandbox(speed=1).__enter__()
        self.folder = tempfile.TemporaryDirectory(prefix="voice-machine-")
        self.rig = Rig(self.sandbox, create_engine(f"sqlite:///{Path(self.folder.name) / 'ledger.db'}"))
        self.rows: dict[str, dict] = {}
        self.listed: list[str] = []
        self.rings_when_listed: dict[str, int] = {}
        self.rings_when_canceled: dict[str, tuple[str, int]] = {}
        self.rig.load([])

    def teardown(self) -> None:
        try:
            self.sandbox.clear_faults()
            self.rig.record.set_state("running")
            self.rig.finish(**self.arguments())
            assert set(self.rig.states().values()) <= FINAL, self.rig.states()
            rang = {row.call_id for row in self.rig.rang_attempts()}
            assert rang == {ring.call_id for ring in self.sandbox.rings}
            self.never_more_than_allowed()
        finally:
            self.rig.engine.dispose()
            self.sandbox.__exit__(None, None, None)
            self.folder.cleanup()

    def arguments(self) -> dict:
        return {"rules": RULES, "do_not_call": ListedNumbers(lambda: self.listed)}

    @rule(index=st.integers(0, 5), ending=st.sampled_from([COMPLETED, BUSY, FAILED]))
    def add_row(self, index: int, ending: str) -> None:
        self.rows[f"c{index}"] = {"contact_id": f"c{index}", "to": number(index, ending)}
        self.rig.load(list(self.rows.values()))

    @precondition(lambda self: self.rows)
    @rule(data=st.data())
    def remove_row(self, data) -> None:
        self.rows.pop(data.draw(st.sampled_from(sorted(self.rows))))
        self.rig.load(list(self.rows.values()))

    @rule()
    def run(self) -> None:
        done = self.rig.turn(**self.arguments())
        if isinstance(done, Waiting) and done.calls:
            self.rig.advance(30)

    @rule()
    def run_two_workers(self) -> None:
        workers = [self.rig.campaign(**self.arguments()) for _ in range(2)]
        threads = [threading.Thread(target=worker.run, kwargs={"may_defer": True}) for worker in workers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
            assert not thread.is_alive()

    @rule(seconds=st.sampled_from([-90, -20, 20, 90]))
    def set_ledgers_clock(self, seconds: int) -> None:
        """The clock of the ledger's machine is set; the vendor's goes on as it did."""
        self.rig.moved += seconds

    @rule(place=st.integers(0, 120), when=st.sampled_from(["before", "after"]))
    def crash(self, place: int, when: str) -> None:
        run_until_death(Effects((place, when)), self.rig.engine, lambda: self.rig.turn(**self.arguments()))

    @rule(kind=st.sampled_from(["lost_answer", "reset", "status"]))
    def fault(self, kind: str) -> None:
        self.sandbox.add_fault(kind, accepted=kind == "status")

    @rule(index=st.integers(0, 5), ending=st.sampled_from([COMPLETED, BUSY, FAILED]))
    def do_not_call(self, index: int, ending: str) -> None:
        to = number(index, ending)
        if to not in self.listed:
            self.listed.append(to)
            self.rings_when_listed[to] = self.rig.rings().get(to, 0)

    @rule(state=st.sampled_from(["paused", "running", "canceled"]))
    def steer(self, state: str) -> None:
        self.rig.record.set_state(state)
        if state == "canceled":
            for key, row in self.rig.contacts().items():
                # Those in a call may still ring: their create was sent before.
                if row.state == "canceled":
                    self.rings_when_canceled[key] = (row.to_number, self.rig.rings().get(row.to_number, 0))

    @rule(seconds=st.sampled_from([5, 70, 400, 1000]))
    def wait(self, seconds: int) -> None:
        self.rig.advance(seconds)

    @invariant()
    def never_more_than_allowed(self) -> None:
        allowed = {COMPLETED: 1, BUSY: 2, FAILED: 2}
        rings = self.rig.rings()
        assert all(count <= allowed[to[-2:]] for to, count in rings.items()), rings
        assert all(rings.get(to, 0) == count for to, count in self.rings_when_listed.items()), rings
        # One that left the source after it was canceled is another contact when it is back.
        assert all(rings.get(to, 0) == count for to, count in self.rings_when_canceled.values()), rings


@pytest.mark.once
def test_campaign_machine(monkeypatch) -> None:
    from hypothesis.stateful import run_state_machine_as_test

    run_state_machine_as_test(
        CampaignMachine, settings=settings(max_examples=EXAMPLES, stateful_step_count=12, deadline=None)
    )


@pytest.fixture(autouse=True)
def no_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_module, "_backoff", lambda state: 0.0)
    monkeypatch.setattr(lost_calls, "SEARCH_DELAYS", (0.0, 0.0))
