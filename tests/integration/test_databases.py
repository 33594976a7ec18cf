"""The export into real databases, through Airflow's hooks."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from airflow.sdk import DAG
from sqlalchemy.schema import CreateTable

from airflow_provider_voice.exceptions import InvalidRequest, WarehouseFailed
from airflow_provider_voice.export.rows import COLUMNS
from airflow_provider_voice.export.warehouse.coverage_log import CoverageLog
from airflow_provider_voice.export.warehouse.dialects import TYPES
from airflow_provider_voice.export.warehouse.table import Warehouse
from airflow_provider_voice.models import Call, CallStatus
from airflow_provider_voice.sandbox import Sandbox, VendorQuirks
from airflow_provider_voice.transfers.calls_to_warehouse import CallsToWarehouseOperator
from tests.integration.databases import execute
from tests.integration.exporting import store

pytestmark = [pytest.mark.airflow, pytest.mark.usefixtures("small_chunks")]
START = datetime(2026, 1, 1, tzinfo=timezone.utc)


@pytest.fixture(
    params=[
        "sqlite",
        "postgres",
        *(pytest.param(name, marks=pytest.mark.once) for name in ("psycopg2", "duckdb", "mariadb")),
    ]
)
def warehouse(request, database_hook, monkeypatch) -> Warehouse:
    from airflow.sdk import BaseHook

    hook = database_hook(request.param)
    # Of DuckDB and for PyMySQL Airflow has no hooks of its own.
    monkeypatch.setattr(BaseHook, "get_hook", classmethod(lambda cls, conn_id, hook_params=None: hook))
    return Warehouse(hook, "voice_calls")


def covered(warehouse):
    return warehouse.read(lambda state: CoverageLog(state, _scope()).covered())


def export(run_dag, sandbox, **arguments):
    bounds = {"start": (sandbox.now() - timedelta(days=3)).isoformat()}
    with DAG("export", schedule=None, start_date=START) as dag:
        CallsToWarehouseOperator(task_id="export", warehouse_conn_id="warehouse", **{**bounds, **arguments})
    return run_dag(dag)


def test_loads_and_a_rerun_changes_nothing(sandbox, connect, run_dag, warehouse, vendor_name) -> None:
    connect(sandbox, vendor_name)
    now = sandbox.now()
    seeded = sandbox.seed(vendor_name, 150, now - timedelta(days=2), now - timedelta(hours=1))

    first = export(run_dag, sandbox).result("export")
    table = execute(warehouse.hook, "SELECT * FROM voice_calls ORDER BY call_id")
    second = export(run_dag, sandbox).result("export")

    assert (first["fetched"], first["inserted"], first["updated"]) == (150, 150, 0)
    assert (second["inserted"], second["updated"], second["unchanged"], second["stale_ignored"]) == (0, 0, 150, 0)
    assert execute(warehouse.hook, "SELECT * FROM voice_calls ORDER BY call_id") == table
    assert len(table[0]) == len(COLUMNS)
    ids = {str(call.key) if vendor_name == "unleashx" else call.id for call in seeded}
    assert {row[1] for row in table} == ids
    assert sum(hour["at_vendor"] for hour in first["hours"]) == 150
    assert all(hour["at_vendor"] == hour["in_table"] for hour in first["hours"])
    assert {hour["changed"] for hour in second["hours"]} == {0}


def test_calls_in_progress_are_read_again_until_they_are_settled(
    sandbox, connect, run_dag, warehouse, vendor_name
) -> None:
    connect(sandbox, vendor_name)
    sandbox.world.place(
        vendor_name, "+14155552601", {"talkover": "agent_sandbox", "talkstack": "agent-sandbox"}.get(vendor_name, "101")
    )
    sandbox.advance(10)
    assert export(run_dag, sandbox).result("export")["unsettled"] == 1
    assert execute(warehouse.hook, "SELECT status FROM voice_calls") == [("in_progress",)]
    sandbox.advance(5 * 24 * 3600)
    later = export(run_dag, sandbox, start=(sandbox.now() - timedelta(hours=1)).isoformat()).result("export")
    assert (later["updated"], later["missing"]) == (1, 0)
    assert execute(warehouse.hook, "SELECT status FROM voice_calls") == [("completed",)]
    last_hour = (sandbox.now() - timedelta(hours=1)).isoformat()
    again = export(run_dag, sandbox, start=last_hour).result("export")
    # Talkover alone states when it last changed a call. Of the others the end may have been a moment ago.
    assert (again["unchanged"], again["unsettled"]) == (1, 0 if vendor_name == "talkover" else 1)
    assert export(run_dag, sandbox, start=last_hour, settle_after=0).result("export")["unsettled"] == 0


def test_a_call_the_vendor_no_longer_shows_is_marked_and_kept(sandbox, connect, run_dag, warehouse) -> None:
    connect(sandbox)
    sandbox.world.place("talkover", "+14155552607", "agent_sandbox")
    sandbox.advance(10)
    export(run_dag, sandbox)
    sandbox.world.calls["talkover"].clear()
    gone = export(run_dag, sandbox).result("export")
    assert gone["missing"] == 1
    assert execute(warehouse.hook, "SELECT COUNT(*) FROM voice_calls WHERE missing_since IS NOT NULL") == [(1,)]


def test_runs_without_bounds_leave_no_gap(sandbox, connect, run_dag, warehouse) -> None:
    connect(sandbox)
    now = sandbox.now()
    sandbox.seed("talkover", 30, now - timedelta(hours=20), now)
    export(run_dag, sandbox, start=None)
    first_end = covered(warehouse)[-1].end
    later = sandbox.seed("talkover", 10, now, now + timedelta(minutes=1))
    sandbox.advance(120)
    export(run_dag, sandbox, start=None)
    assert covered(warehouse)[-1].end >= first_end
    export(run_dag, sandbox, start=first_end.isoformat(), end=sandbox.now().isoformat())
    assert execute(warehouse.hook, "SELECT COUNT(*) FROM voice_calls") == [(30 + len(later),)]


def _scope():
    from airflow_provider_voice.export.models import Scope

    return Scope("voice_default")


@pytest.mark.parametrize("numbers", ["masked", "hashed"])
def test_redacted_numbers_reach_no_column(sandbox, connect, run_dag, warehouse, vendor_name, numbers) -> None:
    connect(sandbox, vendor_name)
    now = sandbox.now()
    (call,) = sandbox.seed(vendor_name, 1, now - timedelta(hours=2), now)
    export(run_dag, sandbox, phone_numbers=numbers)
    (row,) = execute(warehouse.hook, "SELECT * FROM voice_calls")
    assert call.to.lstrip("+") not in str(row)


def test_columns_of_other_people_are_left_alone(sandbox, connect, run_dag, warehouse) -> None:
    connect(sandbox)
    now = sandbox.now()
    (call,) = sandbox.seed("talkover", 1, now - timedelta(hours=2), now)
    export(run_dag, sandbox)
    execute(warehouse.hook, "ALTER TABLE voice_calls ADD COLUMN note TEXT")
    execute(warehouse.hook, "ALTER TABLE voice_calls ADD COLUMN hour VARCHAR(10)")  # our own name for something else
    execute(warehouse.hook, "UPDATE voice_calls SET note = 'mine', hour = 'late'")
    call.touched_at = sandbox.now()
    call.agent_id = "agent_second"
    result = export(run_dag, sandbox).result("export")
    assert result["updated"] == 1
    assert [(hour["at_vendor"], hour["in_table"]) for hour in result["hours"]] == [(1, 1)]
    assert execute(warehouse.hook, "SELECT note, hour, agent_id FROM voice_calls") == [("mine", "late", "agent_second")]


def test_a_refused_load_leaves_the_table_and_no_row_value_in_any_log(
    sandbox, connect, run_dag, warehouse, caplog, capfd
) -> None:
    connect(sandbox)
    now = sandbox.now()
    sandbox.seed("talkover", 5, now - timedelta(hours=2), now)
    warehouse.prepare()
    execute(warehouse.hook, "DROP TABLE voice_calls")
    dialect = warehouse.dialect
    create = str(CreateTable(dialect.table).compile(dialect=dialect.sql))
    check = "CHECK (to_number NOT LIKE '+1%')"
    execute(warehouse.hook, create[: create.rindex(")")] + f", {check})")
    with caplog.at_level(logging.DEBUG):
        assert export(run_dag, sandbox).state == "failed"
    shown = caplog.text + "".join(capfd.readouterr())
    assert "4155" not in "".join(line for line in shown.splitlines() if "WarehouseFailed" in line)
    for call in sandbox.calls("talkover"):
        assert call.to.lstrip("+") not in shown
        assert call.id not in shown
    assert execute(warehouse.hook, "SELECT COUNT(*) FROM voice_calls") == [(0,)]
    assert WarehouseFailed.__name__ in shown


def test_incomplete_history_commits_nothing(connect, run_dag, warehouse) -> None:
    with Sandbox(frozen=True, quirks=VendorQuirks(max_page=20)) as sandbox:
        connect(sandbox, "talkstack")
        now = sandbox.now()
        sandbox.seed("talkstack", 90, now - timedelta(hours=2), now)
        assert export(run_dag, sandbox).state == "failed"
    assert execute(warehouse.hook, "SELECT COUNT(*) FROM voice_calls") == [(0,)]
    assert covered(warehouse) == []


def test_calls_listed_late_reach_the_table_with_a_later_run(sandbox, connect, run_dag, warehouse) -> None:
    connect(sandbox)
    noon = sandbox.now().replace(minute=0, second=0, microsecond=0)
    sandbox.seed("talkover", 20, noon - timedelta(hours=3), noon - timedelta(hours=2))
    bounds = [(noon - timedelta(hours=hours)).isoformat() for hours in (3, 2, 1, 0)]
    export(run_dag, sandbox, start=bounds[0], end=bounds[1])
    late = sandbox.seed("talkover", 4, noon - timedelta(hours=3), noon - timedelta(hours=2))
    never = sandbox.seed("talkover", 2, noon - timedelta(hours=9), noon - timedelta(hours=8))

    second = export(run_dag, sandbox, start=bounds[1], end=bounds[2]).result("export")

    ids = {row[0] for row in execute(warehouse.hook, "SELECT call_id FROM voice_calls")}
    assert {call.id for call in late} <= ids
    assert not {call.id for call in never} & ids, "recheck reads no call that was never exported"
    assert sum(hour["changed"] for hour in second["hours"]) == 4
    sandbox.seed("talkover", 1, noon - timedelta(hours=3), noon - timedelta(hours=2))
    third = export(run_dag, sandbox, start=bounds[2], end=bounds[3], recheck=0).result("export")
    assert (third["inserted"], third["hours"]) == (0, [])
    fourth = export(run_dag, sandbox, start=bounds[2], end=bounds[3]).result("export")
    assert fourth["inserted"] == 1


def test_a_window_with_nothing_in_it_is_no_export_to_go_on_from(sandbox, connect, run_dag, warehouse) -> None:
    connect(sandbox)
    sandbox.seed("talkover", 5, sandbox.now() - timedelta(hours=2), sandbox.now() - timedelta(hours=1))
    future = (sandbox.now() + timedelta(days=2)).isoformat()
    assert export(run_dag, sandbox, start=future).result("export")["fetched"] == 0
    assert covered(warehouse) == []
    assert export(run_dag, sandbox, start=None).result("export")["inserted"] == 5


def test_a_table_of_an_older_version_gets_the_columns_it_lacks(sandbox, connect, run_dag, warehouse) -> None:
    connect(sandbox)
    sandbox.seed("talkover", 3, sandbox.now() - timedelta(hours=2), sandbox.now())
    warehouse.prepare()
    for name in ("agent_name", "missing_since"):
        execute(warehouse.hook, f"ALTER TABLE voice_calls DROP COLUMN {name}")
    assert export(run_dag, sandbox).result("export")["inserted"] == 3
    assert execute(warehouse.hook, "SELECT COUNT(*) FROM voice_calls WHERE agent_name IS NOT NULL") == [(3,)]


def test_a_column_of_the_wrong_type_is_refused_with_the_fix(sandbox, connect, run_dag, warehouse, capfd) -> None:
    connect(sandbox)
    kinds = {"sqlite": "BLOB", "duckdb": "BOOLEAN", "mysql": "TIMESTAMP"}
    dialect = warehouse.dialect
    create = str(CreateTable(dialect.table).compile(dialect=dialect.sql))
    wrong = kinds.get(getattr(warehouse.hook, "dialect_name", ""), "timestamp")
    right = f"created_at {TYPES['time'].compile(dialect.sql)}"
    assert right in create
    execute(warehouse.hook, create.replace(right, f"created_at {wrong}"))
    assert export(run_dag, sandbox).state == "failed"
    shown = "".join(capfd.readouterr())
    assert "The column created_at of voice_calls is of type" in shown
    assert "ALTER TABLE" in shown
    assert not sandbox.requests, "refused before anything is asked"


@pytest.mark.parametrize(("column", "wrong"), [("raw", "TEXT"), ("raw", "JSON"), ("cost", "NUMERIC(10, 2)")])
def test_a_column_whose_values_would_never_be_equal_is_refused(warehouse, column, wrong) -> None:
    """The first load fills an empty table without comparing; only the second one would fail, or change every row."""
    dialect = warehouse.dialect
    if column == "raw" and dialect.type_of("raw") != "JSONB":
        pytest.skip("compared as text")
    if warehouse.hook.conn_type == "sqlite":
        pytest.skip("columns of SQLite hold values of any type")
    create = str(CreateTable(dialect.table).compile(dialect=dialect.sql))
    right = f"{column} {dialect.type_of(column)}"
    assert right in create
    execute(warehouse.hook, create.replace(right, f"{column} {wrong}"))
    with pytest.raises(InvalidRequest, match=f"The column {column} of voice_calls is of type") as refused:
        warehouse.prepare()
    execute(warehouse.hook, str(refused.value).rpartition("Change it: ")[2])
    warehouse.prepare()


def test_the_table_is_an_asset_whose_event_has_the_counts(sandbox, connect, run_dag, warehouse) -> None:
    if warehouse.hook.conn_type != "sqlite":
        pytest.skip("the same for every database")
    from airflow.models.asset import AssetEvent
    from airflow.utils.session import create_session

    from airflow_provider_voice.export.assets import table_asset

    connect(sandbox)
    sandbox.seed("talkover", 3, sandbox.now() - timedelta(hours=2), sandbox.now())
    export(run_dag, sandbox)
    asset = table_asset("warehouse")
    with create_session() as session:
        event = session.query(AssetEvent).order_by(AssetEvent.id.desc()).first()
        assert (event.asset.name, event.asset.uri) == (asset.name, asset.uri)
        assert (event.extra["inserted"], event.extra["missing"]) == (3, 0)


def test_any_text_reaches_the_table_unchanged(warehouse) -> None:
    """Control characters between fields, line ends, and characters with a meaning in a database's own text form."""
    odd = ["a\nb", "a\rb", "\x01", "\x02x\x02", "\\.", "\\N", '"q"', "'", "ü 漢 🙂", "%s ? {x}", "NULL"]
    calls = [
        Call(f"c{number:02}", "talkover", CallStatus.BUSY, agent_name=text, created_at=START, raw={"t": text})
        for number, text in enumerate(odd)
    ]
    store(warehouse, calls, START + timedelta(hours=1))
    assert [row[0] for row in execute(warehouse.hook, "SELECT agent_name FROM voice_calls ORDER BY call_id")] == odd


