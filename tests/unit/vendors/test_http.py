"""What may be sent twice, over a real socket."""

from __future__ import annotations

import gzip
import logging
import socket
from datetime import datetime, timezone

import pytest

from airflow_provider_voice import __version__
from airflow_provider_voice.exceptions import (
    AuthenticationFailed,
    CallOutcomeUnknown,
    InvalidRequest,
    RateLimited,
    RequestRejected,
    VendorUnavailable,
    VoiceError,
)
from airflow_provider_voice.models import CallRef, CallRequest
from airflow_provider_voice.vendors import http as http_module
from airflow_provider_voice.vendors.talkover import Talkover
from airflow_provider_voice.vendors.vendor_settings import Settings
from tests.support import NUMBER, TOKEN, Reply, vendor_at

GOOD = {"success": True, "data": {"id": "call_1", "status": "initiated"}}
ROWS = {"data": [], "pagination": {"current_page": 1, "last_page": 1, "total": 0}}


def read(vendor):
    return vendor.find(CallRef("call_1", to=NUMBER, placed_at=datetime.now(timezone.utc)))


@pytest.mark.parametrize(
    "reply",
    [
        Reply(GOOD, hang_up=True),
        Reply({"message": "broken"}, status=500),
        Reply(b"<html>", status=502),
        Reply({"message": "slow"}, status=408),
        Reply(b"<html>it works</html>"),
        Reply(GOOD, cut=10),
        Reply({"success": True, "data": {}}),
        Reply([1, 2, 3]),
        Reply(b"null"),
    ],
    ids=["lost", "500", "502", "408", "garbage", "cut", "no id", "list", "null"],
)
def test_a_create_whose_answer_is_lost_is_sent_once_and_says_so(scripted, reply) -> None:
    server = scripted(lambda seen: reply)
    vendor = vendor_at(server.url, "talkover")
    with pytest.raises(CallOutcomeUnknown) as unknown:
        vendor.create(CallRequest(NUMBER))
    assert len(server.seen) == 1
    assert unknown.value.permanent
    assert "+1415•••••01" in unknown.value.message


@pytest.mark.parametrize("status", [400, 401, 402, 404, 409, 422])
def test_a_refused_create_is_sent_once(scripted, status) -> None:
    server = scripted(lambda seen: Reply({"message": "no"}, status=status))
    with pytest.raises(VoiceError) as refused:
        vendor_at(server.url, "talkover").create(CallRequest(NUMBER))
    assert len(server.seen) == 1
    assert refused.value.permanent
    assert not isinstance(refused.value, CallOutcomeUnknown)
    assert refused.value.status_code == status


def test_a_create_refused_by_429_is_sent_again_after_the_time_asked(scripted) -> None:
    replies = [
        Reply({"error": {"code": "RATE_LIMIT_EXCEEDED", "details": {"retry_after": 7}}}, status=429),
        Reply(GOOD),
    ]
    server = scripted(lambda seen: replies.pop(0))
    vendor = vendor_at(server.url, "talkover")
    assert vendor.create(CallRequest(NUMBER)).id == "call_1"
    assert len(server.seen) == 2
    assert vendor.sleeps == [7]


def test_429_for_longer_than_we_wait_is_rate_limited_with_the_time(scripted) -> None:
    server = scripted(lambda seen: Reply({}, status=429, headers={"Retry-After": "600"}))
    for ask in (lambda vendor: vendor.create(CallRequest(NUMBER)), read):
        with pytest.raises(RateLimited) as limited:
            ask(vendor_at(server.url, "talkover"))
        assert limited.value.retry_after == 600
        assert not limited.value.permanent
    assert len(server.seen) == 2


def test_a_create_that_provably_never_left_is_tried_again() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    vendor = vendor_at(f"http://127.0.0.1:{port}", "talkover")
    with pytest.raises(VendorUnavailable, match="Nothing was sent"):
        vendor.create(CallRequest(NUMBER))
    assert len(vendor.sleeps) == 4


def test_a_failed_tls_handshake_never_left_either(scripted) -> None:
    server = scripted(lambda seen: GOOD)  # speaks no TLS
    vendor = vendor_at(server.url.replace("http:", "https:"), "talkover")
    with pytest.raises(VendorUnavailable, match="Nothing was sent"):
        vendor.create(CallRequest(NUMBER))


