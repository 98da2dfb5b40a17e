"""What stands behind a figure: the names, files or lines that a mender would go through, the worst first."""

from collections.abc import Callable
from typing import NamedTuple

from . import functions, imports, names, prose, suite
from .source import Module, Package


class Subject(NamedTuple):
    """A package with its tests, and the layers to hold its imports against (highest first)."""

    package: Package
    tests: list[Module]
    layers: list[list[str]]


def long_functions(package: Package, limit: int = 25) -> list[str]:
    sizes = [(functions.function_lines(module, node), module.where(node)) for module, node in package.functions()]
    return [f"{place} ({size})" for size, place in sorted(sizes, reverse=True) if size > limit]


def long_modules(package: Package, limit: int = 300) -> list[str]:
    return [f"{module.name} ({module.n_lines})" for module in package.modules if module.n_lines > limit]


def deep_functions(package: Package, limit: int = 2) -> list[str]:
    depths = [(functions.nesting(node), module.where(node)) for module, node in package.functions()]
    return [f"{place} ({depth})" for depth, place in sorted(depths, reverse=True) if depth > limit]


def silent_modules(package: Package, wanted: float = 8.0) -> list[str]:
    """Modules with fewer comment lines per 100 code lines than wanted; those that lack most first."""
    lacks = [(wanted * len(m.code_lines) / 100 - len(m.comments), m) for m in package.modules]
    return [
        f"{m.name} ({len(m.comments)} on {len(m.code_lines)} code lines)"
        for lack, m in sorted(lacks, key=lambda pair: -pair[0])
        if lack > 0
    ]


def crowded_folders(package: Package, limit: int = 14) -> list[str]:
    return [f"{folder} ({size})" for folder, size in imports.folder_sizes(package).items() if size > limit]


def _private_in_tests(subject: Subject) -> list[str]:
    found = suite.private_names(subject.tests, subject.package.root.name)
    return [f"{name} ({', '.join(files)})" for name, files in found.items()]


LISTS: dict[str, Callable[[Subject], list[str]]] = {
    "long-modules": lambda s: long_modules(s.package),
    "long-functions": lambda s: long_functions(s.package),
    "nesting": lambda s: deep_functions(s.package),
    "comments": lambda s: silent_modules(s.package),
    "see-also": lambda s: prose.without_see_also(s.package),
    "one-word": lambda s: names.one_word(names.named_functions(s.package)),
    "verbs": lambda s: names.without_verb(names.named_functions(s.package)),
    "participles": lambda s: names.participles(names.named_functions(s.package)),
    "sentences": lambda s: prose.long_sentences(s.package),
    "untyped": lambda s: functions.untyped_compiled(s.package),
    "bare-except": lambda s: functions.bare_excepts(s.package),
    "todo": lambda s: functions.to_dos(s.package),
    "folders": lambda s: crowded_folders(s.package),
    "private-modules": lambda s: names.private_modules(s.package),
    "private-imports": lambda s: imports.private_imports(s.package),
    "circles": lambda s: [" <-> ".join(group) for group in imports.circles(s.package)],
    "upward": lambda s: imports.upward(s.package, s.layers),
    "tests-without-assert": lambda s: suite.without_assert(s.tests),
    "private-in-tests": _private_in_tests,
}
