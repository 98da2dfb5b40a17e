"""The absorption that was there before the edge: fitted to the energies below it and taken off all."""

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ...errors import SchemaError
from ...schema import OD, describe, require

Array = NDArray[np.float64]


def subtract_pre_edge(od: xr.Dataset, pre_edge: tuple[float, float], *, model: str = "constant") -> xr.Dataset:
    """Take off each pixel's background, fitted to the energies below the edge.

    The later steps do not need it: they carry a constant per pixel and a slope per thickness. It is for spectra to be
    looked at, and for amounts that are compared with an edge jump.

    Parameters
    ----------
    od
        OD.
    pre_edge
        Lowest and highest energy of the pre-edge region [eV].
    model
        "constant" (one energy is enough), "linear" in energy (two), or "power": a E^-3 + b E^-4, Victoreen's form of
        the absorption of elements without an edge here (two).

    Returns
    -------
    xarray.Dataset
        OD with the background off; lazy where ``od`` is. ``noise`` holds the background's own error too, which grows
        away from the pre-edge energies with every model but the constant.

    Raises
    ------
    SchemaError
        The model is unknown, or the region holds too few energies for it.

    References
    ----------
    Victoreen, J. Appl. Phys. 20, 1141 (1949).

    Examples
    --------
    >>> energy = np.array([508.0, 510, 512, 517, 525])
    >>> density = 0.3 + 0.02 * (energy - 508) + np.array([0.0, 0, 0, 1.0, 0.7])
    >>> cube = xr.DataArray(density[:, None, None], dims=("energy", "scan_y", "scan_x"))
    >>> od = xr.Dataset({"optical_density": cube, "noise": 0 * cube + 0.01, "valid": cube[0] > 0},
    ...                 coords={"energy": ("energy", energy, {"units": "eV"})})
    >>> subtract_pre_edge(od, (507, 513), model="linear")["optical_density"].values.ravel().round(3) + 0.0
    array([0. , 0. , 0. , 1. , 0.7], dtype=float32)
    """
    require(od, OD, step="subtract_pre_edge")
    energies = od["energy"].values.astype(np.float64)
    terms = _make_background_terms(energies, model)
    inside = (energies >= min(pre_edge)) & (energies <= max(pre_edge))
    if inside.sum() < len(terms):
        raise SchemaError(
            f"subtract_pre_edge: {int(inside.sum())} energies within {min(pre_edge):g}..{max(pre_edge):g} eV, "
            f"model={model!r} needs {len(terms)}. Widen pre_edge, or use 'constant'."
        )
    density, noise = xr.apply_ufunc(
        lambda x, sigma: _subtract_background(x, sigma, terms, inside),
        od["optical_density"],
        od["noise"],
        input_core_dims=[["energy"], ["energy"]],
        output_core_dims=[["energy"], ["energy"]],
        dask="parallelized",
        output_dtypes=[np.float32, np.float32],
        dask_gufunc_kwargs={"allow_rechunk": True},
    )
    dims = ("energy", "scan_y", "scan_x")
    out = od.assign(optical_density=density.transpose(*dims), noise=noise.transpose(*dims))
    settings = {"pre_edge": list(pre_edge), "model": model}
    return describe(out, OD, step="subtract_pre_edge", settings=settings, source=od)


def _make_background_terms(energies: Array, model: str) -> Array:
    """Background terms (term, energy), of order 1."""
    relative = energies / energies.mean()
    known = {
        "constant": [np.ones_like(relative)],
        "linear": [np.ones_like(relative), relative - 1],
        "power": [relative**-3.0, relative**-4.0 - relative**-3.0],
    }
    if model not in known:
        raise SchemaError(f"subtract_pre_edge: model={model!r}, needs one of {list(known)}.")
    return np.stack(known[model])


def _subtract_background(
    density: NDArray[np.floating], noise: NDArray[np.floating], terms: Array, inside: NDArray[np.bool_]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Spectra (.., energy) less the weighted fit of the terms to the energies inside; NaN stays NaN."""
    weight = np.where(np.isfinite(noise) & (noise > 0), noise, np.inf)[..., inside].astype(np.float64) ** -2.0
    part = terms[:, inside]
    normal = np.einsum("...e,ie,je->...ij", weight, part, part, optimize=True)
    normal = normal + 1e-12 * np.trace(normal, axis1=-2, axis2=-1)[..., None, None] * np.eye(len(terms)) + 1e-30
    right = np.einsum("...e,ie,...e->...i", weight, part, np.nan_to_num(density[..., inside]), optimize=True)
    amounts = np.linalg.solve(normal, right[..., None])[..., 0]
    covariance = np.linalg.inv(normal)
    variance = np.einsum("ie,...ij,je->...e", terms, covariance, terms, optimize=True)
    return (density - amounts @ terms).astype(np.float32), np.sqrt(noise**2 + variance).astype(np.float32)
