"""Light that reaches the detector without crossing the sample, such as higher harmonics and light beside the probe."""

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ...errors import SchemaError
from ...schema import OD, describe, require

_LEAST_TRANSMISSION = 1.5  # transmission, in stray fractions, below which taking it off is no longer trusted


def remove_stray_light(od: xr.Dataset, stray_light: float) -> xr.Dataset:
    r"""Correct the optical density for a fraction of light that never crossed the sample.

    Parameters
    ----------
    od
        OD.
    stray_light
        Fraction of I0 that reaches the detector whatever the sample, 0..1.

    Returns
    -------
    xarray.Dataset
        OD with new ``optical_density`` and ``noise``, lazy where ``od`` is. The noise grows by the derivative of the
        correction. Below a transmission of 1.5 stray fractions the correction continues as a straight line of slope 3.
        Such pixels carry little information, and their noise shows it.

    Raises
    ------
    SchemaError
        ``stray_light`` is not in 0..1.

    See Also
    --------
    optical_density : Takes a stray fraction by itself when it is known.
    fit_systematics : Estimate the fraction from the data.
    label_phases : Fits and corrects stray light by itself.

    Notes
    -----
    With the stray fraction f a sample of the true optical density D appears as

    .. math:: \mathrm{OD} = -\ln\left[(1 - f) e^{-D} + f\right] \le -\ln f.

    Solved for D, and with the derivative for the noise,

    .. math:: D = -\ln \frac{T - f}{1 - f}, \quad \sigma_D = \frac{T}{T - f} \, \sigma, \quad T = e^{-\mathrm{OD}}.

    Examples
    --------
    >>> seen = np.full((2, 1, 1), -np.log(0.95 * np.exp(-2.0) + 0.05))
    >>> cube = xr.DataArray(seen, dims=("energy", "scan_y", "scan_x"))
    >>> od = xr.Dataset({"optical_density": cube, "noise": 0 * cube + 0.01, "valid": cube[0] > 0},
    ...                 coords={"energy": ("energy", [510.0, 520.0], {"units": "eV"})})
    >>> remove_stray_light(od, 0.05)["optical_density"].values.ravel().round(6)
    array([2., 2.], dtype=float32)
    """
    require(od, OD, step="remove_stray_light", argument="od")
    if not 0 <= stray_light < 1:
        raise SchemaError(
            f"remove_stray_light: stray_light={stray_light}, needs a fraction of I0 in [0, 1). 0.03 is 3 %."
        )
    out = subtract_stray_light(od, float(stray_light))
    return describe(out, OD, step="remove_stray_light", settings={"stray_light": stray_light}, source=od)


def subtract_stray_light(od: xr.Dataset, fraction: float) -> xr.Dataset:
    """Correct OD for a stray fraction of the light; a fraction of 0 returns it unchanged."""
    # Unchanged and still lazy: the common case costs nothing.
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
    """Correct optical density and noise for the stray fraction; linear continuation below 1.5 fractions."""
    if fraction <= 0:
        return density, noise
    # The logarithm diverges where T reaches f. The tangent at T = 1.5 f, of slope 3, replaces it beyond.
    excess = np.maximum(density + np.log(_LEAST_TRANSMISSION * fraction), 0.0)
    through = np.exp(excess - density)
    stretch = through / (through - fraction)
    return -np.log((through - fraction) / (1 - fraction)) + excess * stretch, noise * stretch
