"""pyproject.toml, environment.yml and the constraints files say the same."""

import ast
import functools
import json
import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from .tree import tracked

ROOT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
MINORS = ("311", "312", "313")
#: Declared, but used by name: no line of ours imports them.
BY_NAME = {
    "h5netcdf": "xarray's engine for .nc",
    "jupyterlab": "make lab",
    "hvplot": "the explorers",
}


def requirements(*extras: str) -> list[Requirement]:
    lines = list(PROJECT["dependencies"])
    for extra in extras:
        lines += PROJECT["optional-dependencies"][extra]
    return [Requirement(line) for line in lines]


def pins(minor: str) -> dict[str, str]:
    lines = (ROOT / f"constraints/py{minor}.txt").read_text(encoding="utf-8").splitlines()
    pairs = [line.split(";")[0].strip().split("==") for line in lines if "==" in line]
    return {canonicalize_name(name): version.strip() for name, version in pairs}


@pytest.mark.parametrize("name", ["environment.yml", "binder/environment.yml"])
def test_conda_environments_are_what_pyproject_generates(name, tmp_path):
    env = {**os.environ, "PYPROJECT2CONDA": str(BIN / "pyproject2conda")}
    subprocess.run([ROOT / "binder/make_environment.sh", tmp_path], check=True, env=env, capture_output=True)
    assert (tmp_path / name).read_text(encoding="utf-8") == (ROOT / name).read_text(encoding="utf-8"), (
        "run `make environment` and commit the result"
    )


@pytest.mark.parametrize("minor", MINORS)
def test_constraints_pin_every_dependency_within_its_range(minor):
    pinned = pins(minor)
    for requirement in requirements("notebooks", "test"):
        name = canonicalize_name(requirement.name)
        assert name in pinned, f"{name} is not pinned for {minor}: run `make constraints`"
        assert requirement.specifier.contains(Version(pinned[name])), f"{requirement} against {pinned[name]}"


@pytest.mark.parametrize("minor", MINORS)
def test_constraints_name_no_index_no_path_and_no_local_version(minor):
    text = (ROOT / f"constraints/py{minor}.txt").read_text(encoding="utf-8")
    assert not re.search(r"https?://|file:|/|\+", text)
    assert pins(minor)["torch"] == "2.13.0"
    assert not re.search(r"^(nvidia|cuda)-", text, re.MULTILINE)


@pytest.mark.network
@pytest.mark.slow
@pytest.mark.parametrize("minor", MINORS)
def test_constraints_resolve_dry(minor, tmp_path):
    """Resolution only: nothing is downloaded but metadata, nothing is installed."""
    command = [BIN / "uv", "pip", "compile", "pyproject.toml", "--extra", "notebooks", "--extra", "test", "--quiet"]
    command += [
        "--python-version",
        f"{minor[0]}.{minor[1:]}",
        "-c",
        f"constraints/py{minor}.txt",
        "-o",
        tmp_path / "out.txt",
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if "dns error" in done.stderr and "CI" not in os.environ:
        pytest.skip("no package index can be reached")
    assert done.returncode == 0, done.stderr
    lines = [
        line
        for line in (tmp_path / "out.txt").read_text(encoding="utf-8").splitlines()
        if re.match(r"^[a-z].*==", line)
    ]
    resolved = dict(line.split("==") for line in lines)
    resolved = {canonicalize_name(name): version.split(";")[0].strip() for name, version in resolved.items()}
    ours = {name: version for name, version in resolved.items() if not re.match(r"nvidia|cuda|triton", name)}
    assert ours.items() <= pins(minor).items()


def test_torch_is_installed_first_and_pinned():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    recipe = makefile[makefile.index("$(STAMP): pyproject.toml") :]
    assert recipe.index('"$(TORCH_PIN)"') < recipe.index("--editable")
    assert "torch==2.13.0" in (ROOT / "constraints/pins.in").read_text(encoding="utf-8")


def sources(folder: str) -> list[str]:
    """Python sources below a folder, notebooks' cells included."""
    texts = [path.read_text(encoding="utf-8") for path in tracked(folder, "*.py")]
    for path in tracked(folder, "*.ipynb"):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        texts.append("\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"))
    return texts


@functools.cache
def imported(*folders: str) -> set[str]:
    """Distributions that the sources in these folders import."""
    names = set()
    for text in (text for folder in folders for text in sources(folder)):
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Import):
                names |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                names.add(node.module.split(".")[0])
    ours = {path.stem for folder in folders for path in tracked(folder, "*.py")} | {"phasekit", "tests"}
    known = packages_distributions()
    outside = names - set(sys.stdlib_module_names) - ours
    ours = declared() | declared("notebooks", "test")
    found = set()
    for name in outside:
        owners = {canonicalize_name(owner) for owner in known.get(name, [name])}
        found |= owners & ours or owners  # of several that share a name (diffpy), those that are declared
    return found


def declared(*extras: str) -> set[str]:
    base = {canonicalize_name(Requirement(line).name) for line in PROJECT["dependencies"]} if not extras else set()
    lines = [line for extra in extras for line in PROJECT["optional-dependencies"][extra]]
    return base | {canonicalize_name(Requirement(line).name) for line in lines}


def test_what_the_package_and_the_notebooks_import_is_declared():
    # pymcr is one method of a comparison, which says how to install it where it is missing; ipywidgets draws a form in
    # a notebook and is part of the extra for notebooks; a batch sends its rows to a cluster where somebody has one.
    outside = imported("phasekit", "notebooks") - declared()
    assert outside == {"pymcr", "ipywidgets", "distributed"}
    assert outside <= declared("notebooks", "cluster")
    assert imported("tests") - {"benchmarks"} <= declared() | declared("notebooks", "test")


def test_what_is_declared_is_imported_or_used_by_name():
    unused = (declared() | declared("notebooks")) - imported("phasekit", "notebooks")
    assert unused == {canonicalize_name(name) for name in BY_NAME}


#: Test dependencies that a test imports, or that serve one (flask is the server of moto); no command calls them.
IMPORTED = {
    "distributed",
    "flask",
    "flask-cors",
    "grimp",
    "hypothesis",
    "moto",
    "packaging",
    "playwright",
    "pytest",
    "s3fs",
}


@pytest.mark.parametrize("name", sorted(declared("test") - IMPORTED))
def test_every_test_tool_is_called_somewhere(name):
    words = {"import-linter": "lint-imports", "pytest-timeout": "timeout =", "pytest-xdist": "-n $(WORKERS)"}
    places = ["Makefile", "pyproject.toml", "binder/make_environment.sh", "constraints/make.sh", "tests/test_binder.py"]
    text = "\n".join((ROOT / place).read_text(encoding="utf-8") for place in places)
    text = re.sub(r"^test = \[.*?^\]", "", text, flags=re.DOTALL | re.MULTILINE)
    text += (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert words.get(name, name) in text
