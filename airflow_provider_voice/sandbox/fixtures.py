"""The pytest fixture ``voice_sandbox``, registered for every project that has this package installed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_voice.sandbox.server import Sandbox


@pytest.fixture
def voice_sandbox() -> Iterator[Sandbox]:
    """Three voice vendors on a port of their own; time moves by ``voice_sandbox.advance(seconds)`` alone."""
    # Here, not above: this module is loaded by every pytest run of every project that has the package.
    from airflow_provider_voice.sandbox.server import Sandbox

    with Sandbox(speed=0) as sandbox:
        yield sandbox
