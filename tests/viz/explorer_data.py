"""Small data for the tests of the explorers."""

from functools import lru_cache
from typing import Any

import numpy as np
import xarray as xr

import phasekit as pk
from phasekit.crystals import crystal
from phasekit.errors import StxmStatus, status_attributes

SCAN = ("scan_y", "scan_x")
ENERGIES = [509.0, 513, 515, 516.5, 518, 520, 522, 525]


def coordinates(shape) -> dict:
    return {dim: (dim, np.arange(n) * 20.0, {"units": "nm"}) for dim, n in zip(SCAN, shape, strict=True)}


def make_phases(shape=(12, 20), n=3, seed=0) -> xr.Dataset:
    rng = np.random.default_rng(seed)
    phase = rng.integers(-1, n, shape)
    margin = np.where(phase >= 0, rng.uniform(0, 0.04, shape), np.nan)
    status = np.where(phase < 0, StxmStatus.BACKGROUND, StxmStatus.OK).astype(np.int8)
    data = {
        "phase": (SCAN, phase),
        "runner_up": (SCAN, np.where(phase >= 0, (phase + 1) % n, -1)),
        "margin": (SCAN, margin),
        "status": (SCAN, status, status_attributes(StxmStatus)),
        "confidence": (SCAN, np.where(phase >= 0, rng.uniform(0.4, 1, shape), np.nan)),
        "composition": (SCAN, np.where(phase >= 0, 3.0 - phase, np.nan)),
        "pearson": ((*SCAN, "reference"), rng.uniform(0, 1, (*shape, n))),
        "energy_offset": 0.2,
    }
    return xr.Dataset(data, {"reference": [f"ref{i}" for i in range(n)], **coordinates(shape)})


def make_references() -> xr.Dataset:
    refs = pk.synthetic.vanadium_references(np.arange(505.0, 530.0, 0.25)).isel(reference=[0, 2, 3])
    return refs.assign_coords(reference=["ref0", "ref1", "ref2"])


def make_stack(shape=(12, 20)) -> tuple[xr.Dataset, xr.Dataset]:
    """Phases, and the optical density that has them, with noise of 0.02."""
    phases, references = make_phases(shape), make_references()
    spectra = references["reference_spectrum"].interp(energy=np.array(ENERGIES) + 0.2).values
    amount = np.where(phases["phase"].values >= 0, 0.2, 0.0)
    clean = amount[None] * spectra.T[:, np.maximum(phases["phase"].values, 0)]
    density = clean + np.random.default_rng(1).normal(0, 0.02, clean.shape)
    data = {"optical_density": (("energy", *SCAN), density), "noise": (("energy", *SCAN), np.full(clean.shape, 0.02))}
    data["valid"] = (SCAN, np.ones(phases["phase"].shape, bool))
    energy = {"energy": ("energy", ENERGIES, {"units": "eV"})}
    return phases, xr.Dataset(data, {**coordinates(phases["phase"].shape), **energy})


def make_orientations() -> dict[str, xr.Dataset]:
    """Arguments of the explorer of orientations, of a nickel foil on a detector that is turned by 20 degrees."""
    nickel = crystal("Ni", 225, (3.52, 3.52, 3.52, 90, 90, 90), [("Ni", 0, 0, 0)])
    patterns = pk.synthetic.orientation_scan([nickel], shape=(6, 7), detector=(64, 64), seed=0)
    found = pk.acom.find_peaks(patterns).compute()
    peaks = pk.acom.calibrate_peaks(found, phase=[nickel], detector_rotation_deg=20.0).compute()
    bank = pk.acom.build_templates([nickel], resolution_deg=4)
    orientations = pk.acom.match_orientations(peaks, bank, n_matches=2).compute()
    return {"orientations": orientations, "patterns": patterns, "found_peaks": found, "peaks": peaks, "bank": bank}


@lru_cache(1)
def make_decompositions() -> dict[str, Any]:
    """Arguments of the explorer of components: three factorisations of a scan, and the evidence for their number."""
    scan = pk.synthetic.overlapping_grains(n_components=3, shape=(14, 16), detector=(32, 32), dose=5000)
    features = pk.nmf.to_features(scan)
    fits = pk.nmf.factorise_ranks(features, [2, 3, 4], progress=False)
    ranks = pk.nmf.scan_ranks(features, range(1, 5), n_runs=2, progress=False)
    return {"factors": fits[3], "patterns": scan, "fits": fits, "ranks": ranks}


def make_explorer(workflow: str) -> Any:
    """The explorer of a workflow with everything that it can show."""
    if workflow == "stxm":
        phases, od = make_stack()
        return pk.viz.stxm.explorer(phases, od=od, refs=make_references(), margin=0.01)
    if workflow == "nmf":
        return pk.viz.nmf.explorer(**make_decompositions())
    return pk.viz.acom.explorer(**make_orientations())
