"""A worker process that dies at one of its effects: a statement, a commit, a request to the vendor.

Every effect is found by wrapping, so a new effect in the code is a new row of the matrix. After the death nothing of the
process has an effect any more, in any of its threads.
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Engine, event
from sqlalchemy.engine.base import RootTransaction

from airflow_provider_voice.vendors import http as http_module


class Died(BaseException):
    """The worker process is gone."""


@dataclass
class Effects:
    """Numbers every effect and dies at one of them.

    :param die_at: ``(number of the effect, "before" or "after")``; ``None``: never.
    """

    die_at: tuple[int, str] | None = None
    seen: list[str] = field(default_factory=list)
    dead: bool = False
    lock: threading.RLock = field(default_factory=threading.RLock)

    def begin(self, name: str) -> int:
        with self.lock:
            if self.dead:
                raise Died(f"dead before {name}")
            number = len(self.seen)
            self.seen.append(name)
            if self.die_at == (number, "before"):
                self.dead = True
                raise Died(f"before {name}")
            return number

    def end(self, number: int) -> None:
        with self.lock:
            if self.die_at == (number, "after"):
                self.dead = True
                raise Died(f"after {self.seen[number]}")

    def run(self, name: str, work: Callable[[], Any]) -> Any:
        number = self.begin(name)
        result = work()
        self.end(number)
        return result


@contextmanager
def watched(effects: Effects, engine: Engine) -> Iterator[None]:
    """Let every effect of a worker go through ``effects``."""
    plain_create, plain_request = http_module.HttpClient.create, http_module.HttpClient.request
    plain_commit = RootTransaction.commit

    def before(conn: Any, cursor: Any, statement: str, *rest: Any) -> None:
        conn.info["effect"] = effects.begin(" ".join(statement.split()[:3]))

    def after(conn: Any, cursor: Any, statement: str, *rest: Any) -> None:
        effects.end(conn.info.pop("effect"))

    def create(self: Any, *args: Any, **kwargs: Any) -> Any:
        return effects.run("vendor.create", lambda: plain_create(self, *args, **kwargs))

    def request(self: Any, *args: Any, **kwargs: Any) -> Any:
        return effects.run("vendor.read", lambda: plain_request(self, *args, **kwargs))

    def commit(self: Any) -> Any:
        return effects.run("commit", lambda: plain_commit(self))

    event.listen(engine, "before_cursor_execute", before)
    event.listen(engine, "after_cursor_execute", after)
    http_module.HttpClient.create, http_module.HttpClient.request = create, request
    RootTransaction.commit = commit
    try:
        yield
    finally:
        event.remove(engine, "before_cursor_execute", before)
        event.remove(engine, "after_cursor_execute", after)
        http_module.HttpClient.create, http_module.HttpClient.request = plain_create, plain_request
        RootTransaction.commit = plain_commit


def run_until_death(effects: Effects, engine: Engine, work: Callable[[], object]) -> None:
    """Run a worker that may die at one of its effects."""
    with watched(effects, engine), suppress(Died):
        work()
    # With a process its connections go, and their locks; here a cycle in the error's traceback may keep one for minutes.
    gc.collect()
