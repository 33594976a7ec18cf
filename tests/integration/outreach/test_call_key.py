"""One call for each business key, whoever asks; the calls of single tasks count in pace and caps of the ledger."""

from __future__ import annotations

import gc
import json
import os
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from airflow.sdk import DAG
from sqlalchemy import Engine, select

from airflow_provider_voice.dialing import dialer as dialer_module
from airflow_provider_voice.dialing import reconcile
from airflow_provider_voice.dialing.dialer import Dialer
from airflow_provider_voice.dialing.task_facts import TaskFacts
from airflow_provider_voice.exceptions import (
    CallNotCompleted,
    CallOutcomeUnknown,
    InvalidRequest,
    LedgerFailed,
    NotAllowedNow,
    RateLimited,
)
from airflow_provider_voice.models import CallRequest
from airflow_provider_voice.operators import make_call
from airflow_provider_voice.operators.make_call import MakeCallOperator
from airflow_provider_voice.outreach import call_key
from airflow_provider_voice.outreach.call_key import CallKeyStore, KeyedCall
from airflow_provider_voice.outreach.database import Database
from airflow_provider_voice.outreach.ledger import Ledger
from airflow_provider_voice.outreach.pacing import Limits, Pacing, RequestPace
from airflow_provider_voice.outreach.schema import attempts, pacing
from airflow_provider_voice.sandbox import Sandbox
from tests.integration.outreach.effects import Died, Effects, watched
from tests.integration.outreach.rig import COMPLETED, number, people
from tests.mutations import MUTATIONS
from tests.support import forget_calls
from tests.tries import Run, Task

pytestmark = pytest.mark.once
FULL = bool(os.environ.get("VOICE_FULL_MATRIX"))
BUSY, OTHER = "+14155552602", "+14155552702"
WAITS: dict[str, Any] = {"wait_for_completion": True, "deferrable": False, "success_statuses": ["busy"]}
ONCE_A_DAY = "title: Once\nas_of: 2026-11-01\nrules:\n  - id: once\n    at_most: {attempts: 1, hours: 24}\n"


# --- the store -------------------------------------------------------------------------------------------------------


def dial(rig: Any, dag: str, key: str = "invoice-1") -> Any:
    store = CallKeyStore(rig.new_database(), KeyedCall(key, number(0), "voice_default", "agent_sandbox"))
    facts = TaskFacts(dag_id=dag, run_id="r", task_id="t", call_key=key)
    return Dialer(rig.hook(), store, facts, sleep=rig.sleep).dial(CallRequest(to=number(0)))


def test_a_second_task_attaches_to_the_call(any_rig) -> None:
    first, second = dial(any_rig, "one"), dial(any_rig, "two")
    assert first.call.id == second.call.id
    assert second.how == "reattached"
    assert len(any_rig.sandbox.rings) == 1
    dial(any_rig, "one", "invoice-2")
    assert len(any_rig.sandbox.rings) == 2


def test_tasks_that_come_at_once_ring_once_and_all_get_the_call(any_rig) -> None:
    any_rig.database.transact(any_rig.database.now)
    calls: list[str] = []
    errors: list[BaseException] = []

    def run(name: str) -> None:
        try:
            calls.append(dial(any_rig, name).call.id)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(f"dag{index}",)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert errors == []
    (ring,) = any_rig.sandbox.rings
    assert calls == [ring.call_id] * 4


def test_it_counts_for_caps_and_concurrency(rig) -> None:
    dial(rig, "one")
    ledger = Ledger(rig.database, rig.name, "voice_default")
    assert list(ledger.history([number(0)])[0]) == [number(0)]
    rig.load(people(COMPLETED))
    limits = Pacing(rig.database, "voice_default", Limits(max_concurrent=1))
    assert ledger.store_intents(ledger.claim_due(1), limits, agent_id="a").stored == []


def test_it_keeps_the_pace_of_its_connection(rig) -> None:
    rig.load(people(COMPLETED))
    limits = Pacing(rig.database, "voice_default", Limits())
    rig.database.transact(lambda connection: limits.slow_down(connection, 30))
    before = rig.now()
    dial(rig, "one")
    assert (rig.now() - before).total_seconds() >= 30


