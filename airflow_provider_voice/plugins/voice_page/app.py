"""The FastAPI application: its routes, their queries and their changes."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from airflow.api_fastapi.core_api.security import GetUserDep
from fastapi import APIRouter, Depends, FastAPI, Form, HTTPException, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from starlette.exceptions import HTTPException as StarletteHTTPException

from airflow_provider_voice.exceptions import InvalidRequest, VoiceError, WarehouseFailed
from airflow_provider_voice.models import read_time, write_time
from airflow_provider_voice.outreach.campaign_record import ACTIONS, CampaignRecord
from airflow_provider_voice.outreach.states import ContactState
from airflow_provider_voice.outreach.views import CampaignSummary, LedgerViews, NoLedgerYet
from airflow_provider_voice.phone import mask_numbers_in
from airflow_provider_voice.plugins.voice_page.presentation import address, render
from airflow_provider_voice.plugins.voice_page.security import (
    Editor,
    may_change,
    overrides,
    requires_reader,
    seal,
    token_for,
    unseal,
)
from airflow_provider_voice.plugins.voice_page.sources import (
    ledger_conn_id,
    ledger_database,
    ledger_views,
    recent_calls,
    warehouse_conn_id,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

log = logging.getLogger(__name__)

HEADERS = {
    # No scripts at all, nothing from elsewhere; Airflow shows the page in a frame of its own origin.
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'self'; "
    "base-uri 'none'",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}
_PAGE, _CAMPAIGNS, _UNDECIDED = 50, 25, 25
_SEE_OTHER, _NOT_FOUND, _UNAUTHORIZED, _UNAVAILABLE = 303, 404, 401, 503
_DAY = timedelta(days=1)

reading = APIRouter()
changing = APIRouter(dependencies=[Editor])


def create_page() -> FastAPI:
    """Return the application; every route of it asks Airflow for the user.

    The application itself carries the dependency that a reader must pass, so that no route can be without one.
    """
    page = FastAPI(
        title="Voice", dependencies=[Depends(requires_reader)], openapi_url=None, docs_url=None, redoc_url=None
    )
    page.dependency_overrides.update(overrides())
    page.include_router(reading)
    page.include_router(changing)
    page.middleware("http")(_add_headers)
    page.exception_handler(StarletteHTTPException)(_show_refusal)
    page.exception_handler(VoiceError)(_show_problem)
    return page


@reading.get("/")
def _show_campaigns(request: Request, user: GetUserDep, after: str = "") -> Response:
    """Show the campaigns with their progress."""
    views = ledger_views()
    position = unseal("campaigns", after)
    created_at = read_time(position[0]) if position else None
    found = views.campaigns((created_at, position[1]) if created_at else None, _CAMPAIGNS + 1)
    shown, more = _cut("campaigns", found, _CAMPAIGNS, lambda last: [write_time(last.created_at), last.campaign])
    return _page(request, user, "campaigns.html", campaigns=shown, now=views.database.time(), more=more, after=after)


@reading.get("/campaign")
def _show_campaign(request: Request, user: GetUserDep, name: str = "") -> Response:
    """Show one campaign."""
    views = ledger_views()
    summary = _campaign(views, name)
    return _page(request, user, "campaign.html", summary=summary, reasons=views.reasons(name), hours=views.hours(name))


@reading.get("/plan")
def _show_plan(request: Request, user: GetUserDep, name: str = "") -> Response:
    """Show the plan of a campaign."""
    views = ledger_views()
    return _page(request, user, "plan.html", summary=_campaign(views, name), plan=views.plan(name))


@reading.get("/contacts")
def _show_contacts(  # noqa: PLR0917 - FastAPI passes them by name
    request: Request, user: GetUserDep, name: str = "", state: str = "", find: str = "", after: str = ""
) -> Response:
    """Show contacts of a campaign, page by page in the order of their keys."""
    views = ledger_views()
    summary = _campaign(views, name)
    chosen = state if state in {known.value for known in ContactState} else None
    prefix = unseal("find", find) or ""
    found = views.contacts(name, state=chosen, prefix=prefix, after=unseal("contacts", after), limit=_PAGE + 1)
    shown, more = _cut("contacts", found, _PAGE, lambda last: last.contact_key)
    return _page(
        request,
        user,
        "contacts.html",
        summary=summary,
        contacts=shown,
        chosen=chosen or "",
        find=find,
        prefix=prefix,
        more=more,
        after=after,
    )


@reading.post("/contacts/find")
def _find_contacts(
    name: Annotated[str, Form()] = "", state: Annotated[str, Form()] = "", key: Annotated[str, Form()] = ""
) -> Response:
    """Redirect to the contacts whose key has a prefix. It is sealed, because addresses end up in access logs."""
    query = address("../contacts", name=name, state=state, find=seal("find", key.strip()) if key.strip() else None)
    return RedirectResponse(query, _SEE_OTHER)


@reading.get("/decide")
def _show_undecided(request: Request, user: GetUserDep, after: str = "", done: str = "") -> Response:
    """Show the contacts that may have been rung, with the evidence."""
    position = unseal("undecided", after)
    found = ledger_views().undecided((position[0], position[1]) if position else None, _UNDECIDED + 1)
    shown, more = _cut("undecided", found, _UNDECIDED, lambda last: [last.campaign, last.contact_key])
    return _page(request, user, "decide.html", contacts=shown, more=more, after=after, done=unseal("done", done))


@reading.get("/calls")
def _show_calls(request: Request, user: GetUserDep) -> Response:
    """Show the calls of the last day by agent and status, out of the call table."""
    table = recent_calls()
    if table is None:
        return _page(request, user, "no_calls.html")
    now = datetime.now(timezone.utc)
    return _page(request, user, "calls.html", counts=table.since(now - _DAY), now=now)


@reading.get("/call")
def _show_call(request: Request, user: GetUserDep, call_id: str = "") -> Response:
    """Show one call, from the call table and the ledger."""
    problems: list[str] = []
    calls: Sequence[Any] = ()
    attempts: Sequence[Any] = ()
    try:
        table = recent_calls()
        calls = table.calls(call_id) if table else ()
    except (InvalidRequest, WarehouseFailed) as error:
        problems.append(error.message)
    try:
        attempts = ledger_views().attempts_of_call(call_id)
    except NoLedgerYet:
        pass
    except VoiceError as error:
        problems.append(error.message)
    values = {"call_id": call_id, "calls": calls, "attempts": attempts, "problems": problems}
    return _page(request, user, "call.html", has_table=warehouse_conn_id() is not None, **values)


@reading.get("/style.css")
def _style() -> Response:
    """Return the style sheet."""
    text = (Path(__file__).parent / "static" / "style.css").read_text()
    return Response(text, media_type="text/css", headers={"Cache-Control": "private, max-age=3600"})


@changing.post("/campaign/state")
def _change_campaign(
    user: GetUserDep,
    name: Annotated[str, Form()] = "",
    action: Annotated[Literal["pause", "resume", "cancel"], Form()] = "pause",
) -> Response:
    """Pause, resume or cancel a campaign."""
    _campaign(ledger_views(), name)
    before = CampaignRecord(ledger_database(), name).set_state(ACTIONS[action])
    _audit(user, name, f"{action}; it is {ACTIONS[action]} and was {before}")
    return RedirectResponse(address("../campaign", name=name), _SEE_OTHER)


@changing.post("/decide/attempt")
def _decide(
    user: GetUserDep,
    attempt: Annotated[str, Form()] = "",
    verdict: Annotated[Literal["", "rang", "did_not_ring"], Form()] = "",
) -> Response:
    """Settle a contact that may have been rung. The form names the attempt, so that no later one is judged."""
    found = ledger_views().attempt(attempt)
    if found is None or not verdict:
        raise HTTPException(_NOT_FOUND, "There is no such attempt in this ledger.")
    record = CampaignRecord(ledger_database(), found.campaign)
    try:
        state = record.resolve(found.contact_key, rang=verdict == "rang", attempt=found.attempt)
    except InvalidRequest as error:
        # Its message names the key, which may be a number.
        text = "Somebody has decided about this contact already, or the create may still be under way"
        raise HTTPException(409, f"{text}: try again 15 minutes after the attempt. Nothing was changed.") from error
    _audit(user, found.campaign, f"attempt {attempt} {verdict}; its contact is {state.value}")
    return RedirectResponse(address("../decide", done=seal("done", state.value)), _SEE_OTHER)


def _cut(purpose: str, found: list[Any], size: int, position: Callable[[Any], Any]) -> tuple[list[Any], str | None]:
    """Return one page of items, and the sealed position of its last item when there is another page."""
    return found[:size], seal(purpose, position(found[size - 1])) if len(found) > size else None


def _audit(user: Any, campaign: str, change: str) -> None:
    """Log the user and the change; numbers are masked, because a campaign's name may hold one."""
    log.info("User %s, campaign %s: %s.", user.get_name(), mask_numbers_in(campaign), change)


