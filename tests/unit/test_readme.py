"""The README shows the example file itself, and every file it names exists. ``test_docs.py`` runs its code blocks."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

from airflow_provider_voice.sandbox.call_courses import MAGIC_ENDINGS

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


def test_endings_are_named() -> None:
    for digits, outcome in MAGIC_ENDINGS.items():
        assert re.search(rf"`{digits}`\s+{outcome}", README), digits


def test_it_can_be_read_in_five_minutes() -> None:
    assert len(README.splitlines()) < 170
