"""Scores of a map of which the truth is known."""

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from phasekit.errors import StxmStatus

N_BINS = 15


def compute_accuracy(phase: NDArray[Any], truth: NDArray[Any], n_references: int) -> float:
    """Share of right names among pixels whose phase is one of the references and that hold material to the method."""
    counted = (truth >= 0) & (truth < n_references) & (phase >= 0)
    return float((phase == truth)[counted].mean())


def score_map(phases: xr.Dataset, truth: NDArray[Any], offset: float, transition: NDArray[Any]) -> dict[str, float]:
    """Scores of a phasekit map.

    ``truth`` is the number of references where the phase is none of them. ``pure`` counts the pixels whose composition
    is that of a phase: for the others the nearest name is a convention.
    """
    n = phases.sizes["reference"]
    phase, status, confidence = (phases[name].values for name in ("phase", "status", "confidence"))
    counted, known = (truth >= 0) & (phase >= 0), (truth >= 0) & (truth < n) & (phase >= 0)
    right, ok = phase == truth, status == StxmStatus.OK
    out = {
        "accuracy": compute_accuracy(phase, truth, n),
        "ok_error": 1 - float(right[counted & ok].mean()) if (counted & ok).any() else np.nan,
        "ok_share": float(ok[counted].mean()),
        "offset_error": abs(float(phases["energy_offset"]) - offset),
        "found_material": float((phase >= 0)[truth >= 0].mean()),
        **score_confidence(confidence[counted], right[counted]),
    }
    pure = counted & ~transition
    out |= {f"pure_{name}": value for name, value in score_confidence(confidence[pure], right[pure]).items()}
    unknown = (truth >= n) & (phase >= 0)
    if unknown.any():
        none = status == StxmStatus.NO_REFERENCE
        out |= {"unknown_flagged": float(none[unknown].mean()), "known_flagged": float(none[known].mean())}
    return out


def score_confidence(confidence: NDArray[Any], right: NDArray[Any]) -> dict[str, float]:
    """Expected calibration error over equal-width bins, area under the ROC of right against wrong."""
    from sklearn.metrics import roc_auc_score

    place = np.minimum((confidence * N_BINS).astype(int), N_BINS - 1)
    error = 0.0
    for index in range(N_BINS):
        mine = place == index
        if mine.any():
            error += abs(float(confidence[mine].mean()) - float(right[mine].mean())) * float(mine.mean())
    both = 0 < right.mean() < 1
    return {"ece": error, "auc": float(roc_auc_score(right, confidence)) if both else np.nan}


def bin_confidence(confidence: NDArray[Any], right: NDArray[Any]) -> dict[str, list[float]]:
    """Pixels, stated and actual rate by bin of confidence, for the calibration curve."""
    place = np.minimum((confidence * N_BINS).astype(int), N_BINS - 1)
    out: dict[str, list[float]] = {"pixels": [], "stated": [], "actual": []}
    for index in range(N_BINS):
        mine = place == index
        out["pixels"].append(float(mine.sum()))
        out["stated"].append(float(confidence[mine].sum()))
        out["actual"].append(float(right[mine].sum()))
    return out
