"""Scripted faults, as they arrive on the socket."""

from __future__ import annotations

import json
import socket
from datetime import timedelta

import pytest

from airflow_provider_voice.sandbox import Fault, Sandbox, VendorQuirks

CREATE = "/api/v1/agents/agent_sandbox/call"


def exchange(sandbox: Sandbox, method: str = "POST", path: str = CREATE) -> str:
    """Send a request to Talkover, by default a create, and return every byte that comes back."""
    body = json.dumps({"to": "+14155552602"})
    token = sandbox.connection("talkover")["password"]
    request = (
        f"{method} {path} HTTP/1.1\r\nHost: sandbox\r\nConnection: close\r\n"
        f"Authorization: Bearer {token}\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    )
    with socket.create_connection((sandbox.host, sandbox.port), 30) as connection:
        connection.sendall(request.encode())
        return b"".join(iter(lambda: connection.recv(65536), b"")).decode()


def body_and_length(shown: str) -> tuple[str, int]:
    """Return the body of a response and the length that its head states."""
    head, _, body = shown.partition("\r\n\r\n")
    return body, int(head.lower().partition("content-length: ")[2].split()[0])


@pytest.mark.parametrize("status", [100, 102, 103])
def test_an_interim_response_precedes_the_final_one(status) -> None:
    with Sandbox(frozen=True) as sandbox:
        sandbox.add_fault("interim", status=status)
        shown = exchange(sandbox)
        assert shown.startswith(f"HTTP/1.1 {status} ")
        assert "\r\n\r\nHTTP/1.1 200 OK\r\n" in shown
        assert len(sandbox.rings) == 1


@pytest.mark.parametrize(("status", "body"), [(503, {"error": "busy"}), (500, {"status": "failed"}), (400, ["failed"])])
def test_a_status_may_have_any_body(status, body) -> None:
    with Sandbox(frozen=True) as sandbox:
        sandbox.add_fault("status", status=status, body=body)
        shown = exchange(sandbox)
        assert shown.startswith(f"HTTP/1.1 {status} ")
        assert shown.endswith(json.dumps(body))
        assert not sandbox.rings


def test_a_redirect_may_follow_a_call_that_was_placed() -> None:
    with Sandbox(frozen=True) as sandbox:
        sandbox.add_fault("status", status=303, accepted=True, location="/elsewhere")
        shown = exchange(sandbox)
        assert shown.startswith("HTTP/1.1 303 ")
        assert "location: /elsewhere" in shown
        assert len(sandbox.rings) == 1


@pytest.mark.parametrize("others", [0, 3000])
def test_a_cut_response_ends_after_half_of_its_body(others) -> None:
    with Sandbox(frozen=True, quirks=VendorQuirks(max_page=5000)) as sandbox:
        sandbox.seed("talkover", others, sandbox.now() - timedelta(hours=1), sandbox.now())
        sandbox.add_fault("cut", operation="any")
        cut = exchange(sandbox, "GET", "/api/v1/calls?per_page=5000")
        sent, stated = body_and_length(cut)
        assert len(sent) == stated // 2
        sent, stated = body_and_length(exchange(sandbox))
        assert len(sent) == stated


@pytest.mark.parametrize("kind", ["lost_answer", "reset"])
def test_a_connection_is_reset_before_the_first_byte(kind) -> None:
    with Sandbox(frozen=True) as sandbox:
        sandbox.add_fault(kind)
        with pytest.raises(ConnectionResetError):
            exchange(sandbox)
        assert len(sandbox.rings) == (kind == "lost_answer")


def test_a_retry_after_may_be_huge() -> None:
    with Sandbox(frozen=True) as sandbox:
        sandbox.add_fault("status", status=429, retry_after=86_400)
        assert "retry-after: 86400" in exchange(sandbox)


@pytest.mark.parametrize(
    "wrong", [{"kind": "sad"}, {"kind": "status", "operation": "sing"}, {"kind": "interim", "status": 200}]
)
def test_impossible_faults_are_refused(wrong) -> None:
    with pytest.raises(ValueError):
        Fault(**wrong)
