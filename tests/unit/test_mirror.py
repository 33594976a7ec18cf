"""Unit tests mirror the package: ``vendors/http.py`` is proven by ``tests/unit/vendors/test_http.py``."""

from __future__ import annotations

from pathlib import Path

import pytest

pytestmark = pytest.mark.once
ROOT = Path(__file__).parents[2]

#: Modules without a unit file of their name, and why they need none.
EXEMPT = {
    "get_provider_info.py": "plain data; test_provider_info.py checks it against Airflow's schema and the package",
}


def find_missing(package: Path, tests: Path) -> list[str]:
    """Return the modules of a package that have no unit file.

    :param package: the package's folder.
    :param tests: the folder that mirrors it.
    """
    modules = [path.relative_to(package) for path in sorted(package.rglob("*.py")) if path.name != "__init__.py"]
    return [path.as_posix() for path in modules if not (tests / path.with_name(f"test_{path.name}")).is_file()]


def test_every_module_has_a_unit_file() -> None:
    missing = find_missing(ROOT / "airflow_provider_voice", ROOT / "tests" / "unit")
    assert [name for name in missing if name not in EXEMPT] == []
    assert set(EXEMPT) <= set(missing), "an exempt module has a unit file now: take it off the list"


def test_a_module_without_a_unit_file_is_found(tmp_path) -> None:
    for name in ("package/__init__.py", "package/room/one.py", "package/room/two.py", "tests/room/test_one.py"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert find_missing(tmp_path / "package", tmp_path / "tests") == ["room/two.py"]
