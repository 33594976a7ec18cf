"""Any mix of tasks with call keys, crashes at any effect, retries, clears, lost answers and late lists (hypothesis)."""

from __future__ import annotations

import gc
import os
import tempfile
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from sqlalchemy import create_engine

from airflow_provider_voice.dialing import dialer as dialer_module
from airflow_provider_voice.dialing import reconcile
from airflow_provider_voice.operators import make_call
from airflow_provider_voice.outreach import schema
from airflow_provider_voice.sandbox import Sandbox
from airflow_provider_voice.vendors import http as http_module
from tests.integration.outreach.effects import Died, Effects, watched
from tests.integration.test_dial_machine import FAULTS
from tests.tries import Run, Task

ONE, OTHER = "+14155552602", "+14155552702"
#: Key and person of each task; the first two tasks are of two DAGs that ask for the same call.
TASKS = [("invoice 1", ONE), ("invoice 1", ONE), ("invoice 2", ONE), ("invoice 3", OTHER)]


class Keys(RuleBasedStateMachine):
    """Each key rings once, whatever happens to the tasks that share it."""

    @initialize(vendor=st.sampled_from(["talkover", "talkstack", "unleashx"]), wait=st.booleans())
    def start(self, vendor: str, wait: bool) -> None:
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(http_module, "_backoff", lambda state: 0.0)
        self.patch.setattr(dialer_module, "SEARCH_DELAYS", (0.0,))
        # After a 429 the try fails at once instead of waiting for the pace.
        self.patch.setattr(dialer_module, "LONGEST_WAIT", 0.0)
        # The sandbox's clock runs 120 times as fast as ours: see test_at_most_once.
        for name in ("CLOCK_TOLERANCE", "LATE_ARRIVAL"):
            self.patch.setattr(reconcile, name, timedelta(hours=2))
        self.folder = tempfile.TemporaryDirectory()
        self.engine = create_engine(f"sqlite:///{Path(self.folder.name) / 'ledger.db'}")
        self.patch.setattr(make_call, "ledger_engine", lambda ledger_conn_id: self.engine)
        self.sandbox = Sandbox(speed=120)
        self.sandbox.__enter__()
        os.environ["AIRFLOW_CONN_VOICE_DEFAULT"] = self.sandbox.connection_json(vendor)
        more = {"wait_for_completion": True, "success_statuses": ["busy"]} if wait else {}
        self.tasks = [
            Task(self.sandbox, dag_id=f"dag {index}", run=Run(run_id=f"run {index}"), to=to, retries=2, call_key=key,
                 ledger_conn_id="ledger", **more)
            for index, (key, to) in enumerate(TASKS)
        ]  # fmt: skip
        self.found: dict[str, str] = {}

    @rule(index=st.integers(0, 3), number=st.integers(0, 45), when=st.sampled_from(["before", "after", None]))
    def try_once(self, index: int, number: int, when: str | None) -> None:
        task, (key, to) = self.tasks[index], TASKS[index]
        outcome = None
        with watched(Effects((number, when) if when else None), self.engine), suppress(Died):
            outcome = task.attempt()
        # With a process its connections go, and their locks; here a cycle in the error's traceback may keep one.
        gc.collect()
        if outcome is not None and outcome.state == "success":
            assert outcome.result["to"] == to
            if outcome.result["how"] != "adopted":
                assert outcome.result["id"] == self.found.setdefault(key, outcome.result["id"])
            self.found[key] = outcome.result["id"]

    @rule(index=st.integers(0, 3))
    def clear(self, index: int) -> None:
        self.tasks[index].clear()

    @rule(fault=FAULTS)
    def go_wrong(self, fault: dict) -> None:
        self.sandbox.add_fault(**fault)

    @rule(seconds=st.sampled_from([0, 600]))
    def lists_come_late(self, seconds: int) -> None:
        self.sandbox.world.list_delay = seconds

    @rule()
    def all_is_well(self) -> None:
        self.sandbox.clear_faults()
        with self.engine.begin() as connection:
            schema.metadata.create_all(connection)
            connection.execute(schema.pacing.update().values(slow_until=None))

    @invariant()
    def no_key_rings_twice(self) -> None:
        if not hasattr(self, "sandbox"):
            return
        per_number = self.sandbox.rings_per_number()
        assert per_number.get(ONE, 0) <= 2
        assert per_number.get(OTHER, 0) <= 1

    def teardown(self) -> None:
        if hasattr(self, "sandbox"):
            self.sandbox.__exit__(None, None, None)
            self.engine.dispose()
            self.folder.cleanup()
            self.patch.undo()
            os.environ.pop("AIRFLOW_CONN_VOICE_DEFAULT", None)


Keys.TestCase.settings = settings(max_examples=15, stateful_step_count=14, deadline=None)
test_any_mix_rings_once_per_key = pytest.mark.once(Keys.TestCase)
