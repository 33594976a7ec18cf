"""Rings per intended call when something breaks: ours beside the ways in use today, on the same faults.

Each contender places CALLS calls with ``retries=2`` on the sandbox (Talkover), and Airflow's retry is played by
``dag.test()``. Faults: the answer to the first create is lost, or the worker dies right after the first create.
Printed: rings per intended call, and how many tasks ended in success. 1.0 is the floor and the goal.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

CALLS = 5
NUMBERS = [f"+1415555{number}02" for number in range(26, 26 + CALLS)]  # busy lines, which are over at once
FAULTS = ("answer lost", "worker dies after the create")
CONTENDERS = ("HttpOperator", "@task with requests", "ResumableJobMixin", "ours")

DAG_FILE = '''
import json, os, signal
from datetime import datetime, timedelta, timezone
from airflow.sdk import DAG, BaseOperator, task
from airflow.providers.common.compat.sdk import ResumableJobMixin

URL, TOKEN = os.environ["BENCH_URL"], os.environ["BENCH_TOKEN"]
NUMBERS, CONTENDER = json.loads(os.environ["BENCH_NUMBERS"]), os.environ["BENCH_CONTENDER"]
DIES = os.environ["BENCH_FAULT"].startswith("worker")
PATH = "/api/v1/agents/agent_sandbox/call"
HEADERS = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}


class WorkerDied(Exception):
    """Stands for SIGKILL: nothing after it runs in this try."""


def die_once(context):
    if DIES and context["ti"].try_number == 1:
        raise WorkerDied


def post(number):
    import requests
    answer = requests.post(URL + PATH, json={"to": number}, headers=HEADERS, timeout=5)
    answer.raise_for_status()
    return answer.json()["data"]["id"]


class Resumable(ResumableJobMixin, BaseOperator):
    def __init__(self, number, **kwargs):
        super().__init__(**kwargs)
        self.number = number
    def execute(self, context):
        return self.execute_resumable(context)
    def submit_job(self, context):
        call_id = post(self.number)
        die_once(context)
        return call_id
    def get_job_status(self, external_id, context):
        return "done"
    def is_job_active(self, status):
        return False
    def is_job_succeeded(self, status):
        return True
    def poll_until_complete(self, external_id, context):
        return None
    def get_job_result(self, external_id, context):
        return external_id


with DAG("bench", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=timezone.utc),
         default_args={"retries": 2, "retry_delay": timedelta(0)}) as dag:
    for index, number in enumerate(NUMBERS):
        if CONTENDER == "HttpOperator":
            from airflow.providers.http.operators.http import HttpOperator

            class Http(HttpOperator):
                def process_response(self, context, response):
                    die_once(context)
                    return super().process_response(context, response)

            Http(task_id=f"t{index}", http_conn_id="bench", endpoint=PATH, method="POST", headers=HEADERS,
                 data=json.dumps({"to": number}))
        elif CONTENDER == "@task with requests":
            @task(task_id=f"t{index}")
            def ring(number, **context):
                call_id = post(number)
                die_once(context)
                return call_id
            ring(number)
        elif CONTENDER == "ResumableJobMixin":
            Resumable(task_id=f"t{index}", number=number)
        else:
            from airflow_provider_voice.dialing import dialer as dialer_module
            from airflow_provider_voice.dialing.dialer import Dialer
            from airflow_provider_voice.operators.make_call import MakeCallOperator
            dialer_module.SEARCH_DELAYS = (0.0, 0.5)

            class Ours(MakeCallOperator):
                def _dialer(self, context, *arguments):
                    dialer = super()._dialer(context, *arguments)
                    if DIES and context["ti"].try_number == 1:
                        def place(request, plain=dialer.hook.make_call):
                            plain(request)
                            raise WorkerDied
                        dialer.hook.make_call = place
                    return dialer

            Ours(task_id=f"t{index}", to=number)
'''


def run(contender: str, fault: str, home: Path) -> tuple[float, int]:
    """Return rings per intended call and the number of tasks that ended in success."""
    from airflow_provider_voice.sandbox import Sandbox

    with Sandbox(speed=1) as sandbox:
        if fault == "answer lost":
            for number in NUMBERS:
                sandbox.add_fault("lost_answer", number=number)
        environment = {
            **os.environ,
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(home / "dags"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR",
            "AIRFLOW_CONN_VOICE_DEFAULT": sandbox.connection_json("talkover"),
            "AIRFLOW_CONN_BENCH": sandbox.url,
            "BENCH_URL": sandbox.url,
            "BENCH_TOKEN": sandbox.connection("talkover")["password"],
            "BENCH_NUMBERS": json.dumps(NUMBERS),
            "BENCH_CONTENDER": contender,
            "BENCH_FAULT": fault,
        }
        program = (
            "from airflow.cli.commands.dag_command import get_bagged_dag\n"
            "import json\n"
            "done = get_bagged_dag(bundle_names=None, dag_id='bench').test()\n"
            "print('STATES', json.dumps([str(ti.state) for ti in done.get_task_instances()]))\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False
        )
        lines = [line for line in done.stdout.splitlines() if line.startswith("STATES")]
        if not lines:
            raise RuntimeError(done.stdout[-3000:] + done.stderr[-3000:])
        states = Counter(json.loads(lines[-1].removeprefix("STATES")))
        return len(sandbox.rings) / CALLS, states["success"]


def main() -> int:
    """Measure and print."""
    home = Path(tempfile.mkdtemp(prefix="double-ring-"))
    (home / "dags").mkdir()
    (home / "dags" / "bench.py").write_text(DAG_FILE)
    subprocess.run(
        [sys.executable, "-m", "airflow", "db", "migrate"],
        env={**os.environ, "AIRFLOW_HOME": str(home), "AIRFLOW__CORE__LOAD_EXAMPLES": "False"},
        check=True,
        capture_output=True,
    )
    print(f"{'rings per intended call':<24}" + "".join(f"{fault:>34}" for fault in FAULTS))
    as_promised = True
    for contender in CONTENDERS:
        cells = []
        for fault in FAULTS:
            rings, succeeded = run(contender, fault, home)
            cells.append(f"{rings:.1f} ({succeeded} of {CALLS} in success)")
            if contender == "ours":
                as_promised &= (rings, succeeded) == (1.0, CALLS)
        print(f"{contender:<24}" + "".join(f"{cell:>34}" for cell in cells))
    return 0 if as_promised else 1


if __name__ == "__main__":
    raise SystemExit(main())
