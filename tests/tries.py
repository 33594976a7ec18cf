"""Runs the tries of one task the way Airflow 3.3.2 does, with a crash wherever a test wants one.

What Airflow does on a clear stands in ``clear_task_instances`` (airflow/models/taskinstance.py): a task that is not
running gets ``max_tries = try_number + retries``; a running one keeps its ``max_tries``, is killed and tried again; the
run's ``clear_number`` goes up; ``start_date`` of a *finished* run is set anew when the run starts again.

Every effect (a write or read of the state store, a request to the vendor) goes through :class:`Effects`, which numbers
them and can die before or after any of them. A new effect in the code is a new number, and so a new row of the matrix.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timezone
from types import SimpleNamespace
from typing import Any

from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException, TaskDeferred
from airflow.providers.standard.triggers.temporal import DateTimeTrigger
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

    :param die_at: ``(number or name of the effect, "before" or "after")``; a name is its first effect; None: never.
    """

    die_at: tuple[int | str, str] | None = None
    seen: list[str] = field(default_factory=list)

    def run(self, name: str, work: Callable[[], Any]) -> Any:
        places = (len(self.seen), None if name in self.seen else name)
        self.seen.append(name)
        if self.die_at in [(place, "before") for place in places]:
            raise Died(f"before {name}")
        result = work()
        if self.die_at in [(place, "after") for place in places]:
            raise Died(f"after {name}")
        return result


