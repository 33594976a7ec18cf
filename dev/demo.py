"""``make demo``: run a DAG against the sandbox and show how every call ended.

Run as ``python -m dev.demo``. It starts the sandbox, gives Airflow a home of its own with
the connections, runs the DAG with ``airflow dags test`` and compares the table with the sandbox's ring ledger.
"""

from __future__ import annotations

import argparse
import json
import os
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_provider_voice.phone import mask_number
from airflow_provider_voice.sandbox.server import Sandbox

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_voice.sandbox.arguments import VendorName

_LINE = "{:<38} {:<14} {:<12} {:>8}\n"


def airflow_environment(home: Path, dags: Path, sandbox: Sandbox, vendor: VendorName) -> dict[str, str]:
    """Return the environment of a separate Airflow, whose ``voice_default`` is a vendor of the sandbox.

    :param home: its home; the warehouse is ``warehouse.db`` in it.
    :param dags: the folder of its DAGs.
    :param sandbox: the running sandbox.
    :param vendor: ``talkover``, ``talkstack`` or ``unleashx``.
    """
    own = {
        # Airflow starts its components by the name "airflow": the one beside this Python must come first.
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "AIRFLOW_CONN_VOICE_DEFAULT": sandbox.connection_json(vendor),
        "AIRFLOW_CONN_WAREHOUSE": json.dumps({"conn_type": "sqlite", "host": str(home / "warehouse.db")}),
        "OUTREACH_POLL_SECONDS": "1",
    }
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    return {**inherited, **own}


def _airflow(*arguments: str, environment: dict[str, str]) -> None:
    # The Airflow installed beside this Python, whatever PATH says.
    command = [sys.executable, "-m", "airflow", *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)  # noqa: S603 - our own command, no shell
    if done.returncode != 0:
        sys.stderr.write(done.stdout[-6000:] + done.stderr[-6000:])
        raise SystemExit(f"airflow {' '.join(arguments)} failed with exit code {done.returncode}")


def _show(sandbox: Sandbox, vendor: str, warehouse: Path) -> int:
    """Print each call with its row of the table.

    :param sandbox: the sandbox that placed the calls.
    :param vendor: the vendor that was used.
    :param warehouse: the SQLite file.
    :return: how many calls have no row, rows have no call, or people were called twice.
    """
    with closing(sqlite3.connect(warehouse)) as connection:
        query = "SELECT call_id, tag, to_number, status, duration_seconds FROM voice_calls ORDER BY created_at"
        rows = connection.execute(query).fetchall()
    # UnleashX lists a call under an id of its own; the tag joins the two.
    by_id = {row[1] if vendor == "unleashx" else row[0]: row for row in rows}
    out = sys.stdout.write
    out("\n" + _LINE.format("call id (in the table)", "number", "outcome", "seconds"))
    wrong = 0
    for ring in sandbox.rings:
        row = by_id.get(ring.tag if vendor == "unleashx" else ring.call_id)
        if row is None:
            wrong += 1
            out(_LINE.format(ring.call_id, mask_number(ring.number), "NOT IN TABLE", ""))
        else:
            out(_LINE.format(row[0], mask_number(row[2]), row[3], row[4] or 0))
    outcomes = ", ".join(f"{count} {status}" for status, count in Counter(row[3] for row in rows).most_common())
    twice = sum(count > 1 for count in sandbox.rings_per_number().values())
    out(f"\n{len(sandbox.rings)} calls placed with {vendor}, {len(rows)} rows in {warehouse}: {outcomes}.\n")
    out(f"People rung twice: {twice}. Requests to the vendor: {len(sandbox.requests)}.\n")
    return wrong + twice + abs(len(rows) - len(sandbox.rings))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the demo.

    :param argv: the arguments; ``None`` (default): those of the process.
    :return: 0 when every call is in the table exactly once.
    """
    parser = argparse.ArgumentParser(description="Run the outreach example against the voice sandbox.")
    parser.add_argument("--vendor", default="talkover", choices=["talkover", "talkstack", "unleashx"])
    parser.add_argument("--dags", type=Path, default=Path("dags_examples"))
    parser.add_argument("--home", type=Path, default=Path(".demo"))
    options = parser.parse_args(argv)
    began = time.monotonic()
    home = options.home.resolve()
    home.mkdir(parents=True, exist_ok=True)
    warehouse = home / "warehouse.db"
    warehouse.unlink(missing_ok=True)
    with Sandbox(speed=120) as sandbox:
        environment = airflow_environment(home, options.dags.resolve(), sandbox, options.vendor)
        sys.stdout.write(f"The sandbox is on {sandbox.url}; Airflow's home is {home}.\n")
        _airflow("db", "migrate", environment=environment)
        sys.stdout.write("Running the DAG scheduled_outreach: ring, wait, export ...\n")
        sys.stdout.flush()
        _airflow("dags", "test", "scheduled_outreach", environment=environment)
        wrong = _show(sandbox, options.vendor, warehouse)
    sys.stdout.write(f"Done in {time.monotonic() - began:.0f} s.\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
