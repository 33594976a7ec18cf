"""Whether the error of a create proves that no phone rang.

Only a clear refusal proves it. Everything else leaves the outcome open, and an open outcome is never sent again.
"""

from __future__ import annotations

from airflow_provider_voice.exceptions import (
    AgentNotUsable,
    AuthenticationFailed,
    CallOutcomeUnknown,
    CapabilityNotSupported,
    InsufficientCredits,
    InvalidPhoneNumber,
    InvalidRequest,
    RateLimited,
    VendorUnavailable,
    VoiceError,
)

# HTTP statuses that say that the server refused to process the request (RFC 9110, 6585, and the vendors' own pages).
# Missing on purpose: 408 (the server stopped waiting, perhaps after the call was accepted), 409 (there may be such a
# call), 425 (too early: a proxy may have passed it on), and every 1xx, 3xx and 5xx.
_REFUSING_STATUSES = frozenset({400, 401, 402, 403, 404, 405, 410, 411, 413, 414, 415, 422, 428, 429, 431})
_SUCCESS_STATUSES = range(200, 300)
# Raised before a request leaves this machine; VendorUnavailable without a status means that no connection was made.
_BEFORE_SENDING = (InvalidRequest, InvalidPhoneNumber, CapabilityNotSupported, VendorUnavailable)
# Refusals that a vendor names in the body of an answer whose HTTP status says success.
_NAMED_REFUSALS = (AgentNotUsable, AuthenticationFailed, InsufficientCredits, InvalidPhoneNumber, RateLimited)


def proves_no_ring(error: VoiceError) -> bool:
    """Return whether an error of a create proves that the vendor did not accept the call.

    The list names what proves it; an error that is not on the list proves nothing.

    :param error: the error that ``VoiceHook.make_call`` raised.
    :return: True when nothing was sent or the vendor clearly refused; False when the phone may have rung.
    """
    if isinstance(error, CallOutcomeUnknown):
        return False
    if error.status_code is None:
        return isinstance(error, _BEFORE_SENDING)
    if error.status_code in _SUCCESS_STATUSES:
        return isinstance(error, _NAMED_REFUSALS)
    return error.status_code in _REFUSING_STATUSES
