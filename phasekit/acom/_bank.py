"""What matching and refinement need of a bank, checked and laid out once, and the usable peaks of a scan."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from .. import rotations
from ..diffraction import diffraction_symmetry, reflections
from ..errors import SchemaError
from ..schema import PEAKS, TEMPLATES, require
from . import _polar
from .symmetry import phases_of

Array = NDArray[np.float64]
_HALF_TURN_Y = rotations.about_axis([0, 1, 0], 180.0)
_SCAN = ("scan_y", "scan_x")


@dataclass(frozen=True)
class PhaseBank:
    """Templates of one phase: ``terms`` for the matrix product, ``base`` (2 n, 4), ``symmetry`` (s, 4)."""

    terms: NDArray[np.float32]
    base: Array
    symmetry: Array


def check_inputs(peaks: xr.Dataset, bank: xr.Dataset, step: str) -> None:
    """Kinds and units of both, before anything is read."""
    require(bank, TEMPLATES, step=step)
    require(peaks, PEAKS, step=step, units={"qy": "1/angstrom", "qx": "1/angstrom"})
    for name in ("spot_qy", "spot_qx"):
        unit = bank[name].attrs.get("units")
        if unit != "1/angstrom":
            raise SchemaError(
                f"{step}: the bank's '{name}' is in '{unit}', needs '1/angstrom'. Build it with build_templates."
            )


def phase_banks(bank: xr.Dataset, n_shells: int) -> list[PhaseBank]:
    """One layout per phase; the mirrored half looks at each template's crystal from the other side."""
    phase = np.asarray(bank["phase"])
    qy, qx, intensity = (np.asarray(bank[name]) for name in ("spot_qy", "spot_qx", "spot_intensity"))
    quaternion = np.asarray(bank["quaternion"], dtype=float)
    out = []
    for index, crystal in enumerate(phases_of(bank)):
        mine = phase == index
        # Friedel: the crystal seen from behind gives the pattern mirrored in y, R -> R * R_y(180).
        behind = rotations.multiply(quaternion[mine], _HALF_TURN_Y)
        terms = _polar.make_terms(qy[mine], qx[mine], intensity[mine], n_shells)
        out.append(PhaseBank(terms, np.concatenate([quaternion[mine], behind]), diffraction_symmetry(crystal)))
    return out


def shells_of(bank: xr.Dataset) -> int:
    """Number of radial shells that hold all spots of the bank."""
    return int(np.ceil(float(bank.attrs["g_max"]) / _polar.SHELL)) + 2


def smallest_g(bank: xr.Dataset) -> float:
    """|g| of the innermost reflection of any phase [1/angstrom]."""
    return min(
        float(np.linalg.norm(reflections(crystal, float(bank.attrs["g_max"])).g[0])) for crystal in phases_of(bank)
    )


def usable_intensity(peaks: xr.Dataset, bank: xr.Dataset) -> xr.DataArray:
    """Intensity of the peaks that can be spots of the bank, else 0: not the direct beam, not beyond ``g_max``."""
    radius = np.hypot(peaks["qy"], peaks["qx"])
    usable = (radius > 0.6 * smallest_g(bank)) & (radius <= float(bank.attrs["g_max"])) & (peaks["intensity"] > 0)
    if "direct" in peaks:
        usable = usable & ~peaks["direct"].astype(bool)
    return peaks["intensity"].where(usable, 0.0).astype(np.float64)


def per_pattern(kernel: Any, arrays: list[xr.DataArray], n_values: int) -> xr.DataArray:
    """Run ``kernel(*arrays)`` on blocks of patterns; (scan_y, scan_x, value) float64, lazy where the input is."""
    whole = [
        array.chunk({dim: -1 for dim in array.dims if dim not in _SCAN}) if array.chunks is not None else array
        for array in arrays
    ]
    return xr.apply_ufunc(
        kernel,
        *whole,
        input_core_dims=[[str(dim) for dim in array.dims if dim not in _SCAN] for array in arrays],
        output_core_dims=[["value"]],
        dask="parallelized",
        output_dtypes=[np.float64],
        dask_gufunc_kwargs={"output_sizes": {"value": n_values}},
    ).transpose(*_SCAN, "value")