def test_a_slow_task_takes_back_nothing_that_another_one_has_stored(any_rig) -> None:
    store = CallKeyStore(any_rig.new_database(), KeyedCall("k", number(0), "voice_default"))
    record = {"generation": 1, "key": "afv-1", "state": "intent"}
    store.set("", record)
    store.set("", {**record, "state": "placed", "call": {"id": "c1"}})
    store.set("", {**record, "absent_since": "2026-01-01T00:00:00Z"})
    assert (store.get("")["state"], store.get("")["call"]) == ("placed", {"id": "c1"})


def test_a_refusal_of_what_was_never_stored_leaves_nothing(any_rig) -> None:
    store = CallKeyStore(any_rig.new_database(), KeyedCall("k", number(0), "voice_default"))
    store.set("", {"generation": 1, "key": "afv-1", "state": "refused"})
    assert store.get("") is None


def test_a_ring_since_the_policy_was_asked_lets_it_be_asked_again(any_rig) -> None:
    store = CallKeyStore(any_rig.new_database(), KeyedCall("k", number(0), "voice_default"))
    assert store.earlier_attempts() == []
    dial(any_rig, "another task", "another key")
    with pytest.raises(RateLimited):
        store.set("", {"generation": 1, "key": "afv-1", "state": "intent"})
    assert len(store.earlier_attempts()) == 1
    store.set("", {"generation": 1, "key": "afv-1", "state": "intent"})


# --- the operator ----------------------------------------------------------------------------------------------------


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """No waiting, tolerances for a fast sandbox, and the mutation that is asked for: see test_at_most_once."""
    monkeypatch.setattr(dialer_module, "SEARCH_DELAYS", (0.0, 0.0))
    monkeypatch.setattr(reconcile, "CLOCK_TOLERANCE", timedelta(hours=2))
    monkeypatch.setattr(reconcile, "LATE_ARRIVAL", timedelta(hours=2))
    MUTATIONS[os.environ.get("VOICE_MUTATION", "none")](monkeypatch)


@contextmanager
def busy_sandbox(monkeypatch: pytest.MonkeyPatch, vendor: str) -> Iterator[Sandbox]:
    with Sandbox(speed=120) as sandbox:
        monkeypatch.setenv("AIRFLOW_CONN_VOICE_DEFAULT", sandbox.connection_json(vendor))
        yield sandbox


