"""Every public function, method and class of the package describes its arguments, results and errors.

A name is public when neither it nor a name above it begins with an underscore; functions in functions are private. The rules:

- A docstring's first line ends with a period.
- A function or method with arguments describes each of them with ``:param name:``. The arguments of ``__init__`` are
  described by the class, and so are the errors of ``__init__`` and ``__post_init__``. An ``__init__`` that takes only
  ``**kwargs`` has the arguments of its base class in the same module; one that takes ``**kwargs`` has those of a base
  class from another module of the package.
- One that returns something other than None has ``:return:``. Without arguments, a first line that begins with
  "Return" or "Yield" is enough; a property is described by its first line, as an attribute is.
- Each exception class that a ``raise`` in the function itself names has ``:raises Class:``; a line may name several.
  Private exceptions, and errors that a variable or a function call names, do not count.
- Each public field of a dataclass is described: by ``:param`` in the docstring of the class, by a ``#:`` comment above
  the field, or by a text below it.
- Each class that the API reference lists by its name has an example.
- The examples with a prompt run, and print what they say.
"""

from __future__ import annotations

import ast
import doctest
import importlib
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from pkgutil import resolve_name

import pytest

PACKAGE = Path(__file__).parents[2] / "airflow_provider_voice"

Function = ast.FunctionDef | ast.AsyncFunctionDef


def find_violations(path: Path) -> list[str]:
    """Return a sentence for each rule that a module breaks.

    :param path: the module's file.
    """
    source = path.read_text()
    tree = ast.parse(source)
    inherit_arguments(tree)
    return [*check_first_line(tree, "the module"), *check_body(tree, "", source.splitlines())]


def inherit_arguments(tree: ast.Module) -> None:
    """Give an ``__init__`` that passes ``**kwargs`` on the arguments of its base class."""
    own, imported = init_methods(tree), imported_init_methods(tree)
    for node in tree.body:
        init = own.get(node.name) if isinstance(node, ast.ClassDef) else None
        if init is None or init.args.kwarg is None:
            continue
        known = own | imported if arguments_of(init) == [init.args.kwarg.arg] else imported
        for base in node.bases:
            if isinstance(base, ast.Name) and base.id in known:
                init.args.kwonlyargs += known[base.id].args.args[1:] + known[base.id].args.kwonlyargs


def imported_init_methods(tree: ast.Module) -> dict[str, ast.FunctionDef]:
    """Return the ``__init__`` of each class of the modules of the package from which a module imports."""
    found: dict[str, ast.FunctionDef] = {}
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(f"{PACKAGE.name}."):
            path = PACKAGE.parent.joinpath(*str(node.module).split(".")).with_suffix(".py")
            found |= init_methods(ast.parse(path.read_text())) if path.is_file() else {}
    return found


def init_methods(tree: ast.Module) -> dict[str, ast.FunctionDef]:
    """Return the ``__init__`` of each class of a module."""
    return {
        node.name: item
        for node in tree.body
        if isinstance(node, ast.ClassDef)
        for item in node.body
        if isinstance(item, ast.FunctionDef) and item.name == "__init__"
    }


def check_body(parent: ast.Module | ast.ClassDef, prefix: str, lines: list[str]) -> Iterator[str]:
    for node in parent.body:
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) or node.name.startswith("_"):
            continue
        name = f"{prefix}{node.name}"
        if isinstance(node, ast.ClassDef):
            yield from check_class(node, name, lines)
            yield from check_body(node, f"{name}.", lines)
        elif not decorators(node) & {"overload", "setter", "deleter"}:
            yield from check_function(node, name)


def check_function(node: Function, name: str) -> Iterator[str]:
    doc = ast.get_docstring(node) or ""
    arguments = arguments_of(node)
    if not doc and not arguments:
        return  # a docstring at all is ruff's to ask for
    yield from check_first_line(node, name)
    yield from check_arguments(name, doc, arguments)
    yield from check_raises(name, doc, node)
    speaks_for_itself = not arguments and re.match(r"(Return|Yield)\b", doc)
    is_property = decorators(node) & {"property", "cached_property"}
    if (
        returns_something(node)
        and not re.search(r"^:return:", doc, re.MULTILINE)
        and not speaks_for_itself
        and not is_property
    ):
        yield f"{name} does not describe its result"


