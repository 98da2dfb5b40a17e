"""One evaluator for every package: the result file of a runner against the truth in the scan file."""

from typing import Any

import numpy as np
from common import chosen_positions, load_result, on_scan, read_scan
from numpy.typing import NDArray
from structures import bench_phases

from phasekit.acom.matching.candidates import is_half_turn
from phasekit.acom.symmetry import proper_rotations
from phasekit.diffraction import diffraction_symmetry
from phasekit.rotations import about_axis, multiply, symmetric_angle_deg

Array = NDArray[np.float64]
HALF_TURN = about_axis([0, 0, 1], 180.0)


def evaluate(result: Any, scan_path: Any, *, positions: int = 0) -> dict[str, Any]:
    """Figures of one result, of all positions that were examined or of the first so many.

    Shares are of all interior pixels; a pixel without orientation or with the wrong phase is wrong. Disorientations
    regard the rotations of the Laue group, which is all that diffraction can see.
    """
    found, info = load_result(result)
    scan = read_scan(scan_path)
    out = {**figures(found, scan, positions=positions), **info}
    if "peak_y" in found:
        out["peaks"] = peak_figures(found, scan)
    if "own_quaternion" in found:
        own = figures({**found, "quaternion": found["own_quaternion"]}, scan, positions=positions)
        out["own_conversion"] = {name: own[name] for name in ("folded", "unfolded")}
    return out


def figures(found: dict[str, Any], scan: dict[str, Any], *, positions: int = 0) -> dict[str, Any]:
    """Accuracy, vacuum indexed and the ROC of arrays ``phase``, ``quaternion`` and the reliabilities."""
    true_phase = scan["truth_phase"]
    counted = found.get("examined", np.ones(true_phase.shape, bool)).astype(bool)
    if positions:
        where = chosen_positions(scan, positions)
        counted = counted & on_scan(np.ones(len(where), bool), where, true_phase.shape, False)
    inside = scan["truth_interior"].astype(bool) & (true_phase >= 0) & counted
    folded, unfolded = angles(found, scan)
    indexed = (found["phase"] >= 0) & np.isfinite(found["quaternion"]).all(axis=-1)
    right = indexed & (found["phase"] == true_phase)
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
    twin = zone_twins(found, scan)
    out["within_5_or_zone_twin"] = float(((np.nan_to_num(folded, nan=180.0) <= 5) | twin)[inside].sum() / n)
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


def zone_twins(found: dict[str, Any], scan: dict[str, Any]) -> NDArray[np.bool_]:
    """Where the answer is the truth turned by half a turn about an axis within 15 degrees of the beam.

    About a zone axis that turn leaves every point of the zero-order Laue zone in its place (Friedel), excitation errors
    included: only higher zones could tell the two, and with few spots none of them shows.
    """
    out = np.zeros(scan["truth_phase"].shape, bool)
    for index, phase in enumerate(bench_phases()):
        symmetry = diffraction_symmetry(phase)
        here = (found["phase"] == index) & (scan["truth_phase"] == index)
        for place in np.argwhere(here & np.isfinite(found["quaternion"]).all(axis=-1)):
            mine, truth = (data[tuple(place)].astype(float) for data in (found["quaternion"], scan["truth_quaternion"]))
            out[tuple(place)] = is_half_turn(mine, truth, symmetry, np.radians(5))
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


def peak_figures(found: dict[str, Any], scan: dict[str, Any], *, tolerance: float = 2.0) -> dict[str, float]:
    """Recall of spots of 5 expected electrons and more, precision, and rms distance [px] per axis, on interiors.

    A found peak is right if one of the true spots (of 1 electron and more) is nearer than ``tolerance`` [px]; peaks
    nearer than 4 px to the direct beam, and true spots there, do not count.
    """
    wanted = seen = right = claimed = 0
    squares: list[Array] = []
    beam = scan["truth_beam_px"]
    for index in zip(*np.nonzero(scan["truth_interior"]), strict=True):
        spots = np.stack([scan["spot_y"][index], scan["spot_x"][index]], axis=-1)
        strength = scan["spot_electrons"][index]
        known = np.isfinite(strength) & (np.linalg.norm(spots - beam[index], axis=-1) > 4)
        spots, strength = spots[known], strength[known]
        peaks = np.stack([found["peak_y"][index], found["peak_x"][index]], axis=-1).astype(float)
        peaks = peaks[np.isfinite(peaks).all(axis=-1)]
        peaks = peaks[np.linalg.norm(peaks - beam[index], axis=-1) > 4]
        apart = np.linalg.norm(peaks[:, None] - spots[None], axis=-1)
        strong = strength >= 5
        wanted, claimed = wanted + int(strong.sum()), claimed + len(peaks)
        if not apart.size:
            continue
        hit = apart.min(axis=0) <= tolerance
        seen, right = seen + int((hit & strong).sum()), right + int((apart.min(axis=1) <= tolerance).sum())
        pairs = apart.argmin(axis=0)[hit & strong]
        squares.append(((peaks[pairs] - spots[hit & strong]) ** 2).ravel())
    every = np.concatenate(squares) if squares else np.array([np.nan])
    return {
        "recall": seen / max(wanted, 1),
        "precision": right / max(claimed, 1),
        "rms_per_axis_px": float(np.sqrt(every.mean())),
        "rms_px": float(np.sqrt(2 * every.mean())),
        "spots_per_pattern": wanted / max(int(scan["truth_interior"].sum()), 1),
    }
