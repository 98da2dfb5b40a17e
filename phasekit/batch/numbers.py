"""Key numbers of a result, which the index page shows beside its map."""

from pathlib import Path

import numpy as np
import xarray as xr

from phasekit.errors import PhasekitError, ReadError
from phasekit.io import load, load_results
from phasekit.workflows import format_percent, list_workflows


def load_run(path: Path) -> xr.Dataset:
    """Read everything that a run saved, as one dataset.

    Parameters
    ----------
    path
        ``result.nc`` of a run: the datasets of :func:`phasekit.io.save_results`, or a single one.

    Returns
    -------
    xarray.Dataset
        All variables. Where two datasets share a name, the first one counts; attributes are those of the first.

    Raises
    ------
    ReadError
        The file cannot be read.

    See Also
    --------
    phasekit.io.load_results : The datasets apart.
    run_notebook : Makes the file.

    Examples
    --------
    >>> load_run(Path("runs/never/result.nc"))
    Traceback (most recent call last):
    ...
    phasekit.errors.ReadError: runs/never/result.nc: found no such file. To fix it: ...
    """
    try:
        results = load_results(path)
    except ReadError:
        return load(path)
    # Datasets of one run may share variables (the energies, the incident intensity): the first one is taken.
    datasets = [node.to_dataset() for node in results.children.values()]
    return xr.merge(datasets, compat="override", combine_attrs="override", join="outer")


def key_numbers(path: Path, source: Path | None = None) -> dict[str, str]:
    """Numbers of a saved result, as label and text.

    Comparisons with the truth come first, where the input is simulated.

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
    data = load_run(path)
    numbers: dict[str, str] = {}
    truth = _load_truth(source)
    if truth is not None:
        numbers |= _compare_with_truth(data, truth)
    # Asked of the variables, not of the workflow: a new workflow gets its numbers without a change here.
    for dim, name in (("energy", "energies"), ("reference", "references"), ("component", "components")):
        if dim in data.sizes:
            numbers[name] = str(data.sizes[dim])
    if {"scan_y", "scan_x"} <= set(data.sizes):
        numbers["map"] = f"{data.sizes['scan_y']} x {data.sizes['scan_x']} pixels"
    if "energy_offset" in data and data["energy_offset"].ndim == 0:
        numbers["energy offset"] = f"{float(data['energy_offset']):.3f} eV"
    if "status" in data:
        numbers |= _count_status(data["status"])
    if "overlap" in data:
        numbers["overlap"] = f"{format_percent(float((data['overlap'] > 0).mean()))} of pixels"
    return numbers


def _load_truth(source: Path | None) -> xr.Dataset | None:
    """Input of the run when it is a file of phasekit and holds the truth."""
    # Only our own formats hold a truth; opening other large files for it would take time.
    if source is None or source.suffix not in (".nc", ".zarr") or not source.exists():
        return None
    try:
        data = load(source)
    except PhasekitError:
        return None
    return data if any(str(name).startswith("truth_") for name in data.data_vars) else None


def _compare_with_truth(data: xr.Dataset, truth: xr.Dataset) -> dict[str, str]:
    """Comparison with the truth; empty where the result is on another scan than the truth, e.g. after a crop."""
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
    # Words and codes as the file states them (CF conventions), so results of older versions stay readable.
    words = str(status.attrs.get("flag_meanings", "")).split()
    codes = np.atleast_1d(status.attrs.get("flag_values", np.arange(len(words))))
    values = status.values
    pairs = [(word, values == code) for word, code in zip(words, codes, strict=True)]
    return {word.replace("_", " "): f"{format_percent(here.mean())} of pixels" for word, here in pairs if here.any()}
