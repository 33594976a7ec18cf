"""The rights to read and to change, by Airflow's auth manager; tokens against forged requests; sealed cursors."""

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

#: Every signed-in user who may see Airflow's website may read.
requires_reader = requires_access_view(AccessView.WEBSITE)


async def _user_of_cookie(
    request: Request, bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(HTTPBearer(auto_error=False))]
) -> BaseUser:
    """Return the user of a header's token or of the session cookie."""
    token = bearer.credentials if bearer else request.cookies.get(COOKIE_NAME_JWT_TOKEN)
    return await resolve_user_from_token(token)


def overrides() -> dict[Callable[..., Any], Callable[..., Any]]:
    """Return the replacements of Airflow's dependencies: in 3.1.0 the one for the user does not read the cookie."""
    reads_cookies = "request" in inspect.signature(get_user).parameters
    return {} if reads_cookies else {get_user: _user_of_cookie}


def may_change(user: Any) -> bool:
    """Return whether a user may change campaigns.

    :param user: the signed-in user.
    :return: whether the user may edit the ledger's connection. The right to a view would not suffice: Airflow's simple
        auth manager grants views to every role, whatever the method.
    """
    conn_id = ledger_conn_id()
    team = Connection.get_team_name(conn_id) if conn_id else None
    details = ConnectionDetails(conn_id=conn_id, team_name=team)
    return bool(get_auth_manager().is_authorized_connection(method="PUT", details=details, user=user))


def _requires_editor(request: Request, user: GetUserDep, token: Annotated[str, Form()] = "") -> None:
    """Refuse with 403 a change by a user without the right, from another site, or without the token of our form."""
    if not may_change(user):
        raise HTTPException(403, "You may read this page, but changes need the right to edit the ledger's connection.")
    if not _comes_from_here(request):
        raise HTTPException(403, "The request came from another site, so nothing was changed.")
    if _opened("change", token, TOKEN_SECONDS) != str(user.get_id()):
        raise HTTPException(403, "The form is too old or not yours, so nothing was changed. Open the page again.")


Editor = Depends(_requires_editor)


def _comes_from_here(request: Request) -> bool:
    """Return whether the browser names a page of this Airflow as the origin; True where no header names any."""
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
    """Return the token for the forms of a user.

    :param user: the signed-in user.
    :return: the token, which :data:`Editor` accepts from this user for :data:`TOKEN_SECONDS`.
    """
    return seal("change", str(user.get_id()))


def seal(purpose: str, value: Any) -> str:
    """Encrypt a value for an address or a form: keys of contacts must not appear in addresses and logs.

    :param purpose: what the value is for; it is worth nothing elsewhere.
    :param value: text, or a list of texts.
    :return: text that :func:`unseal` reads, on every API server of this Airflow.
    """
    return _fernet().encrypt(json.dumps([purpose, value]).encode()).decode()


def unseal(purpose: str, text: str) -> Any:
    """Decrypt the text of :func:`seal`.

    :param purpose: the purpose that the value was sealed for.
    :param text: the text from an address or a form.
    :return: the value; ``None`` for an empty text.
    :raises HTTPException: with status 400 when the text was not made by :func:`seal` for this purpose.
    """
    if not text:
        return None
    value = _opened(purpose, text)
    if value is None:
        raise HTTPException(400, "This address is no longer valid. Start at the first page.")
    return value


def _opened(purpose: str, text: str, seconds: int | None = None) -> Any:
    """Return a value that was sealed at most ``seconds`` ago; ``None`` when the text is not ours or too old."""
    try:
        found, value = json.loads(_fernet().decrypt(text.encode(), seconds))
    except (InvalidToken, ValueError):
        return None
    return value if found == purpose else None


def _fernet() -> Fernet:
    # All API servers of an Airflow share this key; Airflow signs its own file tokens with it.
    key = hashlib.sha256(b"airflow-provider-voice.cursor:" + conf.get("api", "secret_key").encode()).digest()
    return Fernet(base64.urlsafe_b64encode(key))
