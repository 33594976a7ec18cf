"""``make ui``: Airflow standalone with the sandbox, the example DAGs and their connections."""

from __future__ import annotations

import argparse
import json
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_provider_voice.sandbox.server import Sandbox
from dev.environment import airflow_environment
from dev.processes import run_group

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_voice.sandbox.arguments import VendorName

_VENDORS: tuple[VendorName, ...] = ("talkover", "talkstack", "unleashx")


def free_port() -> int:
    """Return a port on loopback that no process uses now."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def standalone_environment(home: Path, dags: Path, sandbox: Sandbox, vendor: VendorName, port: int) -> dict[str, str]:
    """Return the environment of an ``airflow standalone`` that needs no login.

    :param home: its home.
    :param dags: the folder of its DAGs.
    :param sandbox: the running sandbox.
    :param vendor: which vendor ``voice_default`` is.
    :param port: the port of its UI and API, on loopback.
    """
    api = f"http://127.0.0.1:{port}"
    return airflow_environment(home, dags, sandbox, vendor) | {
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__BASE_URL": api,
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{api}/execution/",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "admin:admin",
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "INFO",
        "AIRFLOW__CORE__PARALLELISM": "4",
        "AIRFLOW__SCHEDULER__ENABLE_HEALTH_CHECK": "False",
        "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(free_port()),
        "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(free_port()),
    }


def add_connections(sandbox: Sandbox, environment: dict[str, str]) -> None:
    """Put the sandbox's connections into Airflow's database, where the UI shows them.

    :param sandbox: the running sandbox.
    :param environment: Airflow's environment.
    """
    file = Path(environment["AIRFLOW_HOME"]) / "connections.json"
    file.write_text(json.dumps({f"voice_{vendor}": sandbox.connection(vendor) for vendor in _VENDORS}), "utf-8")
    command = [sys.executable, "-m", "airflow", "connections", "import", "--overwrite", str(file)]
    subprocess.run(command, env=environment, capture_output=True, check=True)  # noqa: S603 - our own command, no shell


def main(argv: Sequence[str] | None = None) -> int:
    """Run Airflow with its UI until it is interrupted.

    :param argv: the arguments; ``None`` (default): those of the process.
    :return: Airflow's exit code.
    """
    parser = argparse.ArgumentParser(description="Airflow's UI with the voice sandbox and the example DAGs.")
    parser.add_argument("--vendor", default="talkover", choices=_VENDORS)
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--dags", type=Path, default=Path("dags_examples"))
    parser.add_argument("--home", type=Path, default=Path(".ui"))
    options = parser.parse_args(argv)
    home = options.home.resolve()
    home.mkdir(parents=True, exist_ok=True)
    with Sandbox(speed=10) as sandbox:
        environment = standalone_environment(home, options.dags.resolve(), sandbox, options.vendor, options.port)
        subprocess.run([sys.executable, "-m", "airflow", "db", "migrate"], env=environment, check=True)
        add_connections(sandbox, environment)
        sys.stdout.write(
            f"\nAirflow will be on http://127.0.0.1:{options.port} (no login); the sandbox is on {sandbox.url}.\n"
            "The DAGs use the connections voice_default and warehouse, which are environment variables; "
            "voice_talkover, voice_talkstack and voice_unleashx are in the UI.\nCtrl-C stops both.\n\n"
        )
        sys.stdout.flush()
        return run_group([sys.executable, "-m", "airflow", "standalone"], environment)


if __name__ == "__main__":
    raise SystemExit(main())
