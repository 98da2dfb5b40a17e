"""What a wheel brings: the notebooks and samples are found where the installation put them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from .tree import ROOT, copy_to, tracked


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Environment variables with which Python finds phasekit installed from a copy of the source, not the checkout."""
    base = tmp_path_factory.mktemp("install")
    source = base / "source"
    copy_to(source)
    pip = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "--no-index",
        "--ignore-installed",
    ]
    done = subprocess.run([*pip, "--prefix", base / "prefix", source], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    packages = next((base / "prefix").rglob("site-packages"))
    return base, {**os.environ, "PYTHONPATH": str(packages)}


def ask(installed, code: str) -> str:
    base, environment = installed
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=base, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_an_installed_phasekit_finds_its_notebooks_and_samples(installed):
    base, _ = installed
    code = "import phasekit as pk; print(pk.__file__); print(pk.samples.root())"
    code += "; print(pk.batch.find_notebook('start')); print(pk.samples.path('stxm_nvpf'))"
    module, root, notebook, sample = ask(installed, code).splitlines()
    assert Path(module).is_relative_to(base / "prefix")
    assert Path(root) == base / "prefix/share/phasekit"
    assert Path(notebook).read_bytes() == (ROOT / "notebooks/00_start_here.ipynb").read_bytes()
    assert Path(sample).read_bytes() == (ROOT / "data-samples/stxm_nvpf.nc").read_bytes()


def test_an_installed_phasekit_has_its_data_files_and_tables_of_contents(installed):
    code = "import pathlib, phasekit; root = pathlib.Path(phasekit.__file__).parent"
    code += "; print(*sorted(str(p.relative_to(root)) for p in root.rglob('*') if p.is_file()), sep='\\n')"
    found = {name for name in ask(installed, code).splitlines() if "__pycache__" not in name}
    assert found == {str(path.relative_to(ROOT / "phasekit")) for path in tracked("phasekit")}
