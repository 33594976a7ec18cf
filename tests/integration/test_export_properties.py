"""Any order, repetition and interleaving of reads and changes ends in the same table as one read of the final state."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_voice.export.rows import CONTENT, LASTING, LASTING_ONCE_ENDED
from airflow_provider_voice.export.warehouse.table import Warehouse
from airflow_provider_voice.models import Call, CallStatus
from airflow_provider_voice.sandbox import Sandbox, VendorQuirks
from airflow_provider_voice.transfers import calls_to_warehouse
from airflow_provider_voice.transfers.calls_to_warehouse import CallsToWarehouseOperator
from tests.integration.databases import execute
from tests.integration.exporting import FakeVoiceHook, export, sqlite_hook, store

NOW = datetime(2026, 11, 20, 12, tzinfo=timezone.utc)
DAY = timedelta(days=1)
COURSE = ["queued", "ringing", "in_progress", "completed", "completed", "completed"]


def table_of(hook, table="voice_calls", columns=CONTENT) -> list:
    return sorted(map(str, execute(hook, f"SELECT call_id, {', '.join(columns)} FROM {table}")))


def picture(number: int, version: int, dated: bool) -> Call:
    """Return a call as it is seen in its n-th version; cost and duration settle after its end."""
    updated = NOW - DAY + timedelta(minutes=version) if dated else None
    return Call(
        f"call_{number}",
        "talkover",
        CallStatus(COURSE[version]),
        COURSE[version],
        duration_seconds=version if version > 3 else 0,
        cost=version / 10 if version > 3 else None,
        created_at=NOW - DAY + timedelta(seconds=number),
        updated_at=updated,
        raw={"version": version},
    )


@settings(max_examples=60)
@given(
    st.integers(1, 4).flatmap(
        lambda count: st.lists(
            st.dictionaries(st.integers(0, count - 1), st.integers(0, 5)), min_size=1, max_size=6
        ).map(lambda reads: (count, reads))
    ),
    st.booleans(),
    st.randoms(use_true_random=False),
)
def test_the_order_of_loads_does_not_matter(tmp_path_factory, plan, dated, rng) -> None:
    """Reads that see ever newer versions, loaded in any order and some of them twice."""
    count, reads = plan
    folder = tmp_path_factory.mktemp("order")
    newest = dict.fromkeys(range(count), 0)
    loads = []
    for number, read in enumerate(reads):
        for call, version in read.items():
            newest[call] = max(newest[call], version)
        # A read never shows an older state than an earlier one.
        loads.append((NOW + timedelta(minutes=number), [picture(call, newest[call], dated) for call in read]))
    final = [picture(call, version, dated) for call, version in newest.items()]
    loads.append((NOW + timedelta(minutes=len(reads)), final))
    shuffled = [*loads, *rng.sample(loads, rng.randint(0, len(loads)))]
    rng.shuffle(shuffled)

    mixed = Warehouse(sqlite_hook(folder / "mixed.db"), "voice_calls")
    for number, (read_at, calls) in enumerate(shuffled):
        store(mixed, calls, read_at, run=f"run {number}")
    once = Warehouse(sqlite_hook(folder / "once.db"), "voice_calls")
    store(once, final, NOW + timedelta(hours=1))
    assert table_of(mixed.hook) == table_of(once.hook)


LATER = timedelta(minutes=10)
SEEN = picture(0, 3, dated=True)


@pytest.mark.parametrize(
    "newer",
    [
        pytest.param(
            replace(SEEN, status=CallStatus.UNKNOWN, vendor_status="paused", updated_at=None), id="unknown status"
        ),
        pytest.param(replace(SEEN, updated_at=NOW - 2 * DAY, cost=0.5), id="updated_at goes backwards"),
        pytest.param(picture(0, 2, dated=False), id="lower rank"),
    ],
)
@pytest.mark.parametrize("ended", [NOW - timedelta(hours=1), NOW - 9 * DAY], ids=["unsettled", "settled"])
def test_a_newer_reading_always_replaces_an_older_one(tmp_path, newer, ended) -> None:
    warehouse = Warehouse(sqlite_hook(tmp_path / "warehouse.db"), "voice_calls")
    store(warehouse, [replace(SEEN, ended_at=ended, updated_at=ended)], NOW)
    store(warehouse, [newer], NOW + LATER)
    fresh = Warehouse(sqlite_hook(tmp_path / "fresh.db"), "voice_calls")
    store(fresh, [newer], NOW + LATER)
    (now,) = execute(fresh.hook, f"SELECT {', '.join(CONTENT)} FROM voice_calls")
    # A fact that the newer record does not state stays.
    lasting = (*LASTING, *LASTING_ONCE_ENDED) if newer.status.is_terminal else LASTING
    stated = [name for name, value in zip(CONTENT, now, strict=True) if value is not None or name not in lasting]
    assert table_of(warehouse.hook, columns=stated) == table_of(fresh.hook, columns=stated)


@pytest.mark.parametrize(("ended", "days"), [(NOW, 1), (None, 8)], ids=["states its end", "states no time"])
def test_a_record_that_changes_at_each_reading_is_not_read_for_ever(tmp_path, ended, days) -> None:
    """The address of a recording may be signed anew for each reading."""
    warehouse = Warehouse(sqlite_hook(tmp_path / "warehouse.db"), "voice_calls")
    call = replace(SEEN, created_at=NOW, updated_at=None, ended_at=ended)
    results = [
        store(warehouse, [replace(call, recording_url=f"https://vendor/{day}")], NOW + day * DAY)
        for day in range(days + 1)
    ]
    assert [result.updated for result in results] == [0] + [1] * days
    assert [result.unsettled for result in results] == [1] * days + [0]


def test_a_settled_call_that_a_stale_list_overwrites_is_read_again(tmp_path) -> None:
    warehouse = Warehouse(sqlite_hook(tmp_path / "warehouse.db"), "voice_calls")
    call = replace(SEEN, created_at=NOW - 9 * DAY, updated_at=None, ended_at=NOW - 8 * DAY, recording_url="https://r")
    readings = [call, replace(call, recording_url=None), call]
    results = [store(warehouse, [reading], NOW + day * DAY) for day, reading in enumerate(readings)]
    assert [result.unsettled for result in results] == [0, 1, 0]
    assert execute(warehouse.hook, "SELECT recording_url FROM voice_calls") == [("https://r",)]


def test_an_old_call_whose_end_was_seen_lately_is_read_again(tmp_path) -> None:
    warehouse = Warehouse(sqlite_hook(tmp_path / "warehouse.db"), "voice_calls")
    old = replace(SEEN, created_at=NOW - 9 * DAY, updated_at=None)
    store(warehouse, [replace(old, status=CallStatus.QUEUED)], NOW)
    assert store(warehouse, [old], NOW + DAY).unsettled == 1


def test_a_call_that_another_run_has_settled_meanwhile_is_not_marked_as_missing(tmp_path) -> None:
    warehouse = Warehouse(sqlite_hook(tmp_path / "warehouse.db"), "voice_calls")
    store(warehouse, [replace(SEEN, ended_at=NOW - 2 * DAY, updated_at=None)], NOW)
    store(warehouse, [], NOW + LATER, missing=[SEEN.id])
    assert execute(warehouse.hook, "SELECT settled_at IS NULL, missing_since FROM voice_calls") == [(0, None)]


def operate(warehouse: Warehouse, hook: FakeVoiceHook, run: str) -> dict:
    """Run the operator on a fake vendor."""
    operator = CallsToWarehouseOperator(task_id="t", warehouse_conn_id="w", start=str(NOW - 2 * DAY), end=str(NOW))
    operator.hook, operator.warehouse = hook, warehouse
    return operator.execute({"ti": SimpleNamespace(dag_id="d", task_id="t", map_index=-1, run_id=run), "dag_run": None})


def test_a_workers_clock_that_is_an_hour_ahead_does_not_make_its_rows_newer(tmp_path, monkeypatch) -> None:
    class Ahead(datetime):
        @classmethod
        def now(cls, tz=None) -> datetime:
            return datetime.now(tz) + timedelta(hours=1)

    warehouse = Warehouse(sqlite_hook(tmp_path / "warehouse.db"), "voice_calls")
    with monkeypatch.context() as patch:
        patch.setattr(calls_to_warehouse, "datetime", Ahead)
        operate(warehouse, FakeVoiceHook(NOW, [picture(0, 2, dated=False)]), "ahead")
    done = operate(warehouse, FakeVoiceHook(NOW, [picture(0, 3, dated=False)]), "right")
    assert (done["updated"], done["stale_ignored"]) == (1, 0)


@pytest.mark.parametrize("last_reads_first_page", [True, False])
def test_the_run_that_read_last_decides_whichever_began_first(tmp_path, last_reads_first_page) -> None:
    """Each page has the time of its own reading: neither when the run began nor when it ended."""
    warehouse = Warehouse(sqlite_hook(tmp_path / "warehouse.db"), "voice_calls")
    quick, old, new = FakeVoiceHook(NOW, []), picture(0, 2, dated=False), picture(0, 3, dated=False)

    class Slow(FakeVoiceHook):
        def list_calls(self, start, end, **_):
            if last_reads_first_page:
                yield old
            quick.calls = [new] if last_reads_first_page else [old]
            operate(warehouse, quick, "quick")
            if not last_reads_first_page:
                yield new

    operate(warehouse, Slow(NOW, []), "slow")
    assert execute(warehouse.hook, "SELECT status FROM voice_calls") == [("completed",)]


@settings(max_examples=20)
@given(
    st.sampled_from(["talkover", "unleashx"]),
    st.sampled_from(["newest", "oldest"]),
    st.integers(20, 50),
    st.integers(0, 90),
    st.integers(1, 4),
    st.integers(0, 10**6),
)
def test_calls_that_come_end_and_change_while_pages_are_read(
    tmp_path_factory, name, order, page, count, runs, seed
) -> None:
    from airflow_provider_voice.vendors.http import HttpClient

    folder = tmp_path_factory.mktemp("interleaved")
    # Pages are read in threads, where Hypothesis cannot draw values.
    rng = random.Random(seed)
    hook = sqlite_hook(folder / "warehouse.db")
    plain = HttpClient.request
    quirks = VendorQuirks(max_page=page, order=order)
    with Sandbox(frozen=True, quirks=quirks) as sandbox, pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW_CONN_VOICE_DEFAULT", sandbox.connection_json(name))
        sandbox.advance(60)
        start = sandbox.now() - timedelta(hours=6)
        sandbox.seed(name, count, start, sandbox.now())
        agent = {"talkover": "agent_second", "unleashx": "103"}[name]

        def request(self, *args, **kwargs):
            kind = rng.choice(["nothing", "nothing", "add", "end", "touch"])
            calls = sandbox.calls(name)
            if kind == "add":
                sandbox.world.place(name, "+14155552611", {"talkover": "agent_sandbox", "unleashx": "101"}[name])
            elif calls and kind != "nothing":
                call = rng.choice(calls)
                call.agent_id, call.touched_at = agent, sandbox.now()
                sandbox.advance(1)
            return plain(self, *args, **kwargs)

        for number in range(runs):
            patch.setattr(HttpClient, "request", request)
            try:
                export(hook, start, sandbox.now(), run=f"run {number}")
            except Exception as failure:
                # A list that never stood still is said to be incomplete, and nothing of it is kept.
                assert "kept changing" in str(failure.__cause__ or failure)
            sandbox.advance(60)
        patch.setattr(HttpClient, "request", plain)
        sandbox.advance(2 * 24 * 3600)
        export(hook, start, sandbox.now(), run="last")
        export(hook, start, sandbox.now(), table="fresh")
        assert table_of(hook) == table_of(hook, "fresh")
        assert len(table_of(hook)) == len(sandbox.calls(name))
