"""The words, comments, folders and sizes that the house asks for (docs/guidelines.md), counted."""

import ast
from pathlib import Path

import pytest

from benchmarks.house import functions, imports, names, offenders, prose, suite
from benchmarks.house.measure import comments_per_100, function_sizes
from benchmarks.house.source import Module, Package, quantile

from .tree import ROOT, tracked

SHOWN = 60


@pytest.fixture(scope="module")
def package() -> Package:
    return Package(ROOT / "phasekit", tracked("phasekit", "*.py"))


def explain(figure: str, worst: list[str], which: str) -> str:
    """Message of a failure: the figure, those to mend first, and the command that lists all of them."""
    more = [f"... and {len(worst) - SHOWN} more"] if len(worst) > SHOWN else []
    command = f"all: python -m benchmarks.house.measure --list {which} phasekit=phasekit"
    return "\n  ".join([figure, *worst[:SHOWN], *more, command])


def test_function_names_say_it_in_two_words(package):
    places = names.named_functions(package)
    found = names.one_word(places)
    share = len(found) / len(places)
    assert share <= 0.35, explain(f"{share:.1%} of the function names are one word, at most 35 %", found, "one-word")


def test_function_names_start_with_a_verb(package):
    places = names.named_functions(package)
    found = names.without_verb(places)
    share = 1 - len(found) / len(places)
    assert share >= 0.35, explain(f"{share:.1%} of the function names start with a verb, at least 35 %", found, "verbs")


def test_dense_code_is_commented(package):
    found = comments_per_100(package)
    worst = offenders.silent_modules(package)
    assert found >= 8, explain(f"{found:.1f} comment lines per 100 code lines, at least 8", worst, "comments")


def test_functions_name_their_neighbours(package):
    found = prose.count_see_also(package)
    missing = prose.without_see_also(package)
    assert found >= 100, explain(f'{found} sections "See Also", at least 100', missing, "see-also")


def test_methods_are_given_as_equations(package):
    found = prose.count_maths_lines(package)
    assert found >= 60, f"{found} lines of docstrings with :math: or in a block .. math::, at least 60"


def test_compiled_functions_are_typed(package):
    found = functions.untyped_compiled(package)
    assert not found, explain(f"{len(found)} compiled functions without types", found, "untyped")


def test_folders_hold_one_stage(package):
    found = offenders.crowded_folders(package)
    assert not found, explain("folders of more than 14 Python files", found, "folders")


def test_private_names_stay_in_their_file(package):
    found = imports.private_imports(package)
    assert not found, explain(f"{len(found)} private names are taken from another file", found, "private-imports")


def test_functions_fit_in_one_look(package):
    sizes = function_sizes(package)
    worst = offenders.long_functions(package)
    figure = f"p90 of {quantile(sizes, 0.9):.0f} lines, at most 25; the longest has {max(sizes)}, at most 60"
    assert quantile(sizes, 0.9) <= 25, explain(figure, worst, "long-functions")
    assert max(sizes) <= 60, explain(figure, worst, "long-functions")


def test_modules_fit_in_one_look(package):
    found = offenders.long_modules(package)
    assert not found, explain("modules of more than 300 lines", found, "long-modules")


def test_imports_form_no_circle(package):
    found = [" <-> ".join(group) for group in imports.circles(package)]
    assert not found, explain("modules that import each other", found, "circles")


def test_tests_use_the_public_names():
    modules = suite.read_tests([], tracked("tests", "*.py"))
    found = [f"{name} ({', '.join(files)})" for name, files in suite.private_names(modules, "phasekit").items()]
    assert len(found) <= 10, explain(f"tests need {len(found)} private names, at most 10", found, "private-in-tests")


# The counting itself, on small sources.


def write_package(folder: Path, **files: str) -> Package:
    root = folder / "pack"
    root.mkdir()
    (root / "__init__.py").write_text("", encoding="utf-8")
    for name, text in files.items():
        (root / f"{name}.py").write_text(text, encoding="utf-8")
    return Package(root)


def first_function(text: str) -> functions.Function:
    node = ast.parse(text).body[0]
    assert isinstance(node, ast.FunctionDef)
    return node


def test_elif_is_no_deeper_than_if():
    flat = "def f(x):\n    if x:\n        pass\n    elif y:\n        pass\n    elif z:\n        pass\n"
    deep = "def f(x):\n    if x:\n        pass\n    else:\n        for y in x:\n            pass\n"
    assert functions.nesting(first_function(flat)) == 1
    assert functions.nesting(first_function(deep)) == 2
    assert functions.complexity(first_function(flat)) == 4


def test_directives_are_no_comments(tmp_path):
    text = "x = 1  # noqa: E501\ny = 2  # type: ignore[x] # since numba\n# fmt: off\n# why\nz = 3  # noqa: A1 -- why\n"
    module = write_package(tmp_path, a=text).modules[1]
    assert sorted(module.comments) == [2, 4, 5]
    assert module.code_lines == {1, 2, 5}


def test_lines_of_a_block_of_maths_are_counted(tmp_path):
    block = '    r"""A sum.\n\n    .. math::\n\n        a = b\n\n    The :math:`x` of it, not of y.\n    No.\n    """\n'
    text = f"def f():\n{block}"
    assert prose.count_maths_lines(write_package(tmp_path, a=text)) == 3


def test_sentences_leave_doctests_and_entries_out():
    text = "One thing, e.g. this. Another\nthing.\n\nParameters\n----------\nx : int\n    The first one.\n\n"
    assert prose.sentences(text + "Examples\n--------\n>>> f(1)\n3 and more\n") == [
        "One thing, e.g. this.",
        "Another thing.",
        "The first one.",
    ]


def test_private_names_are_found_however_they_are_taken(tmp_path):
    user = "from . import a, _c\nfrom .a import _one, open_two\nfrom pack.a import _three\na._four()\n_c.public()\n"
    found = imports.private_imports(write_package(tmp_path, a="", _c="", b=user))
    assert [line.split()[2] for line in found] == ["_one", "_three", "_four"]


def test_circles_are_of_imports_at_import_time(tmp_path):
    late = "def f():\n    from . import a\n"
    typing = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from . import a\n"
    package = write_package(tmp_path, a="from . import b, c, d", b=late, c=typing, d="from .a import x")
    assert imports.circles(package) == [["pack.a", "pack.d"]]
    assert len(imports.upward(package, [["a"], ["b", "c", "d"]])) == 2


def test_a_compiled_function_needs_types_for_all(tmp_path):
    text = "@njit(cache=True)\ndef f(x: int, y) -> int: ...\n@numba.njit\ndef g(x: int) -> int: ...\n"
    ignored = "@njit\ndef h(x: int) -> int:  # type: ignore[no-untyped-def]\n    return 1\n"
    assert functions.untyped_compiled(write_package(tmp_path, a=text + ignored)) == ["a.py:f", "a.py:h"]


def test_private_names_of_tests_are_imported_taken_or_patched(tmp_path):
    path = tmp_path / "test_a.py"
    path.write_text(
        "from p import a, _b\nfrom p.c import _d\na._e\nm.setattr(a, '_f', 1)\nother._g\n", encoding="utf-8"
    )
    assert sorted(suite.private_names([Module(path, "test_a")], "p")) == ["p._b", "p.a._e", "p.a._f", "p.c._d"]
