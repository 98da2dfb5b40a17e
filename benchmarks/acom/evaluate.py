"""One evaluator for every package: the result file of a runner against the truth in the scan file."""

from typing import Any

import numpy as np
from common import load_result, read_scan
from numpy.typing import NDArray
from structures import bench_phases

from phasekit.acom.symmetry import proper_rotations
from phasekit.diffraction import diffraction_symmetry
from phasekit.rotations import about_axis, multiply, symmetric_angle_deg

Array = NDArray[np.float64]
HALF_TURN = about_axis([0, 0, 1], 180.0)


def evaluate(result: Any, scan_path: Any, stride: int = 1) -> dict[str, Any]:
    """Figures of one result; the disorientation counts the proper rotations of the point group (Laue class).

    Shares are of all interior pixels; a pixel without orientation or with the wrong phase is wrong.
    """
    found, info = load_result(result)
    return {**figures(found, read_scan(scan_path, stride)), **info}


def figures(found: dict[str, Any], scan: dict[str, Any]) -> dict[str, Any]:
    """Accuracy, vacuum indexed and the ROC of arrays ``phase``, ``quaternion`` and the reliabilities."""
    true_phase = scan["truth_phase"]
    inside = scan["truth_interior"].astype(bool) & (true_phase >= 0)
    folded, unfolded = angles(found, scan)
    indexed = (found["phase"] >= 0) & np.isfinite(found["quaternion"]).all(axis=-1)
    right = indexed & (found["phase"] == true_phase)
    n = max(int(inside.sum()), 1)
    vacuum = indexed[true_phase < 0]
    out: dict[str, Any] = {"n_interior": n, "phase_accuracy": float((right & inside).sum() / n)}
    for name, angle in (("folded", folded), ("unfolded", unfolded)):
        known = angle[inside & right]
        out[name] = {
            "within_2": float((known <= 2).sum() / n),
            "within_5": float((known <= 5).sum() / n),
            "median_deg": float(np.median(known)) if known.size else float("nan"),
        }
    out["vacuum_indexed"] = float(vacuum.mean()) if vacuum.size else float("nan")
    good = np.nan_to_num(folded, nan=180.0) <= 5
    out["auc"] = {
        name: auc(np.nan_to_num(found[name])[inside & indexed], good[inside & indexed])
        for name in ("reliability", "phase_reliability", "score")
        if name in found
    }
    if "reliability" in found and "phase_reliability" in found:
        least = np.minimum(np.nan_to_num(found["reliability"]), np.nan_to_num(found["phase_reliability"]))
        out["auc"]["least_reliability"] = auc(least[inside & indexed], good[inside & indexed])
    per_phase = [right[inside & (true_phase == k)] for k in range(int(true_phase.max()) + 1)]
    within = [good[inside & (true_phase == k)] for k in range(int(true_phase.max()) + 1)]
    out["phase_accuracy_each"] = [float(one.mean()) if one.size else float("nan") for one in per_phase]
    out["within_5_each"] = [float(one.mean()) if one.size else float("nan") for one in within]
    return out


def angles(found: dict[str, Any], scan: dict[str, Any]) -> tuple[Array, Array]:
    """Disorientation [degrees] folded and unfolded; NaN where the phase is wrong or nothing was indexed."""
    out = np.full((2, *scan["truth_phase"].shape), np.nan)
    for index, phase in enumerate(bench_phases()):
        here = (found["phase"] == index) & (scan["truth_phase"] == index)
        here &= np.isfinite(found["quaternion"]).all(axis=-1)
        symmetry = np.concatenate([diffraction_symmetry(phase), proper_rotations(phase)])
        mine, truth = found["quaternion"][here], scan["truth_quaternion"][here]
        plain = symmetric_angle_deg(mine, truth, symmetry)
        turned = symmetric_angle_deg(multiply(mine, HALF_TURN), truth, symmetry)
        out[0][here], out[1][here] = np.minimum(plain, turned), plain
    return out[0], out[1]


def auc(score: Array, good: NDArray[np.bool_]) -> float:
    """Chance that a right pixel scores above a wrong one (ties count half); NaN if there is only one kind."""
    positive, negative = np.sort(score[good]), np.sort(score[~good])
    if not len(positive) or not len(negative):
        return float("nan")
    below = np.searchsorted(negative, positive, side="left") + np.searchsorted(negative, positive, side="right")
    return float(below.sum() / (2 * len(positive) * len(negative)))
