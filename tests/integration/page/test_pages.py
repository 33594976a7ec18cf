"""The content of the pages and the changes they make, on a ledger in SQLite or PostgreSQL and a call table in SQLite."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import Engine, create_engine, inspect, text

from airflow_provider_voice.export.rows import COLUMNS, RowMaker
from airflow_provider_voice.export.warehouse.table import Warehouse
from airflow_provider_voice.models import Call, CallStatus
from airflow_provider_voice.outreach.plan import store_plan_id
from airflow_provider_voice.outreach.schema import attempts, campaigns, contacts, metadata
from airflow_provider_voice.outreach.views import LedgerViews, ReadOnlyDatabase
from tests.integration.page.conftest import on_both_databases, rows, token_in
from tests.integration.page.seed import NUMBER, Seed, number

pytestmark = pytest.mark.airflow

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'&{{ 7 * 7 }}"
ENVIRONMENT = "AIRFLOW__VOICE__"


def shown(client: TestClient, path: str, **query: str) -> str:
    answer = client.get(f"/voice/{path}", params=query or None)
    assert answer.status_code == 200, answer.text
    return str(answer.text)


class Elements(HTMLParser):
    """The names of a page's elements and of their attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.attributes |= {name for name, _ in attrs}


def words(html: str) -> str:
    """Return the readable text of a page."""
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", html)))


# -- campaigns --


@on_both_databases
def test_the_list_has_progress_and_what_is_to_decide(admin: TestClient, seed: Seed) -> None:
    seed.typical()
    found = words(shown(admin, ""))
    assert "17 of 63 done" in found
    assert "14 reached" in found
    assert "2 to decide" in found
    assert "attempts a minute" in found
    assert "ends about" in found


@on_both_databases
def test_campaigns_are_paged_newest_first(admin: TestClient, ledger: Engine) -> None:
    for index in range(30):
        name = f"day-{index:02d}"
        Seed(ledger, name)
        # SQLite's clock has milliseconds, and two campaigns may be created in one.
        created = datetime(2026, 11, 1, tzinfo=timezone.utc) + timedelta(minutes=index)
        with ledger.begin() as connection:
            connection.execute(campaigns.update().where(campaigns.c.campaign == name).values(created_at=created))
    first = shown(admin, "")
    more = unescape(re.search(r'href="(\./\?after=[^"]+)"', first).group(1))
    second = shown(admin, more)
    names = re.findall(r"day-\d\d</a>", first + second)
    assert names == [f"day-{index:02d}</a>" for index in range(29, -1, -1)]


@on_both_databases
def test_a_campaign_shows_states_reasons_endings_and_the_plot(admin: TestClient, seed: Seed) -> None:
    seed.typical()
    html = shown(admin, "campaign", name="spring")
    found = words(html)
    assert "reached 14" in found
    assert "redial 26" in found
    assert "us-fl-attempts: three calls in 24 hours are allowed 1" in found
    assert "Next window 20" in found
    assert html.count('<rect class="attempts"') == 48
    assert "Cancel the campaign" in html


@on_both_databases
def test_the_plot_counts_attempts_and_answers_per_hour(ledger: Engine, seed: Seed) -> None:
    hours = LedgerViews(ReadOnlyDatabase(ledger)).hours("spring")
    assert hours == []
    for index, (minutes, status) in enumerate([(1, "completed"), (1, "busy"), (180, "completed"), (60 * 60, "busy")]):
        seed.attempt(f"c{index}", "ended", minutes_ago=minutes, status=status)
    hours = LedgerViews(ReadOnlyDatabase(ledger)).hours("spring")
    assert len(hours) == 48
    assert [(hour.attempts, hour.answered) for hour in hours if hour.attempts] == [(1, 1), (2, 1)]
    assert hours[-1].hour <= seed.now < hours[-1].hour + timedelta(hours=1, minutes=1)


