"""The few numbers of a result that the index page shows beside its map."""

from pathlib import Path

import numpy as np
import xarray as xr

from phasekit.errors import PhasekitError
from phasekit.io import load
from phasekit.workflows import format_percent, list_workflows


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
    truth = _load_truth(source)
    if truth is not None:
        found |= _compare_with_truth(data, truth)
    for dim, name in (("energy", "energies"), ("reference", "references"), ("component", "components")):
        if dim in data.sizes:
            found[name] = str(data.sizes[dim])
    if {"scan_y", "scan_x"} <= set(data.sizes):
        found["map"] = f"{data.sizes['scan_y']} x {data.sizes['scan_x']} pixels"
    if "energy_offset" in data and data["energy_offset"].ndim == 0:
        found["energy offset"] = f"{float(data['energy_offset']):.3f} eV"
    if "status" in data:
        found |= _count_status(data["status"])
    if "overlap" in data:
        found["overlap"] = f"{format_percent(float((data['overlap'] > 0).mean()))} of pixels"
    return found


def _load_truth(source: Path | None) -> xr.Dataset | None:
    """Input of the run when it is one of our own files and holds the truth."""
    if source is None or source.suffix not in (".nc", ".zarr") or not source.exists():
        return None
    try:
        data = load(source)
    except PhasekitError:
        return None
    return data if any(str(name).startswith("truth_") for name in data.data_vars) else None


def _compare_with_truth(data: xr.Dataset, truth: xr.Dataset) -> dict[str, str]:
    """Numbers against the truth; none where the result is on another scan than the truth, e.g. after a crop."""
    score = next((workflow.score for workflow in list_workflows() if workflow.result in data), None)
    same = all(data.sizes.get(dim) == truth.sizes.get(dim) for dim in ("scan_y", "scan_x"))
    if score is None or not same:
        return {}
    try:
        return score(data, truth)
    except PhasekitError:  # a truth of another kind
        return {}


def _count_status(status: xr.DataArray) -> dict[str, str]:
    """Share of pixels with each status word that occurs."""
    words = str(status.attrs.get("flag_meanings", "")).split()
    codes = np.atleast_1d(status.attrs.get("flag_values", np.arange(len(words))))
    values = status.values
    pairs = [(word, values == code) for word, code in zip(words, codes, strict=True)]
    return {word.replace("_", " "): f"{format_percent(here.mean())} of pixels" for word, here in pairs if here.any()}
