"""Helpers of the tests: vendors that talk to the sandbox, and a server whose responses a test scripts."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import tenacity.nap

from airflow_provider_voice.sandbox import Sandbox
from airflow_provider_voice.vendors import pagination
from airflow_provider_voice.vendors.base import Vendor
from airflow_provider_voice.vendors.talkover import Talkover
from airflow_provider_voice.vendors.talkstack import Talkstack
from airflow_provider_voice.vendors.unleashx import UnleashX
from airflow_provider_voice.vendors.vendor_settings import Settings

CLASSES: dict[str, type[Vendor]] = {"talkover": Talkover, "talkstack": Talkstack, "unleashx": UnleashX}
PATHS = {"talkover": "/api/v1", "talkstack": "", "unleashx": "/api/v1/global"}
NUMBER = "+14155552601"
TOKEN = "s3cr3t-token-0123456789abcdef"
CLOSE_SECONDS = 0.01  # how long closing a server takes; http.server's own default is half a second


class Sleeps(list[float]):
    """Records waits instead of waiting."""

    def __call__(self, seconds: float) -> None:
        self.append(seconds)


def vendor_for(sandbox: Sandbox, name: str, **more: Any) -> Vendor:
    """Return a vendor that talks to the sandbox and records its waits in ``vendor.sleeps``."""
    connection = sandbox.connection(name)
    extra = connection["extra"]
    settings = Settings(
        token=more.pop("token", connection["password"]),
        base_url=sandbox.url + PATHS[name],
        default_agent_id=extra["default_agent_id"],
        project_id=extra.get("project_id"),
        **more,
    )
    return _recording_waits(CLASSES[name](settings))


def vendor_at(url: str, name: str, **more: Any) -> Vendor:
    """Return a vendor whose address is ``url``."""
    settings = Settings(token=TOKEN, base_url=url, default_agent_id="101", project_id="project-1", **more)
    return _recording_waits(CLASSES[name](settings))


def _recording_waits(vendor: Vendor) -> Vendor:
    # For tests that ask how long it waited between two attempts of a request.
    vendor.sleeps = vendor.http._retrying.sleep = Sleeps()  # type: ignore[attr-defined]
    return vendor


def forget_calls(sandbox: Sandbox) -> None:
    """Let a sandbox forget every call and every phone that rang."""
    for calls in sandbox.world.calls.values():
        calls.clear()
    sandbox.world.rings.clear()


def replace_sleep(monkeypatch: pytest.MonkeyPatch, sleep: Callable[[float], None]) -> None:
    """Let vendors wait by this function, between two attempts of a request and between two passes over a list.

    The pauses are chosen as in production, so a Retry-After that is too long to wait for still ends the request at once.
    """
    for module in (tenacity.nap, pagination):
        monkeypatch.setattr(module, "time", SimpleNamespace(sleep=sleep))


@dataclass
class Seen:
    """A request as the server received it."""

    method: str
    path: str
    query: dict[str, list[str]]
    raw_query: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body or b"null")


@dataclass
class Reply:
    """A scripted response; ``cut`` ends the connection after so many bytes of the body."""

    body: Any = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    cut: int | None = None
    hang_up: bool = False

    @property
    def content(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


class ScriptedServer:
    """A server on a real socket whose responses a test scripts: ``answer(seen) -> Reply`` (or a body)."""

    def __init__(self, answer: Callable[[Seen], Any]) -> None:
        self.seen: list[Seen] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # Headers and body are two writes: with Nagle's algorithm the body waits 40 ms for the client's delayed ACK.
            disable_nagle_algorithm = True

            def handle_one(self) -> None:
                parts = urlsplit(self.path)
                length = int(self.headers.get("Content-Length") or 0)
                seen = Seen(
                    self.command,
                    parts.path,
                    parse_qs(parts.query),
                    parts.query,
                    {name.title(): value for name, value in self.headers.items()},
                    self.rfile.read(length),
                )
                outer.seen.append(seen)
                reply = answer(seen)
                if not isinstance(reply, Reply):
                    reply = Reply(reply)
                if reply.hang_up:
                    self.close_connection = True
                    self.connection.close()
                    return
                content = reply.content
                self.send_response(reply.status)
                for name, value in {"Content-Type": "application/json", **reply.headers}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content if reply.cut is None else content[: reply.cut])
                if reply.cut is not None:
                    self.close_connection = True

            do_GET = do_POST = handle_one  # noqa: N815 - the names http.server asks for

            def log_message(self, *args: Any) -> None:
                del args

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(CLOSE_SECONDS,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