def test_an_unknown_campaign_is_not_found(admin: TestClient, seed: Seed) -> None:
    answer = admin.get("/voice/campaign", params={"name": "winter"})
    assert answer.status_code == 404
    assert "no such campaign" in answer.text


@pytest.mark.parametrize(
    "name",
    ["a/b", "spring 2026?x=1&y", "Ünïcode ☎", "..", HOSTILE, "100% \"sure\" 'x' %2F+%", "ü" * 250, "/" * 250],
)
def test_any_name_of_a_campaign_works(admin: TestClient, ledger: Engine, name: str) -> None:
    Seed(ledger, name).undecided("c1")
    link = unescape(re.search(r'href="(campaign\?[^"]+)"', shown(admin, "")).group(1))
    html = shown(admin, link)
    assert name in unescape(html)
    form = {"token": token_in(html), "name": name, "action": "pause"}
    answer = admin.post("/voice/campaign/state", data=form, headers={})
    assert answer.status_code == 303
    assert "paused" in admin.get("/voice/campaign/" + answer.headers["location"]).text


# -- contacts --


@on_both_databases
def test_contacts_are_paged_by_key_and_filtered(admin: TestClient, seed: Seed) -> None:
    seed.typical()
    html, keys = shown(admin, "contacts", name="spring"), []
    while True:
        keys += re.findall(r"c\d{3}(?=</td>)", html)
        more = re.search(r'href="(contacts\?after=[^"]+)">Next', html)
        if more is None:
            break
        html = shown(admin, unescape(more.group(1)))
    assert keys == [f"c{index:03d}" for index in range(63)]
    assert re.findall(r"c\d{3}(?=</td>)", shown(admin, "contacts", name="spring", state="unknown")) == ["c061", "c062"]


@on_both_databases
def test_a_search_finds_keys_that_begin_so(admin: TestClient, seed: Seed) -> None:
    seed.typical()
    seed.contact("100%_x", "pending", number(70))
    for key, expected in (("c06", ["c060", "c061", "c062"]), ("100%", ["100%_x"]), ("%", []), ("c1", [])):
        answer = admin.post("/voice/contacts/find", data={"name": "spring", "state": "", "key": key})
        html = admin.get("/voice/contacts/" + answer.headers["location"]).text
        assert re.findall(r'key-text">([^<]+)<', html) == expected


def test_a_made_up_cursor_is_refused(admin: TestClient, seed: Seed) -> None:
    assert admin.get("/voice/contacts", params={"name": "spring", "after": "c001"}).status_code == 400


# -- the plan --


@on_both_databases
def test_the_plan_is_shown(admin: TestClient, seed: Seed) -> None:
    assert "Nobody has planned" in shown(admin, "plan", name="spring")
    seed.contact("c1", "pending", planned_at=seed.now)
    seed.contact("c2", "pending", reason="plan: on the do-not-call list")
    store_plan_id(seed.record._database, "spring", "plan-abc")
    found = words(shown(admin, "plan", name="spring"))
    assert "plan-abc" in found
    assert "Would be called 1" in found
    assert "on the do-not-call list 1" in found
    assert "do-not-call" not in shown(admin, "campaign", name="spring")


# -- to decide --


@on_both_databases
@pytest.mark.parametrize(("verdict", "state"), [("rang", "exhausted"), ("did_not_ring", "redial")])
def test_a_person_decides(admin: TestClient, seed: Seed, verdict: str, state: str) -> None:
    attempt = seed.undecided("c1", evidence="the vendor answered HTTP 502")
    html = shown(admin, "decide")
    assert "the vendor answered HTTP 502" in html
    assert attempt in html
    answer = admin.post("/voice/decide/attempt", data={"token": token_in(html), "attempt": attempt, "verdict": verdict})
    assert answer.status_code == 303
    assert [row.state for row in rows(seed.engine, contacts)] == [state]
    assert f"the contact is now {state}" in admin.get("/voice/decide/" + answer.headers["location"]).text


