"""Fits of every pixel with reference spectra: non-negative amounts, a free constant, their covariance."""

from functools import partial
from typing import NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ...schema import OD, REFERENCE_FIT, REFERENCES, describe, require
from ..reference_spectra.library import MAX_OFFSET_EV, build_library, design_matrix, select_covered_energies
from ..reference_spectra.non_negative import solve_non_negative
from ..reference_spectra.systematics import find_energy_offset, offset_variables
from .misfit import exceeds_noise

Array = NDArray[np.float64]


class _FitMaps(NamedTuple):
    """The fit on the scan, as labelled arrays."""

    amount: xr.DataArray  # (.., reference)
    covariance: xr.DataArray  # (.., reference, other_reference)
    baseline: xr.DataArray
    slope: xr.DataArray
    residual: xr.DataArray  # root mean square [OD]
    chi_square: xr.DataArray  # per degree of freedom
    unexplained: xr.DataArray


class _PixelFit(NamedTuple):
    """The fit of a block of pixels (..), as plain arrays."""

    amount: Array  # (.., reference)
    covariance: Array  # (.., reference, other_reference)
    baseline: Array
    slope: Array  # over the whole energy range
    residual: Array  # root mean square [OD]
    chi_square: Array  # per degree of freedom
    unexplained: NDArray[np.bool_]


def fit_references(
    od: xr.Dataset,
    refs: xr.Dataset,
    *,
    energy_offset: float | str = "fit",
    max_offset_ev: float = MAX_OFFSET_EV,
    slope: bool = False,
    weighted: bool = False,
) -> xr.Dataset:
    r"""Fit every spectrum with non-negative amounts of the references and a free constant.

    This is the linear-combination fit in use, solved exactly for all pixels together. With the reference spectra
    :math:`T_r`, amounts :math:`a_r` and a constant :math:`c` it minimises

    .. math:: \chi^2 = \sum_e w_e \Bigl(x_e - c - \sum_r a_r T_{re}\Bigr)^2, \quad a_r \ge 0

    The optimum is the plain least-squares solution on the amounts that are not 0. So every set of active references is
    solved, and the best non-negative solution kept. With more than 6 references each pixel is solved by the algorithm
    of Lawson and Hanson (1974).

    Parameters
    ----------
    od
        OD: ``optical_density``, ``noise`` [1], ``valid``.
    refs
        REFERENCES, interpolated to the energies of the data, which they must cover. With references in 1/um the amounts
        are thicknesses in um.
    energy_offset
        Energy [eV] to add to the scale of the data to reach that of the references. "fit" finds one number for the
        stack, as :func:`fit_systematics` does. Energies that the references then do not cover are left out.
    max_offset_ev
        Largest offset that "fit" looks for, in both directions.
    slope
        Also fit a straight slope over the energy range, for a pre-edge background that is not flat.
    weighted
        False gives every energy the same weight, as the tools in use do. It is the steadier choice where references are
        not exact. True weighs by the measured noise, :math:`w_e = 1/\sigma_e^2`. It is best where only noise is left,
        but it relies on the pre-edge most. On the public Fe 2p stack (residual 3 to 4 times the noise) the two maps of
        the fraction correlate by 0.97.

    Returns
    -------
    xarray.Dataset
        REFERENCE_FIT on ``scan_y, scan_x``, lazy where ``od`` is:

        - ``amount(.., reference)``, ``amount_error`` and ``amount_covariance(.., reference, other_reference)``. Errors
          are those of the fit without bounds, so they are no smaller where an amount is 0.
        - ``fraction``, amount over the sum of amounts; NaN also where no reference is present.
        - ``baseline``, and with ``slope`` also ``baseline_slope`` (over the whole range).
        - ``residual``, root mean square [OD]; ``chi_square``, per degree of freedom.
        - ``unexplained``: the residual exceeds noise, as it does in 0.1 % of pixels by noise alone. False where the fit
          has no degree of freedom left.
        - the scalars ``energy_offset`` and ``energy_offset_error`` [eV], ``energy_offset_status`` and
          ``energy_offset_alternative`` [eV], as in :func:`fit_systematics`.

        A pixel that is NaN at some energies is fitted with the others; its degrees of freedom are fewer. NaN (False in
        ``unexplained``) where the pixel is not ``valid``, or has fewer energies than the model has terms.

    Raises
    ------
    SchemaError
        The references do not cover the energies, or there are fewer energies than references + background terms.

    See Also
    --------
    match_single_phase : One reference per pixel.
    fitted_composition : Composition from the amounts.
    thickness_from_references : Thickness from the amounts.
    compare_methods : All methods side by side.

    Notes
    -----
    "fit" reads the block means into memory (1/36 of the stack). The rest is done chunk by chunk.

    Examples
    --------
    >>> energy = xr.DataArray([510.0, 514, 518, 522, 526], dims="energy", attrs={"units": "eV"})
    >>> refs = xr.Dataset({"reference_spectrum": (("reference", "energy"), [[0.0, 0, 1, 3, 2], [0, 1, 3, 2, 2]])},
    ...                   coords={"reference": ["V3", "V4"], "energy": energy})
    >>> pixel = refs["reference_spectrum"].isel(reference=1).astype(float) * 0.4 + 0.8
    >>> cube = pixel.drop_vars("reference").expand_dims(scan_y=2, scan_x=3, axis=(1, 2))
    >>> od = xr.Dataset({"optical_density": cube, "noise": xr.full_like(cube, 0.02),
    ...                  "valid": (("scan_y", "scan_x"), [[True] * 3] * 2)})
    >>> fit = fit_references(od, refs, energy_offset=0.0)
    >>> fit["fraction"].values[0, 0].round(3) + 0.0, fit["baseline"].values[0, 0].round(3)
    (array([0., 1.]), np.float64(0.8))
    """
    require(od, OD, step="fit_references", argument="od")
    require(refs, REFERENCES, step="fit_references", argument="refs")
    step = "fit_references"
    library = build_library(
        refs, od["energy"], step=step, n_nuisance=1 + slope, energy_offset=energy_offset, limit=max_offset_ev
    )
    shared = find_energy_offset(od, library, energy_offset, limit=max_offset_ev, step=step)
    offset = float(shared.value[0])
    od = select_covered_energies(od, library, offset, step=step, n_terms=len(library.names) + 1 + slope)
    unit = library.unit
    energies = od["energy"].values.astype(np.float64)
    design = design_matrix(library.in_units_of(unit), energies, offset, slope=slope)
    fitted = xr.apply_ufunc(
        partial(_fit_block, design=design, n=len(library.names), weighted=weighted),
        od["optical_density"],
        od["noise"],
        od["valid"],
        input_core_dims=[["energy"], ["energy"], []],
        output_core_dims=[["reference"], ["reference", "other_reference"], [], [], [], [], []],
        dask="parallelized",
        output_dtypes=[*[np.float64] * 6, np.bool_],
        dask_gufunc_kwargs={
            "allow_rechunk": True,
            "output_sizes": {"reference": len(library.names), "other_reference": len(library.names)},
        },
    )
    maps = _FitMaps(*fitted)
    maps = maps._replace(amount=maps.amount / unit, covariance=maps.covariance / unit**2)
    out = _assemble_fit(maps, library.names, slope)
    out = out.assign(offset_variables(shared))
    settings = {"energy_offset": energy_offset, "max_offset_ev": max_offset_ev, "slope": slope, "weighted": weighted}
    return describe(out, REFERENCE_FIT, step=step, settings=settings, source=od)


