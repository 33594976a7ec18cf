"""Airflow's database, migrated once for all tests and copied wherever a test needs one: a migration takes seconds."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path


def copy_migrated_database(home: Path) -> None:
    """Put a migrated ``airflow.db`` into an Airflow home.

    :param home: the home's folder.
    """
    template = Path(os.environ["VOICE_TESTS_FOLDER"])  # tests/conftest.py makes it
    done = template / "migrated"
    with (template / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            database = f"sqlite:///{template}/airflow.db"
            own = {"AIRFLOW_HOME": str(template), "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database}
            command = [sys.executable, "-m", "airflow", "db", "migrate"]
            subprocess.run(command, env={**os.environ, **own}, check=True, capture_output=True)
            done.touch()
    shutil.copy(template / "airflow.db", home)