def test_nobody_is_called_again_while_the_create_may_be_under_way(admin: TestClient, seed: Seed) -> None:
    attempt = seed.undecided("c1", minutes_ago=14)
    form = {"token": token_in(shown(admin, "decide")), "attempt": attempt, "verdict": "did_not_ring"}
    answer = admin.post("/voice/decide/attempt", data=form)
    assert answer.status_code == 409
    assert "may still be under way" in answer.text
    assert [row.state for row in rows(seed.engine, contacts)] == ["unknown"]


def test_a_stale_form_does_not_judge_a_later_attempt(admin: TestClient, seed: Seed) -> None:
    attempt = seed.undecided("c1")
    token = token_in(shown(admin, "decide"))
    with seed.engine.begin() as connection:
        connection.execute(contacts.update().values(last_attempt=2))
    seed.attempt("c1", "unknown", attempt_id="afv-later", attempt=2)
    form = {"token": token, "attempt": attempt, "verdict": "did_not_ring"}
    answer = admin.post("/voice/decide/attempt", data=form)
    assert answer.status_code == 409
    assert "decided about this contact already" in answer.text
    assert [row.state for row in rows(seed.engine, contacts)] == ["unknown"]
    assert {row.state for row in rows(seed.engine, attempts)} == {"unknown"}


@pytest.mark.parametrize("form", [{"attempt": "afv-nobody", "verdict": "rang"}, {"attempt": "afv-spring-c1"}])
def test_half_a_decision_changes_nothing(admin: TestClient, seed: Seed, form: dict[str, str]) -> None:
    seed.undecided("c1")
    token = token_in(shown(admin, "decide"))
    assert admin.post("/voice/decide/attempt", data={"token": token, **form}).status_code == 404
    assert [row.state for row in rows(seed.engine, contacts)] == ["unknown"]


@on_both_databases
def test_undecided_contacts_are_paged_over_campaigns(admin: TestClient, ledger: Engine) -> None:
    for campaign in ("a", "b"):
        seed = Seed(ledger, campaign)
        for index in range(20):
            seed.undecided(f"c{index:02d}", number(index))
    first = shown(admin, "decide")
    second = shown(admin, unescape(re.search(r'href="(decide\?after=[^"]+)"', first).group(1)))
    found = re.findall(r"afv-[ab]-c\d\d(?=</code>)", first + second)
    assert found == [f"afv-{campaign}-c{index:02d}" for campaign in "ab" for index in range(20)]


@on_both_databases
@pytest.mark.parametrize(
    ("action", "state", "contact"),
    [("pause", "paused", "pending"), ("resume", "running", "pending"), ("cancel", "canceled", "canceled")],
)
def test_a_campaign_is_steered(admin: TestClient, seed: Seed, action: str, state: str, contact: str) -> None:
    seed.contact("c1", "pending")
    token = token_in(shown(admin, "campaign", name="spring"))
    admin.post("/voice/campaign/state", data={"token": token, "name": "spring", "action": action})
    assert f'class="state {state}"' in shown(admin, "campaign", name="spring")
    assert [row.state for row in rows(seed.engine, contacts)] == [contact]


@pytest.mark.parametrize("change", ["pause", "resume", "cancel", "rang", "did_not_ring"])
def test_each_change_is_one_line_of_the_log(admin: TestClient, ledger: Engine, caplog: Any, change: str) -> None:
    campaign = f"back office {NUMBER}"
    attempt = Seed(ledger, campaign).undecided("c1", attempt_id="afv-0a1b2c3d-4e5f")
    form = {"token": token_in(shown(admin, "decide"))}
    if change in ("rang", "did_not_ring"):
        path, form = "decide/attempt", form | {"attempt": attempt, "verdict": change}
    else:
        path, form = "campaign/state", form | {"name": campaign, "action": change}
    caplog.set_level("INFO")
    caplog.clear()
    assert admin.post(f"/voice/{path}", data=form).status_code == 303
    (line,) = [record.getMessage() for record in caplog.records if "voice_page" in record.name]
    assert "admin-1" in line
    assert "back office" in line
    assert change in line
    assert NUMBER not in caplog.text


