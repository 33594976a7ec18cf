"""A ledger in each database, and campaigns on the sandbox."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, text

from airflow_provider_voice.outreach import campaign as campaign_module
from airflow_provider_voice.outreach import lost_calls
from airflow_provider_voice.outreach.schema import metadata
from airflow_provider_voice.sandbox import Sandbox
from airflow_provider_voice.vendors import http as http_module
from tests.integration.outreach.rig import Rig

DATABASES = ("sqlite", "postgres", "mariadb")


@pytest.fixture(scope="module", autouse=True)
def small_heap() -> None:
    """Spare the full collection after each death of a worker what earlier tests have loaded."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """No waiting where a test has nothing to wait for."""
    monkeypatch.setattr(http_module, "_backoff", lambda state: 0.0)
    monkeypatch.setattr(lost_calls, "SEARCH_DELAYS", (0.0, 0.0))
    monkeypatch.setattr(campaign_module, "_IDLE_SECONDS", 0.05)


@pytest.fixture
def engine_for(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[str], Engine]]:
    """Return an engine for a database by its name, without our tables in it."""
    engines: list[Engine] = []

    def make(name: str) -> Engine:
        if name == "postgres":
            fields: dict[str, Any] = request.getfixturevalue("postgres")
            url = f"postgresql+psycopg2://{fields['login']}:{fields['password'] or ''}@/{fields['schema']}"
            engine = create_engine(
                f"{url}?host={fields['host']}" + (f"&port={fields['port']}" if fields["port"] else "")
            )
        elif name == "mariadb":
            socket = request.getfixturevalue("mariadb")
            url = f"mysql+pymysql://root@localhost/voice?unix_socket={socket}&charset=utf8mb4"
            engine = create_engine(url, connect_args={"ssl_disabled": True})
        else:
            engine = create_engine(f"sqlite:///{tmp_path / 'ledger.db'}")
        engines.append(engine)
        with engine.begin() as connection:
            for table in metadata.tables:
                connection.execute(text(f"DROP TABLE IF EXISTS {table}"))
        return engine

    yield make
    for engine in engines:
        engine.dispose()


@pytest.fixture(params=DATABASES)
def engine(request: pytest.FixtureRequest, engine_for: Callable[[str], Engine]) -> Engine:
    """A ledger in each database in turn."""
    return engine_for(request.param)


@pytest.fixture
def ticking() -> Iterator[Sandbox]:
    """A sandbox whose clock is real and can be moved on."""
    with Sandbox(speed=1) as sandbox:
        yield sandbox


@pytest.fixture
def rig(ticking: Sandbox, engine_for: Callable[[str], Engine]) -> Rig:
    """A campaign with a ledger in SQLite, on Talkover."""
    return Rig(ticking, engine_for("sqlite"))


@pytest.fixture
def any_rig(ticking: Sandbox, engine: Engine) -> Rig:
    """A campaign with a ledger in each database, on Talkover."""
    return Rig(ticking, engine)
