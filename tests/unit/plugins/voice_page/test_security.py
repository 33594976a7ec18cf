"""Sealed texts, the token of a form, and the order of the checks of a change; roles are in ``tests/integration/page``."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from fastapi import HTTPException
from starlette.requests import Request

from airflow_provider_voice.plugins.voice_page import security


class Somebody:
    """A user by id."""

    def __init__(self, user_id: str) -> None:
        self.user_id = user_id

    def get_id(self) -> str:
        return self.user_id


@pytest.fixture(autouse=True)
def _configured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__API__SECRET_KEY", "one key")
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://airflow.example/base")
    monkeypatch.setattr(security, "may_change", lambda user: user.user_id != "viewer")


def request(**headers: str) -> Request:
    named = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "headers": named})


def check(user: Any, token: str, **headers: str) -> None:
    """Call the dependency of every route that changes something."""
    security.Editor.dependency(request(**headers), user, token)


@pytest.mark.parametrize("value", ["+14155552671", ["2026-11-21", "c1"]])
def test_a_sealed_value_comes_back_and_is_not_readable(value: Any) -> None:
    sealed = security.seal("find", value)
    assert security.unseal("find", sealed) == value
    assert "4155552671" not in sealed
    assert sealed.isascii()


def test_an_empty_text_is_no_position() -> None:
    assert security.unseal("find", "") is None


@pytest.mark.parametrize("text", ["c001", "gAAAAA", "ü", "x" * 5000])
def test_a_text_that_was_not_sealed_is_refused(text: str) -> None:
    with pytest.raises(HTTPException) as refusal:
        security.unseal("find", text)
    assert refusal.value.status_code == 400


def test_a_value_that_was_sealed_for_something_else_is_refused() -> None:
    # A reader who searches for a key seals a text of their own: it is no position, and no state that was decided.
    with pytest.raises(HTTPException) as refusal:
        security.unseal("done", security.seal("find", "c1"))
    assert refusal.value.status_code == 400


def test_another_airflow_cannot_read_it(monkeypatch: pytest.MonkeyPatch) -> None:
    sealed = security.seal("find", "c1")
    monkeypatch.setenv("AIRFLOW__API__SECRET_KEY", "another key")
    with pytest.raises(HTTPException):
        security.unseal("find", sealed)


def test_a_form_of_ones_own_passes() -> None:
    editor = Somebody("editor")
    check(editor, security.token_for(editor))
    check(editor, security.token_for(editor), sec_fetch_site="same-origin")
    check(editor, security.token_for(editor), origin="https://airflow.example")
    check(editor, security.token_for(editor), origin="http://localhost:8080", host="localhost:8080")


@pytest.mark.parametrize(
    ("user", "token", "headers", "reason"),
    [
        ("viewer", "viewer", {}, "the right to edit"),
        ("editor", "editor", {"sec_fetch_site": "cross-site"}, "another site"),
        ("editor", "editor", {"sec_fetch_site": "none"}, "another site"),
        ("editor", "editor", {"origin": "https://evil.test", "host": "airflow.example"}, "another site"),
        ("editor", "editor", {"origin": "null"}, "another site"),
        ("editor", "somebody else", {}, "not yours"),
    ],
)
def test_a_change_is_refused(user: str, token: str, headers: dict[str, str], reason: str) -> None:
    with pytest.raises(HTTPException, match=reason) as refusal:
        check(Somebody(user), security.token_for(Somebody(token)), **headers)
    assert refusal.value.status_code == 403


def test_a_cursor_is_no_token_and_an_old_token_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    editor = Somebody("editor")
    for purpose in ("find", "contacts"):
        with pytest.raises(HTTPException, match="too old or not yours"):
            check(editor, security.seal(purpose, "editor"))
    monkeypatch.setattr(security, "TOKEN_SECONDS", -1)
    with pytest.raises(HTTPException, match="too old or not yours"):
        check(editor, security.token_for(editor))


def test_airflows_own_dependency_is_replaced_only_where_it_reads_no_cookie(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(security, "get_user", lambda request, bearer: None)
    assert security.overrides() == {}
    monkeypatch.setattr(security, "get_user", old := lambda bearer: None)
    assert list(security.overrides()) == [old]


def test_the_right_to_change_is_the_right_to_edit_the_ledgers_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setenv("AIRFLOW__VOICE__LEDGER_CONN_ID", "ledger")
    monkeypatch.setattr(security.Connection, "get_team_name", lambda conn_id: "sales")
    asked: list[Any] = []
    manager = SimpleNamespace(is_authorized_connection=lambda **question: asked.append(question))
    monkeypatch.setattr(security, "get_auth_manager", lambda: manager)
    assert security.may_change("somebody") is False
    ((details, method, user),) = [(one["details"], one["method"], one["user"]) for one in asked]
    assert (method, user, details.conn_id, details.team_name) == ("PUT", "somebody", "ledger", "sales")
