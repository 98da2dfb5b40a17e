"""Light that never crossed the sample: dark counts, higher harmonics, what passes beside the probe."""

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ...errors import SchemaError
from ...schema import OD, describe, require

_LEAST_TRANSMISSION = 1.5  # transmission, in stray fractions, below which taking it off is no longer trusted


def remove_stray_light(od: xr.Dataset, stray_light: float) -> xr.Dataset:
    """Optical density as it would be without a fraction of light that never crossed the sample.

    Parameters
    ----------
    od
        OD.
    stray_light
        Fraction of I0 that reaches the detector whatever the sample, 0..1.

    Returns
    -------
    xarray.Dataset
        OD with new ``optical_density`` and ``noise`` (grown by the same derivative); lazy where ``od`` is. A
        transmission below 1.5 times the stray fraction goes on as a straight line of slope 3: such pixels say little,
        and their noise shows it.

    Raises
    ------
    SchemaError
        ``stray_light`` is not in 0..1.

    Examples
    --------
    >>> seen = np.full((2, 1, 1), -np.log(0.95 * np.exp(-2.0) + 0.05))
    >>> cube = xr.DataArray(seen, dims=("energy", "scan_y", "scan_x"))
    >>> od = xr.Dataset({"optical_density": cube, "noise": 0 * cube + 0.01, "valid": cube[0] > 0},
    ...                 coords={"energy": ("energy", [510.0, 520.0], {"units": "eV"})})
    >>> remove_stray_light(od, 0.05)["optical_density"].values.ravel().round(6)
    array([2., 2.], dtype=float32)
    """
    require(od, OD, step="remove_stray_light")
    if not 0 <= stray_light < 1:
        raise SchemaError(f"remove_stray_light: stray_light={stray_light}, needs a fraction of I0 in [0, 1).")
    out = subtract_stray_light(od, float(stray_light))
    return describe(out, OD, step="remove_stray_light", settings={"stray_light": stray_light}, source=od)


def subtract_stray_light(od: xr.Dataset, fraction: float) -> xr.Dataset:
    """OD without a stray fraction of the light; unchanged for 0."""
    if fraction == 0:
        return od
    density, noise = xr.apply_ufunc(
        lambda x, sigma: correct_stray_light(x, sigma, fraction),
        od["optical_density"],
        od["noise"],
        output_core_dims=[[], []],
        dask="parallelized",
        output_dtypes=[np.float32, np.float32],
    )
    return od.assign(optical_density=density.astype(np.float32), noise=noise.astype(np.float32))


def correct_stray_light(
    density: NDArray[Any], noise: NDArray[Any], fraction: float
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Optical density and noise without the stray fraction; straight on below 1.5 times it."""
    if fraction <= 0:
        return density, noise
    excess = np.maximum(density + np.log(_LEAST_TRANSMISSION * fraction), 0.0)
    through = np.exp(excess - density)
    stretch = through / (through - fraction)
    return -np.log((through - fraction) / (1 - fraction)) + excess * stretch, noise * stretch
