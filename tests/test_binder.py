"""What mybinder.org needs, checked as far as it goes without Docker."""

import re
import stat
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
BINDER = ROOT / "binder"


@pytest.fixture(scope="module")
def environment():
    return yaml.safe_load((BINDER / "environment.yml").read_text(encoding="utf-8"))


def conda_specs(environment):
    """Versions by name, both as they are written: to conda a dot, an underscore and a hyphen are different."""
    specs = [spec for spec in environment["dependencies"] if isinstance(spec, str)]
    return {match[1]: match[2] for match in (re.fullmatch(r"([A-Za-z0-9._-]+)(.*)", spec) for spec in specs)}


def conda_names(environment):
    return set(conda_specs(environment))


def known_conda_names():
    lines = (ROOT / "tests/conda_forge_names.txt").read_text(encoding="utf-8").splitlines()
    return {line for line in lines if line and not line.startswith("#")}


def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def pins(minor="312"):
    lines = (ROOT / f"constraints/py{minor}.txt").read_text(encoding="utf-8").splitlines()
    return {
        canonicalize_name(line.split("==")[0]): line.split("==")[1].split(";")[0].strip()
        for line in lines
        if "==" in line
    }


#: Names on PyPI of what conda-forge calls otherwise; all others differ in punctuation at most.
ON_PYPI = {
    "dask-core": "dask",
    "matplotlib-base": "matplotlib",
    "rosettasciio-base": "rosettasciio",
    "pytorch-cpu": "torch",
}


def pypi_name(name):
    return canonicalize_name(ON_PYPI.get(name, name))


def test_environment_has_the_keys_and_channels_conda_knows(environment):
    assert set(environment) == {"name", "channels", "dependencies"}
    assert environment["channels"] == ["conda-forge", "nodefaults"]


def test_every_dependency_is_a_match_spec(environment):
    for spec in environment["dependencies"]:
        if isinstance(spec, dict):
            assert set(spec) == {"pip"}
        else:
            assert re.fullmatch(r"[A-Za-z0-9._-]+([<>=!]=?[\w.*]+(,[<>=!]=?[\w.*]+)*)?", spec), spec


def test_environment_covers_pyproject_and_takes_the_cpu_torch(environment):
    lines = project()["dependencies"] + project()["optional-dependencies"]["notebooks"]
    needed = {canonicalize_name(Requirement(line).name) for line in lines}
    names = conda_names(environment)
    assert needed <= {pypi_name(name) for name in names}
    assert "pytorch-cpu" in names
    assert "torch" not in names


@pytest.mark.parametrize("file", ["environment.yml", "binder/environment.yml"])
def test_every_name_is_one_of_conda_forge(file):
    names = conda_names(yaml.safe_load((ROOT / file).read_text(encoding="utf-8")))
    assert names <= known_conda_names(), "conda-forge has no package of this name, or it is not in the list yet"
    # What went wrong before: names as PyPI normalises them.
    assert not names & {"diffpy-structure", "jupyter-client", "jupyter-core"}
    # conda-forge's package with all formats asks for zarr < 3
    assert "rosettasciio" not in names


def test_binder_gets_nothing_newer_than_what_was_tested(environment):
    tested = pins()
    for name, versions in conda_specs(environment).items():
        if pypi_name(name) in {*tested} - {"setuptools", "pip"}:
            assert f"<={tested[pypi_name(name)]}" in versions.split(","), name


def test_torch_has_one_lowest_version(environment):
    floor = next(str(Requirement(line).specifier) for line in project()["dependencies"] if line.startswith("torch"))
    everywhere = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    assert floor in conda_specs(environment)["pytorch-cpu"].split(",")
    assert floor in conda_specs(everywhere)["pytorch-cpu"].split(",")
    lowest = re.search(
        r"^torch==([0-9.]+)$", (ROOT / "constraints/oldest.txt").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert Requirement(f"torch=={lowest[1]}").specifier.contains(f"{floor.removeprefix('>=')}.0")


def test_compiled_code_of_the_image_is_used_on_every_machine():
    files = [(BINDER / name).read_text(encoding="utf-8") for name in ("postBuild", "start")]
    # numba asks for the processor by name before it takes code from its cache.
    assert all("NUMBA_CPU_NAME=generic" in text for text in files)
    assert "python binder/warm_up.py" in files[0]
    warm_up = (BINDER / "warm_up.py").read_text(encoding="utf-8")
    assert "import orix.quaternion.symmetry" in warm_up
    assert not re.search(r"fetch|urlopen|requests", warm_up), "an image is made without downloads of ours"


def test_environment_leaves_the_test_tools_out(environment):
    assert not conda_names(environment) & {"pytest", "mypy", "ruff", "playwright", "hypothesis"}


@pytest.mark.parametrize("name", ["postBuild", "start"])
def test_scripts_can_run(name):
    script = BINDER / name
    assert script.stat().st_mode & stat.S_IXUSR
    assert script.read_text(encoding="utf-8").startswith("#!/bin/bash\n")
    subprocess.run(["bash", "-n", script], check=True)


def test_start_hands_over_and_downloads_nothing():
    text = (BINDER / "start").read_text(encoding="utf-8")
    assert text.rstrip().endswith('exec "$@"')
    assert not re.search(r"\b(curl|wget|pip|conda|pooch)\b", text)


def test_only_one_binder_folder():
    assert not (ROOT / ".binder").exists()


def test_badge_opens_a_notebook_that_exists():
    paths = re.findall(
        r"urlpath=lab(?:/|%2F)tree(?:/|%2F)([\w./%-]+\.ipynb)", (ROOT / "README.md").read_text(encoding="utf-8")
    )
    assert paths
    for path in paths:
        assert (ROOT / path.replace("%2F", "/")).is_file()


def test_repo2docker_accepts_the_repository():
    """Needs no Docker: `--no-build` stops after the Dockerfile is planned."""
    tool = Path(sys.executable).parent / "jupyter-repo2docker"
    command = [tool, "--no-build", "--debug", "--user-id", "1000", "--user-name", "jovyan", "."]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    plan = done.stdout + done.stderr
    assert "binder/environment.yml" in plan
    assert "Building conda environment for python=3.12" in plan
