"""Mean spectrum of a region, with its standard error."""

import xarray as xr

from ...errors import SchemaError
from ...schema import OD, describe, require
from .frames import SCAN


def average_spectrum(od: xr.Dataset, region: xr.DataArray) -> xr.Dataset:
    r"""Average the spectra of a region to one pixel.

    Parameters
    ----------
    od
        OD.
    region
        Boolean map ``(scan_y, scan_x)``. Pixels that are not valid are left out.

    Returns
    -------
    xarray.Dataset
        OD of one pixel (1, 1) at the mean position, for every step that takes OD. ``noise`` is the standard error of
        the mean. Not ``valid``, and NaN, where the region holds no valid pixel.

    Raises
    ------
    SchemaError
        ``region`` is of another size.

    See Also
    --------
    match_single_phase : Names the mean spectrum.
    smooth_od : A local mean around every pixel.

    Notes
    -----
    The noise of adjacent pixels may be correlated by :math:`\rho` (``noise_correlation``, 0 where it is not known).
    With n pixels and the sum over adjacent pairs

    .. math:: \sigma^2 = \frac{1}{n^2} \Big(\sum_i \sigma_i^2 + 2\rho \sum_{\langle ij \rangle} \sigma_i \sigma_j\Big).

    Examples
    --------
    >>> import numpy as np
    >>> import xarray as xr
    >>> cube = xr.DataArray(np.ones((2, 3, 3)), dims=("energy", "scan_y", "scan_x"))
    >>> od = xr.Dataset({"optical_density": cube, "noise": 0 * cube + 0.3, "valid": cube[0] > 0},
    ...                 coords={"energy": ("energy", [510.0, 520.0], {"units": "eV"})})
    >>> mean = average_spectrum(od, od["valid"])
    >>> mean["optical_density"].values.ravel(), mean["noise"].values.ravel().round(3)
    (array([1., 1.]), array([0.1, 0.1]))
    """
    require(od, OD, step="average_spectrum", argument="od")
    if region.shape != od["valid"].shape:
        raise SchemaError(
            f"average_spectrum: the region has {region.shape} pixels, the stack {od['valid'].shape}. Give as many."
        )
    inside = od["valid"] & region.values
    n = inside.sum()
    sigma = od["noise"].where(inside, 0.0).fillna(0.0)
    pairs = sum((sigma * sigma.shift({dim: 1}, fill_value=0.0)).sum(SCAN) for dim in SCAN)
    correlation = od["noise_correlation"].fillna(0.0) if "noise_correlation" in od else 0.0
    # A negative correlation that noise made must not give an error below zero.
    variance = ((sigma**2).sum(SCAN) + 2 * correlation * pairs).clip(min=0.0)
    place = {dim: [float(od[dim].where(inside.any(_other(dim))).mean())] for dim in SCAN}
    mean = od["optical_density"].where(inside).mean(SCAN)
    out = {
        "optical_density": mean.expand_dims(SCAN, (1, 2)),
        "noise": (variance**0.5 / n.where(n > 0)).expand_dims(SCAN, (1, 2)),
        "valid": (n > 0).expand_dims(SCAN),
    }
    coords = {dim: (dim, place[dim], od[dim].attrs) for dim in SCAN} if all(dim in od.coords for dim in SCAN) else {}
    return describe(xr.Dataset(out).assign_coords(coords), OD, step="average_spectrum", settings={}, source=od)


def _other(dim: str) -> str:
    return SCAN[1] if dim == SCAN[0] else SCAN[0]
