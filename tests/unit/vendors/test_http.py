"""Which requests may be sent twice, over a real socket."""

from __future__ import annotations

import gzip
import itertools
import logging
import math
import socket
import threading
import time
import tracemalloc
from datetime import datetime, timedelta, timezone
from functools import cache

import pytest

from airflow_provider_voice.dialing.no_ring_proof import proves_no_ring
from airflow_provider_voice.exceptions import (
    AgentNotUsable,
    AuthenticationFailed,
    CallOutcomeUnknown,
    InvalidRequest,
    RateLimited,
    RequestRejected,
    VendorUnavailable,
    VoiceError,
)
from airflow_provider_voice.models import CallRef, CallRequest
from airflow_provider_voice.vendors import transport
from airflow_provider_voice.vendors.base import HistoryQuery
from airflow_provider_voice.vendors.talkover import Talkover
from airflow_provider_voice.vendors.vendor_settings import Settings
from tests.support import NUMBER, TOKEN, Reply, vendor_at

GOOD = {"success": True, "data": {"id": "call_1", "status": "initiated"}}
ROWS = {"data": [], "pagination": {"current_page": 1, "last_page": 1, "total": 0}}


@pytest.fixture
def raw_server():
    """Make a server that sends the same bytes, or pieces of them, to everybody."""
    sockets = []

    def serve(content):
        listener = socket.create_server(("127.0.0.1", 0))
        sockets.append(listener)

        def run() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    try:
                        connection.recv(65536)
                        for piece in [content] if isinstance(content, bytes) else content():
                            connection.sendall(piece)
                    except OSError:
                        continue

        threading.Thread(target=run, daemon=True).start()
        return f"http://127.0.0.1:{listener.getsockname()[1]}"

    yield serve
    for listener in sockets:
        listener.close()


def read(vendor):
    return vendor.find(CallRef("call_1", to=NUMBER, placed_at=datetime.now(timezone.utc)))


@pytest.mark.parametrize(
    "reply",
    [
        Reply(GOOD, hang_up=True),
        Reply({"message": "broken"}, status=500),
        Reply(b"<html>", status=502),
        Reply({"message": "slow"}, status=408),
        Reply({"message": "taken"}, status=409),
        Reply({"message": "too early"}, status=425),
        Reply({"message": "gone"}, status=499),
        Reply(b"<html>not found</html>", status=404),
        Reply({"message": "page"}, status=400, headers={"Content-Type": "text/html"}),
        Reply(b"\x00\x01", status=400),
        Reply({"message": "no", "id": "call_1"}, status=400),
        Reply(GOOD | {"success": False}),
        Reply({"error": True, "code": 500, "message": "broken"}),
        Reply({"error": True, "code": "500", "message": "broken"}),
        Reply({}, status=302, headers={"Location": "https://example.org/api"}),
        Reply({}, status=303, headers={"Location": "https://example.org/api"}),
        Reply({}, status=304),
        Reply(GOOD, status=307, headers={"Location": "https://example.org/api"}),
        Reply(b"", status=101),
        Reply(b"<html>it works</html>"),
        Reply(GOOD, cut=10),
        Reply({"success": True, "data": {}}),
        Reply([1, 2, 3]),
        Reply(b"null"),
    ],
    ids=[
        "lost",
        "500",
        "502",
        "408",
        "409",
        "425",
        "499",
        "404 page",
        "400 page",
        "400 bytes",
        "400 with id",
        "failure with id",
        "500 in a 200",
        "500 as text in a 200",
        "302",
        "303",
        "304",
        "307",
        "101",
        "garbage",
        "cut",
        "no id",
        "list",
        "null",
    ],
)
def test_a_create_whose_response_is_lost_is_sent_once(scripted, reply) -> None:
    server = scripted(lambda seen: reply)
    vendor = vendor_at(server.url, "talkover")
    with pytest.raises(CallOutcomeUnknown) as unknown:
        vendor.create(CallRequest(NUMBER))
    assert len(server.seen) == 1
    assert unknown.value.permanent
    assert "+1415•••••01" in unknown.value.message


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 422])
def test_a_refused_create_is_sent_once(scripted, status) -> None:
    server = scripted(lambda seen: Reply({"message": "no"}, status=status))
    with pytest.raises(VoiceError) as refused:
        vendor_at(server.url, "talkover").create(CallRequest(NUMBER))
    assert len(server.seen) == 1
    assert refused.value.permanent
    assert not isinstance(refused.value, CallOutcomeUnknown)
    assert refused.value.status_code == status


def test_a_code_that_only_looks_like_a_number_is_a_code(scripted) -> None:
    server = scripted(lambda seen: {"error": True, "code": "\u00b2", "message": "Agent not found"})
    with pytest.raises(AgentNotUsable):
        vendor_at(server.url, "unleashx").create(CallRequest(NUMBER, agent_id="101"))


@pytest.mark.parametrize(
    "body", [b"", b" \n", b"Unauthorized", b"Unauthorized\r\n", b'"Unauthorized"', b"two\nlines\n"]
)
def test_a_refusal_may_be_plain_text_or_without_a_body(scripted, body) -> None:
    server = scripted(lambda seen: Reply(body, status=401, headers={"Content-Type": "text/plain"}))
    with pytest.raises(AuthenticationFailed) as refused:
        vendor_at(server.url, "talkstack").create(CallRequest(NUMBER))
    assert proves_no_ring(refused.value)
    text = " ".join(body.decode().strip('"').split())
    assert f"{': ' if text else ''}{text} (HTTP 401)" in refused.value.message
    assert "bytes" not in refused.value.message


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
    [
        Reply({}, hang_up=True),
        Reply({}, status=500),
        Reply({}, status=503),
        Reply(b"<html>"),
        Reply(b"<html>", status=403),
        Reply(b"<html>", status=404),
        Reply(ROWS, cut=5),
    ],
    ids=["reset", "500", "503", "garbage", "page 403", "page 404", "cut"],
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
    asks = ((read, RequestRejected), (lambda vendor: vendor.create(CallRequest(NUMBER)), CallOutcomeUnknown))
    for ask, error in asks:
        with pytest.raises(error, match=other.url.removeprefix("http://")):
            ask(vendor_at(server.url, "talkover"))
    assert not other.seen


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