@pytest.mark.parametrize("is_known", [True, False])
def test_ids_that_differ_in_blanks_are_different_calls(warehouse, is_known) -> None:
    calls = [Call(call_id, "talkover", CallStatus.BUSY, created_at=START) for call_id in ("c", " c", "c ")]
    if is_known:
        store(warehouse, calls[:1], START)
    if warehouse.hook.conn_type == "mysql":
        with pytest.raises(WarehouseFailed):  # its key holds one of the two; they are not merged in silence
            store(warehouse, calls, START + timedelta(hours=1))
        calls.pop()
    store(warehouse, calls, START + timedelta(hours=1))
    stored = execute(warehouse.hook, "SELECT call_id FROM voice_calls")
    assert {call_id for (call_id,) in stored} == {call.id for call in calls}


def test_a_text_of_any_length_reaches_the_table(warehouse) -> None:
    """MySQL's TEXT ends at 64 KB."""
    long = "ü" * 70_000
    call = Call("c1", "talkover", CallStatus.BUSY, agent_name=long, created_at=START, raw={"transcript": long})
    for number in (1, 2):
        store(warehouse, [replace(call, cost=number)], START + number * timedelta(hours=1))
    assert execute(warehouse.hook, "SELECT agent_name FROM voice_calls") == [(long,)]
    assert execute(warehouse.hook, "SELECT raw FROM voice_calls WHERE CAST(raw AS CHAR(200000)) LIKE '%üü%'")


