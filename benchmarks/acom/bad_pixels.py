"""Bad detector pixels in the sample of two phases: how many pixels of the map are right, by value and number.

``python -m benchmarks.acom.bad_pixels FILE.json`` writes the figures of this code; ``... FILE.json BEFORE.json`` also
writes the page, with the figures of an earlier code beside them.
"""

import sys
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


def draw_places(name: str, shape: tuple[int, ...]) -> Flags:
    """Where the detector is bad, ``(scan_y, scan_x, qy, qx)``; the same for every value."""
    rng = np.random.default_rng(SEED)
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


def spoil_scan(scan: xr.Dataset, value: str, places: str) -> xr.Dataset:
    """The patterns with bad pixels, without the truth."""
    number, kind = VALUES[value]
    counts = scan.intensity.to_numpy().astype(kind)
    counts[draw_places(places, counts.shape)] = number
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
    """Write the figures of every case."""
    path, cases = Path(sys.argv[1]), sys.argv[3:]
    scan = pk.io.load(pk.samples.path("acom_two_phases"))
    phases = [pk.io.open_phase(pk.samples.root() / "data-samples" / f"{name}.cif") for name in ("Ni", "LiFePO4")]
    bank = pk.acom.build_templates(phases, resolution_deg=2, precession_deg=1)
    out: dict[str, Any] = {"clean": index_patterns(scan[["intensity"]].assign_attrs({}), scan, bank)}
    for value in VALUES:
        for places in PLACES:
            if cases and places not in cases:
                continue
            out[f"{value}, {places}"] = index_patterns(spoil_scan(scan, value, places), scan, bank)
            log_progress(f"{value}, {places}: {out[f'{value}, {places}']}")
            write_json(path, out)
    if len(sys.argv) > 2 and sys.argv[2] != "-":
        lines = compose_page(read_json(Path(sys.argv[2])), out)
        path.with_suffix(".md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    write_json(path, out)


def compose_page(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """Lines of the page."""
    return markdown_table(["a"], [[str(len(before)), str(len(after))]])


if __name__ == "__main__":
    main()
