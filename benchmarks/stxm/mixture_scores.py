"""Scores of a map of mixtures whose truth is known."""

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from phasekit.errors import StxmStatus
from phasekit.synthetic.mixtures.truth import MixtureClass

from .maps import compute_lone_share, count_statuses, select_fraction
from .scores import score_confidence

#: Fractions between these bounds are neither clearly one phase nor clearly a mixture: no status is wrong there.
CLEAR_MIXTURE, CLEAR_PHASE = 0.8, 0.97
#: The largest fraction leads the second by at least this where the major phase is more than a convention.
CLEAR_LEAD = 0.2


class Truth:
    """The truth of a mixture stack as plain arrays."""

    def __init__(self, stack: xr.Dataset) -> None:
        self.phase = stack["truth_phase"].values
        self.fraction = stack["truth_fraction"].transpose("scan_y", "scan_x", "reference").values
        self.material = self.phase >= 0
        ordered = np.sort(np.nan_to_num(self.fraction), axis=-1)
        self.largest = ordered[..., -1]
        self.clear = self.material & (ordered[..., -1] - ordered[..., -2] >= CLEAR_LEAD)
        kind = stack["truth_class"].values
        self.transition = (kind == MixtureClass.TRANSITION) & (self.largest <= CLEAR_MIXTURE)
        self.boundary = kind == MixtureClass.BOUNDARY
        self.pure = (kind == MixtureClass.PURE) & (self.largest >= CLEAR_PHASE)
        self.offset = float(stack.attrs["truth_energy_offset"])


def score_phase_and_fraction(phase: NDArray[Any], fraction: NDArray[Any], truth: Truth) -> dict[str, float]:
    """Scores that any method has: right major phase, lone pixels, error of the fraction."""
    counted = truth.material & (phase >= 0)
    clear = counted & truth.clear
    error = 0.5 * np.abs(fraction - truth.fraction).sum(axis=-1)  # half: what one gains another loses
    known = truth.material & np.isfinite(error)
    return {
        "accuracy": float((phase == truth.phase)[counted].mean()) if counted.any() else np.nan,
        "accuracy_clear": float((phase == truth.phase)[clear].mean()) if clear.any() else np.nan,
        "lone": compute_lone_share(phase, truth.material),
        "fraction_error": float(error[known].mean()) if known.any() else np.nan,
        "fraction_known": float(known.sum() / truth.material.sum()),
    }


def score_mixture_map(phases: xr.Dataset, truth: Truth) -> dict[str, float]:
    """Scores of a phasekit map."""
    phase, status = phases["phase"].values, phases["status"].values
    counted = truth.material & (phase >= 0)
    right, ok = phase == truth.phase, status == StxmStatus.OK
    out = score_phase_and_fraction(phase, select_fraction(phases), truth)
    out |= {
        "truth_lone": compute_lone_share(truth.phase, truth.material),
        "found_material": float((phase >= 0)[truth.material].mean()),
        "ok_share": float(ok[counted].mean()),
        "ok_error": 1 - float(right[counted & ok].mean()) if (counted & ok).any() else np.nan,
        "offset_error": abs(float(phases["energy_offset"]) - truth.offset),
    }
    out |= score_confidence(phases["confidence"].values[counted], right[counted])
    out |= _score_transitions(status, counted, truth)
    shares = count_statuses(status, counted)
    return out | {f"share_{name}": value for name, value in shares.items()}


def _score_transitions(status: NDArray[Any], counted: NDArray[np.bool_], truth: Truth) -> dict[str, float]:
    """Share named transition where the truth is one, where the probe blurs a boundary, and where a phase is pure."""
    named = status == StxmStatus.TRANSITION
    by_blur = status == StxmStatus.BOUNDARY_TRANSITION
    areas = {"transition": truth.transition, "boundary": truth.boundary, "pure": truth.pure}
    out = {}
    for name, area in areas.items():
        use = area & counted
        out[f"{name}_pixels"] = float(use.sum())
        out[f"{name}_as_transition"] = float(named[use].mean()) if use.any() else np.nan
        out[f"{name}_as_boundary"] = float(by_blur[use].mean()) if use.any() else np.nan
    sharp = (truth.pure | truth.boundary) & counted
    out["false_transitions"] = float(named[sharp].mean()) if sharp.any() else np.nan
    return out
