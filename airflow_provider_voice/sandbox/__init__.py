"""The three vendors on a real socket, so that anyone can test a DAG without ringing anyone.

``with Sandbox() as sandbox:`` in a test, the pytest fixture ``voice_sandbox``, or ``voice-sandbox --port 8765`` in a
terminal. What it answers follows the vendors' published pages; it is a stand-in, never a proof of what they do.
"""

from __future__ import annotations

from airflow_provider_voice.sandbox.faults import Fault
from airflow_provider_voice.sandbox.server import Sandbox
from airflow_provider_voice.sandbox.world import Ring, SandboxCall

__all__ = ["Fault", "Ring", "Sandbox", "SandboxCall"]
