"""``make demo``: run a campaign of 200 contacts against the sandbox and show the final states.

Run as ``python -m dev.demo``. It starts the sandbox, gives Airflow a home of its own with the connections, runs the DAG
``demo_campaign`` with ``airflow dags test``, and compares the ledger and the warehouse with the sandbox's own calls.
"""

from __future__ import annotations

import argparse
import re
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_provider_voice.outreach.states import OPEN, ContactState
from airflow_provider_voice.sandbox.server import Sandbox
from dev.environment import DATABASES, airflow_environment
from dev.ring_check import MAX_ATTEMPTS, REDIAL_AFTER, rings_too_many

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_provider_voice.sandbox.arguments import VendorName

ROOT = Path(__file__).resolve().parents[1]
_LINE = "{:<11} {:<76} {:>8} {:>8}\n"
_PROGRESS = re.compile(r"Campaign demo: [^\[\n]*")


def _airflow(*arguments: str, environment: Mapping[str, str]) -> None:
    """Run an Airflow command and show the progress lines of its log as they come.

    :param arguments: the command's arguments.
    :param environment: its environment variables.
    :raises SystemExit: when it fails, after its output was written to stderr.
    """
    # The Airflow installed beside this Python, whatever PATH says.
    command = [sys.executable, "-m", "airflow", *arguments]
    lines = []
    with subprocess.Popen(  # noqa: S603 - our own command, no shell
        command, env=dict(environment), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        for line in process.stdout or ():
            lines.append(line)
            progress = _PROGRESS.search(line)
            if progress:
                sys.stdout.write(f"  {progress[0].rstrip()}\n")
                sys.stdout.flush()
    if process.returncode != 0:
        sys.stderr.write("".join(lines)[-12000:])
        raise SystemExit(f"airflow {' '.join(arguments)} failed with exit code {process.returncode}")


def _rows(home: Path, database: str, query: str) -> list[tuple[str, ...]]:
    with closing(sqlite3.connect(home / f"{database}.db")) as connection:
        return connection.execute(query).fetchall()


def _show_states(home: Path) -> None:
    """Print how many contacts have each state and reason, and how often they were called."""
    counts: dict[tuple[str, str], list[int]] = {}
    for state, reason, attempts in _rows(
        home, "outreach_ledger", "SELECT state, reason, attempts FROM voice_outreach_contacts ORDER BY state, reason"
    ):
        # A reason may name another contact: "the same number as contact 'c017'".
        group = counts.setdefault((state, re.sub(r"'[^']*'", "...", reason or "")), [0, 0])
        group[0] += 1
        group[1] += int(attempts)
    sys.stdout.write("\n" + _LINE.format("state", "reason", "contacts", "calls"))
    for (state, reason), (contacts, calls) in counts.items():
        sys.stdout.write(_LINE.format(state, reason[:76], contacts, calls))


def _problems(sandbox: Sandbox, vendor: VendorName, home: Path) -> list[str]:
    """Compare the ledger and the warehouse with the sandbox's own calls.

    :param sandbox: the sandbox that placed the calls.
    :param vendor: the vendor that was used.
    :param home: where the databases are.
    :return: a sentence for each difference.
    """
    calls = sandbox.calls(vendor)
    problems = rings_too_many(calls, sandbox.now(), REDIAL_AFTER, MAX_ATTEMPTS)
    attempts = _rows(home, "outreach_ledger", "SELECT call_id FROM voice_outreach_attempts WHERE call_id IS NOT NULL")
    if sorted(call_id for (call_id,) in attempts) != sorted(call.id for call in calls):
        problems.append(f"The ledger has {len(attempts)} calls, the sandbox {len(calls)}.")
    # UnleashX lists a call under an id of its own; the tag joins the two.
    column, ids = (
        ("tag", [ring.tag for ring in sandbox.rings]) if vendor == "unleashx" else ("call_id", [c.id for c in calls])
    )
    loaded = [row_id for (row_id,) in _rows(home, "warehouse", f"SELECT {column} FROM voice_calls")]  # noqa: S608 - one of two names
    if sorted(loaded) != sorted(str(item) for item in ids):
        problems.append(f"The warehouse has {len(loaded)} calls, the sandbox {len(calls)}.")
    listed = {re.sub(r"\D", "", phone) for (phone,) in _rows(home, "crm", "SELECT phone FROM do_not_call")}
    if rung := sum(call.to[-len("4155550100") :] in listed for call in calls):
        problems.append(f"{rung} calls went to people on the do-not-call list.")
    states = Counter(state for (state,) in _rows(home, "outreach_ledger", "SELECT state FROM voice_outreach_contacts"))
    if unsettled := sum(states[state] for state in (*OPEN, ContactState.UNKNOWN)):
        problems.append(f"{unsettled} contacts have no known outcome.")
    return problems


def main(argv: Sequence[str] | None = None) -> int:
    """Run the demo.

    :param argv: the arguments; ``None`` (default): those of the process.
    :return: 0 when ledger and warehouse agree with the sandbox and nobody was rung more often than allowed, else 1.
    """
    parser = argparse.ArgumentParser(description="Run a campaign of 200 contacts against the voice sandbox.")
    parser.add_argument("--vendor", default="talkover", choices=["talkover", "talkstack", "unleashx"])
    parser.add_argument("--home", type=Path, default=Path(".demo"))
    options = parser.parse_args(argv)
    began = time.monotonic()
    home = options.home.resolve()
    home.mkdir(parents=True, exist_ok=True)
    for name in DATABASES:
        (home / f"{name}.db").unlink(missing_ok=True)
    with Sandbox(speed=120) as sandbox:
        environment = airflow_environment(home, ROOT / "dev" / "dags", sandbox, options.vendor)
        environment |= {"PYTHONPATH": str(ROOT), "AIRFLOW__LOGGING__LOGGING_LEVEL": "INFO"}
        sys.stdout.write(f"The sandbox is on {sandbox.url}; Airflow's home is {home}.\n")
        _airflow("db", "migrate", environment=environment)
        sys.stdout.write("Running the DAG demo_campaign: 200 contacts, redials after seconds ...\n")
        sys.stdout.flush()
        _airflow("dags", "test", "demo_campaign", environment=environment)
        _show_states(home)
        problems = _problems(sandbox, options.vendor, home)
        calls, again = len(sandbox.rings), len(sandbox.rings) - len(sandbox.rings_per_number())
    sys.stdout.write(
        f"\n{calls} calls placed with {options.vendor}, {again} of them redials; {home}/outreach_ledger.db.\n"
    )
    agreed = (
        "The sandbox's own list of calls agrees: nobody was rung more often than the endings allow, and ledger and\n"
        "warehouse have every call once.\n"
    )
    sys.stdout.write("".join(f"{problem}\n" for problem in problems) or agreed)
    sys.stdout.write(f"Done in {time.monotonic() - began:.0f} s.\n")
    return 1 if problems else 0


if __name__ == "__main__":
    raise SystemExit(main())