@pytest.mark.parametrize("warehouse", [pytest.param("mariadb", marks=pytest.mark.once)], indirect=True)
def test_a_column_that_is_too_short_for_long_texts_is_refused_with_the_fix(warehouse) -> None:
    """Before a value needs it: MariaDB copies a long text into a shorter column without an error."""
    warehouse.prepare()
    for column in ("agent_name", "raw"):
        execute(warehouse.hook, f"ALTER TABLE voice_calls MODIFY {column} TEXT COLLATE utf8mb4_bin")
    for column in ("agent_name", "raw"):
        with pytest.raises(InvalidRequest, match=rf"column {column} of voice_calls is of type text") as refused:
            warehouse.prepare()
        execute(warehouse.hook, refused.value.message.rpartition("Change it: ")[2])
    call = Call("c1", "talkover", CallStatus.BUSY, agent_name="x" * 120_000, created_at=START)
    assert store(warehouse, [call], START + timedelta(hours=1)).inserted == 1


@pytest.mark.parametrize("warehouse", [pytest.param("mariadb", marks=pytest.mark.once)], indirect=True)
@pytest.mark.parametrize("collation", ["utf8mb4_general_ci", "utf8mb4_unicode_ci"])
def test_a_collation_that_takes_different_texts_for_equal_is_refused_with_the_fix(warehouse, collation) -> None:
    """It is the default of a table that is made by hand: ids would be merged, and changes not be seen."""
    dialect = warehouse.dialect
    create = str(CreateTable(dialect.table).compile(dialect=dialect.sql))
    execute(warehouse.hook, create.replace("utf8mb4_bin", collation))
    fixed = []
    while len(fixed) < len(COLUMNS):
        try:
            warehouse.prepare()
        except InvalidRequest as refused:
            fixed.append(refused.message.rpartition("Change it: ")[2])
            execute(warehouse.hook, fixed[-1])
        else:
            break
    assert len(fixed) == sum(kind in ("key", "text", "json") for kind in COLUMNS.values())
    call = Call("c1", "talkover", CallStatus.COMPLETED, agent_name="José", created_at=START)
    store(warehouse, [call], START + timedelta(hours=1))
    changed = [replace(call, agent_name="JOSE"), replace(call, id="C1")]
    done = store(warehouse, changed, START + timedelta(hours=2))
    assert (done.inserted, done.updated) == (1, 1)


