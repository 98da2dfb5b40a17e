"""Peaks as a text table, one row per peak, below two comment lines that describe the dataset."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

NAME = "peaks as CSV"
EXTENSIONS = (".csv",)
KEEPS = "every peak and pattern variable, units, attributes"
FUNCTIONS = ("save_peaks_csv",)

SCAN = ("scan_y", "scan_x")
#: First line of the file, by which it is recognised.
TITLE = "# phasekit peaks, one row per peak"
_ROWS = 500_000  # written at a time


def write(peaks: xr.Dataset, path: Path) -> None:
    """Write a checked PEAKS dataset, some scan lines at a time."""
    per_peak = [str(name) for name, v in peaks.data_vars.items() if v.dims == (*SCAN, "peak")]
    per_pattern = [str(name) for name, v in peaks.data_vars.items() if v.dims == SCAN]
    # Whole scan lines, so that a lazy dataset is computed block by block.
    lines = max(1, _ROWS // max(peaks.sizes["scan_x"] * peaks.sizes["peak"], 1))
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write(f"{TITLE}\n# {json.dumps(_describe_columns(peaks, per_peak, per_pattern))}\n")
        for first in range(0, peaks.sizes["scan_y"], lines):
            table = _make_table(peaks.isel(scan_y=slice(first, first + lines)).compute(), per_peak, per_pattern, first)
            table.to_csv(file, index=False, header=first == 0, lineterminator="\n")


def _describe_columns(peaks: xr.Dataset, per_peak: list[str], per_pattern: list[str]) -> dict[str, Any]:
    tabled = {*per_peak, *per_pattern}
    # Coordinates and scalars do not fit the table and go into the comment line.
    others = {str(n): v for n, v in peaks.variables.items() if n not in tabled}
    return {
        "sizes": {dim: peaks.sizes[dim] for dim in (*SCAN, "peak")},
        "per_peak": per_peak,
        "per_pattern": per_pattern,
        "dtypes": {name: peaks[name].dtype.str for name in tabled},
        "variable_attrs": {name: _encode_attributes(peaks[name].attrs) for name in tabled},
        "others": {
            name: {
                "dims": list(map(str, variable.dims)),
                "dtype": variable.dtype.str,
                "values": np.asarray(variable.values).tolist(),
                "attrs": _encode_attributes(variable.attrs),
                "coordinate": name in peaks.coords,
            }
            for name, variable in others.items()
        },
        "attrs": _encode_attributes(peaks.attrs),
        "order": list(map(str, peaks.data_vars)),
    }


def _encode_attributes(attrs: dict[Any, Any]) -> dict[str, Any]:
    """Attributes as JSON can hold them; arrays are marked to come back as arrays."""
    out: dict[str, Any] = {}
    for key, value in attrs.items():
        array = isinstance(value, np.ndarray | np.generic)
        out[str(key)] = {"dtype": value.dtype.str, "values": value.tolist()} if array else value
    return out


def _make_table(block: xr.Dataset, per_peak: list[str], per_pattern: list[str], first: int) -> Any:
    import pandas as pd

    columns_of = [block[name] for name in per_peak]
    # slots are padded with NaN, those of flags and integers with 0
    there = np.logical_or.reduce([(c.notnull() if c.dtype.kind == "f" else c != 0).values for c in columns_of])
    empty = ~there.any(axis=2)
    there[empty, 0] = True  # the row that keeps the place of a pattern without peaks
    y, x, peak = np.nonzero(there)
    positions = {dim: block[dim].values if dim in block.coords else np.arange(block.sizes[dim]) for dim in SCAN}
    columns: dict[str, Any] = {
        "scan_y": y + (first if "scan_y" in block.dims else 0),
        "scan_x": x,
        "scan_y_nm": positions["scan_y"][y],
        "scan_x_nm": positions["scan_x"][x],
        "peak": pd.array(np.where(empty[y, x], -1, peak), dtype="Int64"),
    }
    columns["peak"] = columns["peak"].astype(object)
    columns["peak"][empty[y, x]] = None
    for name in per_peak:
        columns[name] = block[name].values[y, x, peak]
    for name in per_pattern:
        columns[name] = block[name].values[y, x]
    return pd.DataFrame(columns)
