"""The three vendors on a real socket, so that anyone can test a DAG without calling anyone.

Use ``with Sandbox() as sandbox:`` in a test, the pytest fixture ``voice_sandbox``, or ``voice-sandbox --port 8765`` in
a terminal. The responses follow the vendors' published pages; they do not prove the vendors' behavior.
"""

from __future__ import annotations

from airflow_provider_voice.sandbox.faults import Fault
from airflow_provider_voice.sandbox.quirks import VendorQuirks
from airflow_provider_voice.sandbox.server import Sandbox
from airflow_provider_voice.sandbox.world import Ring, SandboxCall

__all__ = ["Fault", "Ring", "Sandbox", "SandboxCall", "VendorQuirks"]
