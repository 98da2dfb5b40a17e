"""Composition of every pixel from a fit with references.

It is noisier than that of the phase map, but linear in what the blur mixes.
"""

from typing import Any

import numpy as np
import xarray as xr

from ...errors import SchemaError
from ...schema import COMPOSITION, REFERENCE_FIT, REFERENCES, describe, require


def fitted_composition(fit: xr.Dataset, refs: xr.Dataset) -> xr.Dataset:
    r"""Compute the mean composition of the references in each pixel, weighted by their amounts.

    With the amounts :math:`a_r` and the compositions :math:`x_r` of the references, and the covariance :math:`C` of the
    amounts,

    .. math:: x = \frac{\sum_r a_r x_r}{\sum_r a_r}, \qquad
              \sigma_x^2 = g^\top C\, g, \quad g_r = \frac{x_r - x}{\sum_s a_s}

    ``composition`` of :func:`phasekit.stxm.label_phases` uses the neighbours and takes the blur out. So a step looks
    sharper there than any pixel shows it. Here each pixel counts by itself, and blur mixes it in proportion. Measure
    widths on this one.

    Parameters
    ----------
    fit
        REFERENCE_FIT of :func:`phasekit.stxm.fit_references`.
    refs
        The REFERENCES of the fit, with ``composition``; matched by name.

    Returns
    -------
    xarray.Dataset
        COMPOSITION on ``scan_y, scan_x``, lazy where ``fit`` is: ``composition`` and its standard error
        ``composition_error``. The error ignores the bounds of the fit, so it is rather too large. NaN without any
        reference; the error also where ``fit`` carries no covariance.

    Raises
    ------
    SchemaError
        Other kinds of data, references without composition, or other ones than were fitted.

    See Also
    --------
    fit_references : The amounts.
    boundary_profile, fit_boundary_width : Widths of steps in the composition.
    particle_statistics : Widths of all boundaries of a particle.

    Examples
    --------
    >>> scan = ("scan_y", "scan_x")
    >>> one = xr.DataArray(np.ones((1, 2)), dims=scan)
    >>> names = {"reference": ["Na3", "Na1"]}
    >>> amount = xr.DataArray([[[3.0, 1.0], [0.0, 2.0]]], dims=(*scan, "reference"), coords=names)
    >>> fit = xr.Dataset({"amount": amount, "amount_error": amount, "fraction": amount, "baseline": one,
    ...                   "residual": one, "chi_square": one})
    >>> refs = xr.Dataset({"reference_spectrum": (("reference", "energy"), np.ones((2, 3))),
    ...                    "composition": ("reference", [3.0, 1.0])}, names)
    >>> fitted_composition(fit, refs)["composition"].values
    array([[2.5, 1. ]])
    """
    require(fit, REFERENCE_FIT, step="fitted_composition", argument="fit")
    require(refs, REFERENCES, step="fitted_composition", argument="refs")
    if "composition" not in refs:
        raise SchemaError("fitted_composition: the references have no 'composition'. Add one value per reference.")
    names = [fit["reference"].values.tolist(), refs["reference"].values.tolist()]
    if sorted(map(str, names[0])) != sorted(map(str, names[1])):
        raise SchemaError(
            f"fitted_composition: fitted were {names[0]}, given are {names[1]}. Give the same references."
        )
    x = refs["composition"].sel(reference=names[0]).drop_vars("reference").astype(np.float64)
    # matched by name: the references may have been given in another order
    total = fit["amount"].sum("reference", skipna=False)
    total = total.where(total > 0)
    composition = (fit["amount"] * x).sum("reference", skipna=False) / total
    out = xr.Dataset({"composition": composition, "composition_error": _compute_error(fit, x, composition, total)})
    out = out.drop_vars("reference", errors="ignore").transpose("scan_y", "scan_x")
    return describe(out, COMPOSITION, step="fitted_composition", settings={}, source=fit)


def _compute_error(fit: xr.Dataset, x: xr.DataArray, composition: xr.DataArray, total: xr.DataArray) -> xr.DataArray:
    """Standard error (scan_y, scan_x) from the covariance of the amounts."""
    if "amount_covariance" not in fit:
        return xr.full_like(composition, np.nan)
    plain = fit["amount_covariance"].drop_vars(["reference", "other_reference"], errors="ignore")
    # derivative of the mean composition in each amount
    gradient = (x - composition) / total
    other = gradient.rename(reference="other_reference")
    # rounding can make the quadratic form of a nearly singular covariance slightly negative
    variance: Any = (plain * gradient * other).sum(("reference", "other_reference"), skipna=False)
    return variance.clip(min=0.0) ** 0.5