def check_class(node: ast.ClassDef, name: str, lines: list[str]) -> Iterator[str]:
    doc = ast.get_docstring(node) or ""
    yield from check_first_line(node, name)
    for method in node.body:
        if isinstance(method, ast.FunctionDef) and method.name in ("__init__", "__post_init__"):
            described = f"{doc}\n{ast.get_docstring(method) or ''}"
            if method.name == "__init__":
                yield from check_arguments(name, described, arguments_of(method))
            yield from check_raises(name, described, method)
    if "dataclass" in decorators(node):
        yield from (f"{name}.{field} is not described" for field in undescribed_fields(node, doc, lines))


def check_first_line(node: ast.Module | ast.ClassDef | Function, name: str) -> Iterator[str]:
    doc = ast.get_docstring(node)
    if doc is None and not isinstance(node, ast.Module):
        yield f"{name} has no docstring"
    elif doc and not doc.splitlines()[0].endswith("."):
        yield f"{name}: the first line does not end with a period"


def check_arguments(name: str, doc: str, arguments: list[str]) -> Iterator[str]:
    described = set(re.findall(r"^:param \*{0,2}(\w+):", doc, re.MULTILINE))
    yield from (f"{name} does not describe {argument}" for argument in arguments if argument not in described)
    yield from (f"{name} describes {other}, which it does not take" for other in sorted(described - {*arguments}))


def check_raises(name: str, doc: str, node: Function) -> Iterator[str]:
    described = set(re.findall(r"\w+", " ".join(re.findall(r"^:raises ([^:]+):", doc, re.MULTILINE))))
    yield from (f"{name} does not describe {error}" for error in sorted(raised_by(node) - described))


def arguments_of(node: Function) -> list[str]:
    """Return the names of a function's arguments without self and cls, and without those with an underscore."""
    every = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs, node.args.vararg, node.args.kwarg]
    names = [argument.arg for argument in every if argument is not None]
    return [name for name in names if name not in ("self", "cls") and not name.startswith("_")]


def decorators(node: ast.ClassDef | Function) -> set[str]:
    """Return the last names of the decorators: ``dataclass`` of ``@dataclasses.dataclass(frozen=True)``."""
    called = [item.func if isinstance(item, ast.Call) else item for item in node.decorator_list]
    return {ast.unparse(item).rpartition(".")[2] for item in called}


def returns_something(node: Function) -> bool:
    return node.returns is not None and ast.unparse(node.returns) not in ("None", "NoReturn", "Never")


def raised_by(node: ast.AST) -> set[str]:
    """Return the public exception classes that a function's own ``raise`` statements name."""
    found = set()
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)):
            continue
        if isinstance(child, ast.Raise) and child.exc is not None:
            raised = child.exc.func if isinstance(child.exc, ast.Call) else child.exc
            name = ast.unparse(raised).rpartition(".")[2]
            if re.fullmatch(r"[A-Z]\w+", name):
                found.add(name)
        found |= raised_by(child)
    return found


def undescribed_fields(node: ast.ClassDef, doc: str, lines: list[str]) -> Iterator[str]:
    described = set(re.findall(r"^:param (\w+):", doc, re.MULTILINE))
    for position, item in enumerate(node.body):
        if not isinstance(item, ast.AnnAssign) or not isinstance(item.target, ast.Name):
            continue
        name = item.target.id
        below = node.body[position + 1] if position + 1 < len(node.body) else None
        has_text = isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant)
        is_described = name in described or has_text or lines[item.lineno - 2].strip().startswith("#:")
        if not is_described and not name.startswith("_") and "ClassVar" not in ast.unparse(item.annotation):
            yield name


def public_modules() -> dict[str, Path]:
    """Return the public modules of the package by their path in it."""
    paths = {path.relative_to(PACKAGE).as_posix(): path for path in sorted(PACKAGE.rglob("*.py"))}
    return {
        name: path for name, path in paths.items()
        if not any(part.startswith("_") and part != "__init__.py" for part in path.relative_to(PACKAGE).parts)
    }  # fmt: skip


def test_the_classes_of_the_api_reference_have_examples() -> None:
    reference = (PACKAGE.parent / "docs" / "api.rst").read_text()
    names = re.findall(r"^\.\. autoclass:: (\S+)", reference, re.MULTILINE)
    without = [
        name for name in names if not re.search(r">>> |::\n\n|code-block:: python", resolve_name(name).__doc__ or "")
    ]
    assert (len(names) > 20, without) == (True, [])


