"""The page in a real browser, inside the UI of a real API server: open, filter, decide, pause.

Debian's Chromium is driven by Playwright, which downloads nothing here. With ``VOICE_SCREENSHOTS=docs/images`` the
pictures of the documentation are made anew.
"""

from __future__ import annotations

import json
import os
import shutil
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from airflow import __version__ as airflow_version
from sqlalchemy import Engine, create_engine
from sqlalchemy.schema import CreateTable

from airflow_provider_voice.export.rows import COLUMNS
from airflow_provider_voice.export.warehouse.sqlite import SQLite
from airflow_provider_voice.outreach.schema import contacts
from airflow_provider_voice.sandbox import Sandbox
from tests.airflow_database import copy_migrated_database
from tests.integration.page.seed import Seed, number
from tests.system.airflow_standalone import Standalone

pytestmark = pytest.mark.standalone

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
SIZE = {"width": 1180, "height": 760}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed: apt-get install chromium")
    api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed: pip install playwright")
    with api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory, browser: Any) -> Iterator[Standalone]:
    """An API server whose ``[voice]`` names a ledger and a call table; no scheduler is needed."""
    home = tmp_path_factory.mktemp("page")
    ledger = json.dumps({"conn_type": "sqlite", "host": str(home / "ledger.db")})
    with api_server(
        home,
        AIRFLOW__VOICE__LEDGER_CONN_ID="outreach_ledger",
        AIRFLOW__VOICE__WAREHOUSE_CONN_ID="warehouse",
        AIRFLOW_CONN_OUTREACH_LEDGER=ledger,
    ) as started:
        yield started


@contextmanager
def api_server(home: Path, **environment: str) -> Iterator[Standalone]:
    with Sandbox() as sandbox:
        airflow = Standalone(sandbox, home)
        airflow.environment |= environment
        copy_migrated_database(home)
        server = airflow.start_part("api-server")
        try:
            airflow.until(lambda: urllib.request.urlopen(f"{airflow.url}/api/v2/version", timeout=30), 180)
            yield airflow
        finally:
            server.terminate()
            server.wait(30)


@pytest.fixture(scope="module")
def ledger(airflow: Standalone) -> Engine:
    engine = create_engine(f"sqlite:///{airflow.home / 'ledger.db'}")
    seed = Seed(engine, "spring-renewal")
    seed.typical()
    for hour in range(1, 46):
        for index in range((hour * 37) % 11 + (3 if hour % 24 < 12 else 0)):
            key, status = f"d{hour:02d}{index:02d}", ("completed", "no_answer", "busy")[(hour + index) % 3]
            state = {"completed": "reached", "busy": "redial", "no_answer": "exhausted"}[status]
            reason = {
                "reached": "completed",
                "redial": "busy: called again later",
                "exhausted": "no answer, attempts used up",
            }
            to = number(100 + hour * 20 + index)
            due = seed.now + timedelta(hours=1) if state == "redial" else None
            seed.contact(key, state, to, reason=reason[state], attempts=1, last_attempt=1, due_at=due)
            seed.attempt(key, "ended", to, minutes_ago=hour * 60, status=status)
    other = Seed(engine, "autumn-survey")
    for index in range(30):
        other.contact(f"s{index:02d}", "reached" if index < 22 else "exhausted", number(index), reason="completed")
    fill_call_table(airflow.home / "warehouse.db")
    return engine


def fill_call_table(file: Path) -> None:
    dialect = SQLite("voice_calls", None)
    names = (
        "source",
        "call_id",
        "vendor",
        "agent_id",
        "agent_name",
        "status",
        "to_number",
        "duration_seconds",
        "created_at",
    )
    sql = f"INSERT INTO voice_calls ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"
    assert set(names) <= set(COLUMNS)
    with create_engine(f"sqlite:///{file}").begin() as connection:
        connection.execute(CreateTable(dialect.table))
        for index in range(90):
            agent = ("Renewals", "Survey")[index % 2]
            status = ("completed", "completed", "no_answer", "busy", "voicemail")[index % 5]
            created = dialect.time(datetime.now(timezone.utc) - timedelta(minutes=index * 10))
            row = (
                "voice_talkover",
                f"call_{index}",
                "talkover",
                f"a{index % 2}",
                agent,
                status,
                number(index),
                75,
                created,
            )
            connection.exec_driver_sql(sql, row)


@pytest.fixture
def picture(tmp_path: Path) -> Any:
    """Return a callable that takes a picture of the page by its name."""
    folder = Path(os.environ.get("VOICE_SCREENSHOTS", tmp_path))
    folder.mkdir(parents=True, exist_ok=True)
    return lambda page, name: page.screenshot(path=str(folder / f"{name}.png"))


def in_frame(page: Any, airflow: Standalone) -> Any:
    """Open the page by Airflow's navigation and return its frame."""
    page.goto(airflow.url)
    page.get_by_role("link", name="Voice").or_(page.get_by_role("button", name="Voice")).first.click(timeout=60_000)
    return page.frame_locator('iframe[title="Voice"]')


