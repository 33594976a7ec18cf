"""What importing our operators adds to a DAG file, over what Airflow itself costs it.

Prints the median of several fresh interpreters: Airflow's own import (the floor), and the operators' share on top.
For comparison, what Airflow's HTTP provider adds for one operator. Goal: under 60 ms.
"""

from __future__ import annotations

import statistics
import subprocess
import sys

RUNS = 7
AIRFLOW = "from airflow.sdk import DAG, BaseOperator, BaseSensorOperator, dag, task"
CASES = {
    "our operators": "from airflow_provider_voice.operators.make_call import MakeCallOperator\n"
    "from airflow_provider_voice.sensors.call_status import CallStatusSensor\n"
    "from airflow_provider_voice.transfers.calls_to_warehouse import CallsToWarehouseOperator",
    "HttpOperator": "from airflow.providers.http.operators.http import HttpOperator",
}
GOAL_MS = 60


def milliseconds(code: str) -> float:
    """Return how long the imports take after Airflow's own, in a fresh interpreter."""
    program = (
        f"{AIRFLOW}\nimport time\nbegan = time.perf_counter()\n{code}\nprint((time.perf_counter() - began) * 1000)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


def airflow_milliseconds() -> float:
    """Return how long Airflow's own import takes."""
    program = f"import time\nbegan = time.perf_counter()\n{AIRFLOW}\nprint((time.perf_counter() - began) * 1000)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


def main() -> int:
    """Measure and print."""
    floor = statistics.median(airflow_milliseconds() for _ in range(RUNS))
    print(f"{'Airflow itself':<16} {floor:8.1f} ms")
    added = {}
    for name, code in CASES.items():
        added[name] = statistics.median(milliseconds(code) for _ in range(RUNS))
        print(f"{name:<16} {added[name]:8.1f} ms more ({added[name] / floor:.1%} of Airflow's own)")
    print(f"ours / HttpOperator: {added['our operators'] / added['HttpOperator']:.2f}; goal under {GOAL_MS} ms")
    return 0 if added["our operators"] < GOAL_MS else 1


if __name__ == "__main__":
    raise SystemExit(main())
