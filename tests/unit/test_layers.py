"""The layers of the house: arrows point down only, there are no import cycles, and some rooms know no Airflow.

The check reads the source with ``ast``, so imports in functions and under ``TYPE_CHECKING`` count as well.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import pytest

pytestmark = pytest.mark.once
PACKAGE = "airflow_provider_voice"
ROOT = Path(__file__).parents[2]

#: The rooms from the top down. A room may import rooms of lower layers, and its neighbours while rooms form no cycle.
LAYERS: tuple[tuple[str, ...], ...] = (
    ("get_provider_info",),
    ("operators", "sensors", "transfers", "notifications", "plugins"),
    ("outreach", "triggers"),
    ("dialing", "export"),
    ("hooks",),
    ("vendors", "tracking", "utils"),
    ("models",),
    ("policy",),
    ("phone",),
    ("exceptions",),
)
#: Beside the layers: the rooms that the sandbox may import; nobody imports it.
SANDBOX, SANDBOX_MAY_IMPORT = "sandbox", {"models", "phone"}
WITHOUT_AIRFLOW = {
    "dialing", "exceptions", "models", "outreach", "phone", "policy", "sandbox", "tracking", "vendors",
}  # fmt: skip
OUTSIDE = {"benchmarks", "dags_examples", "dev", "tests"}

#: A module's name to the names of all that it imports.
Imports = dict[str, set[str]]


def read_imports(root: Path, package: str = PACKAGE) -> Imports:
    """Return the imports of each module of a package; imports of the package itself name the module that is meant.

    :param root: the folder that holds the package.
    :param package: the package's name.
    """
    files = {_module_name(path.relative_to(root)): path for path in sorted((root / package).rglob("*.py"))}
    return {
        name: {_resolve(target, files) for target in _imported(ast.parse(path.read_text()), name, path)} - {name}
        for name, path in files.items()
    }


def _module_name(path: Path) -> str:
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imported(tree: ast.Module, name: str, path: Path) -> Iterator[str]:
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            source = ".".join([*parents, *([node.module] if node.module else [])])
            yield from (f"{source}.{alias.name}" for alias in node.names)


def _resolve(target: str, modules: Mapping[str, Path]) -> str:
    """Return the module that holds a name; names outside the package stay as they are."""
    return target if target in modules or target.rpartition(".")[0] not in modules else target.rpartition(".")[0]


def room_of(module: str) -> str:
    """Return the room of a module: its first name below the package; empty for the package itself."""
    return module.split(".")[1] if "." in module else ""


def find_cycles(imports: Mapping[str, Iterable[str]]) -> list[list[str]]:
    """Return the groups of names that import each other, directly or through others (Tarjan's algorithm)."""
    order: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []
    cycles: list[list[str]] = []

    def visit(name: str) -> None:
        order[name] = lowest[name] = len(order)
        stack.append(name)
        for target in imports[name]:
            if target in imports and target not in order:
                visit(target)
            if target in stack:
                lowest[name] = min(lowest[name], lowest[target])
        if lowest[name] == order[name]:
            group = stack[stack.index(name) :]
            del stack[stack.index(name) :]
            if len(group) > 1:
                cycles.append(sorted(group))

    for name in imports:
        if name not in order:
            visit(name)
    return sorted(cycles)


def room_imports(imports: Imports) -> Imports:
    """Return which rooms import which others."""
    rooms: Imports = {room_of(name): set() for name in imports}
    for name, targets in imports.items():
        rooms[room_of(name)] |= {room_of(target) for target in targets if target in imports} - {room_of(name)}
    return rooms


def find_violations(imports: Imports) -> list[str]:
    """Return a sentence for each import that the layers forbid."""
    level = {room: number for number, rooms in enumerate(LAYERS) for room in rooms}
    found = []
    for name, targets in sorted(imports.items()):
        room = room_of(name)
        if room and room not in level and room != SANDBOX:
            found.append(f"{name} is in no room of the layers")
        for target in sorted(targets):
            other = room_of(target) if target in imports else ""
            if target.split(".")[0] == "airflow" and room in WITHOUT_AIRFLOW | {""}:
                found.append(f"{name} imports {target}, but {room or 'the package'} must not know Airflow")
            elif target.split(".")[0] in OUTSIDE:
                found.append(f"{name} imports {target}, which is not in the wheel")
            elif other in ("", room):
                continue
            elif not room:
                found.append(f"{name} imports {target}, but importing the package must import nothing")
            elif SANDBOX in (room, other) and not (room == SANDBOX and other in SANDBOX_MAY_IMPORT):
                found.append(f"{name} imports {target}, but the sandbox shares only models and phone")
            elif level.get(other, 0) < level.get(room, len(LAYERS)) and room != SANDBOX:
                found.append(f"{name} imports {target}, which is above it")
    return found


@pytest.fixture(scope="module")
def imports() -> Imports:
    return read_imports(ROOT)


def test_no_module_imports_itself_through_others(imports) -> None:
    assert find_cycles(imports) == []


def test_no_room_imports_itself_through_others(imports) -> None:
    assert find_cycles(room_imports(imports)) == []


def test_arrows_point_down_and_airflow_stays_out(imports) -> None:
    assert find_violations(imports) == []


# The checker itself: each planted violation is found.


def planted(root: Path, **sources: str) -> Imports:
    """Write a small package (``vendors__http`` is ``vendors/http.py``) and return its imports."""
    for name, source in {"__init__": "", **sources}.items():
        path = root / PACKAGE / f"{name.replace('__', '/') if name != '__init__' else name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        (path.parent / "__init__.py").touch()
        path.write_text(source)
    return read_imports(root)


CYCLES = {
    "at the top": ("from airflow_provider_voice.vendors import parsing", "import airflow_provider_voice.vendors.http"),
    "by name": ("from airflow_provider_voice.vendors.parsing import as_int", "from .http import request"),
    "for typing": (
        "from airflow_provider_voice.vendors import parsing",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from airflow_provider_voice.vendors.http import request",
    ),
    "in a function": ("from . import parsing", "def late():\n    from airflow_provider_voice.vendors import http"),
}


@pytest.mark.parametrize(("http", "parsing"), CYCLES.values(), ids=CYCLES)
def test_a_planted_cycle_is_found(tmp_path, http, parsing) -> None:
    imports = planted(tmp_path, vendors__http=http, vendors__parsing=parsing)
    names = [f"{PACKAGE}.vendors.http", f"{PACKAGE}.vendors.parsing"]
    assert find_cycles(imports) == [names]
    assert find_violations(imports) == []


def test_a_planted_cycle_of_rooms_is_found(tmp_path) -> None:
    imports = planted(
        tmp_path,
        vendors__http="import airflow_provider_voice.utils.masking",
        vendors__parsing="",
        utils__masking="",
        utils__validation="from airflow_provider_voice.vendors import parsing",
    )
    assert find_cycles(imports) == []
    assert find_cycles(room_imports(imports)) == [["utils", "vendors"]]


VIOLATIONS = {
    "upward": ("phone", "from airflow_provider_voice.models import Call", "above it"),
    "Airflow": ("vendors__http", "def f():\n    from airflow.sdk import BaseHook", "must not know Airflow"),
    "Airflow whole": ("dialing__dialer", "import airflow", "must not know Airflow"),
    "sandbox shares": ("sandbox__server", "from airflow_provider_voice.exceptions import VoiceError", "shares only"),
    "sandbox is shared": ("hooks__voice", "from airflow_provider_voice.sandbox import Sandbox", "shares only"),
    "the checkout": ("sandbox__cli", "import dev.demo", "not in the wheel"),
    "the root": ("__init__", "from airflow_provider_voice.models import Call", "must import nothing"),
    "metadata": ("hooks__voice", "from airflow_provider_voice import get_provider_info", "above it"),
    "a new room": ("stuff__things", "", "in no room"),
}


@pytest.mark.parametrize(("module", "source", "message"), VIOLATIONS.values(), ids=VIOLATIONS)
def test_a_planted_violation_is_found(tmp_path, module, source, message) -> None:
    others = {"models": "", "exceptions": "", "get_provider_info": "", "sandbox__world": ""}
    found = find_violations(planted(tmp_path, **{**others, module: source}))
    assert found
    assert all(message in sentence for sentence in found)
