"""Compiled code finds a place also where package and home folder cannot be written, and never somebody else's."""

import os
import shutil
import subprocess
import sys
from types import SimpleNamespace

import pytest

from phasekit import code_cache

from .tree import ROOT, tracked


@pytest.fixture
def nowhere(monkeypatch, tmp_path):
    """A system on which only the temporary folder can be written."""
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setattr(code_cache, "is_writable", lambda folder: False)
    monkeypatch.setitem(sys.modules, "numba", SimpleNamespace(config=SimpleNamespace(CACHE_DIR="")))
    yield tmp_path
    os.environ.pop("NUMBA_CACHE_DIR", None)


def test_a_place_is_found_and_kept(nowhere):
    folder = code_cache.ensure_code_cache(nowhere / "package")
    assert folder.parent == nowhere
    assert os.environ["NUMBA_CACHE_DIR"] == sys.modules["numba"].config.CACHE_DIR == str(folder)
    assert not folder.stat().st_mode & 0o077
    del os.environ["NUMBA_CACHE_DIR"]
    assert code_cache.ensure_code_cache(nowhere / "package") == folder


def test_a_folder_that_others_can_write_is_not_trusted(nowhere):
    folder = code_cache.private_folder()
    folder.chmod(0o777)
    other = code_cache.private_folder()
    assert other != folder
    assert not other.stat().st_mode & 0o077


def test_a_file_or_a_link_in_its_place_is_not_used(nowhere):
    folder = code_cache.private_folder()
    folder.rmdir()
    folder.symlink_to(nowhere)
    assert code_cache.private_folder() != folder
    folder.unlink()
    folder.write_text("", encoding="utf-8")
    assert code_cache.private_folder() != folder


def test_a_choice_of_the_user_stays(nowhere, monkeypatch):
    monkeypatch.setenv("NUMBA_CACHE_DIR", "mine")
    assert code_cache.ensure_code_cache(nowhere) is None
    assert os.environ["NUMBA_CACHE_DIR"] == "mine"


def test_what_can_be_written(tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    assert code_cache.is_writable(tmp_path / "new" / "deeper")
    assert not code_cache.is_writable(tmp_path / "file" / "below")


def test_numba_compiles_where_neither_package_nor_home_can_be_written(tmp_path):
    """Files stand where the folders would have to be made, which stops the administrator too."""
    for path in tracked("phasekit"):
        target = tmp_path / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, target)
        if path.name == "__init__.py":
            (target.parent / "__pycache__").write_text("", encoding="utf-8")
    (tmp_path / "home").write_text("", encoding="utf-8")
    (tmp_path / "temporary").mkdir()
    code = "import numpy as np; from phasekit.disks import paint_disks as paint"
    code += "; image = np.zeros((5, 5))"
    code += (
        "; paint(image, np.full(1, 2.0), np.full(1, 2.0), np.full(1, 9.0), 1.0, 5, False); print(round(image.sum(), 3))"
    )
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "NUMBA_CACHE"))}
    places = {"HOME": str(tmp_path / "home/below"), "TMPDIR": str(tmp_path / "temporary"), "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=kept | places, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) > 8
    assert list((tmp_path / "temporary").rglob("*paint_disks*.nbc"))


def test_a_module_that_compiles_is_imported_by_one_process_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    lines = ["import pathlib, time", "mark = pathlib.Path(__file__).with_name('busy')", "mark.mkdir()"]
    lines += ["time.sleep(0.5)", "mark.rmdir()"]
    (tmp_path / "slow_module.py").write_text("\n".join(lines), encoding="utf-8")
    code = "from phasekit.code_cache import import_alone; import_alone('slow_module')"
    environment = os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
    running = [subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path, env=environment) for _ in range(3)]
    assert [process.wait() for process in running] == [0, 0, 0]


FRESH = """
import hashlib
import numpy as np
import phasekit as pk
from phasekit.synthetic.structures import sample_phases
bank = pk.acom.build_templates(sample_phases(), resolution_deg=8)
peaks = pk.acom.simulate_peaks(bank, range(0, bank.sizes["template"], 3))
shift = np.random.default_rng(0).normal(0, 0.004, peaks.qx.shape)
peaks = peaks.assign(qx=peaks.qx + shift, qy=peaks.qy - shift)
matched = pk.acom.match_orientations(peaks, bank)
for data in (matched, pk.acom.refine_orientations(peaks, bank, matched)):
    for name, variable in data.data_vars.items():
        print(name, hashlib.sha1(variable.values.tobytes()).hexdigest())
"""


@pytest.mark.long
def test_results_do_not_depend_on_whether_the_code_was_compiled_or_loaded(tmp_path):
    # A function that may reassociate sums is optimised once by itself and once inside its caller. Which of the two a
    # process ran depended on what was compiled first, until such functions were inlined always.
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path), "OMP_NUM_THREADS": "1"}
    compiled, loaded = (
        subprocess.run(
            [sys.executable, "-W", "ignore", "-c", FRESH], env=environment, capture_output=True, text=True, check=True
        )
        for _ in range(2)
    )
    assert compiled.stdout == loaded.stdout


@pytest.mark.parametrize("path", tracked("phasekit", "*.py"), ids=lambda path: str(path.relative_to(ROOT)))
def test_functions_with_loose_arithmetic_are_always_inlined(path):
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("@") and "fastmath=" in line:
            assert "forceinline=True" in line or 'inline="always"' in line, f"{line}: see ADR 20"
