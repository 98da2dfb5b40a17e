"""One phase per pixel: each reference alone against the spectrum, the simplest fit there is."""

from functools import partial

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ...errors import SchemaError
from ...schema import BASELINE, OD, REFERENCES, describe, require
from ..preprocessing.material import find_material
from ..reference_spectra.library import build_library, design_matrix, select_covered_energies
from ..reference_spectra.non_negative import exclude_missing
from ..reference_spectra.systematics import find_energy_offset

Array = NDArray[np.floating]
#: thickness, constant and slope, and one more so that something is left to tell the references apart
MIN_ENERGIES_WITH_SLOPE = 4
_BATCH = 16384  # pixels


def match_single_phase(
    od: xr.Dataset, refs: xr.Dataset, *, slope: bool = False, energy_offset: float | str = "fit"
) -> xr.Dataset:
    r"""Fit every spectrum with one reference; the reference with the least chi-square names the pixel.

    Thickness :math:`t` and constant :math:`c` are free:

    .. math:: \chi^2_r = \min_{t \ge 0,\, c} \sum_e \frac{(x_e - t\, T_{re} - c)^2}{\sigma_e^2}

    With equal weights the least chi-square is the highest Pearson correlation, which is given too.

    Parameters
    ----------
    od, refs
        OD, and REFERENCES that cover its energies.
    slope
        Also fit a straight slope over the energies to each pixel. On simulated NVPF (10 energies, noise 0.05) with a
        background of 0.01 OD per eV the share of right names is 0.88 in place of 0.64. Without a background it is 0.89
        in place of 0.91, because less of the spectrum is left to tell phases apart.
    energy_offset
        As in :func:`phasekit.stxm.fit_references`.

    Returns
    -------
    xarray.Dataset
        BASELINE, lazy where ``od`` is, NaN without material:

        - ``phase`` (index into ``reference``) and ``runner_up``, the next best; -1 where there is none.
        - ``margin``, chi-square of the runner-up less that of the phase. A difference of 4 is a likelihood ratio of
          :math:`e^2`.
        - ``chi_square(.., reference)``, sum over the energies, not per degree of freedom.
        - ``amount_alone(.., reference)``, a thickness [um] where references are in 1/um.
        - ``pearson(.., reference)`` and ``pearson_phase``.
        - ``energy_offset`` [eV].

        A pixel that is NaN at some energies is fitted with the others. At least 3 are needed, and 4 with ``slope``.

    Raises
    ------
    SchemaError
        The references do not cover the energies, there are too many of them, or fewer than 4 energies are to carry a
        slope.

    See Also
    --------
    fit_references : Amounts of all references together.
    label_phases : The same likelihood with neighbours, blur and a status.
    compare_methods : All methods side by side.

    Notes
    -----
    Everything follows from sums over the energies. The constant is eliminated by centring with the weighted means, and
    with ``slope`` the straight line by its Schur complement.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> spectra = np.array([[0.0, 0, 1, 3, 2, 1], [0, 1, 3, 2, 2, 1]])
    >>> energy = ("energy", np.arange(514.0, 520.0), {"units": "eV"})
    >>> refs = xr.Dataset({"reference_spectrum": (("reference", "energy"), spectra)},
    ...                   coords={"reference": ["V3", "V4"], "energy": energy})
    >>> cube = 0.3 * spectra[[0, 1, 0, 1]].T.reshape(6, 2, 2) + rng.normal(0, 0.03, (6, 2, 2))
    >>> od = xr.Dataset({"optical_density": (("energy", "scan_y", "scan_x"), cube),
    ...                  "noise": (("energy", "scan_y", "scan_x"), np.full(cube.shape, 0.03)),
    ...                  "valid": (("scan_y", "scan_x"), np.ones((2, 2), bool))}, coords={"energy": energy})
    >>> found = match_single_phase(od, refs, energy_offset=0.0)
    >>> found["phase"].values
    array([[0, 1],
           [0, 1]], dtype=int16)
    >>> found["amount_alone"].max("reference").values.round(1).tolist()
    [[0.3..., 0.3...], [0.3..., 0.3...]]
    """
    require(od, OD, step="match_single_phase", argument="od")
    require(refs, REFERENCES, step="match_single_phase", argument="refs")
    step = "match_single_phase"
    library = build_library(refs, od["energy"], step=step, n_nuisance=1, energy_offset=energy_offset)
    if slope and od.sizes["energy"] < MIN_ENERGIES_WITH_SLOPE:
        raise SchemaError(
            f"match_single_phase: {od.sizes['energy']} energies cannot carry a thickness, a constant and a slope, "
            f"which needs {MIN_ENERGIES_WITH_SLOPE}. Leave slope=False."
        )
    offset = float(find_energy_offset(od, library, energy_offset, step=step).value[0])
    od = select_covered_energies(od, library, offset, step=step, n_terms=2 + slope)
    n, energies = len(library.names), od["energy"].values.astype(np.float64)
    # the slope is one more template; the constant is eliminated by centring
    unit = library.unit
    templates = design_matrix(library.in_units_of(unit), energies, offset, baseline=False, slope=slope)
    chi_square, amount, pearson = xr.apply_ufunc(
        partial(_fit_block, templates=templates, n_references=n),
        od["optical_density"],
        od["noise"],
        find_material(od),
        input_core_dims=[["energy"], ["energy"], []],
        output_core_dims=[["reference"]] * 3,
        dask="parallelized",
        output_dtypes=[np.float32] * 3,
        dask_gufunc_kwargs={"allow_rechunk": True, "output_sizes": {"reference": n}},
    )
    out = _rank_references(chi_square).assign(chi_square=chi_square, amount_alone=amount / unit, pearson=pearson)
    # -2 is below every correlation, so a pixel without material has no best one
    best = pearson.fillna(-2.0).argmax("reference")
    out["pearson_phase"] = best.where(chi_square.notnull().all("reference"), -1).astype(np.int16)
    out = out.assign(energy_offset=((), offset)).assign_coords(reference=library.names)
    settings = {"slope": slope, "energy_offset": energy_offset}
    return describe(out, BASELINE, step=step, settings=settings, source=od)


