"""A public name means the same thing whatever was imported before it."""

import json
import re
import subprocess
import sys
from pathlib import Path

from .tree import tracked

ROOT = Path(__file__).resolve().parents[1]
CONTENTS = tracked("phasekit", "__init__.pyi")

PROBE = """
import importlib, json, pkgutil, types, sys
import phasekit
for found in pkgutil.walk_packages(phasekit.__path__, "phasekit."):
    if not found.name.endswith("__main__"):
        importlib.import_module(found.name)
for package, names in json.loads(sys.argv[1]).items():
    for name in names:
        if isinstance(getattr(importlib.import_module(package), name), types.ModuleType):
            print(f"{package}.{name}")
"""


def names_of_things(contents: Path) -> list[str]:
    """Names in a table of contents that are functions, classes or constants, not modules."""
    return re.findall(r"^from \.[\w.]+ import \w+ as (\w+)$", contents.read_text(encoding="utf-8"), re.MULTILINE)


def test_a_module_does_not_hide_the_function_of_the_same_name():
    # `from .align import align`: importing the module sets the package's attribute `align` to the module.
    things = {".".join(path.parent.relative_to(ROOT).parts): names_of_things(path) for path in CONTENTS}
    assert sum(map(len, things.values())) > 100
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROBE, json.dumps(things)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert not done.stdout.split(), f"give these modules another name: {done.stdout}"
