"""Transmitted intensity told from optical density and from what rises with absorption."""

from typing import NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy import stats

from ....errors import SchemaError

Array = NDArray[np.float64]

#: at most this many frames are read, each in a window of this many pixels a side, averaged to this many
_N_FRAMES, _WINDOW, _BINNED = 32, 256, 32
_DENSITY_WORDS = ("od", "optical density", "optical_density", "absorbance", "-ln(i/i0)", "-log(i/i0)", "ln(i0/i)")
_TRANSMISSION_WORDS = ("transmission", "transmittance", "i/i0", "%", "percent")
_CURE = (
    "Take it as it is with pk.stxm.as_optical_density(stack). "
    "If it is transmitted light after all, give check_kind=False."
)


class _Evidence(NamedTuple):
    """What the sampled frames show: binned frames (energy, pixel), and figures of their single values."""

    frames: Array
    energy: Array
    negative: float  # share of values below zero
    whole: float  # share of whole numbers
    largest: float  # 99.9th percentile


def refuse_optical_density(intensity: xr.DataArray) -> str:
    """Refuse a stack that is no transmitted intensity; return a remark where it is transmission, else an empty text.

    Words in the file decide first. Without them the edge does: pixels with the edge get darker over it in transmitted
    light, and brighter in optical density. At most 32 frames are read.
    """
    word = _find_word(intensity)
    if word in _DENSITY_WORDS:
        raise SchemaError(
            f"optical_density: the file says that its values are '{word}', needs transmitted intensity. {_CURE}"
        )
    evidence = _read_evidence(intensity)
    if evidence.largest <= 0:
        # Frames without any light have an error of their own.
        return ""
    reason = _find_reason(evidence)
    if reason:
        raise SchemaError(
            f"optical_density: the stack is no transmitted intensity but optical density or a yield: {reason}. {_CURE}"
        )
    named = word in _TRANSMISSION_WORDS
    # Light that passed an empty place is 1; noise and a stray I0 take it a little above.
    return "intensity is transmission" if named or (evidence.whole < 0.5 and 0.2 < evidence.largest < 1.5) else ""


def _find_word(intensity: xr.DataArray) -> str:
    """Find the unit the file or the caller gives the intensity, in lower case."""
    given = str(intensity.attrs.get("units", "")).strip().lower()
    remarks = str(intensity.attrs.get("comment", "")).lower().split("; ")
    stated = [text.removeprefix("the file's unit is ").strip() for text in remarks if "unit is " in text]
    known = (*_DENSITY_WORDS, *_TRANSMISSION_WORDS)
    return next((word for word in (given, *stated) if word in known), "")


