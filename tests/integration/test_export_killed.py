"""SIGKILL at every kind of moment of an export: the table is as before or as after, and a rerun completes it."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from airflow_provider_voice.sandbox import Sandbox, VendorQuirks
from tests.integration.databases import execute, postgres_server
from tests.integration.exporting import export

pytestmark = [pytest.mark.airflow, pytest.mark.once]
KILLS = 25
#: Of two exports at once.
ROUNDS = 8
SIGKILLED = -9


@pytest.fixture(params=["postgres", "sqlite"])
def database(request, tmp_path, tmp_path_factory) -> Iterator[str]:
    if request.param == "sqlite":
        yield json.dumps({"conn_type": "sqlite", "host": str(tmp_path / "warehouse.db")})
        return
    with postgres_server(tmp_path_factory.mktemp("pg-kill")) as fields:
        yield json.dumps(fields)


class Exporter:
    """A process that forks exports, each of which dies at a given point."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._reads, writes = os.pipe()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.integration.exporting"],
            env={**environment, "POINTS_FD": str(writes)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            pass_fds=[writes],
        )
        os.close(writes)

    def run(self, point: int, *bounds) -> int:
        self._process.stdin.write(" ".join([str(point), *(bound.isoformat() for bound in bounds)]) + "\n")
        self._process.stdin.flush()
        while True:
            line = self._process.stdout.readline()
            if not line:
                raise AssertionError("the exporter is gone")
            if line.strip().lstrip("-").isdigit():
                return int(line)

    def points(self) -> int:
        return int(os.read(self._reads, 100).split()[0])

    def stop(self) -> None:
        self._process.stdin.close()
        self._process.wait(30)


def test_killed_at_any_point_the_table_is_whole(database, connect, monkeypatch, airflow_db) -> None:
    from airflow.sdk import BaseHook

    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", database)
    rng = random.Random(20261121)
    with Sandbox(frozen=True, quirks=VendorQuirks(max_page=40)) as sandbox:
        connect(sandbox)
        hook = BaseHook.get_hook("warehouse")
        sandbox.advance(60)
        start, end = sandbox.now() - timedelta(hours=5), sandbox.now()
        sandbox.seed("talkover", 150, start, end)
        export(hook, start, end)
        exporter = Exporter(dict(os.environ))
        try:
            assert exporter.run(0, start, end) == 0
            points = exporter.points()
            assert points > 30

            def content() -> list:
                names = "call_id, agent_id, status, created_at"
                return sorted(map(str, execute(hook, f"SELECT {names} FROM voice_calls")))

            def logged() -> int:
                return execute(hook, "SELECT at_vendor FROM voice_calls_export_log WHERE kind = 'run'")[0][0]

            killed = 0
            for number in range(KILLS):
                # Spread evenly over pull, stage and merge, and never twice alike.
                point = 1 + (number * points) // KILLS + rng.randint(0, max(0, points // KILLS - 1))
                before, known = content(), logged()
                sandbox.seed("talkover", 5, start, end)
                for call in rng.sample(sandbox.calls("talkover"), 5):
                    call.agent_id, call.touched_at = rng.choice(["agent_second", "agent_third"]), sandbox.now()
                code = exporter.run(point, start, end)
                assert code in (0, SIGKILLED)
                killed += code == SIGKILLED
                after, now_known = content(), logged()
                whole = len(sandbox.calls("talkover"))
                assert (after, now_known) == (before, known) or (len(after), now_known) == (whole, whole)
                sandbox.advance(2)
                export(hook, start, end)
                agents = dict(execute(hook, "SELECT call_id, agent_id FROM voice_calls"))
                assert agents == {call.id: call.agent_id for call in sandbox.calls("talkover")}
            assert killed >= KILLS - 2
        finally:
            exporter.stop()
        left = execute(hook, "SELECT COUNT(*) FROM voice_calls_export_log WHERE kind = 'run'")
    assert left == [(1,)]


@pytest.mark.parametrize("database", ["postgres"], indirect=True)
def test_one_of_two_exports_at_once_is_killed_and_the_other_completes_the_table(
    database, connect, monkeypatch, airflow_db
) -> None:
    """As a worker that lost its connection to the scheduler, and the retry that began beside it."""
    from airflow.sdk import BaseHook

    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", database)
    rng = random.Random(20261121)
    with Sandbox(frozen=True, quirks=VendorQuirks(max_page=40)) as sandbox, ThreadPoolExecutor(2) as pool:
        connect(sandbox)
        hook = BaseHook.get_hook("warehouse")
        sandbox.advance(60)
        start, end = sandbox.now() - timedelta(hours=5), sandbox.now()
        sandbox.seed("talkover", 100, start, end)
        exporters = [Exporter(dict(os.environ)) for _ in range(2)]
        try:
            assert exporters[0].run(0, start, end) == 0
            points, killed = exporters[0].points(), 0
            for number in range(ROUNDS):
                sandbox.seed("talkover", 5, start, end)
                for call in rng.sample(sandbox.calls("talkover"), 5):
                    call.agent_id, call.touched_at = rng.choice(["agent_second", "agent_third"]), sandbox.now()
                point = 1 + (number * points) // ROUNDS + rng.randint(0, points // ROUNDS - 1)
                runs = [pool.submit(one.run, at, start, end) for one, at in zip(exporters, (point, 0), strict=True)]
                code, other = (run.result(60) for run in runs)
                assert (code in (0, SIGKILLED), other) == (True, 0)
                killed += code == SIGKILLED
                agents = dict(execute(hook, "SELECT call_id, agent_id FROM voice_calls"))
                assert agents == {call.id: call.agent_id for call in sandbox.calls("talkover")}
                logged = execute(
                    hook, "SELECT kind, COUNT(*) FROM voice_calls_export_log WHERE kind <> 'hour' GROUP BY kind"
                )
                assert dict(logged) == {"run": 1, "covered": 1}
                sandbox.advance(2)
            assert killed >= ROUNDS - 2
        finally:
            for exporter in exporters:
                exporter.stop()