@pytest.mark.parametrize("warehouse", [pytest.param("mariadb", marks=pytest.mark.once)], indirect=True)
def test_a_text_column_that_can_be_no_key_of_the_stage_is_refused(warehouse) -> None:
    warehouse.prepare()
    execute(warehouse.hook, "ALTER TABLE voice_calls DROP PRIMARY KEY, DROP KEY voice_calls_created")
    execute(warehouse.hook, "ALTER TABLE voice_calls MODIFY call_id TEXT COLLATE utf8mb4_bin NOT NULL")
    with pytest.raises(InvalidRequest, match="column call_id of voice_calls is of type text"):
        warehouse.prepare()


def state_of(warehouse, call_id: str) -> tuple:
    columns = "settled_at IS NOT NULL, missing_since IS NOT NULL, abandoned_at IS NOT NULL"
    (row,) = execute(warehouse.hook, f"SELECT {columns} FROM voice_calls WHERE call_id = '{call_id}'")
    return tuple(map(bool, row))


def test_rows_that_never_settle_are_abandoned_after_a_week(warehouse) -> None:
    first = START + timedelta(hours=2)
    gone = Call("gone", "talkover", CallStatus.IN_PROGRESS, created_at=START)
    odd = Call("odd", "talkover", CallStatus.UNKNOWN, "paused", created_at=START)
    store(warehouse, [gone, odd], first)
    soon = store(warehouse, [odd], first + timedelta(days=1), missing=["gone"])
    assert (soon.unsettled, soon.missing, soon.abandoned) == (2, 1, 0)
    late = store(warehouse, [odd], first + timedelta(days=7, hours=1), missing=["gone"])
    assert (late.unsettled, late.abandoned) == (1, 1), "missing for six days only"
    later = store(warehouse, [], first + timedelta(days=9), missing=["gone"])
    assert (later.unsettled, later.abandoned) == (0, 1)
    assert warehouse.read(lambda state: state.unsettled("s")) == {}
    assert (state_of(warehouse, "gone"), state_of(warehouse, "odd")) == ((False, True, True), (False, False, True))

    # Whatever shows them again takes them up again.
    ended = [replace(call, status=CallStatus.COMPLETED, ended_at=START) for call in (gone, odd)]
    back = store(warehouse, ended, first + timedelta(days=10))
    assert (back.updated, back.abandoned) == (2, 0)
    assert set(warehouse.read(lambda state: state.unsettled("s"))) == {"gone", "odd"}
    assert state_of(warehouse, "gone") == (False, False, False)