def test_the_examples_with_a_prompt_run() -> None:
    named = [path for path in public_modules().values() if ">>> " in path.read_text()]
    modules = [".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts) for path in named]
    results = {name: doctest.testmod(importlib.import_module(name)) for name in modules}
    assert (len(results) > 5, [name for name, result in results.items() if result.failed]) == (True, [])


def test_every_public_name_is_described() -> None:
    found = {name: find_violations(path) for name, path in public_modules().items()}
    counts = Counter({name: len(sentences) for name, sentences in found.items() if sentences})
    clean = [f"{name}: {text}" for name, texts in found.items() for text in texts]
    assert clean == [], f"violations per file: {dict(counts)}"


# The checker itself: each planted violation is found, and a module that keeps the rules has none.

KEEPS_THE_RULES = '''
"""A module."""

class Thing:
    """A thing.

    :param size: how large, in metres.
    :raises ValueError: when it is negative.
    """

    def __init__(self, size):
        if size < 0:
            raise ValueError

    @property
    def double(self) -> float:
        """Twice the size."""

    def read(self) -> str:
        """Return the text."""

    def grow(self, by: float, *parts: int, **more: int) -> float:
        """Grow.

        :param by: how much.
        :param parts: which parts.
        :param more: other parts.
        :return: the new size.
        :raises KeyError, LookupError: when there is no such part.
        """
        def inner(x):
            raise OSError
        try:
            raise KeyError(by)
        except errors as error:
            raise error
        raise _Private
        raise LookupError

    def _private(self, x): ...

@dataclasses.dataclass(frozen=True)
class Point:
    """A point.

    :param x: metres to the right.
    """

    x: int
    #: Metres up.
    y: int
    z: int
    """Metres ahead."""
    kind: ClassVar[str] = "point"
    _internal: int = 0

class _Base:
    def __init__(self, *, size, **kwargs): ...

class Derived(_Base):
    """A class that passes its arguments on.

    :param size: how long, in metres.
    :param kwargs: the arguments of others.
    """

    def __init__(self, **kwargs): ...
'''

PLANTED = {
    "no period": ("A thing.", "A thing", "Thing: the first line does not end with a period"),
    "no period in a module": ('"""A module."""', '"""A module"""', "the module: the first line does not end"),
    "an argument of init": (":param size: how large, in metres.", "", "Thing does not describe size"),
    "an error of init": (":raises ValueError: when it is negative.", "", "Thing does not describe ValueError"),
    "an argument": (":param by: how much.", "", "Thing.grow does not describe by"),
    "several arguments": (":param parts: which parts.", "", "Thing.grow does not describe parts"),
    "named arguments": (":param more: other parts.", "", "Thing.grow does not describe more"),
    "an argument that is gone": (":param by: how", ":param by: how\n        :param old: how", "describes old"),
    "a result": (":return: the new size.", "", "Thing.grow does not describe its result"),
    "a result without arguments": ("Return the text.", "The text.", "Thing.read does not describe its result"),
    "an error": (":raises KeyError, LookupError", ":raises KeyError", "Thing.grow does not describe LookupError"),
    "an argument that is passed on": (":param size: how long, in metres.", "", "Derived does not describe size"),
    "a field": (":param x: metres to the right.", "", "Point.x is not described"),
    "a field with a comment": ("#: Metres up.", "# Metres up.", "Point.y is not described"),
    "a field with a text": ('"""Metres ahead."""', "", "Point.z is not described"),
}


def violations_in(folder: Path, source: str) -> list[str]:
    path = folder / "planted.py"
    path.write_text(source)
    return find_violations(path)


def test_a_module_that_keeps_the_rules_has_no_violation(tmp_path) -> None:
    assert violations_in(tmp_path, KEEPS_THE_RULES) == []


@pytest.mark.parametrize(("kept", "broken", "sentence"), PLANTED.values(), ids=PLANTED)
def test_a_planted_violation_is_found(tmp_path, kept, broken, sentence) -> None:
    assert KEEPS_THE_RULES.count(kept) == 1
    (found,) = violations_in(tmp_path, KEEPS_THE_RULES.replace(kept, broken))
    assert sentence in found
