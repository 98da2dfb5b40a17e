"""Composition of every pixel from a fit with references: noisier than the named map, but straight through the blur."""

from typing import Any

import numpy as np
import xarray as xr

from ...errors import SchemaError
from ...schema import COMPOSITION, REFERENCE_FIT, REFERENCES, describe, require


def fitted_composition(fit: xr.Dataset, refs: xr.Dataset) -> xr.Dataset:
    """Mean composition of the references in a pixel, weighted by their amounts.

    ``composition`` of :func:`phasekit.stxm.label_phases` is what the map makes of a pixel: domains hold together and
    the blur is taken out, so a step looks sharper there than any pixel has seen it. This one asks each pixel alone, and
    blur mixes it in proportion: the one to measure widths on.

    Parameters
    ----------
    fit
        REFERENCE_FIT of :func:`phasekit.stxm.fit_references`.
    refs
        REFERENCES it was made with, with ``composition``; found by their names.

    Returns
    -------
    xarray.Dataset
        COMPOSITION on ``scan_y, scan_x`` (lazy where ``fit`` is): ``composition`` = sum(a x) / sum(a), and its standard
        error ``composition_error`` from the covariance of the amounts (without the bounds of the fit, so rather too
        large); NaN without any reference, and the error also where ``fit`` carries no covariance.

    Raises
    ------
    SchemaError
        Other kinds of data, references without composition, or other ones than were fitted.

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
    require(fit, REFERENCE_FIT, step="fitted_composition")
    require(refs, REFERENCES, step="fitted_composition")
    if "composition" not in refs:
        raise SchemaError("fitted_composition: the references have no 'composition'. Add one value per reference.")
    names = [fit["reference"].values.tolist(), refs["reference"].values.tolist()]
    if sorted(map(str, names[0])) != sorted(map(str, names[1])):
        raise SchemaError(
            f"fitted_composition: fitted were {names[0]}, given are {names[1]}. Give the same references."
        )
    x = refs["composition"].sel(reference=names[0]).drop_vars("reference").astype(np.float64)
    total = fit["amount"].sum("reference", skipna=False)
    total = total.where(total > 0)
    composition = (fit["amount"] * x).sum("reference", skipna=False) / total
    out = xr.Dataset({"composition": composition, "composition_error": _error(fit, x, composition, total)})
    out = out.drop_vars("reference", errors="ignore").transpose("scan_y", "scan_x")
    return describe(out, COMPOSITION, step="fitted_composition", settings={}, source=fit)


def _error(fit: xr.Dataset, x: xr.DataArray, composition: xr.DataArray, total: xr.DataArray) -> xr.DataArray:
    """Square root of g C g with g = (x - mean) / total."""
    if "amount_covariance" not in fit:
        return xr.full_like(composition, np.nan)
    plain = fit["amount_covariance"].drop_vars(["reference", "other_reference"], errors="ignore")
    gradient = (x - composition) / total
    other = gradient.rename(reference="other_reference")
    variance: Any = (plain * gradient * other).sum(("reference", "other_reference"), skipna=False)
    return variance.clip(min=0.0) ** 0.5
