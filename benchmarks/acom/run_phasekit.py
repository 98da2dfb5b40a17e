"""phasekit on a scan, defaults untouched: peaks, registration, bank, matching, refinement."""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from common import clock, read_scan, save_result, say

import phasekit as pk
from phasekit.crystals import crystal


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
    save_result(chosen.out, *index(scan, chosen))


def as_patterns(scan: dict[str, Any]) -> xr.Dataset:
    """PATTERNS of a scan file."""
    patterns = xr.Dataset({"intensity": (("scan_y", "scan_x", "qy", "qx"), scan["intensity"])})
    patterns = patterns.assign_coords(
        {d: (d, np.arange(patterns.sizes[d]) * 5.0, {"units": "nm"}) for d in ("scan_y", "scan_x")}
    )
    return pk.acom.calibrate(patterns, pixel_size=float(scan["pixel_size"]))


def as_phase(record: dict[str, Any]) -> Any:
    """The orix phase of a record of the scan file, every atom listed."""
    atoms = [
        (element, *place, 1.0, b)
        for element, place, b in zip(record["elements"], record["positions"], record["b_iso"], strict=True)
    ]
    return crystal(str(record["name"]), int(record["space_group"]), record["lattice"], atoms, expand=False)


def index(scan: dict[str, Any], chosen: argparse.Namespace) -> tuple[dict[str, Any], dict[str, Any]]:
    """Arrays and info of the whole chain."""
    times: dict[str, Any] = {}
    phases = [as_phase(record) for record in scan["phases"][: chosen.phases]]
    patterns = as_patterns(scan)
    warm(patterns, phases)
    with clock(times, "prepare"):
        bank = pk.acom.build_templates(phases, resolution_deg=chosen.resolution, precession_deg=1)
    with clock(times, "peaks"):
        found = pk.acom.find_peaks(patterns)
    with clock(times, "register"):
        peaks = pk.acom.calibrate_peaks(found)
    match(peaks.isel(scan_y=slice(1)), bank, chosen)
    with clock(times, "match"):
        matched = match(peaks, bank, chosen)
    final = matched
    if not chosen.no_refinement:
        with clock(times, "refine"):
            final = pk.acom.refine_orientations(peaks, bank, matched)
    arrays = unpack(final) | {f"matched_{name}": array for name, array in unpack(matched).items()}
    arrays |= peak_table(found, scan)
    counts = [int(n) for n in np.bincount(bank.phase.values)]
    settings = {"resolution": chosen.resolution, "search": chosen.search}
    info = {"package": "phasekit", "n_patterns": int(patterns.intensity.shape[0] * patterns.intensity.shape[1])}
    return arrays, info | {"times": times, "templates": counts, "settings": settings}


def match(peaks: xr.Dataset, bank: xr.Dataset, chosen: argparse.Namespace) -> xr.Dataset:
    """``match_orientations`` with its defaults, or the exhaustive search."""
    return pk.acom.match_orientations(peaks, bank, **({"search": "full"} if chosen.search == "full" else {}))


def warm(patterns: xr.Dataset, phases: list[Any]) -> None:
    """Compile what is compiled on first use, on a few patterns and a coarse bank."""
    few = patterns.isel(scan_y=slice(2), scan_x=slice(8))
    bank = pk.acom.build_templates(phases[:1], resolution_deg=6, precession_deg=1)
    peaks = pk.acom.calibrate_peaks(pk.acom.find_peaks(few), origin=(0.0, 0.0))
    pk.acom.refine_orientations(peaks, bank, pk.acom.match_orientations(peaks, bank))


def unpack(found: xr.Dataset) -> dict[str, Any]:
    """Best solution of every pixel as plain arrays."""
    best = found.isel(match=0)
    return {
        "phase": best.phase.values,
        "quaternion": best.quaternion.values,
        "score": best.correlation.values,
        "reliability": found.reliability.values,
        "phase_reliability": found.phase_reliability.values,
        "status": found.status.values,
    }


def peak_table(found: xr.Dataset, scan: dict[str, Any]) -> dict[str, Any]:
    """Peaks in detector pixels."""
    middle, size = (scan["intensity"].shape[-1] - 1) / 2, float(scan["pixel_size"])
    return {
        "peak_y": found.qy.values / size + middle,
        "peak_x": found.qx.values / size + middle,
        "peak_intensity": found.intensity.values,
    }


if __name__ == "__main__":
    say("phasekit")
    main()