def test_another_action_is_refused(admin: TestClient, seed: Seed) -> None:
    token = token_in(shown(admin, "campaign", name="spring"))
    form = {"token": token, "name": "spring", "action": "delete"}
    assert admin.post("/voice/campaign/state", data=form).status_code == 422


# -- people and hostile text --

PATHS = (
    ("", {}), ("campaign", {"name": "spring"}), ("contacts", {"name": "spring"}), ("plan", {"name": "spring"}),
    ("decide", {}), ("call", {"call_id": "call_1"}), ("calls", {}),
)  # fmt: skip


def test_no_number_is_in_clear_anywhere(admin: TestClient, seed: Seed) -> None:
    """Not even where the list has no other key than the number: not in the text, in forms or in addresses."""
    keys = [number(index) for index in range(1, 60)]
    for index, key in enumerate(keys):
        written = key if index % 2 else f"{key[2:5]}-{key[5:8]}-{key[8:]}"
        seed.contact(written, "redial", key, reason=f"{key} was busy", attempts=1, last_attempt=1)
    seed.undecided(
        "4155552000",
        number(0),
        evidence=f"the call to {number(0)} is not in the list",
        call_id="call_1",
        attempt_id="afv-1",
    )
    seed.contact("+1 415 555 1999", "rejected", None, reason="no such number")
    for path, query in PATHS:
        html = shown(admin, path, **query)
        digits = re.sub(r"(?<=\d)[\s().-]+(?=\d)", "", unescape(html))
        assert not re.search(r"415555\d{4}", digits), path
        assert path not in ("contacts", "decide") or "+1415•••••" in html
    answer = admin.post("/voice/contacts/find", data={"name": "spring", "key": number(2)})
    assert "415555" not in answer.headers["location"]
    html = admin.get("/voice/contacts/" + answer.headers["location"]).text
    assert "415555" not in html
    assert len(re.findall("key-text", html)) == 1


def test_ids_that_are_no_numbers_stay_readable(admin: TestClient, seed: Seed) -> None:
    seed.contact("20260131000042", "pending", NUMBER)
    assert "20260131000042" in shown(admin, "contacts", name="spring")


def test_nothing_others_say_is_html(admin: TestClient, ledger: Engine) -> None:
    seed = Seed(ledger, HOSTILE)
    seed.contact(HOSTILE, "<b>odd</b>"[:16], reason=HOSTILE, attempts=1, last_attempt=1)
    seed.contact("c2", "pending", reason=f"plan: {HOSTILE}")
    store_plan_id(seed.record._database, HOSTILE, HOSTILE[:80])
    seed.undecided(f"{HOSTILE}2", evidence=HOSTILE, call_id="call_1", agent_id=HOSTILE, voice_conn_id=HOSTILE)
    seed.attempt("c2", "ended", status="<i>x</i>", call_id="call_1")
    for path, query in PATHS:
        html = shown(admin, path, **{name: HOSTILE if name == "name" else value for name, value in query.items()})
        found = Elements()
        found.feed(html)
        assert not found.names & {"script", "img", "i"}, path
        assert not {name for name in found.attributes if name.startswith("on")}, path
        assert "odd</b>" not in html, path
        assert "{{ 7 * 7 }}" in words(html) or path == "calls", path


