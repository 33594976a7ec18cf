"""The README shows the example file itself, and names every argument there is."""

from __future__ import annotations

import importlib.util
import inspect
import re
from pathlib import Path

import pytest

from airflow_provider_voice import exceptions
from airflow_provider_voice.operators.make_call import MakeCallOperator
from airflow_provider_voice.sandbox.outcomes import MAGIC_ENDINGS
from airflow_provider_voice.sensors.call_status import CallStatusSensor
from airflow_provider_voice.transfers.calls_to_object_storage import CallsToObjectStorageOperator
from airflow_provider_voice.transfers.calls_to_warehouse import CallsToWarehouseOperator

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def test_code_blocks_come_out_of_the_example_files() -> None:
    blocks = re.findall(r"<!-- \[START (\w+)\] (\S+) -->\n```python\n(.*?)```\n<!-- \[END \1\] -->", README, re.DOTALL)
    assert blocks
    for name, path, shown in blocks:
        text = (ROOT / path).read_text()
        assert text.split(f"# [START {name}]\n")[1].split(f"# [END {name}]")[0].strip() == shown.strip()


def test_the_first_code_block_is_a_dag_file_as_it_stands(tmp_path) -> None:
    """Save the block as a user would, and load it without anything around it."""
    block = re.search(r"```python\n(.*?)```", README, re.DOTALL)
    assert block
    (tmp_path / "from_the_readme.py").write_text(block.group(1))
    spec = importlib.util.spec_from_file_location("from_the_readme", tmp_path / "from_the_readme.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert set(module.make_one_call().task_ids) == {"ring", "report"}


@pytest.mark.parametrize(
    "cls", [MakeCallOperator, CallStatusSensor, CallsToWarehouseOperator, CallsToObjectStorageOperator]
)
def test_every_argument_is_named_with_what_is_templated(cls) -> None:
    arguments = [name for name in inspect.signature(cls.__init__).parameters if name not in ("self", "kwargs")]
    missing = [name for name in arguments if f"`{name}`" not in README]
    assert not missing
    for field in cls.template_fields:
        assert re.search(rf"`{field}` \*", README), field


def test_errors_and_endings_are_named() -> None:
    names = [
        name
        for name, item in vars(exceptions).items()
        if isinstance(item, type) and issubclass(item, exceptions.VoiceError)
    ]
    assert not [name for name in names if f"`{name}`" not in README and name != "VoiceError"]
    for digits, outcome in MAGIC_ENDINGS.items():
        assert f"`{digits}` {outcome}" in README
