"""Which errors of a create prove that no phone rang."""

from __future__ import annotations

import pytest

from airflow_provider_voice.dialing.no_ring_proof import proves_no_ring
from airflow_provider_voice.exceptions import (
    AgentNotUsable,
    AuthenticationFailed,
    CallNotFound,
    CallOutcomeUnknown,
    CapabilityNotSupported,
    InsufficientCredits,
    InvalidPhoneNumber,
    InvalidRequest,
    RateLimited,
    RequestRejected,
    VendorUnavailable,
    VoiceError,
)


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 422, 429])
def test_a_clear_refusal_proves_it(status: int) -> None:
    assert proves_no_ring(RequestRejected("no", status_code=status))


@pytest.mark.parametrize(
    "status", [100, 103, 301, 302, 303, 307, 308, 405, 406, 408, 409, 410, 413, 415, 418, 425, 499, 500, 502, 503]
)
@pytest.mark.parametrize("error_class", [RequestRejected, VendorUnavailable, AgentNotUsable, RateLimited, VoiceError])
def test_no_other_status_proves_it(status: int, error_class: type[VoiceError]) -> None:
    assert not proves_no_ring(error_class("?", status_code=status))


@pytest.mark.parametrize("error_class", [InvalidRequest, InvalidPhoneNumber, CapabilityNotSupported, VendorUnavailable])
def test_what_was_never_sent_rang_nobody(error_class: type[VoiceError]) -> None:
    assert proves_no_ring(error_class("not sent"))


@pytest.mark.parametrize("error_class", [VoiceError, RequestRejected, CallNotFound, AuthenticationFailed])
def test_an_error_without_a_status_proves_nothing_unless_it_is_raised_before_sending(
    error_class: type[VoiceError],
) -> None:
    assert not proves_no_ring(error_class("?"))


@pytest.mark.parametrize("status", [None, 200, 400, 502])
def test_an_unknown_outcome_never_proves_it(status: int | None) -> None:
    assert not proves_no_ring(CallOutcomeUnknown("?", status_code=status))


def test_a_refusal_in_the_body_of_a_good_answer_counts_only_when_the_vendor_names_the_reason() -> None:
    assert proves_no_ring(InsufficientCredits("no credit", status_code=200))
    assert not proves_no_ring(RequestRejected("success: false", status_code=200))
    assert not proves_no_ring(RateLimited("slow down", status_code=200))
