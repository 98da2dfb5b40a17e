"""Pearson correlation: a function on labelled arrays, and its kernel on plain arrays for the workflows."""

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from .errors import SchemaError

__all__ = [
    "pearson",
    "pearson_coefficient",
]


def __dir__() -> list[str]:
    return list(__all__)


def pearson(first: xr.DataArray, second: xr.DataArray, dim: str) -> xr.DataArray:
    r"""Pearson correlation coefficient along one dimension; the other dimensions broadcast against each other.

    .. math:: r = \frac{\sum_i (a_i - \bar a)(b_i - \bar b)}
                       {\sqrt{\sum_i (a_i - \bar a)^2 \, \sum_i (b_i - \bar b)^2}}

    Parameters
    ----------
    first, second
        Arrays that share ``dim`` with equal coordinates. Units do not matter: gain and offset cancel.
    dim
        Dimension to correlate over, at least 2 long.

    Returns
    -------
    xarray.DataArray
        Values in [-1, 1], without ``dim``. NaN where either side is constant or contains NaN.

    Raises
    ------
    SchemaError
        ``dim`` is missing, shorter than 2, or its coordinates differ.

    Examples
    --------
    >>> x = xr.DataArray([[1.0, 2.0, 4.0], [3.0, 1.0, 0.0]], dims=("row", "energy"))
    >>> pearson(x, 5 - 2 * x[0], "energy").values.round(3)
    array([-1.   ,  0.929])
    """
    for array in (first, second):
        if dim not in array.dims or array.sizes[dim] < 2:
            raise SchemaError(
                f"pearson: needs dimension '{dim}' with at least 2 points, got {dict(array.sizes)}. Choose another dim."
            )
    try:
        # xarray would otherwise intersect the coordinates and correlate what is left without a word.
        xr.align(first, second, join="exact", exclude=[d for d in (*first.dims, *second.dims) if d != dim])
    except ValueError as error:
        raise SchemaError(
            f"pearson: the '{dim}' coordinates differ. Bring one onto the other's with .interp({dim}=...)."
        ) from error
    return xr.apply_ufunc(
        pearson_coefficient,
        first,
        second,
        input_core_dims=[[dim], [dim]],
        dask="parallelized",
        output_dtypes=[np.float64],
        dask_gufunc_kwargs={"allow_rechunk": True},
    )


def pearson_coefficient(first: NDArray[np.floating], second: NDArray[np.floating]) -> NDArray[np.float64]:
    """Pearson coefficient (...,) over the last axis of two arrays (..., n), which broadcast."""
    # Two passes: in one, a large common offset would leave only rounding errors of the sums.
    a = first - first.mean(axis=-1, keepdims=True, dtype=np.float64)
    b = second - second.mean(axis=-1, keepdims=True, dtype=np.float64)
    energy = np.sum(a * a, axis=-1) * np.sum(b * b, axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        r = np.sum(a * b, axis=-1) / np.sqrt(np.where(energy > 0, energy, np.nan))
    # Rounding may exceed 1 by an ulp, which arccos and tests of range would refuse.
    return np.clip(r, -1.0, 1.0)