def test_a_person_opens_filters_decides_and_pauses(
    browser: Any, airflow: Standalone, ledger: Engine, picture: Any
) -> None:
    page = browser.new_page(viewport=SIZE)
    asked: list[str] = []
    problems: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: problems.append(message.text) if "Security Policy" in message.text else None)
    frame = in_frame(page, airflow)
    frame.get_by_text("spring-renewal").wait_for(timeout=60_000)
    picture(page, "voice-campaigns")

    frame.get_by_role("link", name="spring-renewal").click()
    frame.get_by_role("heading", name="Attempts and answers per hour").wait_for()
    picture(page, "voice-campaign")

    frame.get_by_role("link", name="Contacts", exact=True).click()
    frame.get_by_label("State").select_option("unknown")
    frame.get_by_role("button", name="Show").click()
    frame.get_by_text("c062").wait_for()
    assert frame.get_by_text("c001").count() == 0
    frame.get_by_label("Key begins with").fill("c06")
    frame.get_by_role("button", name="Show").click()
    frame.get_by_text("c061").wait_for()

    frame.get_by_role("link", name="To decide").click()
    frame.get_by_text("the vendor did not answer").first.wait_for()
    picture(page, "voice-to-decide")
    frame.get_by_role("button", name="Did not ring").first.click()
    frame.get_by_text("the contact is now redial").wait_for()
    assert state_of(ledger, "c061") == "redial"
    frame.get_by_role("button", name="Rang").first.click()
    frame.get_by_text("the contact is now exhausted").wait_for()
    frame.get_by_text("Nothing to decide").wait_for()

    frame.get_by_role("link", name="Campaigns").click()
    frame.get_by_role("link", name="spring-renewal").click()
    frame.get_by_role("button", name="Pause").click()
    frame.get_by_role("button", name="Resume").wait_for()

    frame.get_by_role("link", name="Calls").click()
    frame.get_by_text("Renewals").first.wait_for()

    assert {url.split("/")[2] for url in asked if url.startswith("http")} == {airflow.url.split("/")[2]}
    assert problems == []
    page.close()


def test_on_a_phone_in_the_dark_nothing_runs_over_the_edge(
    browser: Any, airflow: Standalone, ledger: Engine, picture: Any
) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 780}, color_scheme="dark")
    page = context.new_page()
    page.goto(airflow.url)
    for path in (
        "",
        "campaign?name=spring-renewal",
        "contacts?name=spring-renewal",
        "plan?name=spring-renewal",
        "calls",
    ):
        page.goto(f"{airflow.url}/voice/{path}")
        page.get_by_role("link", name="‹ Airflow").wait_for()
        width = page.evaluate("document.documentElement.scrollWidth")
        assert width <= 390, path
    page.goto(f"{airflow.url}/voice/campaign?name=spring-renewal")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(17, 17, 19)"
    picture(page, "voice-phone-dark")
    context.close()


@pytest.mark.thorough
def test_whose_session_has_no_cookie_signs_in_and_comes_back(browser: Any, tmp_path: Path) -> None:
    # The UI of Airflow 3.1.0 takes the cookie away when a person signs in, and leaves that of a second time.
    passwords = tmp_path / "passwords.json"
    passwords.write_text(json.dumps({"admin": "secret"}))

    def sign_in(where: Any) -> None:
        where.locator('input[name="username"]').fill("admin", timeout=60_000)
        where.locator('input[name="password"]').fill("secret")
        where.get_by_role("button", name="Sign in").click()

    with api_server(
        tmp_path,
        AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS="False",
        AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE=str(passwords),
    ) as airflow:
        page = browser.new_context(viewport=SIZE).new_page()
        page.goto(airflow.url)
        sign_in(page)
        page.get_by_role("link", name="Voice").or_(page.get_by_role("button", name="Voice")).first.wait_for(
            timeout=60_000
        )
        page.context.clear_cookies()
        page.goto(f"{airflow.url}/voice/calls")
        page.get_by_role("link", name="Sign in").click()
        sign_in(page)
        page.wait_for_url(f"{airflow.url}/voice/")
        page.get_by_role("heading", name="No campaign yet").wait_for()
        in_frame(page, airflow).get_by_role("heading", name="No campaign yet").wait_for(timeout=60_000)
        page.context.close()


@pytest.mark.skipif(airflow_version.startswith("3.1."), reason="its form has our fields with Flask-AppBuilder only")
@pytest.mark.parametrize("vendor", ["talkover", "talkstack", "unleashx"])
def test_a_person_adds_a_connection(browser: Any, airflow: Standalone, picture: Any, vendor: str) -> None:
    title = {"talkover": "Talkover", "talkstack": "Talkstack", "unleashx": "UnleashX"}[vendor]
    page = browser.new_page(viewport={"width": 1000, "height": 1900})
    page.goto(f"{airflow.url}/connections")
    page.get_by_role("button", name="Add Connection").click(timeout=60_000)
    form = page.get_by_role("dialog")
    form.get_by_role("combobox").first.click()
    page.keyboard.type(title)
    page.get_by_role("option", name=title).click()
    form.locator('input[name="connection_id"]').fill(f"my_{vendor}")
    form.locator('input[name="password"]').fill("a-token-of-the-vendor")
    form.get_by_role("button", name="Extra Fields", exact=True).click()
    form.locator("#element_default_agent_id").fill("101")
    if vendor == "talkstack":
        form.locator("#element_project_id").fill("project-1")
    form.get_by_text("Requests per minute").first.wait_for()
    picture(form, f"connection-{vendor}")
    form.get_by_role("button", name="Save").click()
    saved = airflow.until(lambda: airflow.api("GET", f"/api/v2/connections/my_{vendor}"), 30)
    assert saved["conn_type"] == vendor
    assert json.loads(saved["extra"])["default_agent_id"] == "101"
    page.close()


def state_of(ledger: Engine, key: str) -> str:
    with ledger.connect() as connection:
        return str(connection.execute(contacts.select().where(contacts.c.contact_key == key)).one().state)
