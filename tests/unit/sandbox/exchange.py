"""Plain HTTP to a sandbox, so that its responses are tested without the package's own client."""

from __future__ import annotations

from typing import Any

import requests

from airflow_provider_voice.sandbox import Sandbox

HEADERS = {"talkover": "Authorization", "talkstack": "x-api-key", "unleashx": "token"}


def credential(sandbox: Sandbox, vendor: str) -> dict[str, str]:
    """Return the header that a vendor's client sends."""
    token = sandbox.connection(vendor)["password"]  # type: ignore[arg-type]  # tests name vendors by plain text
    return {HEADERS[vendor]: f"Bearer {token}" if vendor == "talkover" else token}


def ask(sandbox: Sandbox, vendor: str, method: str, path: str, **more: Any) -> requests.Response:
    """Send one request with a good credential, unless ``headers`` are given."""
    headers = more.pop("headers", None) or credential(sandbox, vendor)
    return requests.request(method, f"{sandbox.url}{path}", headers=headers, timeout=30, **more)
