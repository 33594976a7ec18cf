"""One contender of ``export_speed.py``: reads everything from one URL into one database and prints time and memory."""

from __future__ import annotations

import csv
import gc
import importlib
import io
import json
import os
import resource
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import requests
from history_server import END, PER_PAGE, START

Run = Callable[[], object]
TOKEN = "benchmark-token"
HEADERS = {"Authorization": f"Bearer {TOKEN}"}
COLUMNS = ("id", "to", "from", "direction", "status", "duration", "agent_id", "is_testing", "created_at", "updated_at")


def connect(database: str, target: str, driver: str = "psycopg2") -> Any:
    """Open the database by its own driver."""
    if database == "postgres":
        return importlib.import_module(driver).connect(target)
    if database == "sqlite":
        import sqlite3

        return sqlite3.connect(target)
    import duckdb

    return duckdb.connect(target)


def hook_of(database: str, target: str, driver: str = "psycopg2") -> Any:
    """Return a ``DbApiHook`` whose connection needs no Airflow database."""
    from airflow.providers.common.sql.hooks.sql import DbApiHook

    class Hook(DbApiHook):
        conn_name_attr = "target_conn_id"
        target_conn_id = "target"
        conn_type = database

        def get_conn(self) -> Any:
            return connect(database, target, driver)

    os.environ["AIRFLOW_CONN_TARGET"] = json.dumps({"conn_type": database})
    return Hook("target")


def ours(database: str, target: str, url: str, *, numbers: str = "plain", driver: str = "psycopg2") -> Run:
    """Do what ``CallsToWarehouseOperator`` does, from the vendor to the commit."""
    from airflow_provider_voice.hooks.voice import VoiceHook
    from airflow_provider_voice.transfers.calls_to_warehouse import CallsToWarehouseOperator

    os.environ["AIRFLOW_CONN_VOICE"] = json.dumps({"conn_type": "talkover", "host": url, "password": TOKEN})
    operator = CallsToWarehouseOperator(
        task_id="export",
        voice_conn_id="voice",
        warehouse_conn_id="target",
        start=START.isoformat(),
        end=(END + timedelta(hours=1)).isoformat(),
        phone_numbers=numbers,
        page_concurrency=4,
    )
    from airflow_provider_voice.export.warehouse.table import Warehouse

    operator.warehouse = Warehouse(hook_of(database, target, driver), "voice_calls")
    operator.hook = VoiceHook.for_connection("voice")
    from airflow.providers.common.compat.lineage.hook import get_hook_lineage_collector

    import airflow_provider_voice.export.reader
    import airflow_provider_voice.vendors.talkover  # noqa: F401 - imported before the clock runs

    ti = type("TI", (), {"dag_id": "d", "task_id": "t", "map_index": -1, "run_id": "r"})()
    get_hook_lineage_collector()  # imports every plugin, and what other providers have for assets
    return lambda: operator.execute({"ti": ti, "dag_run": None})


def page_of(session: Any, url: str, number: int) -> dict[str, Any]:
    """Read one page the plain way."""
    answer = session.get(f"{url}/api/v1/calls", params={"page": number, "per_page": PER_PAGE}, headers=HEADERS)
    answer.raise_for_status()
    return answer.json()


def values_of(row: dict[str, Any]) -> tuple[Any, ...]:
    """Return the columns of a row as they are."""
    return tuple(row["agent"]["id"] if name == "agent_id" else row[name] for name in COLUMNS)


def create(cursor: Any) -> None:
    """Make the table of ``loop`` and ``floor``."""
    names = ", ".join(f'"{name}" {"timestamp" if name.endswith("_at") else "text"}' for name in COLUMNS)
    cursor.execute(f'CREATE TABLE IF NOT EXISTS calls ({names}, PRIMARY KEY ("id"))')


def loop(database: str, target: str, url: str) -> Run:
    """Export with the simplest code."""
    hook = hook_of(database, target)
    if database == "postgres":
        from airflow.providers.postgres.hooks.postgres import PostgresHook

        hook = type("PlainHook", (PostgresHook,), {"get_conn": lambda _: connect(database, target)})("target")
    return lambda: _loop(database, hook, url)


def _loop(database: str, hook: Any, url: str) -> None:
    rows, number = [], 1
    with requests.Session() as session:
        while True:
            page = page_of(session, url, number)
            rows += [tuple(map(str, values_of(row))) for row in page["data"]]
            if number >= page["pagination"]["last_page"]:
                break
            number += 1
    connection = hook.get_conn()
    create(connection.cursor())
    connection.commit()
    connection.close()
    if database == "duckdb":  # insert_rows sets autocommit on the connection, which DuckDB's has not
        connection = hook.get_conn()
        marks = ", ".join("?" * len(COLUMNS))
        connection.executemany(f"INSERT OR REPLACE INTO calls VALUES ({marks})", rows)
        return
    hook.insert_rows("calls", rows, [f'"{name}"' for name in COLUMNS], replace=True, replace_index='"id"')