def _read_evidence(intensity: xr.DataArray) -> _Evidence:
    """Read a window in the middle of at most 32 frames."""
    n = intensity.sizes["energy"]
    places = np.unique(np.linspace(0, n - 1, min(n, _N_FRAMES)).round().astype(int))
    sides = {}
    for dim in ("scan_y", "scan_x"):
        start = max((intensity.sizes[dim] - _WINDOW) // 2, 0)
        sides[dim] = slice(start, start + _WINDOW)
    window = (
        intensity.isel({"energy": places, **sides})
        .transpose("energy", "scan_y", "scan_x")
        .drop_vars(list(sides), errors="ignore")
    )
    window = window.astype(np.float64).compute()
    values = window.values[np.isfinite(window.values)]
    if not values.size:
        return _Evidence(np.empty((places.size, 0)), np.empty(places.size), 0.0, 1.0, 0.0)
    bins = {dim: -(-window.sizes[dim] // _BINNED) for dim in sides}
    binned = window.coarsen(bins, boundary="trim").mean().values.reshape(places.size, -1)
    energy = window["energy"].values if "energy" in window.coords else places
    return _Evidence(
        binned[:, np.isfinite(binned).all(axis=0)],
        np.asarray(energy, dtype=np.float64),
        float((values < 0).mean()),
        float((values == np.round(values)).mean()),
        float(np.percentile(values, 99.9)),
    )


def _find_reason(evidence: _Evidence) -> str:
    """Find the reason why the values are no transmitted intensity; empty where there is none."""
    rise = compute_edge_direction(evidence.frames, evidence.energy)
    if rise > 0:
        return "the pixels with the edge get brighter over it"
    # Too few energies or too weak an edge to tell by it. Values of order 1 that scatter about zero are no light.
    if rise == 0 and evidence.negative > 0.02 and evidence.whole < 0.5 and evidence.largest < 10:
        return f"{evidence.negative:.0%} of its values, all of order 1, are negative"
    return ""


def compute_edge_direction(frames: Array, energy: Array) -> float:
    r"""Find whether the pixels with the strongest edge rise (above 0) or fall (below 0) over it; 0 where unclear.

    ``frames`` (energy, pixel) of light are :math:`I_0(E) \, e^{-b - m f(E)}`. After the logarithm, the first principal
    component of the deviations from the mean spectrum parts pixels with much of the edge f from those with little. The
    spectrum of one group contains the difference of both, up to a smooth curve; that of the other does not. In light
    the first is darker than the second and falls from the lowest energies on. In optical density it is brighter and
    rises.
    """
    n_energies, n_pixels = frames.shape
    bright = np.percentile(frames, 95) if n_pixels else 0.0
    if n_energies < 5 or n_pixels < 25 or bright <= 0 or np.ptp(energy) <= 0:
        return 0.0
    order = np.argsort(energy, kind="stable")
    energy, frames = energy[order], frames[order]
    # A twentieth of the bright level keeps the logarithm of dark places finite and their noise small.
    level = np.log(np.maximum(frames, 0.0) / bright + 0.05)
    deviation = level - level.mean(axis=0) - level.mean(axis=1, keepdims=True) + level.mean()
    _, singular, rows = np.linalg.svd(deviation, full_matrices=False)
    # Components of noise are about equal, and would choose the groups by chance.
    if singular[0] < 1.5 * singular[1]:
        return 0.0
    rank = np.argsort(rows[0])
    share = max(n_pixels // 5, 5)
    first, second = (level[:, rank[part]].mean(axis=1) for part in (slice(None, share), slice(-share, None)))
    # I0 may rise or bend smoothly through the stack, an edge does not; few energies cannot tell a bend.
    degree = 1 + min((n_energies - 1) // 6, 2)
    smooth = np.polynomial.polynomial.polyvander((energy - energy.mean()) / np.ptp(energy), degree)
    flat = [group - smooth @ np.linalg.lstsq(smooth, group, rcond=None)[0] for group in (first, second)]
    difference = flat[0] - flat[1]
    power = float(difference @ difference)
    if power <= 1e-20:
        return 0.0
    slopes = [float(group @ difference) / power for group in flat]
    strong = int(abs(slopes[1]) > abs(slopes[0]))
    # By chance, half of the difference is in each group.
    related = abs(slopes[strong]) > 0.75 and _are_related(flat[strong], difference, degree)
    relative = (first - second) * (-1) ** strong
    # Absorption is least below the edge, so its mean over all energies lies above the lowest ones.
    rise = relative.mean() - relative[: max(n_energies // 8, 1)].mean()
    # A stack that begins on the edge falls from its first energy; brighter pixels alone may be another material.
    agree = relative.mean() * rise > 0 and abs(rise) > 0.1 * np.ptp(relative)
    return float(rise) if related and agree else 0.0


def _are_related(group: Array, difference: Array, degree: int) -> bool:
    """Whether a group's spectrum contains the difference, at a chance of 1e-4, after a polynomial of this degree."""
    r = np.corrcoef(group, difference)[0, 1]
    freedom = group.size - 2 - degree
    t = abs(r) * np.sqrt(freedom / max(1 - r**2, 1e-12))
    return bool(2 * stats.t.sf(t, freedom) < 1e-4)
