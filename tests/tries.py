"""Runs the tries of one task the way Airflow would, with a crash wherever a test wants one.

Every effect (a write or read of the state store, a request to the vendor) goes through :class:`Effects`, which numbers
them and can die before or after any of them. A new effect in the code is a new number, and so a new row of the matrix.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException, TaskDeferred
from airflow.sdk.bases.operator import ExecutorSafeguard

from airflow_provider_voice.operators.make_call import MakeCallOperator
from airflow_provider_voice.sandbox import Sandbox
from airflow_provider_voice.vendors import http as http_module

ExecutorSafeguard.test_mode = True


class Died(BaseException):
    """The worker process is gone."""


@dataclass
class Effects:
    """Numbers every effect and dies at one of them.

    :param die_at: ``(number of the effect, "before" or "after")``; None: never.
    """

    die_at: tuple[int, str] | None = None
    seen: list[str] = field(default_factory=list)

    def run(self, name: str, work: Callable[[], Any]) -> Any:
        number = len(self.seen)
        self.seen.append(name)
        if self.die_at == (number, "before"):
            raise Died(f"before {name}")
        result = work()
        if self.die_at == (number, "after"):
            raise Died(f"after {name}")
        return result


class Store:
    """A task state store that survives tries."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.effects = Effects()
        self.refuses: Callable[[Any], bool] = lambda value: False

    def get(self, key: str) -> Any:
        return self.effects.run("store.get", lambda: copy.deepcopy(self.values.get(key)))

    def set(self, key: str, value: Any) -> None:
        def write() -> None:
            if self.refuses(value):
                raise RuntimeError("the API server does not answer")
            self.values[key] = copy.deepcopy(value)

        self.effects.run(f"store.set {value['state']}", write)


@dataclass
class Outcome:
    """How the task ended: ``success``, ``failed`` or ``skipped``, with its result or its last error."""

    state: str
    result: dict[str, Any] | None = None
    error: BaseException | None = None
    tries: int = 1


class Task:
    """One task instance: its tries, clears and deferrals."""

    def __init__(
        self, sandbox: Sandbox, *, retries: int = 3, map_index: int = -1, run_type: str = "manual", **arguments: Any
    ):
        self.sandbox = sandbox
        self.retries = retries
        self.max_tries = retries
        self.try_number = 0
        self.map_index = map_index
        self.run_type = run_type
        self.arguments = {"to": "+14155552602", "poll_interval": 0.01, **arguments}
        self.store: Store | None = Store()
        self.errors: list[BaseException] = []
        self.started = sandbox.now()

    def clear(self) -> None:
        """Do what Airflow does when a user clears the task."""
        self.max_tries = self.try_number + self.retries

    def context(self) -> dict[str, Any]:
        ti = SimpleNamespace(
            dag_id="d", run_id="r", task_id="t", map_index=self.map_index, try_number=self.try_number,
            max_tries=self.max_tries, xcom_push=lambda key, value: None,
        )  # fmt: skip
        run = SimpleNamespace(
            run_id="r", run_type=self.run_type, run_after=self.started, data_interval_end=None, start_date=self.started
        )
        context = {"ti": ti, "dag_run": run}
        return context if self.store is None else {**context, "task_state_store": self.store}

    def operator(self) -> MakeCallOperator:
        return MakeCallOperator(task_id="t", retries=self.retries, **self.arguments)

    def attempt(self, effects: Effects | None = None) -> Outcome | None:
        """Run one try; return how the task ended, None when Airflow would try again."""
        self.try_number += 1
        effects = effects or Effects()
        if self.store is not None:
            self.store.effects = effects
        try:
            with watched_requests(effects):
                return Outcome("success", self._execute(), tries=self.try_number)
        except AirflowFailException as error:
            self.errors.append(error)
            return Outcome("failed", error=error.__cause__ or error, tries=self.try_number)
        except AirflowSkipException as error:
            return Outcome("skipped", error=error, tries=self.try_number)
        except (Exception, Died) as error:
            self.errors.append(error)
            if self.try_number > self.max_tries:
                return Outcome("failed", error=error, tries=self.try_number)
            return None

    def finish(self, first: Effects | None = None, between: Callable[[], None] = lambda: None) -> Outcome:
        """Try until Airflow would stop; the first try with its own effects."""
        outcome = self.attempt(first)
        while outcome is None:
            between()
            outcome = self.attempt()
        return outcome

    def _execute(self) -> dict[str, Any]:
        try:
            return self.operator().execute(self.context())
        except TaskDeferred as deferred:
            path, arguments = deferred.trigger.serialize()
            event = asyncio.run(self._fire(type(deferred.trigger)(**copy.deepcopy(arguments))))
            assert path.endswith(type(deferred.trigger).__name__)
            return self.operator().execute_complete(self.context(), event)

    async def _fire(self, trigger: Any) -> Any:
        async for event in trigger.run():
            return event.payload
        raise AssertionError("no event")


@contextmanager
def watched_requests(effects: Effects) -> Iterator[None]:
    """Let every request to a vendor go through ``effects``."""
    plain = {"create": http_module.HttpClient.create, "request": http_module.HttpClient.request}

    def create(self: Any, *args: Any, **kwargs: Any) -> Any:
        return effects.run("vendor.create", lambda: plain["create"](self, *args, **kwargs))

    def request(self: Any, *args: Any, **kwargs: Any) -> Any:
        return effects.run("vendor.read", lambda: plain["request"](self, *args, **kwargs))

    http_module.HttpClient.create, http_module.HttpClient.request = create, request
    try:
        yield
    finally:
        http_module.HttpClient.create, http_module.HttpClient.request = plain["create"], plain["request"]
