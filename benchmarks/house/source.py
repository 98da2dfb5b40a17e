"""The source of a package as it is read for counting: modules, functions, and what each line is."""

import ast
import io
import re
import tokenize
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path

Function = ast.FunctionDef | ast.AsyncFunctionDef
#: Folders inside a package that are not its own source.
LEFT_OUT = {"tests", "test", "docs", "doc", "examples", "benchmarks", "_vendored", "vendored", "_vendor", "vendor"}
#: Comments that speak to a tool, not to a reader.
_DIRECTIVE = re.compile(
    r"noqa\b|type:\s*ignore|fmt:|isort:|ruff:|pylint:|pragma:|mypy:|pyright:|!|nosec|-\*-", re.IGNORECASE
)


class Module:
    """One file: its text, its syntax tree, and the sort of each line."""

    def __init__(self, path: Path, name: str) -> None:
        self.path = path
        self.name = name
        self.text = path.read_text(encoding="utf-8")
        self.tree = ast.parse(self.text)

    @property
    def is_package(self) -> bool:
        return self.path.name == "__init__.py"

    @cached_property
    def n_lines(self) -> int:
        return len(self.text.splitlines())

    @cached_property
    def docstring_lines(self) -> set[int]:
        """Lines of strings that stand alone as a statement: docstrings, and strings below an attribute."""
        lines: set[int] = set()
        for node in ast.walk(self.tree):
            if (
                isinstance(node, ast.Expr)
                and isinstance(node.value, ast.Constant)
                and isinstance(node.value.value, str)
            ):
                lines.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
        return lines

    @cached_property
    def comments(self) -> dict[int, str]:
        """Comments that are no directive (``noqa``, ``type: ignore``, ``fmt: off``, ...), by line.

        A comment that goes on in words after the directive counts (``# noqa: PLR0913 -- one per setting``).
        """
        found: dict[int, str] = {}
        for token in tokenize.generate_tokens(io.StringIO(self.text).readline):
            if token.type == tokenize.COMMENT:
                parts = [part.strip() for part in re.split(r"#+|\s--\s", token.string)]
                words = [part for part in parts if part and not _DIRECTIVE.match(part)]
                if words:
                    found[token.start[0]] = " ".join(words)
        return found

    @cached_property
    def code_lines(self) -> set[int]:
        """Lines that are neither blank nor a comment alone nor part of a docstring."""
        lines = self.text.splitlines()
        own = {i for i, line in enumerate(lines, 1) if line.strip() and not line.lstrip().startswith("#")}
        return own - self.docstring_lines

    @cached_property
    def functions(self) -> list[Function]:
        """Functions, methods and functions inside functions."""
        return [node for node in ast.walk(self.tree) if isinstance(node, Function)]

    @cached_property
    def methods(self) -> set[Function]:
        classes = (node for node in ast.walk(self.tree) if isinstance(node, ast.ClassDef))
        return {child for node in classes for child in node.body if isinstance(child, Function)}

    def where(self, node: Function) -> str:
        """``stxm/labels.py:label_phases``: the place of a function below the package."""
        depth = self.name.count(".") + self.is_package
        return f"{'/'.join(self.path.parts[-depth:]) if depth else self.path.name}:{node.name}"


class Package:
    """Modules of a package; ``files`` restricts them (to those that git tracks, say)."""

    def __init__(self, root: Path, files: Iterable[Path] | None = None) -> None:
        self.root = root.resolve()
        paths = self.root.rglob("*.py") if files is None else (path.resolve() for path in files)
        self.modules = [Module(path, self._name(path)) for path in sorted(paths) if self._is_own(path)]

    def _is_own(self, path: Path) -> bool:
        return not LEFT_OUT & set(path.relative_to(self.root).parts[:-1]) and path.name != "conftest.py"

    def _name(self, path: Path) -> str:
        parts = (self.root.name, *path.relative_to(self.root).with_suffix("").parts)
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    @property
    def sized(self) -> list[Module]:
        """Modules of more than 5 lines."""
        return [module for module in self.modules if module.n_lines > 5]

    def functions(self) -> Iterator[tuple[Module, Function]]:
        for module in self.modules:
            for node in module.functions:
                yield module, node


def is_dunder(name: str) -> bool:
    return name.startswith("__") and name.endswith("__")


def is_private(name: str) -> bool:
    """Starts with an underscore and is no dunder."""
    return name.startswith("_") and not is_dunder(name)


def quantile(values: Iterable[float], share: float) -> float:
    """Linear quantile of a sample; 0 of nothing."""
    ordered = sorted(values)
    if not ordered:
        return 0.0
    place = share * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])
