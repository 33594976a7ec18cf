"""The pytest fixture ``voice_sandbox``, registered for every project that has this package installed.

pytest loads this module in each of its runs. The sandbox loads its web server when it is made, and never Airflow.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from airflow_provider_voice.sandbox.server import Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def voice_sandbox() -> Iterator[Sandbox]:
    """Run the three vendors on a free port.

    The clock runs with real time and calls go 120 times as fast, so a usual call ends within two seconds.
    ``voice_sandbox.advance(seconds)`` makes the clock jump. For a clock that moves by ``advance`` alone, use
    ``with Sandbox(frozen=True) as sandbox`` instead.

    :return: the running sandbox; it stops with the test.
    """
    with Sandbox(speed=120) as sandbox:
        yield sandbox
