"""The wheel builds, holds only our package with the examples, and says where the project lives."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.once
ROOT = Path(__file__).parents[2]


def test_the_wheel_and_the_sdist(tmp_path) -> None:
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(tmp_path), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    subprocess.run(
        [sys.executable, "-m", "twine", "check", "--strict", *map(str, tmp_path.iterdir())],
        check=True,
        capture_output=True,
    )
    check_its_content(wheel)
    check_that_its_examples_can_be_copied(wheel, tmp_path)


def check_its_content(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0].split("-")[0] for name in names} == {"airflow_provider_voice"}
    assert "airflow_provider_voice/py.typed" in names
    entry_points = (
        zipfile.ZipFile(wheel).read(next(name for name in names if name.endswith("entry_points.txt"))).decode()
    )
    assert "apache_airflow_provider" in entry_points
    assert any(name.endswith("licenses/LICENSE") for name in names)
    examples = {path.name for path in (ROOT / "dags_examples").iterdir() if path.is_file()}
    shipped = {name.rpartition("/")[2] for name in names if name.startswith("airflow_provider_voice/examples/")}
    assert shipped == examples
    metadata = zipfile.ZipFile(wheel).read(next(name for name in names if name.endswith("/METADATA"))).decode()
    assert "Project-URL: Homepage, https://" in metadata


def check_that_its_examples_can_be_copied(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as content:
        content.extractall(tmp_path / "site")
    code = "import sys; from airflow_provider_voice.sandbox import cli; print(cli.__file__); sys.exit(cli.main())"
    # Run outside the checkout, with the unpacked wheel before the editable install.
    done = subprocess.run(
        [sys.executable, "-c", code, "--examples", str(tmp_path / "dags")],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(tmp_path / "site")}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.startswith(str(tmp_path / "site"))
    assert (tmp_path / "dags" / "make_one_call.py").read_text() == (ROOT / "dags_examples/make_one_call.py").read_text()
