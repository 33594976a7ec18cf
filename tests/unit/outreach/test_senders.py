"""The result of a create, by its response; and creates that are held back."""

from __future__ import annotations

import time
from datetime import datetime, timezone

import pytest
from urllib3.connection import HTTPConnection

from airflow_provider_voice.dialing.deadline import Deadline
from airflow_provider_voice.exceptions import (
    AgentNotUsable,
    AuthenticationFailed,
    CallOutcomeUnknown,
    CapabilityNotSupported,
    InsufficientCredits,
    InvalidPhoneNumber,
    RateLimited,
    RequestRejected,
    VendorUnavailable,
)
from airflow_provider_voice.outreach.senders import Job, Result, Senders
from airflow_provider_voice.outreach.states import Attempt, Claimed, ContactState
from tests.support import vendor_for

NUMBER = "+14155552001"


def job(seconds: float = 60.0) -> Job:
    attempt = Attempt("afv-1", "c1", NUMBER, 1, None, None, datetime.now(timezone.utc))
    return Job(attempt, Claimed("c1", NUMBER, ContactState.PENDING, 1, 0, 0), Deadline(seconds))


class Hook:
    """What ``Senders`` needs of a voice hook."""

    def __init__(self, vendor) -> None:
        self.vendor = vendor
        self.make_call = vendor.create


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (RateLimited("", status_code=429), "passing"),
        (VendorUnavailable(""), "passing"),
        (VendorUnavailable("", status_code=503), "lost"),
        (CallOutcomeUnknown(""), "lost"),
        (InvalidPhoneNumber("", status_code=422), "contact"),
        (RequestRejected("", status_code=400), "contact"),
        (CapabilityNotSupported(""), "campaign"),
        (AuthenticationFailed("", status_code=401), "campaign"),
        (AgentNotUsable("", status_code=404), "campaign"),
        (InsufficientCredits("", status_code=402), "campaign"),
    ],
)
def test_every_error_is_about_the_contact_the_campaign_or_nobody(error, kind) -> None:
    assert Result(job(), error=error).kind == kind


def test_neither_call_nor_error_means_held_back() -> None:
    assert Result(job()).kind == "held"


def send(vendor, one: Job, *, is_stopped: bool = False) -> Result:
    senders = Senders(Hook(vendor), 1)
    if is_stopped:
        senders.stop()
    senders.send([one])
    senders.wait(30)
    (result,) = senders.finished()
    senders.close()
    return result


def test_a_create_is_sent(sandbox, vendor) -> None:
    assert send(vendor, job()).kind == "placed"
    assert sandbox.rings_per_number() == {NUMBER: 1}


def test_a_surprise_may_have_rung_and_is_not_quoted(vendor, monkeypatch) -> None:
    def create(request: object) -> None:
        raise KeyError(NUMBER)

    monkeypatch.setattr(vendor, "create", create)
    result = send(vendor, job())
    assert (result.kind, result.error.message) == ("lost", "The create failed with KeyError.")


def test_a_create_past_its_deadline_or_of_a_stopped_campaign_is_not_sent(sandbox, vendor) -> None:
    assert [send(vendor, job(-1)).kind, send(vendor, job(), is_stopped=True).kind] == ["held", "held"]
    assert sandbox.rings == []


def test_a_worker_that_froze_while_it_connected_does_not_send(sandbox, vendor, monkeypatch) -> None:
    one = job(0.3)
    plain = HTTPConnection.connect

    def connect(self: HTTPConnection) -> None:
        plain(self)
        while not one.deadline.has_passed:
            time.sleep(0.01)

    monkeypatch.setattr(HTTPConnection, "connect", connect)
    result = send(vendor, one)
    assert (result.kind, sandbox.rings) == ("held", [])


def test_a_result_does_not_show_the_number(sandbox) -> None:
    assert NUMBER not in repr(send(vendor_for(sandbox, "talkover"), job()))
