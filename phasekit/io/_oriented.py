"""An orientation map in memory, checked, on its way to the format of another program."""

import json
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ..errors import SchemaError
from ..schema import ORIENTATIONS, require

_NEEDED = ("quaternion", "correlation", "phase", "reliability", "phase_reliability", "status")


def oriented(found: xr.Dataset, step: str, *more: str) -> tuple[xr.Dataset, NDArray[np.bool_]]:
    """Checked dataset in memory (with what it has of ``more``), and which positions (flat) have an orientation."""
    require(found, ORIENTATIONS, step=step)
    data = found[[*_NEEDED, *(name for name in more if _on_scan(found, name))]].compute()
    data.attrs = dict(found.attrs)
    highest, phases = int(data["phase"].max()), phases_of(data)
    if highest >= len(phases):
        raise SchemaError(
            f"{step}: phase index {highest}, but attrs['phases'] names {len(phases)} phases. "
            "Keep the attributes match_orientations wrote (found.attrs)."
        )
    for dim in ("scan_y", "scan_x"):
        if dim not in data.coords:
            data = data.assign_coords({dim: np.arange(data.sizes[dim], dtype=float)})
    best = data["quaternion"].isel(match=0)
    indexed = (data["phase"] >= 0) & best.notnull().all("wxyz") & ((best**2).sum("wxyz") > 0)
    return data, indexed.values.ravel()


def _on_scan(found: xr.Dataset, name: str) -> bool:
    return name in found and found[name].dims[:2] == ("scan_y", "scan_x")


def phases_of(found: xr.Dataset) -> list[dict[str, Any]]:
    """Entries of ``attrs["phases"]``, none where a dataset has no such attribute."""
    return list(json.loads(found.attrs.get("phases", "[]")))
