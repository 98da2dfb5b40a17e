"""Many results side by side: phase fractions, numbers of components, sizes of grains."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from phasekit.errors import SchemaError
from phasekit.io import load_results
from phasekit.schema import read_phase_names

#: Quantiles of the grain diameters that are kept; the one in the middle is the median.
_QUANTILES = (0.1, 0.5, 0.9)


def compare_results(paths: Sequence[str | os.PathLike[str]]) -> xr.Dataset:
    """Read the key quantities of many results, of any workflows, into one dataset with a row for each.

    Parameters
    ----------
    paths
        Files that :func:`phasekit.io.save_results` wrote, or folders of runs, which hold ``result.nc``. A result is
        named by its folder.

    Returns
    -------
    xarray.Dataset
        By ``result``; what a result does not have is NaN.

        - ``phase_fraction(result, phase)``: share of the pixels with a phase. Results are compared by the names of
          their phases, so each may know others.
        - ``ok_fraction``: share of these pixels with status ok. ``composition``: their mean.
        - ``k``: number of components; ``k_low, k_high`` hold 90 % of the probability, where it was kept.
        - ``n_grains``, and ``grain_diameter(result, quantile)`` [nm].

    Raises
    ------
    SchemaError
        ``paths`` is empty, or two results have the same name.
    ReadError
        A file cannot be read.

    See Also
    --------
    phasekit.viz.comparison_figure : Draws the table.
    load_run : One result.

    Examples
    --------
    >>> compare_results([])
    Traceback (most recent call last):
    ...
    phasekit.errors.SchemaError: compare_results: there is no result. Give files or folders of runs.
    """
    if not paths:
        raise SchemaError("compare_results: there is no result. Give files or folders of runs.")
    files = [Path(path) / "result.nc" if Path(path).is_dir() else Path(path) for path in paths]
    # Every run writes `result.nc`: only its folder tells it from the others.
    names = [file.parent.name if file.name == "result.nc" else file.stem for file in files]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise SchemaError(f"compare_results: two results are called {', '.join(twice)}. Rename the folder of one.")
    rows = [_read_row(file) for file in files]
    # No set: its order differs from one start of Python to the next.
    phases = list(dict.fromkeys(name for row in rows for name in row.get("phase_fraction", {})))
    numbers = ("ok_fraction", "composition", "k", "k_low", "k_high", "n_grains")
    out = xr.Dataset({name: ("result", [row.get(name, np.nan) for row in rows]) for name in numbers})
    # A map without a phase holds 0 of it; without a map nothing is known.
    share = np.array(
        [[row["phase_fraction"].get(p, 0.0) if "phase_fraction" in row else np.nan for p in phases] for row in rows]
    )
    out["phase_fraction"] = (("result", "phase"), share.reshape(len(rows), len(phases)), {"units": "1"})
    diameters = [row.get("grain_diameter", [np.nan] * len(_QUANTILES)) for row in rows]
    out["grain_diameter"] = (("result", "quantile"), diameters, {"units": "nm"})
    return out.assign_coords(result=names, phase=phases, quantile=list(_QUANTILES))


def _read_row(file: Path) -> dict[str, Any]:
    """Quantities of one result, by the kinds of its datasets."""
    readers = {"PHASES": _read_phases, "ORIENTATIONS": _read_phases, "RANKS": _read_ranks, "FACTORS": _read_factors}
    readers["GRAINS"] = _read_grains
    row: dict[str, Any] = {}
    for node in load_results(file, lazy=True).children.values():
        data = node.to_dataset()
        reader = readers.get(str(data.attrs.get("schema", "")))
        row |= reader(data) if reader is not None else {}
    return row


def _read_phases(data: xr.Dataset) -> dict[str, Any]:
    phase = data["phase"].values
    names = read_phase_names(data) or [f"phase {i}" for i in range(int(np.nanmax(phase, initial=-1)) + 1)]
    known = np.nan_to_num(phase, nan=-1) >= 0
    # A map in which no pixel has a phase must not divide by 0.
    n = max(int(known.sum()), 1)
    row: dict[str, Any] = {
        "phase_fraction": {name: float((phase[known] == i).sum() / n) for i, name in enumerate(names)}
    }
    row["ok_fraction"] = float((data["status"].values[known] == 0).sum() / n)
    if "composition" in data:
        row["composition"] = float(data["composition"].where(known).mean())
    return row


def _read_factors(data: xr.Dataset) -> dict[str, Any]:
    return {"k": float(data.sizes["component"])}


def _read_ranks(data: xr.Dataset) -> dict[str, Any]:
    """Range of k; the probability is computed as in the notebook."""
    from phasekit.nmf import rank_votes

    votes = rank_votes(data.load())
    return {"k_low": float(votes.attrs["k_low"]), "k_high": float(votes.attrs["k_high"])}


def _read_grains(data: xr.Dataset) -> dict[str, Any]:
    sizes = data["diameter"].values
    finite = sizes[np.isfinite(sizes)]
    quantiles = np.quantile(finite, _QUANTILES) if finite.size else np.full(len(_QUANTILES), np.nan)
    return {"n_grains": float(data.sizes["grain_number"]), "grain_diameter": quantiles.tolist()}
