"""One Airflow for the tests that leave it as it is; those that kill its parts start one of their own."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from airflow_provider_voice.sandbox import Sandbox
from tests.system.airflow_standalone import Standalone

DAGS = ("dags_held_back.py", "dags_to_clear.py")


@dataclass
class Runs:
    """The ids of the runs that wait beside each other.

    :param opening: the moment from which ``held_back`` may call.
    """

    held_back: str
    to_clear: str
    mapped_calls: str
    opening: datetime


def write_hours(airflow: Standalone, opening: datetime) -> None:
    """Write the rule file of the DAG ``held_back``: nobody is called before the opening."""
    local = opening.astimezone(ZoneInfo(airflow.environment["HELD_BACK_ZONE"]))
    Path(airflow.environment["HELD_BACK_POLICY"]).write_text(
        f"title: Test\nas_of: 2026-01-01\nrules:\n  - id: opening\n    hours: {{mon-sun: ['{local:%H:%M}-24:00']}}\n"
    )


@pytest.fixture(scope="session")
def standalone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standalone]:
    """A running Airflow with the examples and the DAGs of the tests that share it."""
    with Sandbox(speed=60) as sandbox:
        airflow = Standalone(sandbox, tmp_path_factory.mktemp("standalone"))
        now = datetime.now(timezone.utc)
        # A clock on which it is noon, so that no hours of the test reach over midnight.
        airflow.environment["HELD_BACK_ZONE"] = f"Etc/GMT{now.hour - 12:+d}" if now.hour != 12 else "Etc/GMT"
        airflow.environment["HELD_BACK_POLICY"] = str(airflow.home / "held_back.yaml")
        write_hours(airflow, now + timedelta(hours=1))
        for name in DAGS:
            shutil.copy(Path(__file__).with_name(name), airflow.home / "dags")
        try:
            airflow.start()
            yield airflow
        finally:
            airflow.stop()


@pytest.fixture(scope="session")
def runs(standalone: Standalone) -> Runs:
    """Start the runs that mostly wait at once, so that they wait together; each has a test of its own."""

    def start(dag_id: str) -> str:
        standalone.until(lambda: standalone.api("GET", f"/api/v2/dags/{dag_id}"), 300)
        standalone.api("PATCH", f"/api/v2/dags/{dag_id}", {"is_paused": False})
        return str(standalone.api("POST", f"/api/v2/dags/{dag_id}/dagRuns", {"logical_date": None})["dag_run_id"])

    standalone.until(lambda: standalone.api("GET", "/api/v2/dags/held_back"), 300)
    opening = (datetime.now(timezone.utc) + timedelta(seconds=160)).replace(second=0, microsecond=0)
    write_hours(standalone, opening)
    held_back = start("held_back")
    task = f"/api/v2/dags/held_back/dagRuns/{held_back}/taskInstances/ring"
    # Before the others start: its worker has to be there before the hours begin.
    standalone.until(lambda: standalone.api("GET", task)["state"] == "deferred", 150)
    return Runs(held_back, start("to_clear"), start("mapped_calls"), opening)
