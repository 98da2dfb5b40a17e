"""A folder with the files that the commands of the help and of the pages name, and runs without a kernel."""

from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import pytest

from phasekit.batch import runner
from phasekit.batch.rows import schedule
from phasekit.batch.rows.job import LocalWorker

from ..io import conftest as stxm
from .opening import LETTERS, Openings

NICKEL = """data_Ni
_cell_length_a 3.5239
_cell_length_b 3.5239
_cell_length_c 3.5239
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_space_group_name_H-M_alt 'F m -3 m'
loop_
_atom_site_label
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
Ni1 0 0 0
"""
REFERENCES = "energy,{0}a,{0}b\n512,0.1,0.2\n516,0.9,0.4\n523,0.3,0.8\n"


@pytest.fixture
def openings(monkeypatch):
    """Runs execute only what opens files."""
    found = Openings()
    monkeypatch.setattr(runner, "_execute_notebook", found)
    monkeypatch.setattr(schedule, "WorkerProcess", lambda environment: LocalWorker())  # this process is patched
    return found


@pytest.fixture
def desk(tmp_path, monkeypatch):
    """Folder in which the user stands, with small files of each kind."""
    folder = tmp_path / "desk"
    for name in ("", "refs", "scans", "a folder", LETTERS):
        (folder / name).mkdir(parents=True, exist_ok=True)
    monkeypatch.chdir(folder)
    for name in (
        "stack.hdf5",
        "my_stack.hdf5",
        "scans/particle_001.hdf5",
        "a folder/a=b stack.hdf5",
        f"{LETTERS}/{LETTERS}.hdf5",
    ):
        stxm.pollux(folder / name)
    stxm.softimax(folder / "two.hdf5")
    for name in ("regions.hdr", "session.hdr", "scans/session.hdr"):
        stxm.sdf(folder / name, regions=2, kind="Multi-Region Image Stack")
    stxm.tiff(folder / "bare.tif", sidecar=False)
    for name, letter in (("refs.csv", "r"), ("refs/one.csv", "n"), ("refs/two.csv", "w"), ("refs/a,b.csv", "c")):
        (folder / name).write_text(REFERENCES.format(letter), encoding="utf-8")
    (folder / "i0.xsp").write_text("512 900\n516 905\n523 910\n", encoding="utf-8")
    for name in ("Ni.cif", "LiFePO4.cif", "a folder/Ni.cif"):
        (folder / name).write_text(NICKEL, encoding="utf-8")
    # NumPy's own format: the content of a file decides, not its name.
    for name in ("line.npy", "my_scan.mib", "scan.mib", "scans/001.mib", "scan.blo", "my_scan.blo"):
        with (folder / name).open("wb") as file:
            np.save(file, np.ones((6, 8, 8), np.uint16))
    return folder


@pytest.fixture
def announced(monkeypatch):
    """The app binds no port: it is announced, and ends."""

    @contextmanager
    def start(settings):
        yield SimpleNamespace(address=f"http://{settings.host}:{settings.port or 5006}/")

    monkeypatch.setattr("phasekit.app.server.start_app", start)
    monkeypatch.setattr("phasekit.app.server.serve_until_stopped", lambda app, announce: announce())


@pytest.fixture
def typed(desk, openings, announced, capsys):
    """Type a command: its exit code, what it printed, and the parameters of its last run."""
    from phasekit.cli import main

    def run(words):
        openings.parameters.clear()
        openings.opened.clear()
        try:
            code = main(words)
        except SystemExit as stop:  # argparse
            code = stop.code
        said = capsys.readouterr()
        return code, said.out + said.err, openings

    return run
