"""The application without Airflow's auth manager: headers, pages of items, problems; the routes' rights and content
are in ``tests/integration/page``.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from airflow.api_fastapi.core_api.security import get_user
from fastapi.testclient import TestClient

from airflow_provider_voice.exceptions import InvalidRequest, LedgerFailed, WarehouseFailed
from airflow_provider_voice.outreach.views import NoLedgerYet
from airflow_provider_voice.plugins.voice_page import app as page_app
from airflow_provider_voice.plugins.voice_page.security import unseal


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    """Somebody who may read."""
    page = page_app.create_page()
    page.dependency_overrides[page_app.requires_reader] = lambda: None
    page.dependency_overrides[get_user] = lambda: SimpleNamespace(get_id=lambda: "reader")
    monkeypatch.setattr(page_app, "may_change", lambda user: False)
    with TestClient(page, follow_redirects=False) as client:
        yield client


def fail_with(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def views() -> None:
        raise error

    monkeypatch.setattr(page_app, "ledger_views", views)


def test_every_answer_forbids_scripts_and_caching(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    fail_with(monkeypatch, LedgerFailed("gone"))
    for path in ("/", "/style.css", "/no/such/page", "/contacts?after=made-up"):
        headers = client.get(path).headers
        assert headers["content-security-policy"].startswith("default-src 'none'")
        assert headers["x-content-type-options"] == "nosniff"
        assert "no-store" in headers["cache-control"] or "private" in headers["cache-control"]


def test_a_page_of_items_has_a_position_only_when_there_are_more() -> None:
    assert page_app._cut("contacts", [1, 2], 2, lambda last: [last]) == ([1, 2], None)
    shown, more = page_app._cut("contacts", [1, 2, 3], 2, lambda last: [last])
    assert shown == [1, 2]
    assert unseal("contacts", more) == [2]
    assert page_app._cut("contacts", [], 2, lambda last: [last]) == ([], None)


def test_a_key_is_sealed_before_it_is_in_an_address(client: TestClient) -> None:
    answer = client.post("/contacts/find", data={"name": "spring", "key": " +14155552671 "})
    assert answer.status_code == 303
    address, _, sealed = answer.headers["location"].partition("find=")
    assert address == "../contacts?name=spring&"
    assert "4155552671" not in answer.headers["location"]
    assert unseal("find", sealed.replace("%3D", "=")) == "+14155552671"
    assert "find=" not in client.post("/contacts/find", data={"name": "spring", "key": " "}).headers["location"]


@pytest.mark.parametrize(
    ("error", "status", "text"),
    [
        (NoLedgerYet("No campaign has run yet."), 200, "No campaign has run yet."),
        (LedgerFailed("The ledger of +14155552671 is gone."), 503, "The ledger of +1415•••••71 is gone."),
        (InvalidRequest("No such connection."), 503, "No such connection."),
    ],
)
def test_a_ledger_that_cannot_be_read(client: TestClient, monkeypatch, error, status, text) -> None:
    fail_with(monkeypatch, error)
    answer = client.get("/")
    assert answer.status_code == status
    assert text in answer.text


def test_one_call_is_shown_as_far_as_it_can_be_read(client: TestClient, monkeypatch) -> None:
    fail_with(monkeypatch, LedgerFailed("The ledger is gone."))

    def recent_calls() -> None:
        raise WarehouseFailed("The call table is gone.")

    monkeypatch.setattr(page_app, "recent_calls", recent_calls)
    answer = client.get("/call?call_id=c1")
    assert answer.status_code == 200
    assert "The ledger is gone." in answer.text
    assert "The call table is gone." in answer.text
    fail_with(monkeypatch, NoLedgerYet("No campaign has run yet."))
    assert "No campaign has run yet." not in client.get("/call?call_id=c1").text


def test_the_calls_of_one_id_in_two_accounts_are_both_shown(client: TestClient, monkeypatch) -> None:
    other_columns = (
        "vendor_status", "from_number", "created_at", "ended_at", "duration_seconds", "agent_name", "agent_id", "direction",
    )  # fmt: skip
    known = {"vendor": "unleashx", "status": "busy", "to_number": "+14155552671"}
    found = [{**dict.fromkeys(other_columns), **known, "source": source} for source in ("north", "south")]
    monkeypatch.setattr(page_app, "recent_calls", lambda: SimpleNamespace(calls=lambda call_id: found))
    monkeypatch.setattr(page_app, "warehouse_conn_id", lambda: "warehouse")
    fail_with(monkeypatch, NoLedgerYet("No campaign has run yet."))
    text = client.get("/call?call_id=17").text
    assert "north, unleashx" in text
    assert "south, unleashx" in text
    assert "4155552671" not in text
    found.clear()
    assert "does not hold this call" in client.get("/call?call_id=17").text


def test_without_a_call_table_the_page_says_so(client: TestClient, monkeypatch) -> None:
    monkeypatch.setattr(page_app, "recent_calls", lambda: None)
    answer = client.get("/calls")
    assert answer.status_code == 200
    assert "warehouse_conn_id" in answer.text.lower()


def test_links_of_a_refusal_lead_to_the_first_page(client: TestClient) -> None:
    assert 'href="../../' in client.get("/no/such/page").text
    assert 'href="../../' not in client.get("/nothing").text
