"""The operators in a real Airflow: sources, results, asset event, deferral, plan, arguments."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from airflow.sdk import DAG
from sqlalchemy import create_engine, text

from airflow_provider_voice.exceptions import InvalidPhoneNumber
from airflow_provider_voice.operators.outreach import OutreachOperator, PlanOutreachOperator, outreach_asset
from airflow_provider_voice.outreach.cli import main
from airflow_provider_voice.outreach.database import Database
from airflow_provider_voice.outreach.states import ContactState
from tests.integration.outreach.rig import BUSY, COMPLETED, number, people

pytestmark = pytest.mark.airflow
START = datetime(2026, 1, 1, tzinfo=timezone.utc)
QUICK: dict[str, Any] = {"poll_interval": 0.1, "ledger_conn_id": "ledger", "campaign": "spring", "max_attempts": 1}


@pytest.fixture
def connected(fast_sandbox, connect, tmp_path, monkeypatch):
    connect(fast_sandbox)
    for name in ("ledger", "crm"):
        fields = {"conn_type": "sqlite", "host": str(tmp_path / f"{name}.db")}
        monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", json.dumps(fields))
    fast_sandbox.folder = tmp_path
    return fast_sandbox


def crm(folder, rows: list[dict[str, Any]]) -> None:
    engine = create_engine(f"sqlite:///{folder / 'crm.db'}")
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE IF EXISTS people"))
        connection.execute(text("CREATE TABLE people (contact_id TEXT, phone TEXT, name TEXT)"))
        connection.execute(text("INSERT INTO people VALUES (:contact_id, :to, :name)"), rows)
    engine.dispose()


def run_one(run_dag, make, dag_id: str):
    with DAG(dag_id, schedule=None, start_date=START) as dag:
        make()
    return run_dag(dag)


def test_contacts_from_sql_and_a_second_run_that_rings_nobody(connected, run_dag) -> None:
    crm(connected.folder, people(BUSY, BUSY))
    arguments = {**QUICK, "contacts": 'SELECT contact_id, phone AS "to", name FROM people', "contacts_conn_id": "crm"}
    for dag_id in ("outreach_one", "outreach_two"):
        done = run_one(run_dag, lambda: OutreachOperator(task_id="call", **arguments), dag_id)
        assert done.state == "success"
        result = done.result("call")
        assert (result["contacts"], result["exhausted"], result["attempts"]) == (2, 2, 2)
    assert connected.rings_per_number() == {number(0, BUSY): 1, number(1, BUSY): 1}


def test_contacts_from_a_file_and_from_a_list(connected, run_dag) -> None:
    path = connected.folder / "people.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in [*people(BUSY), {"contact_id": "bad", "to": "1"}]))
    done = run_one(
        run_dag, lambda: OutreachOperator(task_id="call", contacts=f"file://{path}", **QUICK), "outreach_file"
    )
    assert done.result("call")["rejected"] == 1
    listed = {**QUICK, "campaign": "list"}
    done = run_one(run_dag, lambda: OutreachOperator(task_id="call", contacts=people(BUSY), **listed), "outreach_list")
    assert done.result("call")["exhausted"] == 1


def test_on_invalid_fail_calls_nobody(connected, run_dag) -> None:
    rows = [*people(BUSY), {"contact_id": "bad", "to": "1"}]
    done = run_one(
        run_dag,
        lambda: OutreachOperator(task_id="call", contacts=rows, on_invalid="fail", **QUICK),
        "outreach_invalid",
    )
    assert done.state == "failed"
    assert connected.rings == []


@pytest.mark.parametrize("region", ["UK", None], ids=["the operator's", "the connection's"])
def test_a_region_that_is_no_country_ends_the_task_and_rejects_nobody(connected, monkeypatch, region) -> None:
    # The two-letter code of the United Kingdom is GB. Each contact would be final, and the task a success.
    connection = json.loads(connected.connection_json("talkover"))
    connection["extra"]["default_region"] = "UK"
    monkeypatch.setenv("AIRFLOW_CONN_VOICE_DEFAULT", json.dumps(connection))
    operator = OutreachOperator(task_id="call", contacts=people(BUSY), region=region, **QUICK)
    with pytest.raises(InvalidPhoneNumber, match="'UK' is not a country code"):
        operator._load(operator._settings())
    assert operator._record.counts()["contacts"] == 0


def test_a_plan_and_its_id(connected, run_dag) -> None:
    crm(connected.folder, [*people(BUSY, COMPLETED), {"contact_id": "bad", "to": "1", "name": ""}])
    arguments = {**QUICK, "contacts": "SELECT contact_id, phone AS \"to\", name FROM people", "contacts_conn_id": "crm",
                 "do_not_call": [number(1)], "calls_per_minute": 600}  # fmt: skip
    done = run_one(run_dag, lambda: PlanOutreachOperator(task_id="plan", **arguments), "outreach_plan")
    plan = done.result("plan")
    assert connected.rings == []
    assert (plan["contacts"], plan["rejected"], plan["planned"], plan["not_called"]) == (3, 1, 1, 1)
    assert plan["reasons"] == {"excluded: on the do-not-call list": 1}
    crm(connected.folder, [*people(BUSY, COMPLETED, BUSY), {"contact_id": "bad", "to": "1", "name": ""}])
    changed = {**arguments, "plan_id": plan["plan_id"]}
    done = run_one(run_dag, lambda: OutreachOperator(task_id="call", **changed), "outreach_changed")
    assert done.state == "failed"
    assert connected.rings == []
    crm(connected.folder, [*people(BUSY, COMPLETED), {"contact_id": "bad", "to": "1", "name": ""}])
    done = run_one(run_dag, lambda: OutreachOperator(task_id="call", **changed), "outreach_planned")
    assert done.result("call")["excluded"] == 1
    assert connected.rings_per_number() == {number(0, BUSY): 1}


def test_a_later_plan_lets_a_run_at_work_call_nobody_new(connected, run_dag) -> None:
    arguments = {**QUICK, "max_attempts": 2}
    operator = OutreachOperator(task_id="call", contacts=people(BUSY), **arguments)
    operator._record.begin("a run at work")
    operator._load(operator._settings())
    more = {**arguments, "contacts": people(BUSY, COMPLETED)}
    assert (
        run_one(run_dag, lambda: PlanOutreachOperator(task_id="plan", **more), "outreach_later").result("plan")[
            "planned"
        ]
        == 2
    )
    assert operator._record.outlook().open == 1


@pytest.mark.parametrize("rendered", [None, "[{'contact_id': 'k', 'to': '+14155552671'}]", '[{"to": "+14155552671"}]'])
def test_contacts_that_render_to_no_list_are_refused_and_not_shown(connected, rendered) -> None:
    operator = OutreachOperator(task_id="call", contacts="{{ gone }}", stale_run="call", **QUICK)
    operator.contacts = rendered
    assert "2671" not in str(operator.contacts)
    context: Any = {"ti": type("Ti", (), {"dag_id": "d", "task_id": "t", "run_id": "r"})(), "dag_run": None}
    with pytest.raises(AirflowFailException, match="contacts were rendered") as caught:
        operator.execute(context)
    assert "2671" not in str(caught.value)


@pytest.mark.parametrize("rendered", [None, ""])
def test_a_do_not_call_list_that_renders_to_nothing_calls_nobody(connected, rendered) -> None:
    operator = OutreachOperator(
        task_id="call", contacts=people(COMPLETED), do_not_call="{{ gone }}", stale_run="call", **QUICK
    )
    operator.do_not_call = rendered
    context: Any = {"ti": type("Ti", (), {"dag_id": "d", "task_id": "t", "run_id": "r"})(), "dag_run": None}
    with pytest.raises(AirflowFailException, match="do_not_call"):
        operator.execute(context)
    assert connected.rings == []


def test_a_connection_of_a_do_not_call_list_that_is_missing_calls_nobody(connected) -> None:
    connection = QUICK["ledger_conn_id"]
    operator = OutreachOperator(
        task_id="call", contacts=people(COMPLETED), do_not_call_conn_id=connection, stale_run="call", **QUICK
    )
    with pytest.raises(AirflowFailException, match="do_not_call_conn_id was given without it"):
        executed(operator)
    assert connected.rings == []


def executed(operator: OutreachOperator) -> dict[str, Any]:
    context: Any = {"ti": type("Ti", (), {"dag_id": "d", "task_id": "t", "run_id": "r"})(), "dag_run": None}
    return operator.execute(context)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"contacts": "/no/such/people.csv"}, "contacts: the file"),
        ({"contacts": "SELECT * FROM peopel", "contacts_conn_id": "crm"}, "The SQL in contacts"),
        ({"do_not_call": "SELECT x FROM peopel", "do_not_call_conn_id": "crm"}, "The SQL in do_not_call"),
    ],
)
def test_a_source_that_cannot_be_read_ends_the_task_and_names_the_argument(connected, change, text) -> None:
    arguments = {"contacts": people(COMPLETED), **QUICK, **change}
    with pytest.raises(AirflowFailException, match=text):
        executed(OutreachOperator(task_id="call", stale_run="call", **arguments))
    assert connected.rings == []


def test_a_run_whose_source_was_refused_has_not_begun_and_is_stale_when_the_source_is_corrected_days_later(
    connected,
) -> None:
    run = SimpleNamespace(run_id="r", run_type="manual", run_after=datetime.now(timezone.utc))
    context: Any = {"ti": SimpleNamespace(dag_id="d", task_id="call", run_id="r"), "dag_run": run}
    with pytest.raises(AirflowFailException, match="contacts: the file"):
        OutreachOperator(task_id="call", contacts="/no/such/people.csv", **QUICK).execute(context)
    run.run_after -= timedelta(days=2)
    with pytest.raises(AirflowFailException, match="was due at"):
        OutreachOperator(task_id="call", contacts=people(COMPLETED), **QUICK).execute(context)
    assert connected.rings == []


def test_an_empty_source_cancels_those_who_wait_only_when_it_may(connected) -> None:
    path = connected.folder / "people.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in people(BUSY)))
    arguments = {**QUICK, "contacts": str(path), "stale_run": "call", "max_attempts": 2}
    operator = OutreachOperator(task_id="call", **arguments)
    operator._record.begin("a run that was killed")
    operator._load(operator._settings())
    path.write_text("")
    for operator_class in (OutreachOperator, PlanOutreachOperator):
        with pytest.raises(AirflowFailException, match="on_empty='cancel'"):
            executed(operator_class(task_id="call", **arguments))
    assert operator._record.counts()["pending"] == 1
    assert executed(OutreachOperator(task_id="call", on_empty="cancel", **arguments))["canceled"] == 1
    # Nobody is left who could be canceled.
    assert executed(OutreachOperator(task_id="call", **arguments))["contacts"] == 1
    assert connected.rings == []


def test_it_defers_while_everybody_waits(connected, monkeypatch) -> None:
    from airflow.providers.common.compat.sdk import TaskDeferred

    operator = OutreachOperator(task_id="call", contacts=people(BUSY), deferrable=True, **{**QUICK, "max_attempts": 2})
    context: Any = {"ti": type("Ti", (), {"dag_id": "d", "task_id": "t", "run_id": "r"})(), "dag_run": None}
    monkeypatch.setattr(operator, "stale_run", "call")
    for _ in range(60):
        with pytest.raises(TaskDeferred) as deferred:
            operator.execute(context)
        if type(deferred.value.trigger).__name__ == "DateTimeTrigger":
            break
        # The trigger of a call in progress: its arguments hold no number.
        assert number(0, BUSY) not in str(deferred.value.trigger.serialize())
        connected.advance(60)
    seconds = (deferred.value.trigger.moment - datetime.now(timezone.utc)).total_seconds()
    assert 0 < seconds <= 900
    assert deferred.value.method_name == "resume"


def test_the_result_is_on_the_event_of_the_asset(connected, run_dag) -> None:
    from airflow.models.asset import AssetEvent
    from airflow.utils.session import create_session

    done = run_one(run_dag, lambda: OutreachOperator(task_id="call", contacts=people(BUSY), **QUICK), "outreach_asset")
    result = done.result("call")
    assert result == {
        "campaign": "spring", "contacts": 1, "attempts": 1, "by_status": {"busy": 1},
        **dict.fromkeys([state.value for state in ContactState], 0), "exhausted": 1,
    }  # fmt: skip
    with create_session() as session:
        event = session.query(AssetEvent).order_by(AssetEvent.id.desc()).first()
        assert event.asset.uri == outreach_asset("spring").uri
        assert event.extra == result


def test_the_command_line(rig, capsys) -> None:
    rig.sandbox.add_fault("reset")
    rig.load(people(COMPLETED, COMPLETED))
    rig.finish()

    def run(*words: str) -> str:
        assert main([*words], database=rig.database) == 0
        return capsys.readouterr().out

    assert "1 unknown" in " ".join(run("status", rig.name).split()) or "unknown 1" in " ".join(
        run("status", rig.name).split()
    )
    shown = run("unknown", rig.name)
    (key,) = [key for key, state in rig.states().items() if state == "unknown"]
    assert key in shown
    assert "evidence" in shown
    assert not any(number(index) in shown for index in range(2))
    rig.advance(900)  # its create is no longer under way
    assert "unknown -> redial" in run("resolve", rig.name, key, "--did-not-ring")
    assert "running -> paused" in run("pause", rig.name)
    assert "paused -> running" in run("resume", rig.name)
    assert "running -> canceled" in run("cancel", rig.name)
    assert rig.states()[key] == "canceled"
    assert main(["pause", "nobody"], database=rig.database) == 1
    assert "no campaign" in capsys.readouterr().err


def test_the_ledger_of_one_machine(tmp_path, monkeypatch) -> None:
    from airflow_provider_voice.hooks.sql import ledger_engine

    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path))
    database = Database(ledger_engine())
    database.transact(database.now)
    assert (tmp_path / "voice_outreach.db").exists()