def endless(piece: bytes, pause: float = 0.05):
    while True:
        yield piece
        time.sleep(pause)


@pytest.mark.parametrize(
    "pieces",
    [
        lambda: endless(b"HTTP/1.1 100 Continue\r\n\r\n"),
        lambda: itertools.chain([b"HTTP/1.1 200 OK\r\nX-Slow: "], endless(b"a")),
        lambda: itertools.chain([HEAD + b"Transfer-Encoding: chunked\r\n\r\n1;"], endless(b"x")),
        lambda: itertools.chain([HEAD + b"Content-Length: 1000000\r\n\r\n"], endless(b" ")),
        lambda: itertools.chain([b"HTTP/1.1 302 Found\r\nContent-Length: 1000000\r\n\r\n"], endless(b" ")),
    ],
    ids=["flood of 100", "slow header", "chunk extension", "slow body", "slow redirect"],
)
def test_every_response_ends_within_the_time_limit(raw_server, monkeypatch, pieces) -> None:
    monkeypatch.setattr(transport, "MAX_SECONDS", 0.3)
    url = raw_server(pieces)
    began = time.monotonic()
    for ask, error in ((read, VendorUnavailable), (lambda one: one.create(CallRequest(NUMBER)), CallOutcomeUnknown)):
        with pytest.raises(error):
            ask(vendor_at(url, "talkover"))
    assert time.monotonic() - began < 30


@cache
def packed_blanks() -> bytes:
    """Compress 400 MiB, which takes a second or two, once for all tests."""
    return gzip.compress(gzip.compress(b"", 9) + b" " * (400 * 1024 * 1024), 6)


@pytest.mark.parametrize("status", [200, 302, 400, 503])
def test_a_small_packed_body_cannot_fill_the_memory(scripted, status) -> None:
    packed = packed_blanks()
    server = scripted(lambda seen: Reply(packed, status=status, headers={"Content-Encoding": "gzip"}))
    tracemalloc.start()
    try:
        with pytest.raises(VendorUnavailable, match="larger than 32 MiB"):
            read(vendor_at(server.url, "talkover"))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 120 * 1024 * 1024
    assert len(server.seen) == 1


def test_a_body_too_large_is_refused_also_when_it_is_packed(scripted, monkeypatch) -> None:
    monkeypatch.setattr(transport, "MAX_BODY_BYTES", 1024 * 1024)
    packed = gzip.compress(b" " * (8 * 1024 * 1024))
    server = scripted(lambda seen: Reply(packed, headers={"Content-Encoding": "gzip"}))
    with pytest.raises(VendorUnavailable, match="larger than 1 MiB"):
        read(vendor_at(server.url, "talkover"))
    assert len(server.seen) == 1


def test_plus_is_encoded_in_a_query(scripted) -> None:
    server = scripted(lambda seen: ROWS)
    read(vendor_at(server.url, "talkover"))
    assert "search=%2B14155552601" in server.seen[0].raw_query


@pytest.mark.parametrize("token", ["", "two parts", "line\nbreak", "ümlaut"])
def test_a_token_no_header_can_carry_is_refused(token) -> None:
    with pytest.raises(InvalidRequest):
        Talkover(Settings(token=token, base_url="http://127.0.0.1:1"))


def test_pages_that_go_on_point_to_the_host(scripted) -> None:
    server = scripted(lambda seen: Reply(b"<html>Not Found</html>", status=404, headers={"Content-Type": "text/html"}))
    with pytest.raises(VendorUnavailable, match="If this goes on, correct the host of the connection"):
        read(vendor_at(server.url, "talkover"))


def test_nothing_secret_in_logs_or_errors_at_any_level(scripted, caplog) -> None:
    said = f"bad token {TOKEN} for {NUMBER} / (415) 555-2601"
    refusal = {"error": {"code": TOKEN, "message": said}}
    echo = {"X-Request-Id": f"id-of-{TOKEN}"}
    replies = [Reply({"message": said}, status=503), Reply(refusal, status=401, headers=echo)]
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


def test_characters_that_cannot_be_stored_are_replaced(scripted) -> None:
    row = {
        "id": "c1",
        "note": "a\x00b\ud800c",
        "\udfff": ["\x00"],
        "score": math.nan,
        "created_at": "2026-01-01T12:00:00Z",
    }
    body = {"data": [row], "pagination": {"total": 1, "last_page": 1}}
    day = datetime(2026, 1, 1, tzinfo=timezone.utc)
    vendor = vendor_at(scripted(lambda seen: body).url, "talkover")
    (call,) = vendor.list_calls(HistoryQuery(day, day + timedelta(days=1)))
    assert call.raw["note"] == "a\ufffdb\ufffdc"
    assert call.raw["\ufffd"] == ["\ufffd"]
    assert call.raw["score"] is None


@pytest.mark.parametrize("body", [b"[1,", b"\xff", b""])
def test_a_body_that_is_not_json_is_unreadable(scripted, body) -> None:
    with pytest.raises(VendorUnavailable, match="not JSON" if body else "an empty body"):
        read(vendor_at(scripted(lambda seen: Reply(body)).url, "talkover"))
