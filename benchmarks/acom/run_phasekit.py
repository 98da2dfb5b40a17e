"""phasekit on a scan, defaults untouched: peaks, registration, bank, matching, refinement."""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

import phasekit as pk
from phasekit.crystals import crystal

from ..harness import log_progress, record_time
from .common import read_scan, save_result


def main() -> None:
    """Index a scan file and write peaks, phases, orientations, scores and times."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("scan", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--resolution", type=float, default=2.0)
    parser.add_argument("--search", choices=("fast", "full"), default="fast")
    parser.add_argument("--phases", type=int, default=3, help="phases in the bank")
    parser.add_argument("--rows", type=int, default=0, help="rows of the scan that are used, 0 = all")
    parser.add_argument("--no-refinement", action="store_true")
    chosen = parser.parse_args()
    scan = read_scan(chosen.scan)
    if chosen.rows:
        for name in ("intensity", "truth_phase"):
            scan[name] = scan[name][: chosen.rows]
    save_result(chosen.out, *index_scan(scan, chosen))


def make_patterns(scan: dict[str, Any]) -> xr.Dataset:
    """PATTERNS of a scan file."""
    patterns = xr.Dataset({"intensity": (("scan_y", "scan_x", "qy", "qx"), scan["intensity"])})
    patterns = patterns.assign_coords(
        {d: (d, np.arange(patterns.sizes[d]) * 5.0, {"units": "nm"}) for d in ("scan_y", "scan_x")}
    )
    return pk.acom.calibrate(patterns, pixel_size=float(scan["pixel_size"]))


def make_phase(record: dict[str, Any]) -> Any:
    """The orix phase of a record of the scan file, every atom listed."""
    atoms = [
        (element, *place, 1.0, b)
        for element, place, b in zip(record["elements"], record["positions"], record["b_iso"], strict=True)
    ]
    return crystal(str(record["name"]), int(record["space_group"]), record["lattice"], atoms, expand=False)


def index_scan(scan: dict[str, Any], chosen: argparse.Namespace) -> tuple[dict[str, Any], dict[str, Any]]:
    """Arrays and info of the whole chain."""
    times: dict[str, Any] = {}
    phases = [make_phase(record) for record in scan["phases"][: chosen.phases]]
    patterns = make_patterns(scan)
    warm_up(patterns, phases)
    with record_time(times, "prepare"):
        bank = pk.acom.build_templates(phases, resolution_deg=chosen.resolution, precession_deg=1)
    with record_time(times, "peaks"):
        raw_peaks = pk.acom.find_peaks(patterns)
    with record_time(times, "register"):
        peaks = pk.acom.calibrate_peaks(raw_peaks)
    match_patterns(peaks.isel(scan_y=slice(1)), bank, chosen)
    with record_time(times, "match"):
        matched = match_patterns(peaks, bank, chosen)
    refined = matched
    if not chosen.no_refinement:
        with record_time(times, "refine"):
            refined = pk.acom.refine_orientations(peaks, bank, matched)
    arrays = unpack_best(refined) | {f"matched_{name}": array for name, array in unpack_best(matched).items()}
    arrays |= list_peaks(raw_peaks, scan)
    counts = [int(n) for n in np.bincount(bank.phase.values)]
    settings = {"resolution": chosen.resolution, "search": chosen.search}
    info = {"package": "phasekit", "n_patterns": int(patterns.intensity.shape[0] * patterns.intensity.shape[1])}
    return arrays, info | {"times": times, "templates": counts, "settings": settings}


def match_patterns(peaks: xr.Dataset, bank: xr.Dataset, chosen: argparse.Namespace) -> xr.Dataset:
    """``match_orientations`` with its defaults, or the exhaustive search."""
    return pk.acom.match_orientations(peaks, bank, **({"search": "full"} if chosen.search == "full" else {}))


def warm_up(patterns: xr.Dataset, phases: list[Any]) -> None:
    """Compile what is compiled on first use, on a few patterns and a coarse bank."""
    few = patterns.isel(scan_y=slice(2), scan_x=slice(8))
    bank = pk.acom.build_templates(phases[:1], resolution_deg=6, precession_deg=1)
    peaks = pk.acom.calibrate_peaks(pk.acom.find_peaks(few), origin=(0.0, 0.0))
    pk.acom.refine_orientations(peaks, bank, pk.acom.match_orientations(peaks, bank))


def unpack_best(orientations: xr.Dataset) -> dict[str, Any]:
    """Best solution of every pixel as plain arrays."""
    best = orientations.isel(match=0)
    return {
        "phase": best.phase.values,
        "quaternion": best.quaternion.values,
        "score": best.correlation.values,
        "reliability": orientations.reliability.values,
        "phase_reliability": orientations.phase_reliability.values,
        "status": orientations.status.values,
    }


def list_peaks(raw_peaks: xr.Dataset, scan: dict[str, Any]) -> dict[str, Any]:
    """Peaks in detector pixels."""
    middle, size = (scan["intensity"].shape[-1] - 1) / 2, float(scan["pixel_size"])
    return {
        "peak_y": raw_peaks.qy.values / size + middle,
        "peak_x": raw_peaks.qx.values / size + middle,
        "peak_intensity": raw_peaks.intensity.values,
    }


if __name__ == "__main__":
    log_progress("phasekit")
    main()