def test_a_poorer_record_takes_no_fact_away_unless_the_call_goes_on(warehouse) -> None:
    read_at = START + timedelta(hours=2)
    full = Call(
        "c1", "talkstack", CallStatus.COMPLETED, direction="inbound", agent_id="a", duration_seconds=9, cost=0.5,
        is_testing=False, recording_url="https://r", created_at=START, updated_at=read_at, ended_at=read_at, tag="t",
    )  # fmt: skip
    poor = Call("c1", "talkstack", CallStatus.COMPLETED, raw={"status": "completed"})

    def facts() -> tuple:
        names = "direction, agent_id, duration_seconds, cost, is_testing, tag, recording_url, ended_at, updated_at"
        (row,) = execute(warehouse.hook, f"SELECT {names} FROM voice_calls")
        return tuple(row)

    store(warehouse, [full], read_at)
    before = facts()
    assert store(warehouse, [poor], read_at + timedelta(hours=1)).updated == 1
    assert facts() == (*before[:6], None, *before[7:])
    assert store(warehouse, [poor], read_at + timedelta(hours=2)).updated == 0
    store(warehouse, [replace(poor, status=CallStatus.IN_PROGRESS)], read_at + timedelta(hours=3))
    assert facts() == (*before[:2], None, None, *before[4:6], None, None, before[8])


