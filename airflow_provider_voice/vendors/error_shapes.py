"""The documented shapes of the vendors' error bodies, and the class of error that a response means."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_voice.exceptions import (
    AgentNotUsable,
    AuthenticationFailed,
    CallNotFound,
    InsufficientCredits,
    InvalidPhoneNumber,
    RateLimited,
    RequestRejected,
    VendorUnavailable,
    VoiceError,
)
from airflow_provider_voice.vendors.parsing import as_object, as_text

if TYPE_CHECKING:
    from collections.abc import Mapping

_OK, _SERVER_ERROR = 200, 500
_BY_STATUS: dict[int, type[VoiceError]] = {
    401: AuthenticationFailed,
    402: InsufficientCredits,
    403: AuthenticationFailed,
    408: VendorUnavailable,
    425: VendorUnavailable,
    429: RateLimited,
}
#: HTTP statuses by which a vendor's documentation says that a create was refused, beside 429 (refused for now).
#: Missing on purpose: 408 (the server stopped waiting, perhaps after the call was accepted), 409 (there may be such a
#: call), 425 (too early: a proxy may have passed it on), and every 1xx, 3xx and 5xx.
REFUSALS = frozenset({400, 401, 402, 403, 404, 422})
#: Refusals that a vendor names in the body of a response whose HTTP status says success.
NAMED_REFUSALS = (AgentNotUsable, AuthenticationFailed, InsufficientCredits, InvalidPhoneNumber)
#: The remedy that ends an error's text.
HINTS: dict[type[VoiceError], str] = {
    AuthenticationFailed: "Check the token (password) of the connection.",
    InsufficientCredits: "Top up the vendor's account.",
    InvalidPhoneNumber: "Correct the number.",
    AgentNotUsable: "Check agent_id, and publish or activate the agent in the vendor's dashboard.",
    CallNotFound: "Check the call's id, and that the connection is the one it was placed with.",
    RateLimited: "Lower requests_per_minute on the connection, or try again later.",
    VendorUnavailable: "Try again later.",
}


def states_error(body: Any) -> bool:
    """Return whether the body of a response with a good status states an error (UnleashX docs: click-to-dial).

    :param body: the parsed body.
    :return: False for a body of any other shape.
    """
    error = as_object(body).get("error")
    return as_object(body).get("success") is False or error is True or (isinstance(error, dict) and bool(error))


def error_text(body: Any) -> tuple[str | None, str | None]:
    """Return the text and the code of an error body.

    The shapes are those of Talkover (``{"error": {"code", "message"}}``, ``{"error": "CODE", "message"}``,
    ``{"message", "code", "errors"}``) and UnleashX (``{"error": true, "code", "message"}``).

    :param body: the parsed body.
    :return: text and code; None where the body does not state it.
    """
    body = as_object(body)
    error = body.get("error")
    inner = as_object(error)
    message = as_text(inner.get("message")) or as_text(body.get("message"))
    code = as_text(inner.get("code")) or as_text(body.get("code")) or (error if isinstance(error, str) else None)
    fields = as_object(body.get("errors"))
    if fields:
        message = f"{message or 'invalid'} (fields: {', '.join(sorted(map(str, fields))[:5])})"
    return message, code


def error_class(
    status: int, code: str, text: str, marks: Mapping[str, type[VoiceError]], *, is_ok: bool = False
) -> type[VoiceError]:
    """Return the class of an error: by the HTTP status where it decides, else by the vendor's code or text.

    :param status: the HTTP status, or the one that the body states.
    :param code: the vendor's code; empty when there is none.
    :param text: the vendor's text.
    :param marks: codes, texts and parts of texts, in lower case, to classes; the first that fits counts.
    :param is_ok: whether the response has a good HTTP status, default False. There a mark that is only a part of the
        text does not count: the call may have been placed, and something else about that agent or number went wrong.
    :return: the class; :class:`RequestRejected` when nothing fits.
    """
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    if status >= _SERVER_ERROR or status < _OK:
        return VendorUnavailable
    stated = (code.lower(), text.lower().rstrip(". "))
    where = stated if is_ok else " ".join(stated)
    return next((cls for mark, cls in marks.items() if mark in where), RequestRejected)
