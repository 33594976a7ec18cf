"""The environment of a separate Airflow: its home, and connections to the sandbox and to databases in that home."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_provider_voice.sandbox.sample_crm import write_crm

if TYPE_CHECKING:
    from airflow_provider_voice.sandbox.arguments import VendorName
    from airflow_provider_voice.sandbox.server import Sandbox

DATABASES = ("crm", "outreach_ledger", "warehouse")


def airflow_environment(home: Path, dags: Path, sandbox: Sandbox, vendor: VendorName) -> dict[str, str]:
    """Return the environment of a separate Airflow, whose ``voice_default`` is a vendor of the sandbox.

    The connections ``crm``, ``outreach_ledger`` and ``warehouse`` are SQLite files of these names in the home. The CRM
    is written when the home has none.

    :param home: Airflow's home, an existing folder.
    :param dags: the folder of its DAGs.
    :param sandbox: the running sandbox.
    :param vendor: ``talkover``, ``talkstack`` or ``unleashx``.
    :return: environment variables, those of this process included.
    """
    if not (home / "crm.db").exists():
        write_crm(home / "crm.db")
    databases = {
        f"AIRFLOW_CONN_{name.upper()}": json.dumps({"conn_type": "sqlite", "host": str(home / f"{name}.db")})
        for name in DATABASES
    }
    own = {
        # Airflow starts its components by the name "airflow": the one beside this Python must come first.
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "AIRFLOW_CONN_VOICE_DEFAULT": sandbox.connection_json(vendor),
    }
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    return {**inherited, **databases, **own}
