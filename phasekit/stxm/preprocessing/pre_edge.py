"""The absorption below the edge: fitted to the pre-edge energies and subtracted from all."""

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ...errors import SchemaError
from ...schema import OD, describe, require

Array = NDArray[np.float64]


def subtract_pre_edge(od: xr.Dataset, pre_edge: tuple[float, float], *, model: str = "constant") -> xr.Dataset:
    r"""Subtract each pixel's background, fitted to the energies below the edge.

    The later steps do not need it: they fit a constant per pixel and a slope per thickness. Use it to look at spectra,
    and for amounts that are compared with an edge jump.

    Parameters
    ----------
    od
        OD.
    pre_edge
        Lowest and highest energy of the pre-edge region [eV].
    model
        Form of the background in the energy E.

        - "constant": one energy is enough.
        - "linear": needs two energies.
        - "power": :math:`a E^{-3} + b E^{-4}`, Victoreen's form for elements without an edge here. Needs two energies.

    Returns
    -------
    xarray.Dataset
        OD without the background, lazy where ``od`` is. ``noise`` includes the error of the background. That error
        grows away from the pre-edge energies with every model but the constant.

    Raises
    ------
    SchemaError
        The model is unknown, or the region holds too few energies for it.

    See Also
    --------
    optical_density : The step before.
    remove_stray_light : Correct saturation first; it is not linear in OD.
    fit_systematics : Fit a slope that all pixels share instead.

    Notes
    -----
    The background terms :math:`B_k(E)` are fitted by weighted least squares with :math:`w = 1/\sigma^2`. With the
    covariance :math:`C = (B_p W B_p^T)^{-1}` of the pre-edge energies p

    .. math:: \sigma'^2(E) = \sigma^2(E) + B(E)^T C B(E).

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
    require(od, OD, step="subtract_pre_edge", argument="od")
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
    # apply_ufunc moves the energy to the end.
    out = od.assign(optical_density=density.transpose(*dims), noise=noise.transpose(*dims))
    settings = {"pre_edge": list(pre_edge), "model": model}
    return describe(out, OD, step="subtract_pre_edge", settings=settings, source=od)


def _make_background_terms(energies: Array, model: str) -> Array:
    """Make the background terms (term, energy), scaled to order 1."""
    # Relative energies, because powers of energies in eV would make the normal matrix singular in double precision.
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
    """Subtract the weighted fit of the terms to the energies ``inside`` from spectra (.., energy); NaN stays NaN."""
    # Energies without noise or without a value get weight 0.
    known = np.isfinite(noise) & (noise > 0) & np.isfinite(density)
    weight = np.where(known, noise, np.inf)[..., inside].astype(np.float64) ** -2.0
    part = terms[:, inside]
    normal = np.einsum("...e,ie,je->...ij", weight, part, part, optimize=True)
    # A relative ridge keeps pixels without noise values solvable; it changes no digit that matters.
    normal = normal + 1e-12 * np.trace(normal, axis1=-2, axis2=-1)[..., None, None] * np.eye(len(terms)) + 1e-30
    right = np.einsum("...e,ie,...e->...i", weight, part, np.nan_to_num(density[..., inside]), optimize=True)
    amounts = np.linalg.solve(normal, right[..., None])[..., 0]
    covariance = np.linalg.inv(normal)
    # Error of the background at every energy, from the covariance of its coefficients.
    variance = np.einsum("ie,...ij,je->...e", terms, covariance, terms, optimize=True)
    return (density - amounts @ terms).astype(np.float32), np.sqrt(noise**2 + variance).astype(np.float32)
