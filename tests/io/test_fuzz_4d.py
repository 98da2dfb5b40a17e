"""Cut and flipped files: a ReadError or the right shape, never a hang, a crash or another shape without a word."""

import contextlib

import h5py
import numpy as np
import pytest
import tifffile
import xarray as xr

from phasekit.errors import ReadError
from phasekit.io.crystal import open_phase
from phasekit.io.exchange import save_blo
from phasekit.io.fourdstem import open_4dstem
from phasekit.io.results import save
from phasekit.schema import PATTERNS, describe
from tests.io.files_4d import LFP, LFP_CELL, PNMA, cif, write_hspy, write_py4dstem

SHAPE = (2, 3, 8, 8)
KINDS = ("blo", "hspy", "h5", "npy", "tif", "nc")
pytestmark = [
    pytest.mark.timeout(120),
    pytest.mark.filterwarnings("ignore::UserWarning"),  # what file libraries say about a damaged file
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),
]


def make(kind, folder):
    data = np.random.default_rng(0).integers(0, 200, SHAPE).astype(np.uint8)
    path = folder / f"scan.{kind}"
    patterns = xr.Dataset({"intensity": (("scan_y", "scan_x", "qy", "qx"), data)})
    patterns = describe(patterns, PATTERNS, step="demo", settings={})
    writers = {
        "blo": lambda: save_blo(patterns, path),
        "hspy": lambda: write_hspy(path, data),
        "h5": lambda: write_py4dstem(path, data),
        "npy": lambda: np.save(path, data),
        "tif": lambda: tifffile.imwrite(path, data.reshape(6, 8, 8), photometric="minisblack"),
        "nc": lambda: save(patterns, path),
    }
    writers[kind]()
    return path


def outcome(path):
    """What was opened and computed, or None for a ReadError; anything else fails the test."""
    options = {"scan_shape": SHAPE[:2]} if path.suffix == ".tif" else {}
    try:
        return open_4dstem(path, **options)["intensity"].compute()
    except ReadError as error:
        complete = str(path) in str(error) and "To fix it" in str(error)
        return None if complete else pytest.fail(f"incomplete message: {error}")


@pytest.mark.parametrize("kind", KINDS)
def test_cut_files(tmp_path, kind):
    path = make(kind, tmp_path)
    whole = path.read_bytes()
    data = outcome(path)
    assert data.shape == SHAPE
    for kept in np.linspace(0, len(whole) - 1, 25).astype(int):
        path.write_bytes(whole[:kept])
        found = outcome(path)  # a cut behind the last pattern loses nothing
        assert found is None or np.array_equal(found, data), f"{kept} of {len(whole)} bytes"


@pytest.mark.parametrize("kind", KINDS)
def test_flipped_bytes(tmp_path, kind):
    path = make(kind, tmp_path)
    whole = path.read_bytes()
    rng = np.random.default_rng(5)
    places = np.concatenate([rng.integers(0, min(len(whole), 600), 60), rng.integers(0, len(whole), 60)])
    for place in places:
        damaged = bytearray(whole)
        damaged[place] ^= int(rng.integers(1, 256))
        path.write_bytes(damaged)
        found = outcome(path)
        assert found is None or found.shape == SHAPE, f"byte {place} of {len(whole)}"


@pytest.mark.parametrize("seed", range(3))
def test_noise_in_every_coat(tmp_path, seed):
    noise = np.random.default_rng(seed).bytes(3000)
    for ending in (*KINDS, "mib", "dm4", "tvips", "app5", "emd", "mrc", "zspy"):
        path = tmp_path / f"noise.{ending}"
        path.write_bytes(noise)
        assert outcome(path) is None, ending


def test_damaged_cif():
    text = cif(LFP_CELL, PNMA, LFP, extra="_chemical_formula_sum 'Li Fe P O4'")
    rng = np.random.default_rng(6)
    atoms = len(open_phase(text).structure)
    last_row = text.index("O3 0.16558")  # a cut inside its last numbers leaves a valid CIF with the same atoms
    for kept in range(last_row):
        with pytest.raises(ReadError):
            open_phase(text[:kept] + "\n")
    for _ in range(400):
        letters = list(text)
        letters[rng.integers(len(letters))] = chr(rng.integers(32, 127))
        with contextlib.suppress(ReadError):
            phase = open_phase("".join(letters))
            assert len(phase.structure) <= 8 * len(LFP)
            assert phase.structure.lattice.volume > 0
    assert atoms == 28


def test_hdf5_of_something_else(tmp_path):
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["name"] = "text"
        file["line"] = np.arange(4)
        file["gone"] = h5py.SoftLink("/nowhere")
        file["loop"] = h5py.SoftLink("/")
    assert outcome(tmp_path / "other.h5") is None
