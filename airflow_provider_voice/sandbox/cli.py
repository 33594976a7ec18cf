"""``voice-sandbox``: the sandbox in a terminal, and the example DAGs."""

from __future__ import annotations

import argparse
import json
import shlex
import shutil
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_provider_voice.sandbox.arguments import VENDORS, VendorName
from airflow_provider_voice.sandbox.call_courses import MAGIC_ENDINGS
from airflow_provider_voice.sandbox.quirks import VendorQuirks
from airflow_provider_voice.sandbox.sample_crm import write_crm
from airflow_provider_voice.sandbox.server import Sandbox

if TYPE_CHECKING:
    from collections.abc import Sequence


def _parser() -> argparse.ArgumentParser:
    endings = ", ".join(f"..{digits} {outcome}" for digits, outcome in MAGIC_ENDINGS.items())
    parser = argparse.ArgumentParser(
        prog="voice-sandbox",
        description="Run Talkover, Talkstack and UnleashX on a local port; no phone is called.",
        epilog=f"The last digits of a number decide how a call to it goes: {endings}.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--port", type=int, default=8765, help="port on loopback, 0 for any free one")
    parser.add_argument("--speed", type=float, default=1.0, help="speed of calls as a multiple of real time")
    parser.add_argument("--seed", type=int, default=0, help="decides how calls to other numbers go")
    parser.add_argument("--list-delay", type=float, default=0.0, help="seconds until a new call is listed")
    parser.add_argument("--vendor", default="talkover", choices=VENDORS, help="the vendor of voice_default")
    parser.add_argument(
        "--examples", type=Path, metavar="FOLDER", default=argparse.SUPPRESS, help="copy the example DAGs and exit"
    )
    return parser


def copy_examples(folder: Path) -> list[Path]:
    """Copy the example DAGs; existing files are not changed.

    :param folder: where to; made when it is missing.
    :return: the files that were copied.
    """
    package = Path(__file__).parents[1]
    in_wheel, in_checkout = package / "examples", package.parent / "dags_examples"
    examples = in_wheel if in_wheel.is_dir() else in_checkout
    folder.mkdir(parents=True, exist_ok=True)
    sources = sorted(path for path in examples.iterdir() if path.suffix in (".py", ".csv"))
    copied = [folder / source.name for source in sources if not (folder / source.name).exists()]
    for target in copied:
        shutil.copyfile(examples / target.name, target)
    return copied


def export_lines(sandbox: Sandbox, vendor: VendorName) -> list[str]:
    """Return lines for a shell that define the connections of the examples.

    ``warehouse``, ``crm`` and ``outreach_ledger`` are SQLite files in the working directory.

    :param sandbox: the running sandbox.
    :param vendor: which vendor ``voice_default`` is.
    :return: one ``export`` command each.
    """
    connections = {"voice_default": sandbox.connection(vendor)}
    connections |= {f"voice_{name}": sandbox.connection(name) for name in VENDORS}
    for name in ("warehouse", "crm", "outreach_ledger"):
        connections[name] = {"conn_type": "sqlite", "host": str(Path(f"{name}.db").resolve())}
    return [f"export AIRFLOW_CONN_{name.upper()}={shlex.quote(json.dumps(c))}" for name, c in connections.items()]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the sandbox until it is interrupted, or copy the examples.

    :param argv: the arguments; ``None`` (default): those of the process.
    :return: 0.
    :raises SystemExit: when an argument is not possible or the port is in use, after saying so.
    """
    parser = _parser()
    options = parser.parse_args(argv)
    if "examples" in options:
        copied = "".join(f"{path}\n" for path in copy_examples(options.examples))
        sys.stdout.write(copied or f"{options.examples} has every example already.\n")
        return 0
    try:
        quirks = VendorQuirks(list_delay=options.list_delay)
        with Sandbox(port=options.port, speed=options.speed, seed=options.seed, quirks=quirks) as sandbox:
            _serve(sandbox, options.vendor)
    except (ValueError, OSError) as error:
        parser.error(f"The sandbox cannot run: {error}.")
    return 0


def _serve(sandbox: Sandbox, vendor: VendorName) -> None:
    """Write the contacts of the examples, print the connections, then wait for SIGINT or SIGTERM."""
    if not Path("crm.db").exists():
        write_crm(Path("crm.db"))
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    # Comments and exports only, so that all of it can be pasted into a shell.
    lines = [f"# The voice sandbox listens on {sandbox.url}. Paste these lines where Airflow starts:"]
    lines += export_lines(sandbox, vendor)
    sys.stdout.write("\n".join([*lines, ""]))
    sys.stdout.flush()
    stopped.wait()


if __name__ == "__main__":
    raise SystemExit(main())
