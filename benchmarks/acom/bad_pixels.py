"""Bad detector pixels in the sample of two phases: how many pixels of the map are right, by value and number.

``python -m benchmarks.acom.bad_pixels FILE.json`` writes the figures of this code; ``... FILE.json BEFORE.json`` also
writes the page, with the figures of an earlier code beside them.
"""

import sys
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

import phasekit as pk

from ..harness import log_progress, markdown_table, read_json, write_json

Flags = NDArray[np.bool_]
#: Value of a bad pixel, and the type of the data that can hold it.
VALUES: dict[str, tuple[float, Any]] = {
    "0": (0, np.uint16),
    "300": (300, np.uint16),
    "65535": (65535, np.uint16),
    "4294967295": (4294967295, np.uint32),
    "-1": (-1, np.int32),
    "-2": (-2, np.int32),
    "NaN": (np.nan, np.float32),
}
PLACES = ("1 pixel", "0.1 %", "1 %", "one row", "0.1 %, in 2 % of the patterns", "2 anywhere in every pattern")
SEED = 14
#: The case with the most single pixels, drawn at other places too: one draw moves the share by half a point.
MANY, OTHER_SEEDS = ("65535", "1 %"), (1, 2, 3, 4)


def draw_places(name: str, shape: tuple[int, ...], *, seed: int = SEED) -> Flags:
    """Where the detector is bad, ``(scan_y, scan_x, qy, qx)``; the same for every value."""
    rng = np.random.default_rng(seed)
    detector, out = shape[2:], np.zeros(shape, dtype=bool)
    if name == "1 pixel":
        out[:, :, detector[0] // 3, detector[1] // 2 + 6] = True
    elif name == "one row":
        out[:, :, detector[0] // 2 - 9] = True
    elif name.startswith("2 anywhere"):
        for index in np.ndindex(*shape[:2]):
            out[index].ravel()[rng.choice(detector[0] * detector[1], 2, replace=False)] = True
    else:
        share = 0.01 if name == "1 %" else 0.001
        chosen = rng.choice(detector[0] * detector[1], round(share * detector[0] * detector[1]), replace=False)
        when = rng.random((*shape[:2], chosen.size)) < (0.02 if "patterns" in name else 1.0)
        out.reshape(*shape[:2], -1)[:, :, chosen] = when
    return out


def spoil_scan(scan: xr.Dataset, value: str, places: str, *, seed: int = SEED) -> xr.Dataset:
    """The patterns with bad pixels, without the truth."""
    number, kind = VALUES[value]
    counts = scan.intensity.to_numpy().astype(kind)
    counts[draw_places(places, counts.shape, seed=seed)] = number
    return scan[["intensity"]].assign(intensity=scan.intensity.copy(data=counts)).assign_attrs({})


def index_patterns(patterns: xr.Dataset, scan: xr.Dataset, bank: xr.Dataset) -> dict[str, float]:
    """Accuracy of the whole chain with its defaults, as ``compute_accuracy`` counts it."""
    peaks = pk.acom.calibrate_peaks(pk.acom.find_peaks(patterns))
    found = pk.acom.refine_orientations(peaks, bank, pk.acom.match_orientations(peaks, bank))
    score = pk.acom.compare_with_truth(found, scan)
    inside = scan.truth_interior.to_numpy().astype(bool) & (scan.truth_phase.to_numpy() >= 0)
    angle = score.disorientation.sel(counting="folded").to_numpy()[inside]
    return {
        "within_2": float(np.mean(np.nan_to_num(angle, nan=180.0) <= 2)),
        "phase": float(np.mean(found.phase.to_numpy()[inside] == scan.truth_phase.to_numpy()[inside])),
        "auc": compute_area(found.reliability.to_numpy()[inside], np.nan_to_num(angle, nan=180.0) <= 2),
        "vacuum": float(np.mean(found.status.to_numpy()[inside] == 1)),
    }


def compute_area(score: NDArray[np.floating], good: Flags) -> float:
    """Chance that the reliability of a right pixel is above that of a wrong one."""
    known = np.nan_to_num(score)
    above = (known[good][:, None] > known[~good]).mean() if good.any() and not good.all() else np.nan
    equal = (known[good][:, None] == known[~good]).mean() if good.any() and not good.all() else np.nan
    return float(above + equal / 2)


def main() -> None:
    """Write the figures of every case, and the page where figures of an earlier code are given."""
    path = Path(sys.argv[1])
    scan = pk.io.load(pk.samples.path("acom_two_phases"))
    phases = [pk.io.open_phase(pk.samples.root() / "data-samples" / f"{name}.cif") for name in ("Ni", "LiFePO4")]
    bank = pk.acom.build_templates(phases, resolution_deg=2, precession_deg=1)
    out: dict[str, Any] = {"clean": index_patterns(scan[["intensity"]].assign_attrs({}), scan, bank)}
    for value, places in product(VALUES, PLACES):
        case = f"{value}, {places}"
        out[case] = index_patterns(spoil_scan(scan, value, places), scan, bank)
        log_progress(f"{case}: {out[case]}")
        write_json(path, out)
    for seed in OTHER_SEEDS:
        case = f"{MANY[0]}, {MANY[1]}, seed {seed}"
        out[case] = index_patterns(spoil_scan(scan, *MANY, seed=seed), scan, bank)
        log_progress(f"{case}: {out[case]}")
    write_json(path, out)
    if len(sys.argv) > 2:
        lines = compose_page(read_json(Path(sys.argv[2])), out)
        path.with_suffix(".md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def compose_page(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """Lines of the page: shares of interior pixels before and after, by value and number of bad pixels."""
    clean = after["clean"]
    many = [after[f"{MANY[0]}, {MANY[1]}"], *(found for case, found in after.items() if "seed" in case)]
    mean = sum(found["within_2"] for found in many) / len(many)
    rows = []
    for case in (f"{value}, {places}" for value, places in product(VALUES, PLACES)):
        old, new = before[case], after[case]
        pairs = [f"{old[name]:.3f} / {new[name]:.3f}" for name in ("within_2", "phase", "auc", "vacuum")]
        rows.append([*case.split(", ", 1), *pairs, f"{100 * (new['within_2'] - clean['within_2']):+.1f}"])
    head = ("value", "bad pixels", "within 2 degrees", "phase right", "AUC", "called vacuum", "points from clean")
    return [
        "# Bad detector pixels in the orientation map",
        "",
        "Made by `python -m benchmarks.acom.bad_pixels FILE.json BEFORE.json`. The sample `acom_two_phases` (32 x 40 "
        "patterns of 128 x 128 pixels, 2000 electrons each) with bad pixels, through the whole chain with its "
        "defaults. Before: the commit before the detector mask. Shares are of grain-interior pixels, folded; AUC is "
        "that of the orientation reliability. One pixel is 0.13 points.",
        "",
        f"Clean: within 2 degrees {clean['within_2']:.3f}, phase right {clean['phase']:.3f}, AUC {clean['auc']:.3f}; "
        f"before the same: {before['clean'] == clean}.",
        "",
        f"{MANY[0]} in {MANY[1]} of the detector at {len(many)} places drawn anew: within 2 degrees "
        f"{min(found['within_2'] for found in many):.3f} to {max(found['within_2'] for found in many):.3f}, mean "
        f"{mean:.3f} ({100 * (mean - clean['within_2']):+.1f} points).",
        "",
        *markdown_table(head, rows),
    ]


if __name__ == "__main__":
    main()
