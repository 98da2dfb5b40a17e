"""Old names answer for one release, with a warning that says the new one."""

import ast
import contextlib
import importlib
import inspect

import pytest

import phasekit as pk
from phasekit.deprecation import renamed_arguments

from .tree import ROOT, tracked

PACKAGES = ("phasekit.stxm", "phasekit.nmf", "phasekit.acom", "phasekit.viz.acom")
RENAMED = [(name, old, new) for name in PACKAGES for old, new in importlib.import_module(name)._RENAMED.items()]


@pytest.mark.parametrize(("package", "old", "new"), RENAMED)
def test_an_old_name_gives_the_new_function_and_says_so(package, old, new):
    module = importlib.import_module(package)
    with pytest.warns(FutureWarning, match=f"{package}.{old} is now called {new}"):
        assert getattr(module, old) is getattr(module, new)
    assert old not in dir(module)
    assert old not in module.__all__


def renamed() -> list[tuple[str, str, str, str]]:
    """Module, function, old and new argument of every ``@renamed_arguments`` in the package."""
    found = []
    for path in tracked("phasekit", "*.py"):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            for call in getattr(node, "decorator_list", []):
                if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "renamed_arguments":
                    found += [(module, node.name, key.arg, key.value.value) for key in call.keywords]
    return found


@pytest.mark.parametrize(("module", "function", "old", "new"), renamed())
def test_an_old_argument_of_a_function_still_works(module, function, old, new):
    call = getattr(importlib.import_module(module), function)
    assert new in inspect.signature(call).parameters
    # What the function makes of a plain object does not matter here: it was called, under the new name.
    with pytest.warns(FutureWarning, match=f"'{old}' is now called '{new}'"), contextlib.suppress(Exception):
        call(**{old: object()})


def test_an_unknown_name_is_still_unknown():
    with pytest.raises(AttributeError, match="match_templates"):
        pk.acom.match_templates  # noqa: B018


def test_an_old_argument_is_taken_with_a_warning():
    @renamed_arguments(blur="blur_px")
    def find(blur_px=1.0):
        return blur_px

    with pytest.warns(FutureWarning, match="'blur' is now called 'blur_px'"):
        assert find(blur=2.0) == 2.0
    with pytest.raises(TypeError, match="Give only 'blur_px'"):
        find(blur=2.0, blur_px=3.0)