def test_a_call_without_a_time_of_its_end_settles_once_it_stayed_the_same(warehouse) -> None:
    """Its age says nothing: it may have run late, or ended when nobody looked."""
    day, first = timedelta(days=1), START + timedelta(days=5)
    late = Call("c1", "unleashx", CallStatus.IN_PROGRESS, created_at=START)
    ended = replace(late, status=CallStatus.COMPLETED, duration_seconds=60)
    unsettled = [
        store(warehouse, [call], first + after).unsettled
        for call, after in ((late, 0 * day), (ended, day / 24), (ended, day / 2), (ended, day), (ended, day * 1.1))
    ]
    assert unsettled == [1, 1, 1, 1, 0]


def test_changed_days_are_those_of_changed_rows(warehouse) -> None:
    calls = [
        Call(f"c{number}", "talkover", CallStatus.COMPLETED, created_at=START + timedelta(days=number, hours=23.5))
        for number in range(4)
    ]
    first = store(warehouse, calls[:3], START + timedelta(days=4))
    assert first.changed_days == ["2026-01-01", "2026-01-02", "2026-01-03"]
    second = store(warehouse, [calls[0], replace(calls[1], cost=1.0), calls[2], calls[3]], START + timedelta(days=5))
    assert second.changed_days == ["2026-01-02", "2026-01-04"]
    assert store(warehouse, calls[3:], START + timedelta(days=6)).changed_days == []


@pytest.mark.parametrize("warehouse", ["postgres"], indirect=True)
def test_a_role_that_may_not_create_tables_loads_into_those_that_exist(warehouse, monkeypatch) -> None:
    warehouse.prepare()
    execute(warehouse.hook, "DROP ROLE IF EXISTS loader")
    execute(warehouse.hook, "CREATE ROLE loader")
    for table in ("voice_calls", "voice_calls_export_log"):
        execute(warehouse.hook, f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO loader")
    execute(warehouse.hook, "REVOKE CREATE ON SCHEMA public FROM public")
    connect = warehouse.hook.get_conn

    def as_loader() -> Any:
        connection = connect()
        connection.cursor().execute("SET ROLE loader")
        connection.commit()
        return connection

    call = Call("c1", "talkover", CallStatus.COMPLETED, created_at=START)
    with monkeypatch.context() as patch:
        patch.setattr(warehouse.hook, "get_conn", as_loader)
        for cost in (1.0, 2.0):
            store(warehouse, [replace(call, cost=cost)], START + timedelta(hours=cost))
    assert execute(warehouse.hook, "SELECT cost FROM voice_calls") == [(2.0,)]
    for table in ("voice_calls", "voice_calls_export_log"):
        execute(warehouse.hook, f"DROP TABLE {table}")
    execute(warehouse.hook, "DROP ROLE loader")


def test_an_agent_id_that_is_a_number_filters_as_text(sandbox, connect, run_dag, warehouse) -> None:
    connect(sandbox, "unleashx")
    sandbox.seed("unleashx", 3, sandbox.now() - timedelta(hours=2), sandbox.now() - timedelta(hours=1))
    result = export(run_dag, sandbox, agent_id=101)
    assert result.state == "success"
    assert result.result("export")["hours"][0]["in_table"] == result.result("export")["hours"][0]["at_vendor"]
