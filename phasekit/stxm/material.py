"""Which pixels hold material: a matched filter for the field's own mean edge."""

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy import ndimage

Array = NDArray[np.floating]


def _is_empty(density: xr.DataArray, noise: xr.DataArray, valid: xr.DataArray) -> xr.DataArray:
    """True where a valid pixel shows no edge, False elsewhere.

    The strongest fifth of the field gives the mean edge; each pixel's amplitude of it has a known standard error, and
    counts as material above 4 of them and above 5 % of the field's 95th percentile. A constant in OD does not matter.
    """
    if density.sizes["energy"] < 2:
        return xr.zeros_like(valid)
    contrast = density - density.mean("energy")
    power = (contrast**2 - noise**2).mean("energy").where(valid)
    strong = xr.apply_ufunc(_strongest, power, **_image_to_image(bool))
    edge = contrast.where(strong).mean(("scan_y", "scan_x"))
    weight = 1.0 / noise.clip(min=1e-6) ** 2
    weight = weight / weight.sum("energy")
    edge = edge - (weight * edge).sum("energy")
    precision = (edge**2 / noise.clip(min=1e-6) ** 2).sum("energy")
    amplitude = (edge * density.fillna(0.0) / noise.clip(min=1e-6) ** 2).sum("energy") / precision
    significance = amplitude * np.sqrt(precision)
    material = xr.apply_ufunc(
        _material, amplitude.where(valid), significance, **{**_image_to_image(bool), "input_core_dims": [_SCAN, _SCAN]}
    )
    return (~material) & valid


_SCAN = ["scan_y", "scan_x"]


def _image_to_image(dtype: type) -> dict[str, Any]:
    return {
        "input_core_dims": [_SCAN],
        "output_core_dims": [_SCAN],
        "dask": "parallelized",
        "output_dtypes": [dtype],
        "dask_gufunc_kwargs": {"allow_rechunk": True},
    }


def _strongest(power: Array) -> NDArray[np.bool_]:
    """Strongest fifth of the pixels, judged on a 3 x 3 mean."""
    smooth = ndimage.uniform_filter(np.nan_to_num(power), 3)
    finite = np.isfinite(power)
    return finite & (smooth >= np.quantile(smooth[finite], 0.8)) if finite.any() else finite


def _material(amplitude: Array, significance: Array) -> NDArray[np.bool_]:
    finite = np.isfinite(amplitude) & np.isfinite(significance)
    if not finite.any():
        return finite
    floor = 0.05 * max(float(np.quantile(amplitude[finite], 0.95)), 0.0)
    return finite & (np.nan_to_num(significance) > 4.0) & (np.nan_to_num(amplitude) > floor)
