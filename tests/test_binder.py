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


def conda_names(environment):
    specs = [spec for spec in environment["dependencies"] if isinstance(spec, str)]
    return {canonicalize_name(re.match(r"[A-Za-z0-9._-]+", spec).group()) for spec in specs}


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
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = project["dependencies"] + project["optional-dependencies"]["notebooks"]
    needed = {canonicalize_name(Requirement(line).name) for line in lines} - {"torch"}
    names = conda_names(environment)
    assert needed <= names
    assert "pytorch-cpu" in names
    assert "torch" not in names


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
    assert "binder/environment.yml" in done.stdout + done.stderr
