"""Who may read and who may change, by Airflow's auth manager; tokens against forged requests; sealed cursors."""

from __future__ import annotations

import base64
import hashlib
import inspect
import json
from collections.abc import Callable
from typing import Annotated, Any
from urllib.parse import urlsplit

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.base_auth_manager import COOKIE_NAME_JWT_TOKEN
from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from airflow.api_fastapi.auth.managers.models.resource_details import AccessView, ConnectionDetails
from airflow.api_fastapi.core_api.security import GetUserDep, get_user, requires_access_view, resolve_user_from_token
from airflow.configuration import conf
from airflow.models.connection import Connection
from cryptography.fernet import Fernet, InvalidToken
from fastapi import Depends, Form, HTTPException, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from airflow_provider_voice.plugins.voice_page.sources import ledger_conn_id

#: A form that was opened longer ago is refused and shown again.
TOKEN_SECONDS = 12 * 60 * 60

#: Whoever is signed in and may see Airflow's website may read.
requires_reader = requires_access_view(AccessView.WEBSITE)


async def user_of_cookie(
    request: Request, bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(HTTPBearer(auto_error=False))]
) -> BaseUser:
    """Return the user of a header's token or of the session cookie."""
    token = bearer.credentials if bearer else request.cookies.get(COOKIE_NAME_JWT_TOKEN)
    return await resolve_user_from_token(token)


def overrides() -> dict[Callable[..., Any], Callable[..., Any]]:
    """Return what replaces Airflow's dependencies: in 3.1.0 the one for the user does not look at the cookie."""
    looks_at_cookies = "request" in inspect.signature(get_user).parameters
    return {} if looks_at_cookies else {get_user: user_of_cookie}


def may_change(user: Any) -> bool:
    """Return whether a user may change campaigns: it takes the right to edit the ledger's connection.

    The right to a view would not do: Airflow's simple auth manager grants views to every role, whatever the method.

    :param user: the signed-in user.
    """
    conn_id = ledger_conn_id()
    team = Connection.get_team_name(conn_id) if conn_id else None
    details = ConnectionDetails(conn_id=conn_id, team_name=team)
    return bool(get_auth_manager().is_authorized_connection(method="PUT", details=details, user=user))


def requires_editor(request: Request, user: GetUserDep, token: Annotated[str, Form()] = "") -> None:
    """Refuse a change by a user without the right, from another site, or without the token of a form of ours.

    :raises HTTPException: with status 403.
    """
    if not may_change(user):
        raise HTTPException(403, "You may look, but not change: that takes the right to edit the ledger's connection.")
    if not comes_from_here(request):
        raise HTTPException(403, "The request came from another site, so nothing was changed.")
    if _opened(token, TOKEN_SECONDS) != _mark(user):
        raise HTTPException(403, "The form is too old or not yours, so nothing was changed. Open the page again.")


Editor = Depends(requires_editor)


def comes_from_here(request: Request) -> bool:
    """Return whether a browser says that a request came from a page of this Airflow; other clients say nothing."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    origin = request.headers.get("origin")
    if origin is None:
        return True
    # Behind a proxy the host of the request may be the server's own name, so the configured address counts too.
    hosts = {request.headers.get("host"), urlsplit(conf.get("api", "base_url", fallback="")).netloc}
    return urlsplit(origin).netloc in hosts - {None, ""}


def token_for(user: Any) -> str:
    """Return the token that a form of this user carries."""
    return seal(_mark(user))


def seal(value: Any) -> str:
    """Return a value as text that only this Airflow reads: keys of contacts must not appear in addresses and logs.

    :param value: text, or a list of texts.
    """
    return _fernet().encrypt(json.dumps(value).encode()).decode()


def unseal(text: str) -> Any:
    """Return what was sealed; ``None`` for an empty text.

    :raises HTTPException: with status 400 when the text is not ours.
    """
    if not text:
        return None
    value = _opened(text)
    if value is None:
        raise HTTPException(400, "This address is not valid any more. Begin at the first page.")
    return value


def _mark(user: Any) -> dict[str, str]:
    """Return what a form's token says; cursors are texts and lists, so none of them is a token."""
    return {"may_change": str(user.get_id())}


def _opened(text: str, seconds: int | None = None) -> Any:
    """Return what was sealed, ``seconds`` ago at most; ``None`` when the text is not ours or too old."""
    try:
        return json.loads(_fernet().decrypt(text.encode(), seconds))
    except (InvalidToken, ValueError):
        return None


def _fernet() -> Fernet:
    # All API servers of an Airflow share this key; Airflow signs its own file tokens with it.
    key = hashlib.sha256(b"airflow-provider-voice.cursor:" + conf.get("api", "secret_key").encode()).digest()
    return Fernet(base64.urlsafe_b64encode(key))