def test_a_create_never_travels_on_an_idle_pooled_connection(scripted) -> None:
    server = scripted(lambda seen: Reply(GOOD) if seen.method == "POST" else Reply(ROWS))
    vendor = vendor_at(server.url, "talkover")
    read(vendor)
    vendor.create(CallRequest(NUMBER))
    assert server.seen[-1].headers["Connection"] == "close"
    assert server.seen[0].headers.get("Connection") != "close"


@pytest.mark.parametrize(
    "bad",
    [Reply({}, hang_up=True), Reply({}, status=500), Reply({}, status=503), Reply(b"<html>"), Reply(ROWS, cut=5)],
    ids=["reset", "500", "503", "garbage", "cut"],
)
def test_a_read_is_repeated_with_backoff(scripted, bad) -> None:
    replies = [bad, bad, Reply(ROWS)]
    server = scripted(lambda seen: replies.pop(0))
    vendor = vendor_at(server.url, "talkover")
    assert read(vendor) is None
    assert len(server.seen) == 3
    assert 0 <= vendor.sleeps[0] <= 1
    assert 0 <= vendor.sleeps[1] <= 2


def test_a_read_gives_up_after_five_tries(scripted) -> None:
    server = scripted(lambda seen: Reply({}, status=503))
    with pytest.raises(VendorUnavailable) as gone:
        read(vendor_at(server.url, "talkover"))
    assert len(server.seen) == 5
    assert gone.value.status_code == 503


def test_a_redirect_is_not_followed_and_names_the_host(scripted) -> None:
    other = scripted(lambda seen: GOOD)
    server = scripted(lambda seen: Reply({}, status=302, headers={"Location": f"{other.url}/api?token=x"}))
    for ask in (read, lambda vendor: vendor.create(CallRequest(NUMBER))):
        with pytest.raises(RequestRejected, match=other.url.removeprefix("http://")):
            ask(vendor_at(server.url, "talkover"))
    assert not other.seen


def test_a_body_too_large_is_refused_also_when_it_is_packed(scripted, monkeypatch) -> None:
    monkeypatch.setattr(http_module, "MAX_BODY_BYTES", 1024 * 1024)
    packed = gzip.compress(b" " * (8 * 1024 * 1024))
    server = scripted(lambda seen: Reply(packed, headers={"Content-Encoding": "gzip"}))
    with pytest.raises(VendorUnavailable, match="larger than 1 MiB"):
        read(vendor_at(server.url, "talkover"))
    assert len(server.seen) == 1


def test_who_we_are_and_the_credential_also_beside_a_netrc(scripted, monkeypatch, tmp_path) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    server = scripted(lambda seen: ROWS)
    read(vendor_at(server.url, "talkover"))
    assert server.seen[0].headers["Authorization"] == f"Bearer {TOKEN}"
    assert server.seen[0].headers["User-Agent"].startswith(f"airflow-provider-voice/{__version__}")


def test_plus_is_encoded_in_a_query(scripted) -> None:
    server = scripted(lambda seen: ROWS)
    read(vendor_at(server.url, "talkover"))
    assert "search=%2B14155552601" in server.seen[0].raw_query


@pytest.mark.parametrize("token", ["", "two words", "line\nbreak", "ümlaut"])
def test_a_token_no_header_can_carry_is_refused(token) -> None:
    with pytest.raises(InvalidRequest):
        Talkover(Settings(token=token, base_url="http://127.0.0.1:1"))


def test_nothing_secret_in_logs_or_errors_at_any_level(scripted, caplog) -> None:
    said = f"bad token {TOKEN} for {NUMBER} / (415) 555-2601"
    replies = [Reply({"message": said}, status=503), Reply({"error": {"code": TOKEN, "message": said}}, status=401)]
    server = scripted(lambda seen: replies.pop(0) if replies else Reply({}, hang_up=True))
    vendor = vendor_at(server.url, "talkover")
    with caplog.at_level(logging.DEBUG):
        with pytest.raises(AuthenticationFailed) as refused:
            read(vendor)
        with pytest.raises(CallOutcomeUnknown) as lost:
            vendor.create(CallRequest(NUMBER))
    shown = (
        caplog.text + refused.value.message + str(refused.value.to_dict()) + repr(vendor.settings) + lost.value.message
    )
    assert TOKEN not in shown
    assert "4155552601" not in shown
    assert "555-2601" not in shown
    for error in (refused.value, lost.value):
        assert error.__cause__ is None
        assert error.__context__ is None
