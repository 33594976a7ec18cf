"""Stored calls that may still change are read again, each by its own id."""

from __future__ import annotations

import json
import time
from datetime import timedelta
from typing import Any

import pytest

from airflow_provider_voice.exceptions import VendorUnavailable
from tests.integration.databases import execute

pytestmark = pytest.mark.airflow
HOUR = timedelta(hours=1)
#: Seconds. After five days a call is in no window that is read, not even for a recheck.
DAY = 24 * 3600


@pytest.fixture
def load(sandbox: Any, connect: Any, database_hook: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that exports the last hour from a vendor into SQLite; pauses between tries are left out."""
    from tests.integration.exporting import export

    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    hook = database_hook("sqlite")

    def load_last_hour(vendor: str, run: str) -> tuple[dict[str, Any], list[Any]]:
        connect(sandbox, vendor)
        result = export(hook, sandbox.now() - HOUR, sandbox.now(), run=run)
        return result, execute(
            hook, "SELECT call_id, status, missing_since IS NOT NULL, raw FROM voice_calls ORDER BY call_id"
        )

    return load_last_hour


def test_two_calls_with_one_tag_are_not_mixed_up(sandbox, load) -> None:
    """A vendor that rings again by itself keeps our tag."""
    tag = "afv-one"
    for number in ("+14155552601", "+14155552602"):
        sandbox.world.place("unleashx", number, "101", variables={"airflow_call_tag": tag}, tag=tag)
    sandbox.advance(5)
    load("unleashx", "run 1")
    sandbox.advance(5 * DAY)
    result, rows = load("unleashx", "run 2")
    assert (result["fetched"], result["missing"]) == (2, 0)
    assert [str(json.loads(raw)["ID"]) for *_, raw in rows] == [call_id for call_id, *_ in rows]
    assert len({json.loads(raw)["CALLING_NUMBER"] for *_, raw in rows}) == 2


def place(sandbox: Any, count: int = 3) -> None:
    for number in range(1, count + 1):
        sandbox.world.place("talkstack", f"+1415555260{number}", "agent-sandbox")
    sandbox.advance(5)


@pytest.mark.parametrize("count", [1, 3])
def test_a_call_that_only_brings_server_errors_is_missing_and_the_others_are_read(
    sandbox, load, monkeypatch, caplog, count
) -> None:
    from airflow_provider_voice.vendors.talkstack import Talkstack

    place(sandbox, count)
    _, stored = load("talkstack", "run 1")
    sandbox.advance(5 * DAY)
    broken, find = stored[-1][0], Talkstack.find

    def find_but_one(self: Talkstack, ref: Any) -> Any:
        if ref.id == broken:
            raise VendorUnavailable(f"Talkstack could not handle call {broken} (HTTP 500).", status_code=500)
        return find(self, ref)

    with monkeypatch.context() as patch:
        patch.setattr(Talkstack, "find", find_but_one)
        result, rows = load("talkstack", "run 2")
    assert (result["missing"], result["updated"]) == (1, count - 1)
    assert {call_id for call_id, _, missing, _ in rows if missing} == {broken}
    assert f"Talkstack could not handle call {broken} (HTTP 500)." in caplog.text

    result, rows = load("talkstack", "run 3")
    assert (result["missing"], result["updated"]) == (0, 1)
    assert {missing for _, _, missing, _ in rows} == {0}


def test_a_vendor_that_cannot_be_reached_fails_the_export(sandbox, load, monkeypatch) -> None:
    from airflow_provider_voice.vendors.talkstack import Talkstack

    place(sandbox)
    load("talkstack", "run 1")
    sandbox.advance(5 * DAY)

    def unreachable(self: Talkstack, ref: Any) -> Any:
        raise VendorUnavailable("Talkstack cannot be reached.")

    monkeypatch.setattr(Talkstack, "find", unreachable)
    with pytest.raises(VendorUnavailable):
        load("talkstack", "run 2")


def test_a_call_settles_while_it_is_still_listed(sandbox, connect, database_hook, monkeypatch) -> None:
    """A Talkstack call that is in no list that is read costs a request of its own in every run."""
    from airflow_provider_voice.export.warehouse.transaction import Transaction
    from airflow_provider_voice.vendors.talkstack import Talkstack
    from tests.integration.exporting import export

    alone, find = [], Talkstack.find
    monkeypatch.setattr(Transaction, "clock", lambda self: lambda ticks: sandbox.now())
    monkeypatch.setattr(Talkstack, "find", lambda self, ref: alone.append(ref.id) or find(self, ref))
    connect(sandbox, "talkstack")
    hook, begin = database_hook("sqlite"), sandbox.now().replace(minute=0, second=0, microsecond=0) + HOUR
    # The second call ends in the hour after its own.
    for moment in (begin + HOUR / 2, begin + HOUR - timedelta(seconds=1)):
        sandbox.seed("talkstack", 1, moment, moment)
    for number in range(1, 31):
        due = begin + number * HOUR
        # One run begins sooner after its time than another.
        sandbox.advance(due + timedelta(seconds=20 if number % 2 else 5) - sandbox.now())
        result = export(hook, due - HOUR, due, run=f"run {number}")
    assert result["unsettled"] == 0
    assert alone == []