class Store:
    """A task state store that survives tries."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.effects = Effects()
        self.refuses: Callable[[Any], bool] = lambda value: False
        #: So many reads to come find nothing: the client takes any 404 with a JSON body for "no such key".
        self.forgets = 0

    def get(self, key: str) -> Any:
        def read() -> Any:
            if self.forgets:
                self.forgets -= 1
                return None
            return copy.deepcopy(self.values.get(key))

        return self.effects.run("store.get", read)

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


@dataclass
class Run:
    """One DAG run, shared by its tasks."""

    run_type: str = "manual"
    run_after: datetime = field(default_factory=lambda: datetime.now(timezone.utc))
    start_date: datetime | None = field(default_factory=lambda: datetime.now(timezone.utc))
    clear_number: int = 0
    logical_date: datetime | None = None
    data_interval_end: datetime | None = None
    #: XComs under ``call_id``, by task id and map index.
    call_ids: dict[tuple[str, int], str] = field(default_factory=dict)
    run_id: str = "r"


class Task:
    """One task instance: its tries, clears and deferrals."""

    def __init__(
        self,
        sandbox: Sandbox,
        *,
        retries: int = 3,
        map_index: int = -1,
        run: Run | None = None,
        task_id: str = "t",
        dag_id: str = "d",
        **arguments: Any,
    ):
        self.sandbox = sandbox
        self.retries = retries
        self.max_tries = retries
        self.try_number = 0
        self.map_index = map_index
        self.task_id = task_id
        self.dag_id = dag_id
        self.run = run or Run()
        self.has_ended = self.has_succeeded = False
        self.arguments = {"to": "+14155552602", "poll_interval": 0.01, **arguments}
        self.store: Store | None = Store()
        self.errors: list[BaseException] = []
        #: Which other tasks of the run place calls, by task id.
        self.others: tuple[str, ...] = ()
        #: Called with the moment until which a deferred task waits; a test moves its clock there.
        self.on_wait: Callable[[datetime], None] = lambda moment: None

    def clear(self, *, clear_on_success: bool = False) -> None:
        """Do what Airflow does when a user clears the task while it is not running.

        :param clear_on_success: whether ``[state_store] clear_on_success`` emptied the store when the task succeeded.
        """
        self.max_tries = self.try_number + self.retries
        self.run.clear_number += 1
        if self.has_ended:  # then the run, of which it is the last task, has ended too
            self.run.start_date = datetime.now(timezone.utc)
        if clear_on_success and self.store is not None:
            self.store.values.clear()
        self.has_ended = False

    def clear_while_running(self) -> None:
        """Do what Airflow does when a user clears the task while it runs; the next attempt is the one that follows."""
        self.run.clear_number += 1
        self.has_ended = False

    def context(self) -> dict[str, Any]:
        run = self.run

        def xcom_push(key: str, value: Any) -> None:
            run.call_ids[self.task_id, self.map_index] = value

        def xcom_pull(task_ids: list[str], key: str) -> list[str]:
            return [call_id for (task_id, _), call_id in run.call_ids.items() if task_id in task_ids]

        ti = SimpleNamespace(
            dag_id=self.dag_id, run_id=run.run_id, task_id=self.task_id, map_index=self.map_index, try_number=self.try_number,
            max_tries=self.max_tries, xcom_push=xcom_push, xcom_pull=xcom_pull,
        )  # fmt: skip
        tasks = [
            SimpleNamespace(task_id=name, operator_class=MakeCallOperator) for name in (self.task_id, *self.others)
        ]
        context = {"ti": ti, "dag_run": run, "dag": SimpleNamespace(tasks=tasks)}
        return context if self.store is None else {**context, "task_state_store": self.store}

    def operator(self) -> MakeCallOperator:
        return MakeCallOperator(task_id=self.task_id, retries=self.retries, **self.arguments)

    def attempt(self, effects: Effects | None = None) -> Outcome | None:
        """Run one try; return how the task ended, None when Airflow would try again."""
        self.try_number += 1
        self.run.call_ids.pop((self.task_id, self.map_index), None)  # Airflow deletes a task's XComs before each try
        effects = effects or Effects()
        if self.store is not None:
            self.store.effects = effects
        outcome = self._outcome(effects)
        self.has_ended = outcome is not None
        self.has_succeeded = outcome is not None and outcome.state == "success"
        return outcome

    def _outcome(self, effects: Effects) -> Outcome | None:
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
        method, arguments = "execute", {}
        while True:
            try:
                return getattr(self.operator(), method)(self.context(), **arguments)
            except TaskDeferred as deferred:
                method, arguments = deferred.method_name, {**(deferred.kwargs or {}), "event": self._event(deferred)}

    def _event(self, deferred: TaskDeferred) -> Any:
        """Return the payload of the event that the trigger fires."""
        path, arguments = deferred.trigger.serialize()
        assert path.endswith(type(deferred.trigger).__name__)
        if isinstance(deferred.trigger, DateTimeTrigger):
            self.on_wait(deferred.trigger.moment)
            return deferred.trigger.moment
        return asyncio.run(self._fire(type(deferred.trigger)(**copy.deepcopy(arguments))))

    async def _fire(self, trigger: Any) -> Any:
        async for event in trigger.run():
            return event.payload
        raise AssertionError("no event")


class MappedTask:
    """A mapped task: one task instance for each number of a list, which may be another list after a clear.

    Airflow keeps the task instances (and with them the state store) by map index, whatever their rows are now.
    """

    def __init__(self, sandbox: Sandbox, numbers: list[str], **arguments: Any):
        self.sandbox = sandbox
        self.arguments = arguments
        self.run = Run()
        self.tasks: list[Task] = []
        self._expand(numbers)

    def _expand(self, numbers: list[str]) -> None:
        del self.tasks[len(numbers) :]
        for index, number in enumerate(numbers):
            if index == len(self.tasks):
                self.tasks.append(Task(self.sandbox, map_index=index, run=self.run, **self.arguments))
            self.tasks[index].arguments["to"] = number

    def clear(self, numbers: list[str], *, clear_on_success: bool = False) -> None:
        """Clear the task and the one that makes its list, which is then ``numbers``."""
        for task in self.tasks:
            task.clear(clear_on_success=clear_on_success)
        self._expand(numbers)

    def finish(self) -> list[Outcome]:
        return [task.finish() for task in self.tasks]


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
