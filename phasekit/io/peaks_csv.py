"""Peaks as a text table, one row per peak, and back."""

import json
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from ..errors import ReadError, SchemaError
from ..schema import PEAKS, require
from .formats.remote import make_local_path
from .writers.atomic import rename_when_complete
from .writers.peaks_csv import SCAN, TITLE, write

# Integers are read as 64 bits, and get their own dtype when they are placed.
_READ_AS = {"i": "int64", "u": "uint64", "b": "bool"}
_CURE = "write it again with pk.io.save_peaks_csv, or copy it again"


def save_peaks_csv(peaks: xr.Dataset, path: str | PathLike[str]) -> Path:
    """Write peaks as a table, one row per peak; a pattern without peaks keeps one row with empty peak columns.

    The columns begin with ``scan_y, scan_x`` (indices), ``scan_y_nm, scan_x_nm`` and ``peak`` (place in the padded
    array). Each peak variable follows (``qy, qx, intensity, prominence`` ...), then each pattern variable
    (``min_prominence``, ``noise``, ``status`` ...). ``peak`` is empty for a pattern without peaks. Comment lines
    (``#``) hold shape, units and attributes as JSON, so that :func:`open_peaks_csv` returns the same dataset.

    Parameters
    ----------
    peaks
        PEAKS, with positions in 1/angstrom or px as they are. Lazy data are computed some scan lines at a time.
    path
        File to write; an existing one is replaced when the new one is complete.

    Returns
    -------
    pathlib.Path
        ``path``.

    Raises
    ------
    SchemaError
        ``peaks`` is not PEAKS.

    See Also
    --------
    open_peaks_csv : Read the table again.
    phasekit.acom.find_peaks : Find the peaks of a scan.

    Examples
    --------
    >>> save_peaks_csv(xr.Dataset(), "peaks.csv")
    Traceback (most recent call last):
    ...
    phasekit.errors.SchemaError: save_peaks_csv: 'peaks' has no variable 'qy', needs PEAKS (...
    """
    require(peaks, PEAKS, step="save_peaks_csv", argument="peaks")
    target = make_local_path(path)
    with rename_when_complete(target) as temporary:
        write(peaks, temporary)
    return target


def open_peaks_csv(path: str | PathLike[str]) -> xr.Dataset:
    """Read peaks that :func:`save_peaks_csv` wrote: same shapes, values, dtypes, units and attributes.

    Parameters
    ----------
    path
        File; it is read into memory.

    Returns
    -------
    xarray.Dataset
        PEAKS, padded with NaN.

    Raises
    ------
    ReadError
        The file is missing, empty, cut (a pattern has no row), or not a table of peaks.

    See Also
    --------
    save_peaks_csv : Write the table.
    phasekit.acom.calibrate_peaks : Bring positions in px to 1/angstrom.

    Examples
    --------
    >>> open_peaks_csv("nowhere.csv")
    Traceback (most recent call last):
    ...
    phasekit.errors.ReadError: nowhere.csv: found no such file. To fix it: check the path.
    """
    source = make_local_path(path)
    if not source.is_file():
        raise ReadError(source, found="no such file", cure="check the path")
    data = _read_peaks(source)
    try:
        require(data, PEAKS, step="open_peaks_csv")
    except SchemaError as error:
        raise ReadError(source, found=str(error), cure="write it again with pk.io.save_peaks_csv") from error
    return data


def _read_peaks(path: Path) -> xr.Dataset:
    """PEAKS dataset of a table that :func:`save_peaks_csv` wrote."""
    # The first two lines are enough to recognise the table.
    with path.open(encoding="utf-8", errors="replace") as file:
        title, description = file.readline(), file.readline()
    if not title.startswith(TITLE) or not description.startswith("# {"):
        raise ReadError(path, found="no table of peaks", cure="give a file that pk.io.save_peaks_csv wrote")
    try:
        return _build_peaks(path, json.loads(description[2:]))
    except ReadError:
        raise
    except (ValueError, KeyError, TypeError, IndexError, OverflowError, MemoryError) as error:
        found = f"a damaged table ({type(error).__name__}: {str(error)[:120]})"
        raise ReadError(path, found=found, cure=_CURE) from error


def _build_peaks(path: Path, about: dict[str, Any]) -> xr.Dataset:
    import pandas as pd

    per_peak, per_pattern, sizes = about["per_peak"], about["per_pattern"], about["sizes"]
    shape = tuple(int(sizes[dim]) for dim in (*SCAN, "peak"))
    kinds = {name: np.dtype(about["dtypes"][name]).kind for name in (*per_peak, *per_pattern)}
    # Python's float() is exact to the last bit, which pandas' own parser is not by default
    exact = {name: _parse_float for name, kind in kinds.items() if kind == "f"}
    whole = {name: _READ_AS[kind] for name, kind in kinds.items() if kind != "f"}
    table = pd.read_csv(path, comment="#", converters=exact, dtype={**whole, "peak": "float64"})
    # A cut table has fewer rows than patterns; a damaged shape would ask for huge arrays.
    if min(shape) < 1 or shape[0] * shape[1] > len(table) or max(len(table), 1) > np.prod(shape):
        found = f"{len(table)} rows for a scan of {shape[0]} x {shape[1]}"
        raise ReadError(path, found=f"{found} (each pattern has at least one)", cure=_CURE)
    y, x = table["scan_y"].to_numpy(), table["scan_x"].to_numpy()
    # Each pattern has at least one row, so a missing one shows lost lines.
    seen = np.zeros(shape[:2], dtype=bool)
    seen[y, x] = True
    if not seen.all() or y.min() < 0 or x.min() < 0:
        raise ReadError(path, found=f"no row for {int((~seen).sum())} patterns", cure=_CURE)
    # Rows without a peak number only keep the place of an empty pattern.
    filled = table["peak"].notna().to_numpy()
    slot = table["peak"].to_numpy()[filled].astype(int)
    out: dict[str, Any] = {}
    for name in about["order"]:
        attrs = _decode_attributes(about["variable_attrs"].get(name, {}))
        if name in per_peak:
            dtype = np.dtype(about["dtypes"][name])
            values = np.full(shape, np.nan if dtype.kind == "f" else 0, dtype=dtype)
            values[y[filled], x[filled], slot] = table[name].to_numpy()[filled]
            out[name] = ((*SCAN, "peak"), values, attrs)
        elif name in per_pattern:
            values = np.empty(shape[:2], dtype=about["dtypes"][name])
            values[y, x] = table[name].to_numpy()
            out[name] = (SCAN, values, attrs)
    return _add_others(xr.Dataset(out, attrs=_decode_attributes(about["attrs"])), about)


def _add_others(data: xr.Dataset, about: dict[str, Any]) -> xr.Dataset:
    for name, other in about["others"].items():
        values = np.array(other["values"], dtype=other["dtype"])
        variable = xr.Variable(tuple(other["dims"]), values, _decode_attributes(other["attrs"]))
        data = data.assign_coords({name: variable}) if other["coordinate"] else data.assign({name: variable})
    return data[[name for name in about["order"] if name in data]]


def _parse_float(text: str) -> float:
    return float(text) if text else float("nan")


def _decode_attributes(plain: dict[str, Any]) -> dict[str, Any]:
    return {
        key: np.array(value["values"], dtype=value["dtype"])
        if isinstance(value, dict) and set(value) == {"dtype", "values"}
        else value
        for key, value in plain.items()
    }
