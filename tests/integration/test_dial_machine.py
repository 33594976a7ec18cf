"""Any mix of crashes, retries, clears, lost answers, late lists and tasks for the same person (hypothesis)."""

from __future__ import annotations

import os
from datetime import timedelta

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from airflow_provider_voice.dialing import dialer as dialer_module
from airflow_provider_voice.dialing import reconcile
from airflow_provider_voice.sandbox import Sandbox
from airflow_provider_voice.vendors import http as http_module
from tests.tries import Effects, Run, Task

TASKS = 3
FAULTS = st.sampled_from(
    [
        {"kind": "lost_answer"},
        {"kind": "reset"},
        {"kind": "status", "status": 500, "accepted": True},
        {"kind": "status", "status": 303, "accepted": True},
        {"kind": "status", "status": 503},
        {"kind": "status", "status": 429},
        {"kind": "status", "status": 402},
        {"kind": "garbage", "accepted": True},
        {"kind": "status", "status": 503, "operation": "list", "times": 5},
    ]
)


class Dialing(RuleBasedStateMachine):
    """Three mapped tasks, two of them for the same person; each is to ring once, whatever happens."""

    @initialize(vendor=st.sampled_from(["talkover", "talkstack", "unleashx"]), wait=st.booleans())
    def start(self, vendor: str, wait: bool) -> None:
        self.saved = (
            http_module._backoff,
            dialer_module.SEARCH_DELAYS,
            reconcile.CLOCK_TOLERANCE,
            reconcile.LATE_ARRIVAL,
        )
        http_module._backoff, dialer_module.SEARCH_DELAYS = (lambda state: 0.0), (0.0,)
        reconcile.CLOCK_TOLERANCE = reconcile.LATE_ARRIVAL = timedelta(hours=2)  # see test_at_most_once.py
        self.sandbox = Sandbox(speed=120)
        self.sandbox.__enter__()
        os.environ["AIRFLOW_CONN_VOICE_DEFAULT"] = self.sandbox.connection_json(vendor)
        more = {"wait_for_completion": True, "success_statuses": ["busy"]} if wait else {}
        self.run = Run()
        numbers = ["+14155552602", "+14155552602", "+14155552702"]
        self.tasks = [
            Task(self.sandbox, map_index=index, run=self.run, to=numbers[index], retries=2, **more)
            for index in range(TASKS)
        ]
        self.done: dict[int, dict] = {}

    @rule(index=st.integers(0, TASKS - 1), number=st.integers(0, 11), when=st.sampled_from(["before", "after", None]))
    def try_once(self, index: int, number: int, when: str | None) -> None:
        outcome = self.tasks[index].attempt(Effects((number, when) if when else None))
        if outcome is not None and outcome.state == "success":
            result = outcome.result
            assert result["to"] == self.tasks[index].arguments["to"]
            if index in self.done and result["how"] == "reattached":
                before = self.done[index]
                # UnleashX lists a call under a number of its own; an adopted call is known by our tag.
                assert result["id"] == before["id"] or (result["tag"] and result["tag"] == before["tag"])
            self.done[index] = result

    @rule(index=st.integers(0, TASKS - 1), clear_on_success=st.booleans())
    def clear(self, index: int, clear_on_success: bool) -> None:
        self.tasks[index].clear(clear_on_success=clear_on_success and self.tasks[index].has_succeeded)

    @rule(index=st.integers(0, TASKS - 1))
    def clear_while_running(self, index: int) -> None:
        self.tasks[index].clear_while_running()

    @rule(index=st.integers(0, TASKS - 1), reads=st.integers(1, 3))
    def forget(self, index: int, reads: int) -> None:
        self.tasks[index].store.forgets = reads

    @rule(first=st.integers(0, TASKS - 1), second=st.integers(0, TASKS - 1))
    def change_the_list(self, first: int, second: int) -> None:
        """Two rows of the list change places, and Airflow clears the task."""
        one, other = self.tasks[first].arguments, self.tasks[second].arguments
        one["to"], other["to"] = other["to"], one["to"]
        for task in self.tasks:
            task.clear()

    @rule(fault=FAULTS)
    def go_wrong(self, fault: dict) -> None:
        self.sandbox.add_fault(**fault)

    @rule(seconds=st.sampled_from([0, 600]))
    def lists_come_late(self, seconds: int) -> None:
        self.sandbox.world.list_delay = seconds

    @rule()
    def all_is_well(self) -> None:
        self.sandbox.clear_faults()

    @invariant()
    def nobody_is_rung_twice(self) -> None:
        if not hasattr(self, "sandbox"):
            return
        per_number = self.sandbox.rings_per_number()
        assert per_number.get("+14155552602", 0) <= 2
        assert per_number.get("+14155552702", 0) <= 1
        tags = [ring.tag for ring in self.sandbox.rings if ring.tag]
        assert len(tags) == len(set(tags))

    def teardown(self) -> None:
        if hasattr(self, "sandbox"):
            self.sandbox.__exit__(None, None, None)
            http_module._backoff, dialer_module.SEARCH_DELAYS, reconcile.CLOCK_TOLERANCE, reconcile.LATE_ARRIVAL = (
                self.saved
            )
            os.environ.pop("AIRFLOW_CONN_VOICE_DEFAULT", None)


Dialing.TestCase.settings = settings(max_examples=25, stateful_step_count=14, deadline=None)
test_any_mix_rings_at_most_once = Dialing.TestCase
