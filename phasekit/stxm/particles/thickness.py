"""Thickness in nm, from tabulated absorption away from the edges, or from references that are absolute."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ...errors import SchemaError
from ...schema import OD, REFERENCE_FIT, REFERENCES, THICKNESS, describe, require
from .optical_constants import TABLES, Table, compute_absorption, find_near_edges

Array = NDArray[np.float64]
Windows = Sequence[tuple[float, float]]


def thickness_map(
    od: xr.Dataset,
    formula: str,
    density_g_cm3: float,
    *,
    windows: Windows | None = None,
    constant: Literal["fit", "zero"] = "fit",
    table: Table = "chantler",
) -> xr.Dataset:
    r"""Compute the thickness of every pixel from tabulated absorption where it has no near-edge structure.

    By the law of Beer and Lambert the optical density of a thickness :math:`t` is

    .. math:: D(E) = -\ln \frac{I}{I_0} = c + \mu(E)\, t

    with the tabulated absorption coefficient :math:`\mu` and a constant :math:`c`. Both unknowns follow by least
    squares weighted with :math:`1/\sigma_e^2`.

    Parameters
    ----------
    od
        OD: ``optical_density``, ``noise`` [1], ``valid``, energies [eV].
    formula, density_g_cm3
        Compound and its density [g/cm3], as in ``"Na3V2(PO4)2F3", 3.16``, the same everywhere. The formula and density
        of a phase with less sodium give another mu: 6 % less per Na at 505 eV and 2 % at 528 eV.
    windows
        Energy windows [eV] to use, ``[(505, 511), (527, 529)]``: before the edge, and behind it where its structure has
        faded. None leaves out what is near a tabulated edge of the compound. That is from 3 eV below to 8 eV above an L
        edge, and from 15 below to 40 above a K edge. Tabulated energies are those of free atoms: O K begins at 530 eV
        in oxides, at 543 eV in the tables.
    constant
        "fit" leaves a constant in OD free (I0 of another field, a substrate). The thickness then follows from the step
        at the edge, with its noise, and tables that disagree there matter in full. "zero" takes I0 as exact. The
        absorption itself counts then, and one window before the edge suffices. Tables agree best there.
    table
        Table behind ``thickness``: "chantler" (Chantler 2000), "elam" (Elam, Ravel, Sieber 2002), "henke" (Henke,
        Gullikson, Davis 1993).

    Returns
    -------
    xarray.Dataset
        THICKNESS on ``scan_y, scan_x``, lazy where ``od`` is, NaN where the pixel is not ``valid``:

        - ``thickness`` [nm], not clipped at 0, so that empty places scatter about it.
        - ``thickness_error`` [nm], the standard error by ``noise``.
        - ``thickness_by_table(table, ..)``, and ``thickness_table_error`` [nm], half the range of the three tables.
          This systematic error does not average out.
        - ``constant`` in OD, 0 where not fitted.
        - ``absorption(table, energy)`` [1/um]; ``absorption_spread(energy)``, largest over smallest; ``used(energy)``.

    Raises
    ------
    SchemaError
        No energy lies in the windows, one alone or all on one side of the edges with ``constant="fit"``, the formula is
        not understood, or a setting is out of range.

    See Also
    --------
    thickness_from_references : Thickness by absolute references.
    optical_density : The input.
    particle_statistics : Volumes.

    Notes
    -----
    For Na3V2(PO4)2F3 the tables spread by 9 % at 505 eV, 32 % at 520, 27 % at 528 and 17 % at 545 eV. Their edges lie
    at different energies. So they differ by a factor 2.6 at 512.2 eV (Chantler, Henke) and 2.1 at 533 eV (Chantler,
    Elam).

    Examples
    --------
    >>> energy = xr.DataArray([505.0, 509.0, 545.0, 560.0], dims="energy", attrs={"units": "eV"})
    >>> mu = np.array([1.074, 1.058, 4.230, 3.984])
    >>> cube = xr.DataArray(mu[:, None, None] * 0.25, dims=("energy", "scan_y", "scan_x"), coords={"energy": energy})
    >>> od = xr.Dataset({"optical_density": cube + 0.1, "noise": 0 * cube + 0.01,
    ...                  "valid": (("scan_y", "scan_x"), [[True]])})
    >>> found = thickness_map(od, "Na3V2(PO4)2F3", 3.16, windows=[(500, 510), (540, 560)])
    >>> [float(found[name].round(2).item()) for name in ("thickness", "thickness_error", "constant")]
    [250.2, 3.29, 0.1]
    """
    require(od, OD, step="thickness_map", argument="od", units={"energy": "eV"})
    if constant not in ("fit", "zero") or table not in TABLES:
        raise SchemaError(
            f"thickness_map: constant={constant!r}, table={table!r}; needs 'fit' or 'zero', and {TABLES}."
        )
    energy = od["energy"].values.astype(np.float64)
    mu = compute_absorption(formula, density_g_cm3, energy, step="thickness_map")
    used = _select_energies(formula, energy, windows)
    _check_step(energy, used, mu, constant)
    out = _fit_thickness(od, mu, used, constant)
    # tables disagree most near edges, where the thickness would inherit it
    spread = mu.max("table") / mu.min("table")
    out = out.assign(absorption=mu, absorption_spread=spread, used=("energy", used))
    out["thickness"] = out["thickness_by_table"].sel(table=table, drop=True)
    out["thickness_error"] = out["thickness_error"].sel(table=table, drop=True)
    out["constant"] = out["constant"].sel(table=table, drop=True)
    by_table = out["thickness_by_table"]
    out["thickness_table_error"] = 0.5 * (by_table.max("table", skipna=False) - by_table.min("table", skipna=False))
    settings: dict[str, Any] = {"formula": formula, "density_g_cm3": density_g_cm3, "constant": constant}
    settings |= {"windows": None if windows is None else [list(window) for window in windows], "table": table}
    return describe(out, THICKNESS, step="thickness_map", settings=settings, source=od)


def thickness_from_references(fit: xr.Dataset, refs: xr.Dataset) -> xr.Dataset:
    r"""Compute the thickness of every pixel as the sum of the amounts of absolute references.

    References in 1/um are absorption coefficients, so by Beer and Lambert an amount is a thickness:
    :math:`D(E) = c + \sum_r \mu_r(E)\, t_r` and :math:`t = \sum_r t_r`.

    Parameters
    ----------
    fit
        REFERENCE_FIT of :func:`phasekit.stxm.fit_references`.
    refs
        The REFERENCES of the fit, in 1/um: an amount is then a thickness in um.

    Returns
    -------
    xarray.Dataset
        THICKNESS on ``scan_y, scan_x``, lazy where ``fit`` is: ``thickness`` [nm] and ``thickness_error`` [nm]. The
        error follows from the covariance of the amounts, scaled by chi-square where that is above 1. The error of the
        scale of the references is not in it. NaN where nothing was fitted; the error also where ``fit`` carries no
        covariance.

    Raises
    ------
    SchemaError
        The references are not in 1/um.

    See Also
    --------
    fit_references : The amounts.
    thickness_map : Thickness by tabulated absorption.
    particle_statistics : Volumes.

    Examples
    --------
    >>> one = xr.DataArray(np.ones((1, 2)), dims=("scan_y", "scan_x"))
    >>> amount = one.expand_dims(reference=["Na3", "Na1"], axis=2) * [0.1, 0.05]
    >>> fit = xr.Dataset({"amount": amount, "amount_error": amount, "fraction": amount, "baseline": one,
    ...                   "residual": one, "chi_square": one})
    >>> refs = xr.Dataset({"reference_spectrum": (("reference", "energy"), np.ones((2, 3)), {"units": "1/um"})})
    >>> thickness_from_references(fit, refs)["thickness"].values.round(1)
    array([[150., 150.]])
    """
    require(fit, REFERENCE_FIT, step="thickness_from_references", argument="fit")
    require(refs, REFERENCES, step="thickness_from_references", argument="refs", units={"reference_spectrum": "1/um"})
    # um to nm
    thickness = 1e3 * fit["amount"].sum("reference", skipna=False)
    error: Any = xr.full_like(thickness, np.nan)
    if "amount_covariance" in fit:
        # variance of a sum: all elements of the covariance
        variance = fit["amount_covariance"].sum(("reference", "other_reference"), skipna=False)
        error = 1e3 * (variance.clip(min=0.0) * fit["chi_square"].clip(min=1.0)) ** 0.5
    out = xr.Dataset({"thickness": thickness, "thickness_error": error}).transpose("scan_y", "scan_x")
    return describe(out, THICKNESS, step="thickness_from_references", settings={}, source=fit)


def _select_energies(formula: str, energy: Array, windows: Windows | None) -> NDArray[np.bool_]:
    """Which energies (energy,) count: those in the windows, or those away from tabulated edges."""
    if windows is None:
        zones = find_near_edges(formula, float(energy.min()), float(energy.max()), step="thickness_map")
        used = np.ones(energy.size, dtype=bool)
        for _, first, last in zones:
            used &= (energy < first) | (energy > last)
        if not used.any():
            raise SchemaError(
                f"thickness_map: every energy {energy.min():g}..{energy.max():g} eV is near an edge "
                f"({', '.join(name for name, _, _ in zones)}). Measure one before the edge, or give windows=[(..)]."
            )
        return used
    bad = [window for window in windows if not window[0] < window[1]]
    if bad or not windows:
        raise SchemaError(f"thickness_map: windows={list(windows)}, needs pairs (low, high) in eV with low < high.")
    used = np.any([(energy >= low) & (energy <= high) for low, high in windows], axis=0)
    if not used.any():
        raise SchemaError(
            f"thickness_map: no energy lies in windows={list(windows)}, the data have {energy.min():g}.."
            f"{energy.max():g} eV. Widen them."
        )
    return np.asarray(used)


def _check_step(energy: Array, used: NDArray[np.bool_], mu: xr.DataArray, constant: str) -> None:
    """Refuse energies without a step in mu: with a free constant the thickness would be a small difference of noise."""
    if constant == "zero":
        return
    inside = mu.values[:, used]
    step = (inside.max(axis=1) - inside.min(axis=1)) / inside.mean(axis=1)
    if step.min() < 0.2:  # the table with the smallest step decides
        raise SchemaError(
            f"thickness_map: at the energies used ({', '.join(f'{e:g}' for e in energy[used])} eV) the absorption "
            f"changes by {100 * step.min():.0f} % only, so a constant cannot be told from thickness. Add a window "
            "behind the edge, windows=[(low, high), (low, high)], or trust I0 with constant='zero'."
        )


def _fit_thickness(od: xr.Dataset, mu: xr.DataArray, used: NDArray[np.bool_], constant: str) -> xr.Dataset:
    """Weighted least squares in closed form, for every table."""
    pick = np.flatnonzero(used)
    density = od["optical_density"].isel(energy=pick).astype(np.float64)
    noise = od["noise"].isel(energy=pick).astype(np.float64)
    known = (od["valid"] & density.notnull().all("energy") & noise.notnull().all("energy")).astype(bool)
    absorption = 1e-3 * mu.isel(energy=pick)  # 1/nm
    weight = 1.0 / noise.clip(min=1e-6) ** 2
    # sums of the normal equations of D = c + mu t
    one, up, square = weight.sum("energy"), (weight * absorption).sum("energy"), (weight * absorption**2).sum("energy")
    flat, tilted = (weight * density).sum("energy"), (weight * density * absorption).sum("energy")
    if constant == "zero":
        thickness, variance, level = tilted / square, 1.0 / square, 0.0 * tilted
    else:
        determinant = one * square - up**2
        thickness = (one * tilted - up * flat) / determinant
        level = (square * flat - up * tilted) / determinant
        variance = one / determinant
    parts = {"thickness_by_table": thickness, "thickness_error": variance**0.5, "constant": level}
    order = ("table", "scan_y", "scan_x")
    return xr.Dataset({name: part.where(known).transpose(*order) for name, part in parts.items()})
