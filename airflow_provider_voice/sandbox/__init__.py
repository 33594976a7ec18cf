"""The three vendors on a real socket, so that anyone can test a DAG without calling anyone.

Use ``with Sandbox() as sandbox:`` in a test, the pytest fixture ``voice_sandbox``, or ``voice-sandbox --port 8765`` in
a terminal. The responses follow the vendors' published pages; they do not prove the vendors' behavior.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider_voice.sandbox.faults import Fault
    from airflow_provider_voice.sandbox.quirks import VendorQuirks
    from airflow_provider_voice.sandbox.server import Sandbox
    from airflow_provider_voice.sandbox.world import Ring, SandboxCall

__all__ = ["Fault", "Ring", "Sandbox", "SandboxCall", "VendorQuirks"]

_MODULES = {"Fault": "faults", "Ring": "world", "Sandbox": "server", "SandboxCall": "world", "VendorQuirks": "quirks"}


def __getattr__(name: str) -> Any:
    # Lazily, because pytest loads this package with the plugin, and the server brings starlette and uvicorn.
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
