"""Notebook 01 on a measured stack: Fe L edge, 123 energies, ALS 11.0.2.2, cut to a field that is not square."""

import os
from pathlib import Path

import numpy as np
import pytest

import phasekit as pk
from phasekit.batch import run_notebook

REAL = os.environ.get("PHASEKIT_REAL_DATA")
pytestmark = [
    pytest.mark.real,
    pytest.mark.notebook,
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(not REAL, reason="PHASEKIT_REAL_DATA is not set"),
]
ROWS, COLUMNS = slice(0, 95), slice(15, 125)


def table(path: Path) -> np.ndarray:
    return np.loadtxt(path, comments=("#", "%", "*"))


@pytest.fixture(scope="module")
def source() -> Path:
    return Path(REAL) / "stxm/als_fe2p_71214078"


@pytest.fixture(scope="module")
def frames(source) -> np.ndarray:
    """Counts (energy, y, x) of the field, read here by other means than phasekit's."""
    return np.stack([np.loadtxt(path)[ROWS, COLUMNS] for path in sorted(source.glob("*.xim"))])


@pytest.fixture(scope="module")
def run(source, tmp_path_factory):
    out = tmp_path_factory.mktemp("fe2p")
    field = pk.io.open_stxm(source / "71214078.hdr").isel(scan_y=ROWS, scan_x=COLUMNS)
    parameters = {
        "input_path": str(pk.io.save(field, out / "field.nc")),
        "reference_paths": str(source / "*.t"),
        "i0_path": str(source / "i0.xsp"),
        "align": False,
        "n_runs": 1,  # one training: three at 123 energies take a minute more and say the same here
    }
    record = run_notebook("stxm", out / "run", parameters=parameters)
    assert record["status"] == "ok", record["error"]
    return record, pk.batch.load_run(out / "run/result.nc"), pk.io.load(out / "field.nc")


def test_energies_field_and_references_are_read_right(run, source, frames):
    record, result, field = run
    energies = table(source / "oxidized.t")[:, 0]
    np.testing.assert_allclose(field["energy"], energies, atol=0.01)
    np.testing.assert_array_equal(field["intensity"], frames)
    assert result["phase"].shape == (95, 110)
    assert float(result["scan_x"].diff("scan_x").mean()) == pytest.approx(80.0, rel=0.01)
    assert result["reference"].values.tolist() == ["oxidized", "reduced"]
    assert record["figures"]


def test_the_oxidised_fraction_agrees_with_an_independent_fit(run, source, frames):
    from scipy.optimize import nnls

    _, result, _ = run
    tables = [table(source / f"{name}.t") for name in ("oxidized", "reduced")]
    energy, i0 = tables[0][:, 0], table(source / "i0.xsp")
    density = -np.log(frames / np.interp(energy, i0[:, 0], i0[:, 1])[:, None, None])
    design = np.stack([np.interp(energy, t[:, 0], t[:, 1]) for t in tables] + [np.ones_like(energy)], axis=1)
    amounts = np.array([nnls(design, spectrum)[0][:2] for spectrum in density.reshape(energy.size, -1).T])
    total = amounts.sum(axis=1).reshape(95, 110)
    independent = amounts[:, 0].reshape(95, 110) / np.where(total > 0, total, np.nan)
    ours = result["fraction"].sel(reference="oxidized").values
    material = (result["phase"].values >= 0) & np.isfinite(ours) & np.isfinite(independent)
    assert material.sum() > 4000
    assert np.corrcoef(ours[material], independent[material])[0, 1] >= 0.99