def floor(database: str, target: str, url: str) -> Run:
    """Do as little as possible as fast as possible."""
    return lambda: _floor(database, target, url)


def _floor(database: str, target: str, url: str) -> None:
    sessions = [requests.Session() for _ in range(4)]
    last = page_of(sessions[0], url, 1)["pagination"]["last_page"]
    connection = connect(database, target)
    cursor = connection.cursor()
    cursor.execute("DROP TABLE IF EXISTS calls")
    create(cursor)
    with ThreadPoolExecutor(4) as pool:
        pages = pool.map(lambda number: page_of(sessions[number % 4], url, number)["data"], range(1, last + 1))
        whole = io.StringIO()
        writer = csv.writer(whole)
        for count, page in enumerate(pages, start=1):
            rows = [values_of(row) for row in page]
            if database == "sqlite":
                cursor.executemany(f"INSERT INTO calls VALUES ({', '.join('?' * len(COLUMNS))})", rows)
                continue
            writer.writerows(rows)
            if database == "postgres" and (count % 50 == 0 or count == last):
                whole.seek(0)
                cursor.copy_expert("COPY calls FROM STDIN WITH (FORMAT csv)", whole)
                whole.seek(0)
                whole.truncate()
    if database == "duckdb":
        path = Path(f"{target}.csv")
        path.write_text(whole.getvalue())
        cursor.execute(f"INSERT INTO calls SELECT * FROM read_csv('{path}', header = false)")
        cursor.close()
    else:
        connection.commit()
    connection.close()


def dlt(database: str, target: str, url: str) -> Run:
    """Run dlt's rest_api source with merge."""
    import dlt as library
    from dlt.sources.rest_api import rest_api_source

    os.environ |= {"RUNTIME__LOG_LEVEL": "ERROR", "RUNTIME__DLTHUB_TELEMETRY": "false"}
    source = rest_api_source(
        {
            "client": {
                "base_url": f"{url}/api/v1/",
                "auth": {"type": "bearer", "token": TOKEN},
                "paginator": {
                    "type": "page_number",
                    "base_page": 1,
                    "page_param": "page",
                    "total_path": "pagination.last_page",
                },
            },
            "resources": [
                {
                    "name": "calls",
                    "primary_key": "id",
                    "write_disposition": "merge",
                    "endpoint": {"path": "calls", "params": {"per_page": PER_PAGE}, "data_selector": "data"},
                }
            ],
        }
    )
    if database == "postgres":
        parts = urlsplit(target)
        credentials = {
            "database": parts.path.strip("/"),
            "username": parts.username,
            "password": parts.password or "none",
            # A socket folder, escaped, because dlt writes it into a URL.
            "host": quote(parse_qs(parts.query).get("host", [parts.hostname])[0], safe=""),
            "port": parts.port or 5432,
        }
        destination = library.destinations.postgres(credentials)
    else:
        destination = library.destinations.duckdb(target)
    folder = os.environ["BENCH_FOLDER"]
    pipeline = library.pipeline("export", destination=destination, dataset_name="calls", pipelines_dir=folder)
    return lambda: pipeline.run(source, loader_file_format="csv" if database == "postgres" else "parquet")


CONTENDERS: dict[str, Callable[[str, str, str], Run]] = {
    "ours": ours,
    "psycopg3": partial(ours, driver="psycopg"),
    "masked": partial(ours, numbers="masked"),
    "hashed": partial(ours, numbers="hashed"),
    "loop": loop,
    "floor": floor,
    "dlt": dlt,
}


def main() -> None:
    """Run one contender and print seconds, CPU seconds and peak memory as JSON; imports are not counted for any."""
    contender, database, target, url = sys.argv[1:]
    made = CONTENDERS[contender]
    driver = getattr(made, "keywords", {}).get("driver", "psycopg2")
    connect(database, target, driver).close()  # imports the driver
    run = made(database, target, url)
    gc.collect()  # what imports left behind; else the first large collection is at some moment of the run
    began, cpu = time.perf_counter(), sum(os.times()[:4])
    run()
    seconds, used = time.perf_counter() - began, sum(os.times()[:4]) - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": seconds, "cpu": used, "peak_mib": peak}))


if __name__ == "__main__":
    main()
