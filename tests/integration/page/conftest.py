"""The page with Airflow's simple auth manager, a ledger and a call table."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import Engine, create_engine, text

from airflow_provider_voice.outreach.schema import metadata
from airflow_provider_voice.plugins.voice_page import app as page_app
from tests.integration.page.seed import Seed

#: Who may do what by Airflow's simple auth manager; ``None`` is somebody who is not signed in.
ROLES = (None, "viewer", "user", "op", "admin")
EDITORS = ("op", "admin")


@pytest.fixture(scope="session")
def page(airflow_db: None) -> FastAPI:
    """An API server with the page where the plugin mounts it."""
    from airflow.api_fastapi.app import init_auth_manager

    server = FastAPI()
    init_auth_manager(server)
    server.mount("/voice", page_app.create_page())
    return server


#: Runs a test with a ledger in SQLite, and in PostgreSQL.
on_both_databases = pytest.mark.parametrize("ledger", ["sqlite", "postgres"], indirect=True)


@pytest.fixture
def ledger(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """The ledger's database, behind the connection that the configuration names; it holds no tables yet."""
    # A name of its own: folders of tests that passed are deleted and used again, and the page keeps its connections.
    path = tmp_path / f"ledger-{uuid.uuid4().hex}.db"
    fields: dict[str, Any] = {"conn_type": "sqlite", "host": str(path)}
    url = f"sqlite:///{path}"
    if getattr(request, "param", "sqlite") == "postgres":
        fields = request.getfixturevalue("postgres")
        port = f"&port={fields['port']}" if fields["port"] else ""
        credentials = f"{fields['login']}:{fields['password'] or ''}"
        url = f"postgresql+psycopg2://{credentials}@/{fields['schema']}?host={fields['host']}{port}"
    monkeypatch.setenv("AIRFLOW_CONN_PAGE_LEDGER", json.dumps(fields))
    monkeypatch.setenv("AIRFLOW__VOICE__LEDGER_CONN_ID", "page_ledger")
    engine = create_engine(url)
    with engine.begin() as connection:
        for table in metadata.tables:
            connection.execute(text(f"DROP TABLE IF EXISTS {table}"))
    yield engine
    engine.dispose()


@pytest.fixture
def seed(ledger: Engine) -> Seed:
    """A campaign to write into."""
    return Seed(ledger)


@pytest.fixture
def as_role(page: FastAPI) -> Iterator[Callable[[str | None], TestClient]]:
    """Return a client for a role."""
    from airflow.api_fastapi.app import get_auth_manager
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

    clients: list[TestClient] = []

    def make(role: str | None) -> TestClient:
        client = TestClient(page, base_url="http://airflow.test", follow_redirects=False)
        if role is not None:
            user = SimpleAuthManagerUser(username=f"{role}-1", role=role)
            client.cookies.set("_token", get_auth_manager().generate_jwt(user))
        clients.append(client)
        return client

    yield make
    for client in clients:
        client.close()


@pytest.fixture
def admin(as_role: Callable[[str | None], TestClient]) -> TestClient:
    return as_role("admin")


def token_in(text: str) -> str:
    """Return the token of a page's form."""
    return text.partition('name="token" value="')[2].partition('"')[0]


def rows(engine: Engine, table: Any) -> list[Any]:
    with engine.connect() as connection:
        return list(connection.execute(table.select()))
