"""Imports inside a package: private names across files, circles, and arrows against given layers."""

import ast
from collections.abc import Iterator
from typing import NamedTuple

from .source import Module, Package, is_private


class Arrow(NamedTuple):
    """One import of a module of the package; ``name`` is what is taken from it, "" for the module itself."""

    source: str
    target: str
    name: str
    bound: str
    at_import: bool
    line: int


def arrows(package: Package) -> list[Arrow]:
    """All imports between modules of the package; those for type checkers alone are left out."""
    known = {module.name for module in package.modules}
    return [arrow for module in package.modules for arrow in _arrows_of(module, known) if arrow.target != module.name]


def _arrows_of(module: Module, known: set[str]) -> Iterator[Arrow]:
    for node, at_import in _statements(module.tree, at_import=True):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name in known:
                    bound = alias.asname or alias.name
                    yield Arrow(module.name, alias.name, "", bound, at_import, node.lineno)
        elif isinstance(node, ast.ImportFrom):
            base = _base(module, node)
            for alias in node.names:
                bound, inner = alias.asname or alias.name, f"{base}.{alias.name}"
                if inner in known:
                    yield Arrow(module.name, inner, "", bound, at_import, node.lineno)
                elif base in known:
                    yield Arrow(module.name, base, alias.name, bound, at_import, node.lineno)


def _base(module: Module, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    parts = module.name.split(".")
    parts = parts[: len(parts) - node.level + module.is_package]
    return ".".join([*parts, node.module] if node.module else parts)


def _statements(node: ast.AST, *, at_import: bool) -> Iterator[tuple[ast.AST, bool]]:
    """Statements below a node, and whether they run when the module is imported."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            for other in child.orelse:
                yield other, at_import
                yield from _statements(other, at_import=at_import)
            continue
        yield child, at_import
        inside = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        yield from _statements(child, at_import=at_import and not inside)


def private_imports(package: Package) -> list[str]:
    """Names with an underscore that one file takes from another: ``from .x import _name`` and ``x._name``.

    A module whose own name has an underscore is no such name (``from . import _x``); names in it are (``_x._name``).
    """
    found = []
    by_source: dict[str, dict[str, str]] = {}
    for arrow in arrows(package):
        if is_private(arrow.name):
            found.append(f"{arrow.source}:{arrow.line} takes {arrow.name} from {arrow.target}")
        elif not arrow.name:
            by_source.setdefault(arrow.source, {})[arrow.bound] = arrow.target
    for module in package.modules:
        found += _private_attributes(module, by_source.get(module.name, {}), {m.name for m in package.modules})
    return found


def _private_attributes(module: Module, modules: dict[str, str], known: set[str]) -> list[str]:
    seen: dict[str, str] = {}
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Attribute) and is_private(node.attr):
            target = modules.get(ast.unparse(node.value))
            if target and f"{target}.{node.attr}" not in known:
                seen.setdefault(f"{target}.{node.attr}", f"{module.name}:{node.lineno} takes {node.attr} from {target}")
    return list(seen.values())


def circles(package: Package) -> list[list[str]]:
    """Strongly connected groups of two modules or more, by the imports that run when a module is imported.

    That importing ``a.b`` also runs ``a/__init__.py`` is left out: every package would form a circle with its parts.
    """
    graph: dict[str, set[str]] = {module.name: set() for module in package.modules}
    for arrow in arrows(package):
        if arrow.at_import:
            graph[arrow.source].add(arrow.target)
    reach = {name: _reachable(graph, name) for name in graph}
    groups = {
        frozenset(other for other in reach[name] if name in reach[other]) for name in graph if name in reach[name]
    }
    return sorted(sorted(group) for group in groups if len(group) > 1)


def _reachable(graph: dict[str, set[str]], start: str) -> set[str]:
    seen: set[str] = set()
    waiting = list(graph[start])
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting += graph[name]
    return seen


def upward(package: Package, layers: list[list[str]]) -> list[str]:
    """Imports of a higher layer; ``layers`` from the highest down, each a list of parts below the package.

    Imports inside functions count too. Modules that stand in no layer are left out.
    """
    floor = {part: level for level, parts in enumerate(layers) for part in parts}
    root = package.root.name
    found = []
    for arrow in arrows(package):
        source, target = (_part(name, root) for name in (arrow.source, arrow.target))
        if source in floor and target in floor and floor[target] < floor[source]:
            found.append(f"{arrow.source}:{arrow.line} imports {arrow.target}")
    return found


def _part(name: str, root: str) -> str:
    return name.removeprefix(f"{root}.").split(".")[0]


def folder_sizes(package: Package) -> dict[str, int]:
    """Python files that lie directly in each folder, ``__init__.py`` included, most first."""
    sizes: dict[str, int] = {}
    for module in package.modules:
        folder = str(module.path.parent.relative_to(package.root.parent))
        sizes[folder] = sizes.get(folder, 0) + 1
    return dict(sorted(sizes.items(), key=lambda item: -item[1]))
