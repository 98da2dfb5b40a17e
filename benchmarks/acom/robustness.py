"""Faults of the measurement: how many more pixels come out wrong, with the calibration steps a user would take."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

import phasekit as pk

from ..harness import log_progress, write_json
from .evaluate import compute_accuracy
from .run_phasekit import unpack_best
from .scans import make_scan
from .structures import bench_phases

PIXEL = 0.025
CASES: dict[str, dict[str, Any]] = {
    "no fault": {"drift_px": 0.0},
    "1.5 px drift": {"drift_px": 1.5},
    "1 % pixel size": {"drift_px": 0.0},
    "2 % ellipticity": {"drift_px": 0.0, "ellipticity": 1.02, "ellipse_angle_deg": 25.0},
    "5 % dead patterns": {"drift_px": 0.0},
    "all of them": {"drift_px": 1.5, "ellipticity": 1.02, "ellipse_angle_deg": 25.0},
}


def simulate_fault(name: str, side: int, seed: int) -> xr.Dataset:
    """Return the scan with its fault; the grains are the same in every case."""
    scan = make_scan(2000, side=side, n_grains=max(side * side // 40, 6), seed=seed, **CASES[name])
    if name in ("1 % pixel size", "all of them"):
        scan = scan.assign_coords({d: (d, scan[d].values * 1.01, scan[d].attrs) for d in ("qy", "qx")})
    if name in ("5 % dead patterns", "all of them"):
        dead = np.random.default_rng(3).random(scan.truth_phase.shape) < 0.05
        alive = xr.DataArray(~dead, dims=("scan_y", "scan_x"))
        scan["intensity"] = scan.intensity.where(alive, 0).astype(np.uint16)
        scan["truth_interior"] = scan.truth_interior & alive  # a dead pattern is no measurement of its pixel
    return scan


def index_scan(scan: xr.Dataset, bank: xr.Dataset, *, fit: bool) -> tuple[dict[str, Any], dict[str, float]]:
    """Return accuracy and calibration; with ``fit``, scale and ellipse come from the rings of the phases."""
    patterns = scan[["intensity"]].assign_attrs({})
    settings = {"pixel_size": "fit", "ellipse": "fit", "phase": bench_phases()} if fit else {}
    peaks = pk.acom.calibrate_peaks(pk.acom.find_peaks(patterns), **settings)
    orientations = pk.acom.refine_orientations(peaks, bank, pk.acom.match_orientations(peaks, bank))
    truth = {name: scan[name].values for name in ("truth_phase", "truth_interior", "truth_quaternion")}
    calibration = {name: float(peaks[name]) for name in ("scale", "ellipse_ratio", "ellipse_angle")}
    return compute_accuracy(unpack_best(orientations), truth), calibration


def main() -> None:
    """Write the accuracy of every case as JSON; arguments: file, side of the scan."""
    path, side = Path(sys.argv[1]), int(sys.argv[2])
    bank = pk.acom.build_templates(bench_phases(), resolution_deg=2, precession_deg=1)
    out: dict[str, Any] = {}
    for name in CASES:
        scan = simulate_fault(name, side, seed=7751)
        out[name] = {}
        for label, fit in (("as is", False), ("calibrated", True)):
            accuracy, calibration = index_scan(scan, bank, fit=fit)
            wrong = 1 - accuracy["folded"]["within_5"]
            out[name][label] = {"wrong": wrong, "median_deg": accuracy["folded"]["median_deg"], **calibration}
        log_progress(f"robustness: {name} done")
    write_json(path, out)


if __name__ == "__main__":
    main()
