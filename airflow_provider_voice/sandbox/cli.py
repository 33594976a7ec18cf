"""``voice-sandbox``: the sandbox in a terminal."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from typing import TYPE_CHECKING

from airflow_provider_voice.sandbox.outcomes import MAGIC_ENDINGS
from airflow_provider_voice.sandbox.server import Sandbox

if TYPE_CHECKING:
    from collections.abc import Sequence


def _parser() -> argparse.ArgumentParser:
    endings = ", ".join(f"..{digits} {outcome}" for digits, outcome in MAGIC_ENDINGS.items())
    parser = argparse.ArgumentParser(
        prog="voice-sandbox",
        description="Talkover, Talkstack and UnleashX on a local port: nobody is rung.",
        epilog=f"How a call goes follows from the last digits of its number: {endings}.",
    )
    parser.add_argument("--port", type=int, default=8765, help="port on loopback, 0 for any free one (default 8765)")
    parser.add_argument("--speed", type=float, default=1.0, help="sandbox seconds per real second (default 1)")
    parser.add_argument("--seed", type=int, default=0, help="decides how calls to other numbers go (default 0)")
    parser.add_argument("--list-delay", type=float, default=0.0, help="seconds until a new call is listed (default 0)")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the sandbox until it is interrupted.

    :param argv: the arguments; None: those of the process.
    :return: 0.
    """
    options = _parser().parse_args(argv)
    sandbox = Sandbox(port=options.port, speed=options.speed, seed=options.seed, list_delay=options.list_delay)
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    with sandbox:
        lines = [f"The voice sandbox listens on {sandbox.url}. Connections to it:"]
        lines += [
            f"  export AIRFLOW_CONN_VOICE_{vendor.upper()}='{sandbox.connection_json(vendor)}'"
            for vendor in ("talkover", "talkstack", "unleashx")
        ]
        sys.stdout.write("\n".join([*lines, ""]))
        sys.stdout.flush()
        stopped.wait()
    return 0
