"""One phase per pixel: each reference alone against the spectrum, the simplest fit there is."""

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ...errors import SchemaError
from ...schema import BASELINE, OD, REFERENCES, describe, require
from ..phase_map.sufficient_statistics import SufficientStatistics, compute_sufficient_statistics, unpack_channels
from ..reference_spectra.library import build_library, design_matrix, select_covered_energies
from ..reference_spectra.systematics import find_energy_offset

Array = NDArray[np.floating]
#: thickness, constant and slope, and one more so that something is left to tell the references apart
MIN_ENERGIES_WITH_SLOPE = 4


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
    The fit uses the statistics of :mod:`phasekit.stxm.phase_map.sufficient_statistics`. With ``slope`` the straight
    line is eliminated from them like the constant.

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
    templates = design_matrix(library, energies, offset, baseline=False, slope=slope)
    statistics = compute_sufficient_statistics(od, templates, n)
    chi_square, amount = xr.apply_ufunc(
        lambda channels: _fit_single(unpack_channels(channels, len(templates), n), n),
        statistics,
        input_core_dims=[["channel"]],
        output_core_dims=[["reference"]] * 2,
        dask="parallelized",
        output_dtypes=[np.float32] * 2,
        dask_gufunc_kwargs={"output_sizes": {"reference": n}},
    )
    pearson = statistics.isel(channel=slice(-n, None)).rename(channel="reference")
    out = _rank_references(chi_square).assign(chi_square=chi_square, amount_alone=amount, pearson=pearson)
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


def _fit_single(statistics: SufficientStatistics, n_references: int) -> tuple[Array, Array]:
    """Chi-square and amount (.., reference) of each reference alone, amount not negative.

    A template behind the references is the slope. It is eliminated from all statistics, as the constant already is.
    """
    matrix, projection, norm = (
        part.astype(np.float64)
        for part in (statistics.normal_matrix, statistics.template_projection, statistics.weighted_norm)
    )
    diagonal = np.einsum("...ii->...i", matrix)
    if matrix.shape[-1] > n_references:
        # Schur complement: what remains of every product once the slope has explained its part
        slope_norm = np.maximum(diagonal[..., n_references, None], 1e-12)
        slope_projection = projection[..., n_references, None]
        with_slope = matrix[..., n_references]
        norm = norm - slope_projection[..., 0] ** 2 / slope_norm[..., 0]
        diagonal, projection = (
            diagonal - with_slope**2 / slope_norm,
            projection - with_slope * slope_projection / slope_norm,
        )
    diagonal = np.maximum(diagonal[..., :n_references], 1e-12)
    projection = np.maximum(projection[..., :n_references], 0.0)
    chi_square = np.maximum(norm[..., None] - projection**2 / diagonal, 0.0)
    return chi_square.astype(np.float32), (projection / diagonal).astype(np.float32)
