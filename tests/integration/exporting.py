"""The export outside a task, and one that kills itself at a chosen point."""

from __future__ import annotations

import os
import signal
import sqlite3
import sys
from collections.abc import Collection, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from airflow_provider_voice.export import row_buffer
from airflow_provider_voice.export.models import Loaded, Scope, Window
from airflow_provider_voice.export.rows import RowMaker
from airflow_provider_voice.export.warehouse.load import Load
from airflow_provider_voice.export.warehouse.table import Warehouse
from airflow_provider_voice.export.windows import ReadPlan
from airflow_provider_voice.hooks.voice import VoiceHook
from airflow_provider_voice.models import Call
from airflow_provider_voice.transfers.calls_to_warehouse import CallsToWarehouseOperator


def export(
    hook: Any, start: datetime, end: datetime, *, run: str = "run", table: str = "voice_calls", **more: Any
) -> Any:
    """Run an export like the operator, with the connection ``voice_default``."""
    operator = CallsToWarehouseOperator(
        task_id="export",
        warehouse_conn_id="warehouse",
        start=start.isoformat(),
        end=end.isoformat(),
        table=table,
        **more,
    )
    operator.warehouse = Warehouse(hook, table)
    operator.hook = VoiceHook.for_connection("voice_default")
    ti = SimpleNamespace(dag_id="d", task_id="t", map_index=-1, run_id=run)
    return operator.execute({"ti": ti, "dag_run": None})


def store(
    warehouse: Warehouse,
    calls: list[Call],
    read_at: datetime,
    *,
    run: str = "run",
    window: Window | None = None,
    missing: Collection[str] = (),
) -> Loaded:
    """Load calls as the operator does once it has read them, by default those of one day."""
    window = window or Window(read_at - timedelta(days=1), read_at)
    maker = RowMaker("s", "plain", read_at, read_at - timedelta(days=1))
    warehouse.prepare()
    with warehouse.new_buffer() as buffer:
        for call in calls:
            buffer.add(maker.row(call), call.created_at)
        plan = ReadPlan(window, [window])
        load = Load(Scope("s"), run, plan, buffer, read_at, timedelta(days=1), timedelta(days=7), missing)
        return warehouse.load(load)


def sqlite_hook(path: Path) -> Any:
    """Return a stand-in for a hook, for a SQLite file."""
    return SimpleNamespace(conn_type="sqlite", get_conn=lambda: sqlite3.connect(path))


class FakeVoiceHook:
    """A vendor and its hook, with calls and a clock that a test sets.

    :param now: the vendor's time.
    :param calls: the calls it shows.
    """

    def __init__(self, now: datetime, calls: list[Call]) -> None:
        self.time, self.calls = now, calls
        self.vendor = self
        self.http = SimpleNamespace(clock_offset=0.0)
        self.title = self.name = "talkover"

    def now(self) -> datetime:
        return self.time

    def list_calls(self, start: datetime, end: datetime, **_: Any) -> Iterator[Call]:
        yield from [call for call in self.calls if call.created_at is not None and start <= call.created_at < end]

    def get_calls(self, refs: Any) -> dict[str, Call]:
        wanted = {ref.id for ref in refs}
        return {call.id: call for call in self.calls if call.id in wanted}


class Points:
    """Counts what happens and dies by SIGKILL at the n-th."""

    def __init__(self, dies_at: int) -> None:
        self.count = 0
        self.dies_at = dies_at
        self.names: list[str] = []

    def pass_(self, name: str) -> None:
        self.count += 1
        self.names.append(name)
        if self.count == self.dies_at:
            os.kill(os.getpid(), signal.SIGKILL)


class Watched:
    """Passes everything on to a connection or cursor, with a point before and after each statement."""

    def __init__(self, inner: Any, points: Points) -> None:
        self.__dict__.update(inner=inner, points=points)

    def __getattr__(self, name: str) -> Any:
        value = getattr(self.inner, name)
        if name == "cursor":
            return lambda: Watched(value(), self.points)
        if name not in ("execute", "executemany", "copy_expert", "copy", "commit"):
            return value

        def watched(*args: Any, **kwargs: Any) -> Any:
            self.points.pass_(f"before {name}")
            result = value(*args, **kwargs)
            self.points.pass_(f"after {name}")
            return result

        return watched

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self.inner, name, value)


class WatchedHook:
    """A hook whose connections are watched."""

    def __init__(self, hook: Any, points: Points) -> None:
        self.hook, self.points = hook, points

    def __getattr__(self, name: str) -> Any:
        return getattr(self.hook, name)

    def get_conn(self) -> Any:
        return Watched(self.hook.get_conn(), self.points)


def export_and_die(hook: Any, dies_at: int, *bounds: datetime) -> list[str]:
    """Export with a kill at the n-th point; return the points, which are the requests and statements."""
    from airflow_provider_voice.vendors.http import HttpClient

    # A few rows a batch, so that a load has many statements to die between.
    row_buffer.BATCH = 7
    points, request = Points(dies_at), HttpClient.request

    def watched(self: Any, *args: Any, **kwargs: Any) -> Any:
        points.pass_("before request")
        answer = request(self, *args, **kwargs)
        points.pass_("after request")
        return answer

    HttpClient.request = watched  # type: ignore[method-assign]  # the real one, with points around it
    export(WatchedHook(hook, points), *bounds)
    return points.names


def main() -> None:
    """Fork an export for each line ``<point> <start> <end>``; print how it ended: a process imports Airflow once."""
    from airflow.sdk import BaseHook

    hook = BaseHook.get_hook("warehouse")
    for line in sys.stdin:
        point, start, end = line.split()
        pid = os.fork()
        if pid == 0:
            sys.stdout = sys.stderr
            names = export_and_die(hook, int(point), datetime.fromisoformat(start), datetime.fromisoformat(end))
            os.write(int(os.environ["POINTS_FD"]), f"{len(names)}\n".encode())
            os._exit(0)
        _, status = os.waitpid(pid, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
