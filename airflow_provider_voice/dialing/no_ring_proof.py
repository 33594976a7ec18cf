"""Whether the error of a create proves that no phone rang.

Only a clear refusal proves it. Everything else leaves the outcome open, and an open outcome is never sent again.
``vendors/http.py`` raises refusals by the same lists; here they hold for whatever a hook or a vendor's module raises.
"""

from __future__ import annotations

from airflow_provider_voice.exceptions import (
    CallOutcomeUnknown,
    CapabilityNotSupported,
    InvalidPhoneNumber,
    InvalidRequest,
    VendorUnavailable,
    VoiceError,
)
from airflow_provider_voice.vendors.error_shapes import NAMED_REFUSALS, REFUSALS

# Raised before a request leaves this machine; VendorUnavailable without a status means that no connection was made.
_BEFORE_SENDING = (InvalidRequest, InvalidPhoneNumber, CapabilityNotSupported, VendorUnavailable)


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
    if error.status_code in range(200, 300):
        return isinstance(error, NAMED_REFUSALS)
    return error.status_code in {*REFUSALS, 429}