@pytest.mark.parametrize(("path", "query"), PATHS)
def test_the_page_asks_nobody_else(admin: TestClient, seed: Seed, path: str, query: dict[str, str]) -> None:
    answer = admin.get(f"/voice/{path}", params=query)
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "frame-ancestors 'self'" in answer.headers["content-security-policy"]
    assert answer.headers["cache-control"] == "no-store"
    assert not re.search(r'(?:href|src|action)="(?:[a-z]+:)?//', answer.text)
    assert "<script" not in answer.text
    assert " style=" not in answer.text


# -- connections --


@on_both_databases
def test_without_a_campaign_the_page_says_how_to_begin(admin: TestClient, ledger: Engine) -> None:
    tables = inspect(ledger).get_table_names()  # other tests left theirs in the same PostgreSQL
    found = words(shown(admin, ""))
    assert "AIRFLOW__VOICE__LEDGER_CONN_ID" in found
    assert "page_ledger" in found
    assert inspect(ledger).get_table_names() == tables
    assert not set(tables) & set(metadata.tables)


def test_the_default_ledger_is_not_created_by_looking(
    admin: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path))
    monkeypatch.setenv(f"{ENVIRONMENT}LEDGER_CONN_ID", "")
    assert "No campaign has run on this machine" in shown(admin, "")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("connection", "expected"),
    [
        (None, "'other', which [voice] ledger_conn_id names, is missing"),
        ({"conn_type": "http", "host": "x"}, "is not a SQL database"),
        ({"conn_type": "no_such_type"}, "'other', which [voice] ledger_conn_id names, cannot be used"),
        ({"conn_type": "sqlite", "host": "/nowhere/at/all.db"}, "The ledger's database refused"),
        (
            {"conn_type": "postgres", "host": "127.0.0.1", "port": 1, "login": "u", "password": "geheim"},
            "The ledger's database refused",
        ),
    ],
)
def test_a_ledger_that_fails_shows_what_to_do(
    admin: TestClient, monkeypatch: pytest.MonkeyPatch, connection: dict[str, Any] | None, expected: str
) -> None:
    monkeypatch.setenv(f"{ENVIRONMENT}LEDGER_CONN_ID", "other")
    if connection:
        monkeypatch.setenv("AIRFLOW_CONN_OTHER", json.dumps(connection))
    answer = admin.get("/voice/")
    assert answer.status_code == 503
    assert expected in words(answer.text)
    assert "Admin › Connections" in words(answer.text)
    assert "geheim" not in answer.text


@on_both_databases
def test_a_newer_ledger_is_said_to_be_newer(admin: TestClient, seed: Seed) -> None:
    with seed.engine.begin() as connection:
        connection.execute(text("UPDATE voice_outreach_version SET version = 99"))
    answer = admin.get("/voice/")
    assert answer.status_code == 503
    assert "version 99" in answer.text


