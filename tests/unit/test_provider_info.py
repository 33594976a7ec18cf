"""What Airflow reads of the package: its schema, the entry points, what importing costs."""

from __future__ import annotations

import importlib
import json
import pkgutil
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import airflow
import jsonschema
import pytest

import airflow_provider_voice
from airflow_provider_voice.get_provider_info import get_provider_info

ROOT = Path(airflow.__file__).parent


@pytest.mark.parametrize("schema", ["provider_info.schema.json", "provider.yaml.schema.json"])
def test_valid_against_airflows_schema(schema: str) -> None:
    rules = json.loads((ROOT / schema).read_text())
    if schema == "provider.yaml.schema.json":
        # Of the larger schema only the part about connection types: the rest is for Airflow's own repository.
        rules = {"properties": {"connection-types": rules["properties"]["connection-types"]}}
    jsonschema.validate(get_provider_info(), rules)


def test_every_module_and_class_it_names_exists() -> None:
    info = get_provider_info()
    for kind in ("hooks", "operators", "sensors", "triggers"):
        for entry in info[kind]:
            for module in entry["python-modules"]:
                importlib.import_module(module)
    for entry in info["transfers"]:
        importlib.import_module(entry["python-module"])
    for name in info["notifications"]:
        module, _, notifier = name.rpartition(".")
        assert hasattr(importlib.import_module(module), notifier)
    for connection in info["connection-types"]:
        module, _, name = connection["hook-class-name"].rpartition(".")
        hook = getattr(importlib.import_module(module), name)
        assert hook.conn_type == connection["connection-type"]
        assert hook.hook_name == connection["hook-name"]


def test_it_lists_every_hook_operator_sensor_trigger_and_transfer_there_is() -> None:
    text = json.dumps(get_provider_info())
    for folder in ("operators", "sensors", "triggers", "transfers", "notifications"):
        package = importlib.import_module(f"airflow_provider_voice.{folder}")
        for module in pkgutil.iter_modules(package.__path__):
            loaded = importlib.import_module(f"{package.__name__}.{module.name}")
            ends = ("Operator", "Sensor", "Trigger", "Notifier")
            public = [name for name, item in vars(loaded).items()
                      if name.endswith(ends) and getattr(item, "__module__", "") == loaded.__name__]  # fmt: skip
            assert not public or loaded.__name__ in text, public


def test_entry_point() -> None:
    (entry,) = [
        item for item in entry_points(group="apache_airflow_provider") if item.dist.name == "airflow-provider-voice"
    ]
    assert entry.load()() == get_provider_info()


@pytest.mark.parametrize(
    ("module", "forbidden"),
    [
        ("airflow_provider_voice", ("airflow.", "requests", "phonenumbers")),
        ("airflow_provider_voice.get_provider_info", ("airflow.", "requests", "phonenumbers")),
        ("airflow_provider_voice.models", ("airflow.", "requests", "phonenumbers", "pendulum")),
        ("airflow_provider_voice.phone", ("airflow.", "requests", "phonenumbers")),
        ("airflow_provider_voice.exceptions", ("airflow.",)),
        ("airflow_provider_voice.vendors.talkover", ("airflow.", "phonenumbers")),
        ("airflow_provider_voice.vendors.talkstack", ("airflow.", "phonenumbers")),
        ("airflow_provider_voice.vendors.unleashx", ("airflow.", "phonenumbers")),
        ("airflow_provider_voice.tracking.call_watch", ("airflow.",)),
        ("airflow_provider_voice.dialing.dialer", ("airflow.",)),
        ("airflow_provider_voice.export.warehouse.table", ("airflow.",)),
    ],
)
def test_lower_layers_import_no_higher_one(module: str, forbidden: tuple[str, ...]) -> None:
    code = f"import sys, {module}; print('\\n'.join(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    wrong = [name for name in loaded for start in forbidden if name == start.rstrip(".") or name.startswith(start)]
    assert not wrong


def test_version_is_the_packages() -> None:
    from importlib.metadata import version

    assert airflow_provider_voice.__version__ == version("airflow-provider-voice")
