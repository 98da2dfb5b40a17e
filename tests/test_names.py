"""A public name means the same thing whatever was imported before it."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from .tree import tracked

ROOT = Path(__file__).resolve().parents[1]
CONTENTS = tracked("phasekit", "__init__.pyi")

PROBE = """
import importlib, pkgutil, types, sys
package = importlib.import_module(sys.argv[1])
for found in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
    if not found.name.endswith("__main__"):
        importlib.import_module(found.name)
for name in sys.argv[2:]:
    if isinstance(getattr(package, name), types.ModuleType):
        print(name)
"""


def names_of_things(contents: Path) -> list[str]:
    """Names in a table of contents that are functions, classes or constants, not modules."""
    return re.findall(r"^from \.[\w.]+ import \w+ as (\w+)$", contents.read_text(encoding="utf-8"), re.MULTILINE)


@pytest.mark.parametrize("contents", CONTENTS, ids=lambda path: path.parent.name)
def test_a_module_does_not_hide_the_function_of_the_same_name(contents):
    # `from .align import align`: importing the module sets the package's attribute `align` to the module.
    package = ".".join(contents.parent.relative_to(ROOT).parts)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROBE, package, *names_of_things(contents)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert not done.stdout.split(), f"{package}: give these modules another name"
