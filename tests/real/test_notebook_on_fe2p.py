"""Notebook 01 on a measured stack: Fe L edge, 123 energies, ALS 11.0.2.2."""

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


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    source, out = Path(REAL) / "stxm/als_fe2p_71214078", tmp_path_factory.mktemp("fe2p")
    parameters = {
        "input_path": str(source / "71214078.hdr"),
        "reference_paths": str(source / "*.t"),
        "i0_path": str(source / "i0.xsp"),
        "align": False,
    }
    return run_notebook("stxm", out, parameters=parameters), out, source


def test_it_runs_without_truth_and_leaves_a_result(run):
    record, out, _ = run
    assert record["status"] == "ok", record["error"]
    assert pk.io.load(out / "result.nc")["phase"].shape == (125, 125)
    assert record["figures"]


def test_the_oxidised_fraction_agrees_with_an_independent_fit(run):
    from scipy.optimize import nnls

    record, out, source = run
    assert record["status"] == "ok", record["error"]
    result = pk.io.load(out / "result.nc")
    stack = pk.io.open_stxm(source / "71214078.hdr")
    energy = stack["energy"].values
    i0 = np.loadtxt(source / "i0.xsp", comments=("#", "%", "*"))
    frames = stack["intensity"].values.astype(float)
    density = -np.log(np.maximum(frames, 1e-9) / np.interp(energy, i0[:, 0], i0[:, 1])[:, None, None])
    names = ("oxidized", "reduced")
    tables = [np.loadtxt(source / f"{name}.t", comments=("#", "%", "*")) for name in names]
    design = np.stack([np.interp(energy, t[:, 0], t[:, 1]) for t in tables] + [np.ones_like(energy)], axis=1)
    amounts = np.array([nnls(design, spectrum)[0][:2] for spectrum in density.reshape(energy.size, -1).T])
    total = amounts.sum(axis=1).reshape(125, 125)
    independent = amounts[:, 0].reshape(125, 125) / np.where(total > 0, total, np.nan)
    ours = result["fraction"].sel(reference="oxidized").values
    material = (result["phase"].values >= 0) & np.isfinite(ours) & np.isfinite(independent)
    assert material.sum() > 5000
    assert np.corrcoef(ours[material], independent[material])[0, 1] >= 0.99
