"""Fixtures of all tests, and an Airflow home of their own that is set before anything imports Airflow."""

from __future__ import annotations

import asyncio
import atexit
import gc
import os
import shutil
import tempfile

# Hundreds of tests commit to databases of their own. In memory they do not wait for a disk; none is about losing power.
_MEMORY = "/dev/shm"
# Everything is in one folder of this session, because two sessions at once would share pytest's own. The workers of
# pytest-xdist inherit it.
if "VOICE_TESTS_FOLDER" not in os.environ:
    _fits = os.access(_MEMORY, os.W_OK) and shutil.disk_usage(_MEMORY).free > 4 * 1024**3
    _FOLDER = tempfile.mkdtemp(prefix="voice-tests-", dir=_MEMORY if _fits else None)
    os.environ["VOICE_TESTS_FOLDER"] = os.environ["TMPDIR"] = _FOLDER
    tempfile.tempdir = None  # pytest has already asked for it
    atexit.register(shutil.rmtree, _FOLDER, ignore_errors=True)

# Airflow reads its home when it is first imported, so this cannot be a fixture.
_HOME = tempfile.mkdtemp(prefix="airflow-")
os.environ["AIRFLOW_HOME"] = _HOME
os.environ["AIRFLOW__API_AUTH__JWT_SECRET"] = "a secret of the tests, as long as a SHA-512 digest, which PyJWT asks for"
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
os.environ["AIRFLOW__CORE__UNIT_TEST_MODE"] = "False"
os.environ["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] = f"sqlite:///{_HOME}/airflow.db"
os.environ["AIRFLOW__USAGE_DATA_COLLECTION__ENABLED"] = "False"

from collections.abc import Callable, Iterator  # noqa: E402 - after AIRFLOW_HOME is set
from types import SimpleNamespace  # noqa: E402 - after AIRFLOW_HOME is set

import pytest  # noqa: E402 - after AIRFLOW_HOME is set
import uvicorn.server  # noqa: E402 - after AIRFLOW_HOME is set
from hypothesis import HealthCheck, settings  # noqa: E402 - after AIRFLOW_HOME is set

from airflow_provider_voice.sandbox import Sandbox  # noqa: E402 - after AIRFLOW_HOME is set
from airflow_provider_voice.vendors import pagination  # noqa: E402 - after AIRFLOW_HOME is set
from airflow_provider_voice.vendors.base import Vendor  # noqa: E402 - after AIRFLOW_HOME is set
from tests.support import ScriptedServer, Sleeps, vendor_for  # noqa: E402 - after AIRFLOW_HOME is set

settings.register_profile("ours", deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
settings.load_profile("ours")


async def _sleep_briefly(seconds: float) -> None:
    await asyncio.sleep(min(seconds, 0.01))


# uvicorn notices after up to 0.1 s that it should stop, and then waits another 0.1 s. Hundreds of tests stop a sandbox.
uvicorn.server.asyncio = SimpleNamespace(**{**vars(asyncio), "sleep": _sleep_briefly})

VENDORS = ("talkover", "talkstack", "unleashx")


def pytest_collection_finish() -> None:
    """Take what is loaded by now out of the garbage collector's work.

    Airflow and thousands of collected tests are a million objects that stay to the end. Without this each full
    collection walks through them, and a crash test asks for a full collection after each death.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(params=VENDORS)
def vendor_name(request: pytest.FixtureRequest) -> str:
    """Each of the three vendors."""
    return str(request.param)


@pytest.fixture(autouse=True)
def page_pauses(monkeypatch: pytest.MonkeyPatch) -> Sleeps:
    """Record the pauses before a list is read again, instead of waiting."""
    pauses = Sleeps()
    monkeypatch.setattr(pagination, "time", SimpleNamespace(sleep=pauses))
    return pauses


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """A sandbox whose clock stands still until a test calls ``advance``."""
    with Sandbox(frozen=True) as made:
        yield made


@pytest.fixture
def vendor(sandbox: Sandbox, vendor_name: str) -> Iterator[Vendor]:
    """A vendor of the sandbox that does not really wait between tries."""
    made = vendor_for(sandbox, vendor_name)
    yield made
    made.close()


@pytest.fixture
def scripted() -> Iterator[Callable[..., ScriptedServer]]:
    """Make servers with the responses of a test, byte by byte."""
    servers: list[ScriptedServer] = []

    def make(answer: Callable[..., object]) -> ScriptedServer:
        servers.append(ScriptedServer(answer))
        return servers[-1]

    yield make
    for server in servers:
        server.close()
