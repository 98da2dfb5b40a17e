"""Accuracy of every package by the same code: the result file of a runner against the truth in the scan file."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from phasekit.acom.matching.candidates import is_half_turn
from phasekit.acom.symmetry import proper_rotations
from phasekit.diffraction import diffraction_symmetry
from phasekit.rotations import about_axis, multiply, symmetric_angle_deg

from .common import load_result, place_on_scan, read_scan, select_positions
from .structures import bench_phases

Array = NDArray[np.float64]
HALF_TURN = about_axis([0, 0, 1], 180.0)


def evaluate_result(result: Any, scan_path: Any, *, positions: int = 0) -> dict[str, Any]:
    """Figures of one result, of all positions that were examined or of the first so many.

    Shares are of all interior pixels; a pixel without orientation or with the wrong phase is wrong. Disorientations
    regard the rotations of the Laue group, which is all that diffraction can see.
    """
    arrays, info = load_result(result)
    scan = read_scan(scan_path)
    out = {**compute_accuracy(arrays, scan, positions=positions), **info}
    if "peak_y" in arrays:
        out["peaks"] = compute_peak_accuracy(arrays, scan)
    if "own_quaternion" in arrays:
        own = compute_accuracy({**arrays, "quaternion": arrays["own_quaternion"]}, scan, positions=positions)
        out["own_conversion"] = {name: own[name] for name in ("folded", "unfolded")}
    return out


def compute_accuracy(arrays: dict[str, Any], scan: dict[str, Any], *, positions: int = 0) -> dict[str, Any]:
    """Accuracy, vacuum indexed and the ROC of arrays ``phase``, ``quaternion`` and the reliabilities."""
    true_phase = scan["truth_phase"]
    counted = arrays.get("examined", np.ones(true_phase.shape, bool)).astype(bool)
    if positions:
        where = select_positions(scan, positions)
        counted = counted & place_on_scan(np.ones(len(where), bool), where, true_phase.shape, False)
    inside = scan["truth_interior"].astype(bool) & (true_phase >= 0) & counted
    folded, unfolded = compute_disorientations(arrays, scan)
    indexed = (arrays["phase"] >= 0) & np.isfinite(arrays["quaternion"]).all(axis=-1)
    right = indexed & (arrays["phase"] == true_phase)
    n = max(int(inside.sum()), 1)
    vacuum = indexed[(true_phase < 0) & counted]
    out: dict[str, Any] = {"n_interior": n, "phase_accuracy": float((right & inside).sum() / n)}
    for name, angle in (("folded", folded), ("unfolded", unfolded)):
        known = angle[inside & right]
        out[name] = {
            "within_2": float((known <= 2).sum() / n),
            "within_5": float((known <= 5).sum() / n),
            "median_deg": float(np.median(known)) if known.size else float("nan"),
        }
    twin = find_zone_twins(arrays, scan)
    out["within_5_or_zone_twin"] = float(((np.nan_to_num(folded, nan=180.0) <= 5) | twin)[inside].sum() / n)
    out["vacuum_indexed"] = float(vacuum.mean()) if vacuum.size else float("nan")
    good = np.nan_to_num(folded, nan=180.0) <= 5
    out["auc"] = {
        name: compute_auc(np.nan_to_num(arrays[name])[inside & indexed], good[inside & indexed])
        for name in ("reliability", "phase_reliability", "score")
        if name in arrays
    }
    if "reliability" in arrays and "phase_reliability" in arrays:
        least = np.minimum(np.nan_to_num(arrays["reliability"]), np.nan_to_num(arrays["phase_reliability"]))
        out["auc"]["least_reliability"] = compute_auc(least[inside & indexed], good[inside & indexed])
    per_phase = [right[inside & (true_phase == k)] for k in range(int(true_phase.max()) + 1)]
    within = [good[inside & (true_phase == k)] for k in range(int(true_phase.max()) + 1)]
    out["phase_accuracy_each"] = [float(one.mean()) if one.size else float("nan") for one in per_phase]
    out["within_5_each"] = [float(one.mean()) if one.size else float("nan") for one in within]
    return out


def find_zone_twins(arrays: dict[str, Any], scan: dict[str, Any]) -> NDArray[np.bool_]:
    """Where the answer is the truth turned by half a turn about an axis within 15 degrees of the beam.

    About a zone axis that turn leaves every point of the zero-order Laue zone in its place (Friedel), with its
    excitation error. Only higher zones could tell the two, and with few spots none of them shows.
    """
    out = np.zeros(scan["truth_phase"].shape, bool)
    for index, phase in enumerate(bench_phases()):
        symmetry = diffraction_symmetry(phase)
        here = (arrays["phase"] == index) & (scan["truth_phase"] == index)
        for place in np.argwhere(here & np.isfinite(arrays["quaternion"]).all(axis=-1)):
            mine, truth = (
                data[tuple(place)].astype(float) for data in (arrays["quaternion"], scan["truth_quaternion"])
            )
            out[tuple(place)] = is_half_turn(mine, truth, symmetry, np.radians(5))
    return out


def compute_disorientations(arrays: dict[str, Any], scan: dict[str, Any]) -> tuple[Array, Array]:
    """Disorientation [degrees] folded and unfolded; NaN where the phase is wrong or nothing was indexed."""
    out = np.full((2, *scan["truth_phase"].shape), np.nan)
    for index, phase in enumerate(bench_phases()):
        here = (arrays["phase"] == index) & (scan["truth_phase"] == index)
        here &= np.isfinite(arrays["quaternion"]).all(axis=-1)
        symmetry = np.concatenate([diffraction_symmetry(phase), proper_rotations(phase)])
        mine, truth = arrays["quaternion"][here], scan["truth_quaternion"][here]
        plain = symmetric_angle_deg(mine, truth, symmetry)
        turned = symmetric_angle_deg(multiply(mine, HALF_TURN), truth, symmetry)
        out[0][here], out[1][here] = np.minimum(plain, turned), plain
    return out[0], out[1]


def compute_auc(score: Array, good: NDArray[np.bool_]) -> float:
    """Chance that a right pixel scores above a wrong one (ties count half); NaN if there is only one kind."""
    positive, negative = np.sort(score[good]), np.sort(score[~good])
    if not len(positive) or not len(negative):
        return float("nan")
    below = np.searchsorted(negative, positive, side="left") + np.searchsorted(negative, positive, side="right")
    return float(below.sum() / (2 * len(positive) * len(negative)))


def compute_peak_accuracy(arrays: dict[str, Any], scan: dict[str, Any], *, tolerance: float = 2.0) -> dict[str, float]:
    """Recall of spots of 5 expected electrons and more, precision, and rms distance [px] per axis, on interiors.

    A peak is right if a true spot (of 1 electron and more) is nearer than ``tolerance`` [px]. Peaks nearer than 4 px
    to the direct beam, and true spots there, do not count.
    """
    strong_spots = recalled = right = listed = 0
    squares: list[Array] = []
    beam = scan["truth_beam_px"]
    for index in zip(*np.nonzero(scan["truth_interior"]), strict=True):
        spots = np.stack([scan["spot_y"][index], scan["spot_x"][index]], axis=-1)
        strength = scan["spot_electrons"][index]
        known = np.isfinite(strength) & (np.linalg.norm(spots - beam[index], axis=-1) > 4)
        spots, strength = spots[known], strength[known]
        peaks = np.stack([arrays["peak_y"][index], arrays["peak_x"][index]], axis=-1).astype(float)
        peaks = peaks[np.isfinite(peaks).all(axis=-1)]
        peaks = peaks[np.linalg.norm(peaks - beam[index], axis=-1) > 4]
        apart = np.linalg.norm(peaks[:, None] - spots[None], axis=-1)
        strong = strength >= 5
        strong_spots, listed = strong_spots + int(strong.sum()), listed + len(peaks)
        if not apart.size:
            continue
        hit = apart.min(axis=0) <= tolerance
        recalled, right = recalled + int((hit & strong).sum()), right + int((apart.min(axis=1) <= tolerance).sum())
        pairs = apart.argmin(axis=0)[hit & strong]
        squares.append(((peaks[pairs] - spots[hit & strong]) ** 2).ravel())
    every = np.concatenate(squares) if squares else np.array([np.nan])
    return {
        "recall": recalled / max(strong_spots, 1),
        "precision": right / max(listed, 1),
        "rms_per_axis_px": float(np.sqrt(every.mean())),
        "rms_px": float(np.sqrt(2 * every.mean())),
        "spots_per_pattern": strong_spots / max(int(scan["truth_interior"].sum()), 1),
    }