def test_an_edited_connection_is_used_at_once(
    admin: TestClient, seed: Seed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "spring" in shown(admin, "")
    other = tmp_path / "other.db"
    Seed(create_engine(f"sqlite:///{other}"), "autumn")
    monkeypatch.setenv("AIRFLOW_CONN_PAGE_LEDGER", json.dumps({"conn_type": "sqlite", "host": str(other)}))
    assert "autumn" in shown(admin, "")


def test_a_reader_takes_no_lock(admin: TestClient, seed: Seed) -> None:
    """A campaign that writes to SQLite holds its lock; a reader does not wait for it."""
    seed.typical()
    shown(admin, "")
    with seed.engine.begin() as writer:
        # The ledger's transactions begin with the lock.
        writer.execute(contacts.select().limit(1))
        assert "spring" in shown(admin, "")
        assert "c000" in shown(admin, "contacts", name="spring")


# -- calls --


@pytest.fixture
def call_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Configure a call table and return a function that writes calls into it."""
    from airflow.sdk import BaseHook

    file = str(tmp_path / "warehouse.db")
    monkeypatch.setenv("AIRFLOW_CONN_PAGE_WAREHOUSE", json.dumps({"conn_type": "sqlite", "host": file}))
    monkeypatch.setenv(f"{ENVIRONMENT}WAREHOUSE_CONN_ID", "page_warehouse")
    now = datetime.now(timezone.utc)

    def write(*calls: Call) -> None:
        warehouse = Warehouse(BaseHook.get_hook("page_warehouse"), "voice_calls")
        warehouse.prepare()
        engine = create_engine(f"sqlite:///{file}")
        maker = RowMaker("voice_default", "plain", now, now - timedelta(hours=24))
        marks = ", ".join("?" * len(COLUMNS))
        with engine.begin() as connection:
            for call in calls:
                values = tuple(
                    warehouse.dialect.time(value) if isinstance(value, datetime) else value for value in maker.row(call)
                )
                connection.exec_driver_sql(f"INSERT INTO voice_calls VALUES ({marks})", values)

    return write


def call(index: int, status: CallStatus = CallStatus.COMPLETED, hours_ago: float = 1, **values: Any) -> Call:
    created = datetime.now(timezone.utc) - timedelta(hours=hours_ago)
    fields = {"vendor_status": "done", "to": number(index), "agent_id": "agent_1", "duration_seconds": 60}
    return Call(id=f"call_{index}", vendor="talkover", status=status, created_at=created, **{**fields, **values})


def test_without_a_call_table_the_page_says_how_to_have_one(admin: TestClient, ledger: Engine) -> None:
    assert "AIRFLOW__VOICE__WAREHOUSE_CONN_ID" in shown(admin, "calls")


def test_a_call_table_that_is_not_there_yet(admin: TestClient, call_table: Callable[..., None]) -> None:
    answer = admin.get("/voice/calls")
    assert answer.status_code == 503
    assert "There is no table voice_calls yet" in answer.text


def test_a_call_table_that_is_away(admin: TestClient, seed: Seed, monkeypatch: pytest.MonkeyPatch) -> None:
    fields = {"conn_type": "postgres", "host": "127.0.0.1", "port": 1, "login": "u", "password": "geheim"}
    monkeypatch.setenv("AIRFLOW_CONN_AWAY", json.dumps(fields))
    monkeypatch.setenv(f"{ENVIRONMENT}WAREHOUSE_CONN_ID", "away")
    seed.contact("c1", "reached", number(1))
    seed.attempt("c1", "ended", number(1), call_id="call_1", status="completed")
    answer = admin.get("/voice/calls")
    assert answer.status_code == 503
    one = admin.get("/voice/call", params={"call_id": "call_1"})
    assert one.status_code == 200
    assert "Campaign spring" in words(one.text)  # the ledger has it
    for text_of in (answer.text, one.text):
        assert "geheim" not in text_of
        assert "broke off the reading of voice_calls" in words(text_of)
        assert "Traceback" not in text_of


def test_calls_of_the_last_day_by_agent_and_status(admin: TestClient, call_table: Callable[..., None]) -> None:
    call_table(*[call(index) for index in range(3)], call(3, CallStatus.BUSY), call(4, hours_ago=25))
    found = words(shown(admin, "calls"))
    assert "Calls 4 " in found
    assert "voice_default agent_1 completed 3 3 min 00 s" in found
    assert "voice_default agent_1 busy 1 1 min 00 s" in found


@on_both_databases
def test_one_call(admin: TestClient, call_table: Callable[..., None], seed: Seed) -> None:
    call_table(call(1, vendor_status=HOSTILE))
    seed.contact("c1", "reached", number(1))
    seed.attempt("c1", "ended", number(1), call_id="call_1", status="completed")
    html = shown(admin, "call", call_id="call_1")
    found = words(html)
    assert "Status completed" in found
    assert "Duration 1 min 00 s" in found
    assert "Campaign spring" in found
    assert "<script" not in html
    assert number(1) not in html
    assert "+1415•••••01" in html
    assert "does not hold this call" in shown(admin, "call", call_id="call_9")
