"""An Airflow whose tasks run in a Celery worker, with a Redis of its own."""

from __future__ import annotations

import importlib.util
import shutil
import socket
from pathlib import Path

from airflow_provider_voice.sandbox import Sandbox
from dev.ui import free_port
from tests.system.airflow_standalone import Standalone

REDIS = shutil.which("redis-server")
#: Why this Airflow cannot be started here; empty when it can.
MISSING = ", ".join(
    [
        *([] if REDIS else ["redis-server is not installed"]),
        *(
            f"the package {name} is not installed"
            for name in ("celery", "redis")
            if importlib.util.find_spec(name) is None
        ),
    ]
)


class CeleryAirflow(Standalone):
    """Each part in a process of its own; ``airflow standalone`` knows no Celery."""

    parts = (
        ("api-server",),
        ("scheduler",),
        ("dag-processor",),
        ("triggerer",),
        ("celery", "worker", "--skip-serve-logs"),
    )

    def __init__(self, sandbox: Sandbox, home: Path, vendor: str = "talkover") -> None:
        super().__init__(sandbox, home, vendor)
        self._redis_port = free_port()
        redis = f"redis://127.0.0.1:{self._redis_port}"
        self.environment |= {
            "AIRFLOW__CORE__EXECUTOR": "airflow.providers.celery.executors.celery_executor.CeleryExecutor",
            "AIRFLOW__CELERY__BROKER_URL": f"{redis}/0",
            "AIRFLOW__CELERY__RESULT_BACKEND": f"{redis}/1",
            "AIRFLOW__CELERY__WORKER_CONCURRENCY": "2",
            # Celery warns of its own user otherwise; nothing is pickled here.
            "C_FORCE_ROOT": "1",
        }

    def launch(self) -> None:
        command = [
            str(REDIS),
            "--port",
            str(self._redis_port),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--dir",
            str(self.home),
        ]
        self.run_part("redis", command)
        self.until(self._redis_answers, 30)
        super().launch()

    def _redis_answers(self) -> bool:
        with socket.create_connection(("127.0.0.1", self._redis_port), timeout=5) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")