def _campaign(views: LedgerViews, name: str) -> CampaignSummary:
    summary = views.campaign(name)
    if summary is None:
        raise HTTPException(_NOT_FOUND, "There is no such campaign in this ledger.")
    return summary


def _page(request: Request, user: Any, template: str, **values: Any) -> Response:
    changes = may_change(user)
    common = _common(request) | {"may_change": changes, "token": token_for(user) if changes else ""}
    return HTMLResponse(render(template, common | values))


def _common(request: Request) -> dict[str, Any]:
    # A browser says whether it shows the page by itself; only then does the page need a way back.
    is_alone = request.headers.get("sec-fetch-dest") == "document"
    return {"is_alone": is_alone, "path": request.url.path.rsplit("/", 1)[-1], "ledger_conn_id": ledger_conn_id()}


async def _add_headers(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    response = await call_next(request)
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    return response


def _show_refusal(request: Request, error: Exception) -> Response:
    """Show why a request was refused, with a link to sign in for somebody who is not signed in."""
    status = getattr(error, "status_code", 500)
    values: dict[str, Any] = {"title": "This did not work", "text": str(getattr(error, "detail", "")), "login": None}
    if status == _UNAUTHORIZED:
        values["title"], values["text"] = "Sign in", "You are not signed in to Airflow."
        # Airflow's own route redirects to the auth manager and back here. Airflow 3.1.0 would drop a query.
        home = f"{request.scope.get('root_path', '')}/"
        values["login"] = address(f"{_depth(request)}../api/v2/auth/login", next=home)
    return HTMLResponse(render("refused.html", {"depth": _depth(request), **values}), status)


def _show_problem(request: Request, error: Exception) -> Response:
    """Show the problem of a connection and its remedy."""
    is_new = isinstance(error, NoLedgerYet)
    text = error.message if isinstance(error, VoiceError) else ""
    values = {"text": text, "is_new": is_new, "depth": _depth(request), "may_change": False}
    return HTMLResponse(render("problem.html", _common(request) | values), 200 if is_new else _UNAVAILABLE)


def _depth(request: Request) -> str:
    """Return the way from this address up to the page's first one."""
    inner = request.url.path.removeprefix(request.scope.get("root_path", "")).strip("/")
    return "../" * inner.count("/")
