"""Measure how packages are written, side by side, as a Markdown table.

    python -m benchmarks.house.measure phasekit=phasekit verde=/path/to/verde ...

Each argument is ``NAME=FOLDER`` (the folder of the package itself) or ``NAME=FOLDER=TESTS``; without TESTS the folders
``tests`` inside the package and beside it are taken. ``--layers "viz>batch>io>stxm|nmf|acom"`` counts imports upward
in packages whose parts have these names. ``--list one-word`` prints the names, files or lines
behind a figure instead of the table (``offenders.LISTS``: one-word, verbs, comments, see-also, private-imports, ...).
Only the standard library is needed, and nothing is imported.

Definitions
-----------
Source
    All ``.py`` files below the folder but those in folders named tests, docs, examples, benchmarks or vendored
    (``source.LEFT_OUT``). Modules are the files of more than 5 lines, with all their lines.
Function
    Every function and method, those inside functions too. Its length is its lines from ``def`` to the end without the
    docstring; blank lines and comments count. ``self`` and ``cls`` are no parameters, ``*args`` and ``**kwargs`` are
    one each.
Nesting, complexity
    ``functions.nesting`` (if, for, while, with, try, match; ``elif`` and inner functions add nothing) and
    ``functions.complexity`` (own count with radon's definition; the mean is over functions and methods).
Public, private
    A private name starts with an underscore; dunders are neither. Typed means that the result is annotated.
Code, comments
    A code line is neither blank nor a comment alone nor part of a docstring (any string that is a statement). A comment
    line is a comment alone or a code line with a comment behind it; directives (``noqa``, ``type: ignore``, ``fmt:``)
    are no comments. Licence headers count, and stand in their own row without the first 20 lines of each file.
Names
    One word: no underscore inside the name. Verb: the first word is in ``names.LISTED`` or ``names.FURTHER``.
    Participle: one of the words ends in -ed. Dunders are left out.
Docstrings
    Sentences as in ``prose.sentences``, maths lines as in ``prose.count_maths_lines``, "See Also" as in
    ``prose.count_see_also``.
Compiled
    Decorated with numba's njit, jit, vectorize, guvectorize; untyped if a parameter or the result has no annotation or
    the signature carries ``type: ignore[no-untyped-def]``.
Imports
    ``imports.private_imports``, ``imports.circles`` (imports that run when the module is imported, TYPE_CHECKING left
    out) and ``imports.upward``.
Tests
    Functions named ``test*``. Asserts are ``assert`` statements and checking calls (``suite.count_asserts``). Private
    names imported by tests are counted once each, however many tests import them.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

from . import functions, imports, names, prose, suite
from .offenders import LISTS, Subject
from .source import Package, quantile

HEADER_LINES = 20


def share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "-"


def quantiles(values: list[int], *shares: float) -> str:
    return " / ".join(f"{quantile(values, one):.0f}" for one in shares)


def comments_per_100(package: Package, skip: int = 0) -> float:
    """Comment lines per 100 code lines, the first ``skip`` lines of each file left out."""
    comments = sum(sum(line > skip for line in module.comments) for module in package.modules)
    return 100 * comments / max(sum(len(module.code_lines) for module in package.modules), 1)


def _modules(subject: Subject) -> str:
    sized = subject.package.sized
    return f"{len(sized)} / {sum(module.n_lines for module in sized)}"


def _module_lines(subject: Subject) -> str:
    return quantiles([module.n_lines for module in subject.package.sized], 0.5, 0.9, 1)


def function_sizes(package: Package) -> list[int]:
    return [functions.function_lines(module, node) for module, node in package.functions()]


def _long(subject: Subject) -> str:
    sizes = function_sizes(subject.package)
    return " / ".join(share(sum(size > limit for size in sizes), len(sizes)) for limit in (60, 40))


def _parameters(subject: Subject) -> str:
    return quantiles([len(functions.parameters(node)) for _, node in subject.package.functions()], 0.95, 1)


def _nesting(subject: Subject) -> str:
    depths = [functions.nesting(node) for _, node in subject.package.functions()]
    return f"{quantiles(depths, 0.95, 1)} / {share(sum(depth > 2 for depth in depths), len(depths))}"


def _complexity(subject: Subject) -> str:
    values = [functions.complexity(node) for _, node in subject.package.functions()]
    return f"{sum(values) / max(len(values), 1):.1f}"


def _documented(subject: Subject) -> str:
    return " / ".join(
        f"{100 * prose.share_documented(subject.package, private=private):.0f} %" for private in (False, True)
    )


def _named(kept: Callable[[list[str]], list[str]], *, rest: bool = False) -> Callable[[Subject], str]:
    def value(subject: Subject) -> str:
        places = names.named_functions(subject.package)
        count = len(kept(places))
        return share(len(places) - count if rest else count, len(places))

    return value


def _sentences(subject: Subject) -> str:
    texts = [text for _, text in prose.docstrings(subject.package)]
    lengths = [prose.count_words(sentence) for text in texts for sentence in prose.sentences(text)]
    mean = sum(lengths) / max(len(lengths), 1)
    return f"{mean:.1f} / {share(sum(length > 20 for length in lengths), len(lengths))}"


def _compiled(subject: Subject) -> str:
    return f"{len(functions.untyped_compiled(subject.package))} of {len(functions.compiled(subject.package))}"


def _crowded(subject: Subject) -> str:
    folder, size = next(iter(imports.folder_sizes(subject.package).items()), ("-", 0))
    return f"{size} ({Path(folder).name})"


def _private_imports(subject: Subject) -> str:
    found = imports.private_imports(subject.package)
    return f"{len(found)} in {len({place.partition(':')[0] for place in found})} files"


def _upward(subject: Subject) -> str:
    return str(len(imports.upward(subject.package, subject.layers))) if subject.layers else "-"


def _tests(subject: Subject) -> str:
    sizes = suite.size_of_tests(subject.tests)
    asserts = quantiles([count for count, _ in sizes], 0.5)
    return f"{len(sizes)} / {asserts} / {quantiles([lines for _, lines in sizes], 0.5, 0.9)}" if sizes else "-"


def _private_in_tests(subject: Subject) -> str:
    found = suite.private_names(subject.tests, subject.package.root.name)
    files = {name for names_ in found.values() for name in names_}
    return f"{len(found)} in {len(files)} files" if subject.tests else "-"


ROWS: dict[str, Callable[[Subject], str]] = {
    "modules (> 5 lines) / lines": _modules,
    "module lines p50 / p90 / max": _module_lines,
    "functions": lambda s: str(sum(1 for _ in s.package.functions())),
    "function lines p50 / p90 / max": lambda s: quantiles(function_sizes(s.package), 0.5, 0.9, 1),
    "share > 60 / > 40 lines": _long,
    "parameters p95 / max": _parameters,
    "nesting p95 / max / share > 2 (`elif` not counted)": _nesting,
    "cyclomatic complexity, mean (own count, radon's definition)": _complexity,
    "docstrings, public / private functions": _documented,
    "typed returns of public functions": lambda s: f"{100 * prose.share_typed_returns(s.package):.0f} %",
    "comment lines per 100 code lines": lambda s: f"{comments_per_100(s.package):.1f}",
    f"... without the first {HEADER_LINES} lines of a file": lambda s: (
        f"{comments_per_100(s.package, HEADER_LINES):.1f}"
    ),
    '"See Also" sections / lines with maths': (
        lambda s: f"{prose.count_see_also(s.package)} / {prose.count_maths_lines(s.package)}"
    ),
    "one-word function names": _named(names.one_word),
    "names that start with a verb (`LISTED` and `FURTHER`)": _named(names.without_verb, rest=True),
    "... of the short list (`LISTED`)": _named(names.with_listed_verb),
    "names with a participle (-ed)": _named(names.participles),
    "words per docstring sentence / share > 20": _sentences,
    "untyped compiled functions": _compiled,
    "bare except / TODO": lambda s: f"{len(functions.bare_excepts(s.package))} / {len(functions.to_dos(s.package))}",
    "most crowded folder": _crowded,
    "modules with an underscore in front": lambda s: str(len(names.private_modules(s.package))),
    "private names imported across files": _private_imports,
    "import circles": lambda s: str(len(imports.circles(s.package))),
    "imports upward": _upward,
    "tests / asserts p50 / lines p50, p90": _tests,
    "tests without an assert": lambda s: str(len(suite.without_assert(s.tests))) if s.tests else "-",
    "private names imported by tests": _private_in_tests,
}


def measure(subject: Subject) -> dict[str, str]:
    """Row of the table -> value."""
    return {row: value(subject) for row, value in ROWS.items()}


def table(columns: dict[str, dict[str, str]]) -> str:
    """Markdown: one row per figure, one column per package."""
    lines = [f"| | {' | '.join(columns)} |", f"|---|{'---|' * len(columns)}"]
    lines += [f"| {row} | {' | '.join(column[row] for column in columns.values())} |" for row in ROWS]
    return "\n".join(lines)


def read_subject(folder: Path, tests: Path | None, layers: list[list[str]]) -> Subject:
    folders = suite.find_test_folders(folder) if tests is None else [tests]
    return Subject(Package(folder), suite.read_tests(folders), layers)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.house.measure", description="How packages are written.")
    parser.add_argument("packages", nargs="+", metavar="NAME=FOLDER[=TESTS]")
    parser.add_argument("--layers", default="", help='parts from the highest down, "viz>batch>io>stxm|nmf|acom"')
    parser.add_argument("--list", choices=LISTS, help="print what stands behind a figure instead of the table")
    chosen = parser.parse_args()
    layers = [[part.strip() for part in level.split("|")] for level in chosen.layers.split(">") if level.strip()]
    subjects = {}
    for given in chosen.packages:
        name, folder, *tests = given.split("=")
        subjects[name] = read_subject(Path(folder), Path(tests[0]) if tests else None, layers)
    if chosen.list:
        print("\n".join(line for subject in subjects.values() for line in LISTS[chosen.list](subject)))
    else:
        print(table({name: measure(subject) for name, subject in subjects.items()}))


if __name__ == "__main__":
    main()
