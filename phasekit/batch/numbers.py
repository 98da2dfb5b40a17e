"""The few numbers of a result that the index page shows beside its map."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from phasekit.errors import PhasekitError
from phasekit.io import load


def key_numbers(path: Path, source: Path | None = None) -> dict[str, str]:
    """Numbers of a saved result as label and text; those against the truth first, where the input carries one.

    Parameters
    ----------
    path
        ``result.nc`` of a run. Which numbers there are follows from its variables.
    source
        File the run opened; simulated ones have variables ``truth_*``.

    Raises
    ------
    ReadError
        The result cannot be read.
    """
    data = load(path)
    found: dict[str, str] = {}
    truth = _truth(source)
    if truth is not None:
        found |= _judged(data, truth)
    for dim, name in (("energy", "energies"), ("reference", "references"), ("component", "components")):
        if dim in data.sizes:
            found[name] = str(data.sizes[dim])
    if {"scan_y", "scan_x"} <= set(data.sizes):
        found["map"] = f"{data.sizes['scan_y']} x {data.sizes['scan_x']} pixels"
    if "energy_offset" in data and data["energy_offset"].ndim == 0:
        found["energy offset"] = f"{float(data['energy_offset']):.3f} eV"
    if "status" in data:
        found |= _status_shares(data["status"])
    if "overlap" in data:
        found["overlap"] = f"{_percent(data['overlap'] > 0)} of pixels"
    return found


def _truth(source: Path | None) -> xr.Dataset | None:
    """Input of the run when it is one of our own files and holds the truth."""
    if source is None or source.suffix not in (".nc", ".zarr") or not source.exists():
        return None
    try:
        data = load(source)
    except PhasekitError:
        return None
    return data if any(str(name).startswith("truth_") for name in data.data_vars) else None


def _judged(data: xr.Dataset, truth: xr.Dataset) -> dict[str, str]:
    """Numbers against the truth; none where the result is on another scan than the truth, e.g. after a crop."""
    judge = next((judge for name, judge in _JUDGES.items() if name in data), None)
    same = all(data.sizes.get(dim) == truth.sizes.get(dim) for dim in ("scan_y", "scan_x"))
    if judge is None or not same:
        return {}
    try:
        return judge(data, truth)
    except PhasekitError:  # a truth of another kind
        return {}


def _judge_phases(data: xr.Dataset, truth: xr.Dataset) -> dict[str, str]:
    """STXM: share of material pixels that are unflagged, and of those the share with the right phase."""
    material = (truth["truth_phase"] >= 0).values
    unflagged = material & (data["status"] == 0).values
    right = (data["phase"] == truth["truth_phase"].values).values
    return {
        "right of unflagged pixels": _percent(right[unflagged]),
        "unflagged of material": _percent(unflagged[material]),
    }


def _judge_orientations(data: xr.Dataset, truth: xr.Dataset) -> dict[str, str]:
    """ACOM: phase and orientation of grain interiors, with and without counting 180-degree pairs as right."""
    from phasekit.acom import compare_with_truth

    table = compare_with_truth(data, truth)
    folded, unfolded = (float(table["median"].sel(counting=word)) for word in ("folded", "unfolded"))
    return {
        "phase right, grain interiors": f"{100 * float(table['phase_accuracy']):.1f} %",
        "median disorientation, folded": f"{folded:.2f}°",
        "median disorientation, unfolded": f"{unfolded:.2f}°",
    }


def _judge_components(data: xr.Dataset, truth: xr.Dataset) -> dict[str, str]:
    """NMF: number of components, and how well their patterns match the true ones."""
    from phasekit.nmf import match_components

    cosine = match_components(data, truth)["pattern_cosine"]
    return {
        "true components": str(cosine.size),
        "cosine to true patterns": f"{float(cosine.min()):.3f} worst, {float(cosine.median()):.3f} median",
    }


#: By a variable that only this kind of result has.
_JUDGES: dict[str, Callable[[xr.Dataset, xr.Dataset], dict[str, str]]] = {
    "pearson": _judge_phases,
    "quaternion": _judge_orientations,
    "loading": _judge_components,
}


def _status_shares(status: xr.DataArray) -> dict[str, str]:
    """Share of pixels with each status word that occurs."""
    words = str(status.attrs.get("flag_meanings", "")).split()
    codes = np.atleast_1d(status.attrs.get("flag_values", np.arange(len(words))))
    values = status.values
    pairs = [(word, values == code) for word, code in zip(words, codes, strict=True)]
    return {word.replace("_", " "): f"{_percent(here)} of pixels" for word, here in pairs if here.any()}


def _percent(share: ArrayLike) -> str:
    return f"{100 * float(np.asarray(share, dtype=float).mean()):.1f} %"
