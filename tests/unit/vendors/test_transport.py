"""One request and one response over a real socket: interim responses, the limits, and the proof that nothing left."""

from __future__ import annotations

import gzip
import json
import logging
import socket
import threading
import zlib
from collections.abc import Callable, Iterator

import pytest
import requests

from airflow_provider_voice import __version__
from airflow_provider_voice.vendors import transport
from airflow_provider_voice.vendors.transport import (
    Transport,
    UnusableResponse,
    mask_numbers_in_urllib3_logs,
    new_session,
)
from tests.support import TOKEN

TIMEOUT = (10.0, 10.0)
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


@pytest.fixture
def serve() -> Iterator[Callable[[bytes], str]]:
    """Make servers that read one request, send the same bytes to everybody and close the connection."""
    listeners = []
    seen: list[bytes] = []

    def make(content: bytes) -> str:
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)

        def run() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    seen.append(connection.recv(65536))
                    connection.sendall(content)

        threading.Thread(target=run, daemon=True).start()
        return f"http://127.0.0.1:{listener.getsockname()[1]}"

    make.seen = seen  # type: ignore[attr-defined]  # the requests that the servers received
    yield make
    for listener in listeners:
        listener.close()


def send(url: str, adapter: Transport | None = None) -> tuple[int, bytes]:
    with new_session({"Authorization": f"Bearer {TOKEN}"}, adapter or Transport()) as session:
        response, body = transport.send(session, requests.Request("GET", url), TIMEOUT)
    return response.status_code, body


def response_of(body: bytes, *headers: bytes) -> bytes:
    return HEAD + b"".join(header + b"\r\n" for header in headers) + b"Content-Length: %d\r\n\r\n" % len(body) + body


@pytest.mark.parametrize("interim", ["100 Continue", "102 Processing", "103 Early Hints"])
def test_an_interim_response_is_read_over_to_the_final_one(serve, interim) -> None:
    before = f"HTTP/1.1 {interim}\r\nLink: </x>\r\n\r\n".encode()
    assert send(serve(before * 2 + response_of(b'{"id": 1}'))) == (200, b'{"id": 1}')


def test_interim_responses_without_an_end_are_refused(serve) -> None:
    with pytest.raises(UnusableResponse, match="interim"):
        send(serve(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 30))


def test_a_switch_of_protocols_is_a_final_response(serve) -> None:
    assert send(serve(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n"))[0] == 101


def test_a_redirect_is_a_response_like_any_other(serve) -> None:
    other = serve(response_of(b"{}"))
    assert send(serve(b"HTTP/1.1 302 Found\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n" % other.encode()))[0] == 302
    assert len(serve.seen) == 1


@pytest.mark.parametrize("packed", [gzip.compress(b"{}"), zlib.compress(b"{}")], ids=["gzip", "deflate"])
def test_a_packed_body_is_unpacked_and_a_damaged_one_refused(serve, packed) -> None:
    encoding = b"Content-Encoding: gzip" if packed[:2] == b"\x1f\x8b" else b"Content-Encoding: deflate"
    assert send(serve(response_of(packed, encoding)))[1] == b"{}"
    for damaged, message in ((packed[:-4], "cut"), (b"xx" + packed, "damaged")):
        with pytest.raises(UnusableResponse, match=message):
            send(serve(response_of(damaged, encoding)))


def test_an_encoding_that_was_not_asked_for_is_refused(serve) -> None:
    with pytest.raises(UnusableResponse, match="not asked for"):
        send(serve(response_of(b"{}", b"Content-Encoding: br")))


def test_a_body_beyond_the_limit_is_refused(serve, monkeypatch) -> None:
    monkeypatch.setattr(transport, "MAX_BODY_BYTES", 1024 * 1024)
    assert len(send(serve(response_of(b" " * 1024 * 1024)))[1]) == 1024 * 1024
    with pytest.raises(UnusableResponse, match="larger than 1 MiB"):
        send(serve(response_of(b" " * (1024 * 1024 + 1))))


@pytest.mark.parametrize(
    "packed",
    [gzip.compress(b"{}") + bytes(2 * 1024 * 1024), b"\x1f\x8b\x08" + bytes(7) + b"\x00\x00\x00\xff\xff" * 300_000],
    ids=["bytes after its end", "blocks without a byte"],
)
def test_a_packed_body_beyond_the_limit_is_refused_however_little_is_in_it(serve, monkeypatch, packed) -> None:
    monkeypatch.setattr(transport, "MAX_BODY_BYTES", 1024 * 1024)
    with pytest.raises(UnusableResponse, match="larger than 1 MiB"):
        send(serve(response_of(packed, b"Content-Encoding: gzip")))


def test_an_adapter_knows_whether_a_connection_was_ever_established(serve) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        refused = Transport()
        with pytest.raises(requests.ConnectionError):
            send(f"http://127.0.0.1:{closed.getsockname()[1]}", refused)
    assert not refused.connected
    no_tls = Transport()
    with pytest.raises(requests.ConnectionError):
        send(serve(response_of(b"{}")).replace("http:", "https:"), no_tls)
    assert not no_tls.connected
    lost = Transport()
    with pytest.raises(requests.ConnectionError):
        send(serve(b""), lost)
    assert lost.connected


def test_the_credential_is_sent_although_a_netrc_has_another(serve, monkeypatch, tmp_path) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login other password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    send(serve(response_of(b"{}")))
    (request,) = serve.seen
    assert f"Authorization: Bearer {TOKEN}\r\n".encode() in request
    assert f"User-Agent: airflow-provider-voice/{__version__}".encode() in request


def test_the_credential_is_not_in_a_repr() -> None:
    with new_session({"token": TOKEN}, Transport()) as session:
        assert TOKEN not in json.dumps(repr(session.auth))


def test_numbers_in_the_log_of_urllib3_are_masked_once(caplog) -> None:
    mask_numbers_in_urllib3_logs()
    mask_numbers_in_urllib3_logs()
    logger = logging.getLogger("urllib3.connectionpool")
    assert logger.filters.count(transport._mask_arguments) == 1
    with caplog.at_level(logging.DEBUG):
        logger.debug('%s "%s"', "host", "GET /calls?search=%2B14155552601")
    assert "5552601" not in caplog.text
    assert "GET /calls" in caplog.text


def test_a_malformed_header_is_logged_without_the_number_and_without_the_response(serve, caplog) -> None:
    mask_numbers_in_urllib3_logs()
    url = serve(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nZebulon +14155552671\r\n\r\n")
    send(f"{url}/calls?search=%2B14155552671")
    assert "Failed to parse headers" in caplog.text
    assert "4155552671" not in caplog.text
    assert "Zebulon" not in caplog.text
