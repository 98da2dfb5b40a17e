"""The wheel alone, in an empty environment and far from the checkout, runs the demo: `make test-wheel`.

Slow, and it needs a package index: it installs everything that phasekit depends on. ``make test`` leaves it out.
"""

import json
import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from phasekit.workflows import list_workflows

from .tree import ROOT, copy_to

pytestmark = [
    pytest.mark.slow,
    pytest.mark.network,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(os.environ.get("PHASEKIT_TEST_WHEEL") != "1", reason="PHASEKIT_TEST_WHEEL is not 1"),
]


def run(*command: object, cwd: Path) -> str:
    """Run a command without anything of this environment; its output."""
    ours = ("PYTHON", "VIRTUAL_ENV", "JUPYTER", "IPYTHON")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    kept |= {"JUPYTER_PATH": "", "JUPYTER_DATA_DIR": str(cwd / "jupyter"), "IPYTHONDIR": str(cwd / "ipython")}
    done = subprocess.run([*map(str, command)], cwd=cwd, env=kept, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """A wheel built from a copy of what git tracks."""
    base = tmp_path_factory.mktemp("wheel")
    copy_to(base / "source")
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", base]
    run(sys.executable, "-m", "pip", "wheel", *options, base / "source", cwd=base)
    return next(base.glob("*.whl"))


@pytest.fixture(scope="module")
def command(wheel, tmp_path_factory):
    """``phasekit`` of an environment that holds the wheel and what pip brings with it, no extra."""
    base = tmp_path_factory.mktemp("environment")
    venv.create(base, with_pip=True, symlinks=os.name != "nt")
    bin_dir = base / ("Scripts" if os.name == "nt" else "bin")
    constraints = ROOT / "constraints" / "py{}{}.txt".format(*sys.version_info[:2])
    pip = [bin_dir / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-c", constraints]
    torch = next(line for line in constraints.read_text(encoding="utf-8").splitlines() if line.startswith("torch=="))
    index = os.environ.get("TORCH_INDEX")
    run(*pip, *(["--index-url", index] if index else []), torch, cwd=base)
    run(*pip, wheel, cwd=base)
    return bin_dir / "phasekit"


def test_the_wheel_alone_runs_the_demo(command, tmp_path):
    said = run(command, "demo", "--out", "maps", cwd=tmp_path)
    assert (tmp_path / "maps/index.html").is_file(), said
    for workflow in (workflow.name for workflow in list_workflows()):
        record = json.loads((tmp_path / "maps" / workflow / "run.json").read_text(encoding="utf-8"))
        assert record["status"] == "ok", record["error"]
        assert record["numbers"], workflow
        assert (tmp_path / "maps" / workflow / "result.nc").is_file()


def test_the_wheel_brings_notebooks_samples_and_types(command, tmp_path):
    code = "import phasekit, pathlib; here = pathlib.Path(phasekit.__file__).parent; root = phasekit.samples.root()"
    code += "; print(here, root, *(path.name for path in (root / 'notebooks').iterdir()), sep='\\n')"
    here, root, *notebooks = run(command.with_name("python"), "-c", code, cwd=tmp_path).splitlines()
    assert not Path(here).is_relative_to(ROOT)
    assert not Path(root).is_relative_to(ROOT)
    assert len(notebooks) == 4
    assert (Path(here) / "py.typed").is_file()


def test_the_command_makes_a_sample_again_as_the_wheel_has_it(command, tmp_path):
    run(command, "samples", "make", "stxm_nvpf", "--out", tmp_path, cwd=tmp_path)
    code = "import xarray as xr, phasekit as pk, sys; new, old = (xr.open_dataset(path, engine='h5netcdf') for path in "
    code += "(sys.argv[1], pk.samples.path('stxm_nvpf'))); print(new.equals(old))"
    assert run(command.with_name("python"), "-c", code, tmp_path / "stxm_nvpf.nc", cwd=tmp_path).strip() == "True"
