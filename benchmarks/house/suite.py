"""The tests of a package: how many, how long, what they assert, and which private names they need."""

import ast
import re
from collections.abc import Iterable
from pathlib import Path

from .functions import function_lines
from .source import Function, Module, is_private

#: Calls that check something: ``pytest.raises``, ``np.testing.assert_allclose``, ``assert_identical``.
_CHECKS = re.compile(r"^(raises|warns|deprecated_call|assert\w*|fail)$")


def read_tests(folders: Iterable[Path], files: Iterable[Path] | None = None) -> list[Module]:
    """All Python files of the tests, helpers too; ``files`` instead of what lies in the folders."""
    paths = [path for folder in folders for path in folder.rglob("*.py")] if files is None else list(files)
    return [Module(path, path.stem) for path in sorted(set(paths))]


def find_test_folders(package: Path) -> list[Path]:
    """Folders ``tests`` inside the package, and the one beside it."""
    inside = [path for path in package.rglob("tests") if path.is_dir()]
    beside = package.parent / "tests"
    return [*inside, *([beside] if beside.is_dir() else [])]


def find_tests(modules: Iterable[Module]) -> list[tuple[Module, Function]]:
    return [(module, node) for module in modules for node in module.functions if node.name.startswith("test")]


def count_asserts(node: Function) -> int:
    """``assert`` statements and calls that check (``pytest.raises``, ``assert_allclose``, ...)."""
    inside = list(ast.walk(node))
    calls = [child.func for child in inside if isinstance(child, ast.Call)]
    names = [getattr(call, "attr", getattr(call, "id", "")) for call in calls]
    return sum(isinstance(child, ast.Assert) for child in inside) + sum(bool(_CHECKS.match(name)) for name in names)


def size_of_tests(modules: Iterable[Module]) -> list[tuple[int, int]]:
    """(asserts, code lines) of every test."""
    return [(count_asserts(node), function_lines(module, node)) for module, node in find_tests(modules)]


def without_assert(modules: Iterable[Module]) -> list[str]:
    return [f"{module.path.name}:{node.name}" for module, node in find_tests(modules) if not count_asserts(node)]


def private_names(modules: Iterable[Module], package: str) -> dict[str, list[str]]:
    """``package.module._name`` -> files of tests that need it.

    Counted are names that are imported (a private module as a whole is one), taken from something imported
    (``module._name``), and patched (``setattr(module, "_name", ...)``). Two tests that need one name count once.
    """
    found: dict[str, set[str]] = {}
    for module in modules:
        bound: dict[str, str] = {}
        for node in ast.walk(module.tree):
            bound.update(_imported(node, package))
        needed = [whole for whole in bound.values() if is_private(whole.rpartition(".")[2])]
        needed += [name for node in ast.walk(module.tree) for name in _taken(node, bound)]
        for name in needed:
            found.setdefault(name, set()).add(module.path.name)
    return {name: sorted(files) for name, files in sorted(found.items())}


def _imported(node: ast.AST, package: str) -> list[tuple[str, str]]:
    """(name in the file, full name) of what is imported from the package."""
    if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == package:
        return [(alias.asname or alias.name, f"{node.module}.{alias.name}") for alias in node.names]
    if isinstance(node, ast.Import):
        names = [alias for alias in node.names if alias.name.split(".")[0] == package]
        return [(alias.asname or package, alias.name if alias.asname else package) for alias in names]
    return []


def _taken(node: ast.AST, bound: dict[str, str]) -> list[str]:
    """Private names taken from, or patched in, something imported."""
    if isinstance(node, ast.Attribute) and is_private(node.attr):
        owner, name = node.value, node.attr
    elif isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "setattr" and len(node.args) > 1:
        owner, name = node.args[0], str(getattr(node.args[1], "value", ""))
    else:
        return []
    first, _, rest = ast.unparse(owner).partition(".")
    whole = ".".join(part for part in (bound.get(first, ""), rest, name) if part)
    return [whole] if first in bound and is_private(name) else []