def _assemble_fit(fit: _FitMaps, names: list[str], slope: bool) -> xr.Dataset:
    """The fit as a dataset with errors and fractions."""
    total = fit.amount.sum("reference", skipna=False)
    out = xr.Dataset(
        {
            "amount": fit.amount,
            "amount_covariance": fit.covariance,
            "amount_error": _compute_amount_error(fit.covariance),
            "fraction": fit.amount / total.where(total > 0),
            "baseline": fit.baseline,
            "residual": fit.residual,
            "chi_square": fit.chi_square,
            "unexplained": fit.unexplained,
        },
        coords={"reference": names, "other_reference": names},
    )
    return out.assign(baseline_slope=fit.slope) if slope else out


def _compute_amount_error(covariance: xr.DataArray) -> xr.DataArray:
    """Standard errors (.., reference), the roots of the diagonal of the covariance."""
    return xr.apply_ufunc(
        lambda block: np.sqrt(np.einsum("...ii->...i", block)),
        covariance,
        input_core_dims=[["reference", "other_reference"]],
        output_core_dims=[["reference"]],
        dask="parallelized",
        output_dtypes=[np.float64],
    )


def _fit_block(
    density: Array, noise: Array, valid: NDArray[np.bool_], *, design: Array, n: int, weighted: bool
) -> _PixelFit:
    """Fit of a block (.., energy); every result has the block's leading shape, NaN where ``valid`` is False."""
    shape = density.shape[:-1]
    known = np.isfinite(density) & np.isfinite(noise)
    # a pixel is fitted with the energies it has, at least as many as the model has terms
    use = np.broadcast_to(valid, shape).ravel() & (known.sum(axis=-1).ravel() >= len(design))
    spectra = density.reshape(-1, density.shape[-1])[use].astype(np.float64)
    sigma = np.broadcast_to(noise, density.shape).reshape(-1, density.shape[-1])[use].astype(np.float64)
    if not known.all():
        sigma[~known.reshape(-1, density.shape[-1])[use]] = np.nan
    # without weights the mean variance of the pixel still scales its covariance and its chi-square
    variance = sigma**2 if weighted else np.where(np.isnan(sigma), np.nan, np.nanmean(sigma**2, axis=1, keepdims=True))
    fit = solve_non_negative(design, spectra, 1.0 / np.maximum(variance, 1e-12), n)
    misfit = spectra - fit.coefficient @ design
    # without a degree of freedom chi-square is 0 anyway, and 1 avoids the division by 0
    degrees_of_freedom = np.maximum(np.isfinite(sigma).sum(axis=1) - len(design), 1)
    slope = fit.coefficient[:, n + 1] if len(design) > n + 1 else np.zeros(len(spectra))
    # amounts kept at 0 fit nothing, so they give their degree of freedom back
    n_at_bound = (fit.coefficient[:, :n] <= 0).sum(axis=1)
    is_unexplained = np.zeros(use.size, dtype=bool)
    is_unexplained[use] = exceeds_noise(misfit, sigma, design, n_at_bound, weighted=weighted)

    def place_on_block(values: Array) -> Array:
        out = np.full((use.size, *values.shape[1:]), np.nan)
        out[use] = values
        return out.reshape(*shape, *values.shape[1:])

    return _PixelFit(
        place_on_block(fit.coefficient[:, :n]),
        place_on_block(fit.covariance[:, :n, :n]),
        place_on_block(fit.coefficient[:, n]),
        place_on_block(slope),
        place_on_block(np.sqrt(np.nanmean(misfit**2, axis=1))),
        place_on_block(fit.chi_square / degrees_of_freedom),
        is_unexplained.reshape(shape),
    )