@pytest.fixture
def busy(quick: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """A sandbox in which a busy line has ended after some hundredths of a second."""
    with busy_sandbox(monkeypatch, "talkover") as sandbox:
        yield sandbox


@pytest.fixture
def each_busy(quick: None, monkeypatch: pytest.MonkeyPatch, vendor_name: str) -> Iterator[Sandbox]:
    """The same, of each vendor."""
    with busy_sandbox(monkeypatch, vendor_name) as sandbox:
        yield sandbox


def use_as_ledger(monkeypatch: pytest.MonkeyPatch, engine: Engine) -> Engine:
    monkeypatch.setattr(make_call, "ledger_engine", lambda ledger_conn_id: engine)
    return engine


@pytest.fixture
def ledger(engine_for: Callable[[str], Engine], monkeypatch: pytest.MonkeyPatch) -> Engine:
    """The ledger of all operators, in SQLite."""
    return use_as_ledger(monkeypatch, engine_for("sqlite"))


@pytest.fixture(params=["sqlite", "postgres", "mariadb"] if FULL else ["sqlite", "postgres"])
def each_ledger(
    request: pytest.FixtureRequest, engine_for: Callable[[str], Engine], monkeypatch: pytest.MonkeyPatch
) -> Engine:
    """The same, in each database."""
    return use_as_ledger(monkeypatch, engine_for(request.param))


def task_of(sandbox: Sandbox, dag_id: str, **arguments: Any) -> Task:
    run = Run(run_id=f"run of {dag_id}")
    keyed = {"to": BUSY, "ledger_conn_id": "ledger", "call_key": "k", **WAITS, **arguments}
    return Task(sandbox, dag_id=dag_id, run=run, **keyed)


def test_a_worker_that_dies_at_any_effect_leaves_at_most_one_ring(each_busy, each_ledger, vendor_name) -> None:
    """The first task of a key dies at each statement, commit and request in turn; then another DAG asks for the key."""
    counted = Effects()
    with watched(counted, each_ledger):
        assert task_of(each_busy, "counting", call_key="counting").attempt().state == "success"
    assert counted.seen.index("vendor.create") > max(
        index for index, name in enumerate(counted.seen[: counted.seen.index("vendor.create")]) if name == "commit"
    )
    cells = [(index, when) for index in range(len(counted.seen)) for when in ("before", "after")]
    chance = random.Random(f"{vendor_name} {each_ledger.dialect.name}")
    for cell in cells if FULL else chance.sample(cells, 14):
        forget_calls(each_busy)
        key = f"key {cell}"
        first, second = (task_of(each_busy, name, call_key=key) for name in ("first", "second"))
        effects = Effects(cell)
        with watched(effects, each_ledger), suppress(Died):
            first.attempt()
        # With a process its connections go, and their locks; here a cycle in the error's traceback may keep one.
        gc.collect()
        shown = f"{vendor_name}, {each_ledger.dialect.name}, died {cell} at {effects.seen[-1:]}"
        outcomes = [second.finish(), first.finish()]
        assert len(each_busy.rings) <= 1, shown
        if each_busy.rings:
            assert [outcome.state for outcome in outcomes] == ["success"] * 2, shown
            assert outcomes[0].result["id"] == outcomes[1].result["id"], shown
        else:  # the intent was stored, and nobody knows that nothing was sent
            assert all(isinstance(outcome.error, CallOutcomeUnknown) for outcome in outcomes), shown


def test_a_lost_answer_is_found_by_whoever_comes_next(each_busy, each_ledger) -> None:
    each_busy.add_fault("lost_answer")
    for operation in ("list", "find"):
        each_busy.add_fault("status", status=503, operation=operation, times=20)
    first, second = task_of(each_busy, "first"), task_of(each_busy, "second")
    assert first.attempt() is None
    each_busy.clear_faults()
    assert second.finish().result["how"] == "adopted"
    assert first.finish().state == "success"
    assert len(each_busy.rings) == 1


def test_a_redial_is_a_retry_of_the_task_that_placed_the_call(busy, ledger) -> None:
    redials = {"success_statuses": ["completed"], "redial_statuses": ["busy"]}
    first = task_of(busy, "first", retries=2, **redials)
    second = task_of(busy, "second", retries=3, **redials)
    for _ in range(2):
        assert first.attempt() is None
        assert second.attempt() is None
    outcome = second.finish()
    assert isinstance(outcome.error, CallNotCompleted)
    assert len(busy.rings) == 2
    assert isinstance(first.finish().error, CallNotCompleted)
    assert len(busy.rings) == 3


@pytest.mark.parametrize("change", [{"to": OTHER}, {"agent_id": "202"}], ids=str)
def test_a_key_of_another_person_or_agent_is_refused(busy, ledger, change) -> None:
    assert task_of(busy, "first").finish().state == "success"
    outcome = task_of(busy, "second", **change).finish()
    assert isinstance(outcome.error, InvalidRequest)
    assert (outcome.tries, len(busy.rings)) == (1, 1)
    assert "call_key" in outcome.error.message
    assert "4155552" not in outcome.error.message


def test_a_key_that_a_person_settled_rings_only_when_nobody_was_rung(busy, ledger, monkeypatch) -> None:
    monkeypatch.setattr(call_key, "LATE_ARRIVAL", timedelta(0))
    for rang in (True, False):
        busy.add_fault("reset")
        key = f"settled {rang}"
        assert isinstance(task_of(busy, "first", call_key=key).finish().error, CallOutcomeUnknown)
        call_key.resolve_key(Database(ledger), key, rang=rang)
        outcome = task_of(busy, "second", call_key=key).finish()
        if rang:
            assert isinstance(outcome.error, CallOutcomeUnknown)
            assert (outcome.tries, len(busy.rings)) == (1, 0)
        else:
            assert (outcome.result["how"], len(busy.rings)) == ("placed", 1)
    attached = busy.rings[0].call_id
    busy.add_fault("reset")
    assert task_of(busy, "first", call_key="by id").attempt() is None
    call_key.resolve_key(Database(ledger), "by id", rang=True, call_id=attached)
    outcome = task_of(busy, "second", call_key="by id").finish()
    assert (outcome.result["how"], outcome.result["id"], len(busy.rings)) == ("reattached", attached, 1)


def test_a_key_that_the_vendor_refused_may_be_placed_by_another_task(busy, ledger) -> None:
    busy.add_fault("status", status=402)
    assert task_of(busy, "first").finish().state == "failed"
    outcome = task_of(busy, "second").finish()
    assert (outcome.result["how"], outcome.result["generation"], len(busy.rings)) == ("placed", 2, 1)


@pytest.mark.parametrize("is_committed", [False, True], ids=["not committed", "committed"])
@pytest.mark.parametrize("arguments", [{}, {"call_key": None}], ids=["key", "task"])
def test_a_ledger_that_fails_with_the_intent_has_sent_nothing_and_a_retry_rings(
    busy, each_ledger, monkeypatch, is_committed, arguments
) -> None:
    plain = CallKeyStore.set
    failures = iter([True])

    def fails_once(self: CallKeyStore, key: str, value: Any) -> None:
        fails = value["state"] == "intent" and next(failures, False)
        if is_committed or not fails:
            plain(self, key, value)
        if fails:
            raise LedgerFailed("no answer")

    monkeypatch.setattr(CallKeyStore, "set", fails_once)
    task = task_of(busy, "first", **arguments)
    assert task.attempt() is None
    assert isinstance(task.errors[0], LedgerFailed)
    assert not busy.rings
    assert task.finish().result["how"] == "placed"
    assert len(busy.rings) == 1


def test_the_ledger_of_a_task_without_a_key_is_its_own_store(busy, ledger) -> None:
    first, second = (task_of(busy, name, call_key=None) for name in ("first", "second"))
    for task in (first, second):
        assert task.finish().result["how"] == "placed"
        assert not task.store.values
        task.clear()
        assert task.finish().result["how"] == "reattached"
    assert len(busy.rings) == 2
    renewed = task_of(busy, "third", call_key=None, on_clear="new_call")
    renewed.finish()
    renewed.clear()
    assert renewed.finish().result["generation"] == 2
    assert len(busy.rings) == 4


def test_below_airflow_33_a_ledger_is_a_store_all_the_same(busy, ledger) -> None:
    task = task_of(busy, "first", call_key=None)
    task.store = None
    assert task.finish().result["how"] == "placed"
    task.clear()
    assert task.finish().result["how"] == "reattached"
    assert len(busy.rings) == 1


def test_a_task_that_rang_before_it_had_a_ledger_is_not_rung_again_by_a_clear(busy, ledger) -> None:
    task = task_of(busy, "first", call_key=None, ledger_conn_id=None)
    assert task.finish().state == "success"
    task.arguments["ledger_conn_id"] = "ledger"
    task.clear()
    assert task.finish().result["how"] == "adopted"
    assert len(busy.rings) == 1


def test_the_calls_of_other_keys_are_not_adopted(each_busy, ledger) -> None:
    assert task_of(each_busy, "first", call_key="one").finish().state == "success"
    second = task_of(each_busy, "second", call_key="two")
    second.try_number = 1  # its first try died before it stored anything
    outcome = second.finish()
    assert (outcome.result["how"], len(each_busy.rings)) == ("placed", 2)


def test_caps_count_every_attempt_in_the_ledger(busy, ledger, tmp_path) -> None:
    (tmp_path / "once.yaml").write_text(ONCE_A_DAY)
    policy = {"policy": str(tmp_path / "once.yaml"), "when_closed": "fail"}
    assert task_of(busy, "first", call_key=None, **policy).finish().state == "success"
    outcome = task_of(busy, "second", **policy).finish()
    assert isinstance(outcome.error, NotAllowedNow)
    assert (
        task_of(busy, "third", call_key="about something else", subject="survey", **policy).finish().state == "success"
    )
    assert task_of(busy, "fourth", call_key="other", to=OTHER, **policy).finish().state == "success"
    assert busy.rings_per_number() == {BUSY: 2, OTHER: 1}


def test_a_ledger_that_lost_its_rows_rings_nobody_again_in_the_run(busy, ledger) -> None:
    """The search does not take the call for that of the other task of the run, which attached to it."""
    run = Run(run_id="one run")
    first, second = (
        Task(busy, dag_id="d", run=run, task_id=name, to=BUSY, ledger_conn_id="ledger", call_key="k", **WAITS)
        for name in ("first", "second")
    )
    first.others = second.others = ("first", "second")
    assert [task.finish().result["how"] for task in (first, second)] == ["placed", "reattached"]
    with ledger.begin() as connection:
        connection.execute(attempts.delete())
    first.clear()
    assert first.finish().result["how"] == "adopted"
    assert len(busy.rings) == 1


def test_a_vendor_that_asks_to_wait_slows_everybody(busy, ledger) -> None:
    busy.add_fault("status", status=429, retry_after=500, times=0)
    task = task_of(busy, "first")
    assert task.attempt() is None
    with ledger.connect() as connection:
        until = connection.execute(select(pacing.c.slow_until)).scalar_one()
    assert until > datetime.now(timezone.utc) + timedelta(seconds=400)


def test_the_limit_of_requests_is_kept_in_the_ledger(busy, ledger, monkeypatch) -> None:
    fields = busy.connection("talkover")
    fields["extra"] = {**fields["extra"], "requests_per_minute": 6000}
    monkeypatch.setenv("AIRFLOW_CONN_VOICE_DEFAULT", json.dumps(fields))
    task = task_of(busy, "first")
    operator = task.operator()
    operator._dialer(task.context(), operator._request())
    operator._dialer(task.context(), operator._request())
    limiter = operator.hook.vendor.http.limiter
    assert isinstance(limiter, RequestPace)
    assert not isinstance(limiter._fallback, RequestPace)


def test_the_ledger_names_the_task_and_shows_how_the_call_ended(busy, ledger) -> None:
    task_of(busy, "my_dag", call_key=None).finish()
    task_of(busy, "my_dag").finish()
    with ledger.connect() as connection:
        rows = list(connection.execute(select(attempts).order_by(attempts.c.contact_key)))
    assert [row.contact_key.rpartition("/")[0] for row in rows] == ["", "my_dag/t"]
    assert [(row.source, row.state, row.status) for row in rows] == [("make_call", "ended", "busy")] * 2
    assert all(row.ended_at is not None and row.call_id for row in rows)


@pytest.mark.airflow
@pytest.mark.parametrize("database", ["sqlite", "postgres"])
def test_two_dags_with_one_key_in_a_real_airflow(
    fast_sandbox, connect, run_dag, request, tmp_path, monkeypatch, database
) -> None:
    connect(fast_sandbox)
    fields = {"conn_type": "sqlite", "host": str(tmp_path / "ledger.db")}
    if database == "postgres":
        fields = request.getfixturevalue("postgres")
    monkeypatch.setenv("AIRFLOW_CONN_LEDGER", json.dumps(fields))
    results = []
    for number_of_dag in range(2):
        start = datetime(2026, 1, 1, tzinfo=timezone.utc)
        with DAG(
            f"keyed_{database}_{number_of_dag}", schedule=None, start_date=start, params={"id": tmp_path.name}
        ) as dag:
            MakeCallOperator(
                task_id="ring", to=BUSY, call_key="invoice {{ params.id }}", ledger_conn_id="{{ 'ledger' }}",
                wait_for_completion=True, deferrable=bool(number_of_dag), poll_interval=0.3, success_statuses=["busy"],
            )  # fmt: skip
        run = run_dag(dag)
        assert run.state == "success"
        results.append(run.result("ring"))
    assert [result["how"] for result in results] == ["placed", "reattached"]
    assert results[0]["id"] == results[1]["id"]
    assert len(fast_sandbox.rings) == 1