def _rank_references(chi_square: xr.DataArray) -> xr.Dataset:
    """Best and second-best reference of every pixel, and the difference of their chi-square."""
    n = chi_square.sizes["reference"]
    known = chi_square.notnull().all("reference")
    ranked = chi_square.fillna(np.inf)  # argmin refuses rows that are all NaN
    phase = ranked.argmin("reference").where(known, -1).astype(np.int16)
    # the runner-up is the best once the best is taken out
    rest = ranked.where(xr.DataArray(np.arange(n), dims="reference") != phase, np.inf)
    second = rest.argmin("reference").where(known & (n > 1), -1).astype(np.int16)
    margin = (rest.min("reference") - chi_square.min("reference")).where(known & (n > 1))
    return xr.Dataset({"phase": phase, "runner_up": second, "margin": margin})


def _fit_block(
    density: Array, noise: Array, material: NDArray[np.bool_], *, templates: Array, n_references: int
) -> tuple[Array, Array, Array]:
    """Chi-square, amount and Pearson correlation (.., reference) of a block (.., energy); NaN without material."""
    shape, n_energies = density.shape[:-1], density.shape[-1]
    spectra = density.reshape(-1, n_energies)
    sigma = np.broadcast_to(noise, density.shape).reshape(-1, n_energies)
    # a thickness, a constant, the slope where there is one, and one energy more to tell the references apart
    needed = len(templates) - n_references + 3
    is_enough = (np.isfinite(spectra) & np.isfinite(sigma)).sum(axis=1) >= needed
    pixels = np.flatnonzero(np.broadcast_to(material, shape).ravel() & is_enough)
    out = np.full((3, len(spectra), n_references), np.nan, dtype=np.float32)
    # in batches, because sums are made in double precision and kept in single
    for first in range(0, pixels.size, _BATCH):
        batch = pixels[first : first + _BATCH]
        weight = np.maximum(sigma[batch].astype(np.float64), 1e-6) ** -2.0
        out[:, batch] = _fit_single(
            *exclude_missing(spectra[batch].astype(np.float64), weight), templates, n_references
        )
    chi_square, amount, pearson = out.reshape(3, *shape, n_references)
    return chi_square, amount, pearson


def _fit_single(x: Array, weight: Array, templates: Array, n_references: int) -> tuple[Array, Array, Array]:
    """Chi-square, amount and Pearson correlation (pixel, reference) of each reference alone, amount not negative.

    Spectra and weights (pixel, energy) are 0 where a pixel lacks an energy. A template behind the references is the
    slope. It is eliminated from all sums, as the constant is.
    """
    diagonal, projection, norm, total = _sum_products(x, weight, templates)
    pearson = _sum_products(x, (weight > 0).astype(float), templates[:n_references])
    spread = np.sqrt(np.maximum(pearson[0] * pearson[2][:, None], 1e-30))
    correlation = np.clip(pearson[1] / spread, -1.0, 1.0)
    if len(templates) > n_references:
        # Schur complement: what remains of every product once the slope has explained its part
        slope = templates[n_references]
        slope_norm, slope_projection = np.maximum(diagonal[:, -1:], 1e-12), projection[:, -1:]
        mean = (weight @ templates.T) / total[:, None]
        with_slope = (weight * slope) @ templates.T - total[:, None] * mean * mean[:, -1:]
        norm = norm - slope_projection[:, 0] ** 2 / slope_norm[:, 0]
        diagonal = diagonal - with_slope**2 / slope_norm
        projection = projection - with_slope * slope_projection / slope_norm
    diagonal = np.maximum(diagonal[:, :n_references], 1e-12)
    projection = np.maximum(projection[:, :n_references], 0.0)
    return np.maximum(norm[:, None] - projection**2 / diagonal, 0.0), projection / diagonal, correlation


def _sum_products(x: Array, weight: Array, templates: Array) -> tuple[Array, Array, Array, Array]:
    """Centred sums over the energies: templates squared, with the spectrum, the spectrum squared; summed weights."""
    total = weight.sum(axis=1)
    mean = (weight @ templates.T) / total[:, None]
    centred = weight * (x - ((weight * x).sum(axis=1) / total)[:, None])
    diagonal = weight @ (templates**2).T - total[:, None] * mean**2
    return diagonal, centred @ templates.T, (centred * x).sum(axis=1), total
