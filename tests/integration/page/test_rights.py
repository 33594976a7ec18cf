"""Every route of the page with every kind of user of Airflow's simple auth manager, and forged requests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import Engine
from starlette.routing import Mount, Route

from airflow_provider_voice.outreach.schema import campaigns, contacts
from airflow_provider_voice.plugins.voice_page import security
from airflow_provider_voice.plugins.voice_page.app import create_page
from tests.integration.page.conftest import EDITORS, ROLES, rows, token_in
from tests.integration.page.seed import Seed

pytestmark = pytest.mark.airflow

Client = Callable[[str | None], TestClient]
#: POST routes that change nothing, so that every reader may use them.
READING_POSTS = {"/contacts/find"}


def routes() -> list[tuple[str, str]]:
    """Return method and path of everything the page answers to, whatever it is."""

    def walk(found: Any, prefix: str) -> Iterator[tuple[str, str]]:
        for route in found:
            if isinstance(route, Mount):
                yield ("GET", prefix + route.path)
                yield from walk(route.routes, prefix + route.path)
            elif isinstance(route, Route):
                yield from ((method, prefix + route.path) for method in sorted(route.methods or {"GET"}))
            else:
                # A FastAPI that keeps an included router as one entry: its own routes are what counts.
                inner = getattr(route, "original_router", None)
                assert inner is not None, f"a route of a kind this test does not know: {route!r}"
                yield from walk(inner.routes, prefix)

    return sorted(set(walk(create_page().routes, "")))


def may(role: str | None, method: str, path: str) -> bool:
    changes = method not in ("GET", "HEAD") and path not in READING_POSTS
    return role in EDITORS if changes else role is not None


def test_the_walk_finds_the_routes() -> None:
    assert {("GET", "/"), ("GET", "/decide"), ("POST", "/decide/attempt"), ("POST", "/campaign/state")} <= set(routes())


@pytest.mark.parametrize("role", ROLES)
def test_every_route_asks_who_is_there(as_role: Client, seed: Seed, role: str | None) -> None:
    seed.typical()
    client = as_role(role)
    token = ""
    if role in EDITORS:
        token = token_in(client.get("/voice/campaign", params={"name": "spring"}).text)
    for method, path in routes():
        answer = client.request(method, f"/voice{path}", data={"token": token} if method == "POST" else None)
        if may(role, method, path):
            assert answer.status_code in (200, 303, 404, 422), (method, path, answer.status_code)
        else:
            assert answer.status_code == (401 if role is None else 403), (method, path, answer.status_code)
            assert "spring" not in answer.text


def test_an_unprotected_route_would_be_noticed(page: FastAPI) -> None:
    added = create_page()
    added.get("/new")(lambda: "open")
    with TestClient(added) as client:
        assert client.get("/new").status_code == 401


@pytest.mark.parametrize("role", ["viewer", "user"])
def test_readers_see_no_buttons_and_no_token(as_role: Client, seed: Seed, role: str) -> None:
    seed.typical()
    for path in ("campaign?name=spring", "decide"):
        text = as_role(role).get(f"/voice/{path}").text
        assert 'name="token"' not in text
        assert "<button" not in text


@pytest.mark.parametrize(
    ("token", "headers"),
    [
        ("", {}),
        ("forged", {}),
        ("of another", {}),
        ("a cursor", {}),
        ("own", {"sec-fetch-site": "cross-site"}),
        ("own", {"sec-fetch-site": "same-site"}),
        ("own", {"origin": "https://evil.test"}),
        ("own", {"origin": "null"}),
    ],
)
def test_a_forged_change_is_refused(as_role: Client, seed: Seed, token: str, headers: dict[str, str]) -> None:
    seed.typical()
    tokens = {
        name: token_in(as_role(role).get("/voice/campaign?name=spring").text)
        for name, role in (("own", "admin"), ("of another", "op"))
    }
    tokens["a cursor"] = security.seal("contacts", "admin-1")
    form = {"token": tokens.get(token, token), "name": "spring", "action": "cancel"}
    answer = as_role("admin").post("/voice/campaign/state", data=form, headers=headers)
    assert answer.status_code == 403
    assert {row.state for row in rows(seed.engine, campaigns)} == {"running"}


@pytest.mark.parametrize("headers", [{}, {"sec-fetch-site": "same-origin"}, {"origin": "http://airflow.test"}])
def test_a_change_from_the_page_itself_is_made(admin: TestClient, seed: Seed, headers: dict[str, str]) -> None:
    token = token_in(admin.get("/voice/campaign?name=spring").text)
    form = {"token": token, "name": "spring", "action": "pause"}
    assert admin.post("/voice/campaign/state", data=form, headers=headers).status_code == 303
    assert {row.state for row in rows(seed.engine, campaigns)} == {"paused"}


def test_an_old_token_is_refused(admin: TestClient, seed: Seed, monkeypatch: pytest.MonkeyPatch) -> None:
    token = token_in(admin.get("/voice/campaign?name=spring").text)
    monkeypatch.setattr(security, "TOKEN_SECONDS", -1)
    answer = admin.post("/voice/campaign/state", data={"token": token, "name": "spring", "action": "pause"})
    assert answer.status_code == 403
    assert "Open the page again" in answer.text


def test_a_change_by_get_is_no_route(admin: TestClient, ledger: Engine, seed: Seed) -> None:
    seed.undecided("c1")
    for path in ("campaign/state?name=spring&action=cancel", "decide/attempt?attempt=afv-spring-c1&verdict=rang"):
        assert admin.get(f"/voice/{path}").status_code in (404, 405)
    assert {row.state for row in rows(ledger, contacts)} == {"unknown"}


def test_who_is_not_signed_in_is_told_where_to(as_role: Client) -> None:
    answer = as_role(None).get("/voice/decide")
    assert answer.status_code == 401
    assert 'href="../api/v2/auth/login?next=%2Fvoice%2F"' in answer.text
    assert "Sign in" in answer.text
