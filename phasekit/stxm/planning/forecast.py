"""Errors of a scan before it is made, against number of energies and dose."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ...errors import SchemaError
from ...schema import FORECAST, REFERENCES, describe, require
from ..reference_spectra.library import build_library
from .error_model import PixelModel, PredictedErrors, compute_errors
from .selection import select_energies

Array = NDArray[np.float64]

_N_ENERGIES = (4, 6, 8, 10, 15, 20)
_PHOTONS = (100.0, 300.0, 1000.0, 3000.0)


def predict_errors(  # noqa: PLR0913  settings, keyword-only
    refs: xr.Dataset,
    energies: xr.DataArray | Sequence[int] | None = None,
    *,
    photons: Sequence[float] = _PHOTONS,
    peak_od: float = 1.0,
    background_od: float = 0.0,
    n_averaged: int = 1,
    counting: bool = True,
    slope: bool = False,
    i0_khz: float | None = None,
    n_scan_pixels: int = 10_000,
    seed: int = 0,
) -> xr.Dataset:
    r"""Predict how often phases are confused and how well amounts are known, against number of energies and dose.

    A pixel of one phase is named after the best-fitting reference, with a free amount and a constant. Each energy is
    weighted by its noise. For two references the error rate is exact. For more it is simulated from the same normal
    distribution.

    Parameters
    ----------
    refs
        REFERENCES.
    energies
        Numbers of energies, each planned with :func:`select_energies`, or one choice of energies [eV] to judge.
        The default is 4, 6, 8, 10, 15, 20 without the numbers too small for the references.
    photons
        Counts per pixel and energy without a specimen. Ten times the photons divide every standard error by 3.2.
    peak_od
        Thickness of the pixel: optical density where the references peak on average.
    background_od
        Optical density of all pixels at every energy, from support and embedding. It costs photons.
    n_averaged
        Pixels that are averaged or decided together. 9 is a pixel and its neighbours, if they hold the same phase.
    counting
        False takes the noise at the mean optical density for every energy.
    slope
        Whether a linear background is fitted too.
    i0_khz
        Counts per millisecond without a specimen. It converts photons to dwell times.
    n_scan_pixels
        Pixels of the scan, for its time.
    seed
        Seed of the simulation. Its 20 000 draws give an error rate of 0.1 a standard error of 0.002.

    Returns
    -------
    xarray.Dataset
        FORECAST on ``n_energies, photons``.

        - ``error_rate(.., reference)``: fraction of the pixels of this phase that get another name.
        - ``pair_error(.., reference, other_reference)``: the same between two phases alone, 0 with itself.
        - ``amount_error(.., reference)``: standard error of an amount in a fit of all references together, in the unit
          of the amounts. NaN where there are fewer energies than terms.
        - ``share_error``: standard error of the share in a mixture of two. NaN for one reference.
        - ``energy_choice(n_energies, slot)`` [eV]: padded with NaN.

        With ``i0_khz`` also the coordinate ``dwell_ms(photons)`` and ``scan_time`` [s]. The time is dwell x energies x
        pixels, without that of the machine itself.

    Raises
    ------
    SchemaError
        A setting is out of its range, or no number of energies is large enough for the references.

    See Also
    --------
    select_energies : Choose the energies whose errors are predicted.
    allocate_dwell : Divide a dwell time between them.
    phasekit.viz.stxm.planning_figure : Draw the prediction.

    Notes
    -----
    The standard deviation of the optical density D from :math:`N_0` photons is

    .. math:: \sigma(E) = e^{D(E)/2} / \sqrt{N_0}.

    The background is eliminated and the noise made white. Then the spectrum of phase i has a length :math:`|s_i|`. Its
    angle to that of phase j has the cosine r. Of the two alone, i is named j with the probability

    .. math:: P_{ij} = \Phi\left(-|s_i| \sqrt{(1 - r) / 2}\right).

    The noise of five vanadium references was compared with 8000 simulated pixels per phase with Poisson counts. There
    were 4 to 20 energies, 100 to 2000 photons, and peak OD 0.5 to 2. Mean error rates above 0.02 agree within 6 %,
    those of single phases within 15 %.

    Only noise is predicted. Inexact references, drift and unknown phases add errors. Neighbours and clusters, which
    ``label_phases`` uses too, reduce them; ``n_averaged`` stands in for these.

    References
    ----------
    Fukunaga, Introduction to Statistical Pattern Recognition (1990), chapter 3.

    Examples
    --------
    >>> import phasekit as pk
    >>> found = predict_errors(pk.synthetic.vanadium_references(), [8, 20], photons=[300, 3000])
    >>> rate = found["error_rate"].mean("reference")
    >>> bool((rate.diff("photons") < 0).all()), bool((rate.diff("n_energies") < 0).all())
    (True, True)
    """
    require(refs, REFERENCES, step="predict_errors", argument="refs")
    dose = _check_dose(photons, n_averaged, peak_od, background_od)
    # Each choice is checked against the number of terms on its own, hence no background terms here.
    library = build_library(refs, refs["energy"], step="predict_errors", n_nuisance=0)
    choices = _select_choices(refs, energies, slope=slope, peak_od=peak_od)
    pixel = PixelModel(peak_od, background_od, counting, slope)
    # Averaging n pixels is the same as n times the photons.
    cases = [[compute_errors(library, choice, pixel, n * n_averaged, seed) for n in dose] for choice in choices]
    out = _merge_cases(cases, choices, library.names, dose)
    out["amount_error"].attrs["units"] = _find_amount_unit(refs)
    # Photons alone set the errors; a time follows only with a count rate.
    if i0_khz is not None:
        out = _add_scan_time(out, i0_khz, n_scan_pixels)
    settings: dict[str, Any] = {
        "peak_od": peak_od,
        "background_od": background_od,
        "n_averaged": n_averaged,
        "counting": counting,
    }
    settings |= {"slope": slope, "i0_khz": i0_khz, "n_scan_pixels": n_scan_pixels, "seed": seed}
    return describe(out, FORECAST, step="predict_errors", settings=settings, source=refs)


def _check_dose(photons: Sequence[float], n_averaged: int, peak_od: float, background_od: float) -> Array:
    """Check photons, thickness and background; return the photons as an array."""
    # A single number is a dose too.
    dose = np.atleast_1d(np.asarray(photons, dtype=np.float64))
    if dose.ndim != 1 or dose.size == 0 or not (dose > 0).all() or not np.isfinite(dose).all():
        raise SchemaError(
            f"predict_errors: photons={photons}, needs counts per pixel and energy above 0. "
            "Give finite positive numbers."
        )
    if n_averaged < 1 or not 0 < peak_od < 20 or not 0 <= background_od < 20:
        raise SchemaError(
            f"predict_errors: n_averaged={n_averaged}, peak_od={peak_od}, background_od={background_od}; needs at "
            "least 1 pixel, an optical density above 0 and a background of 0 or more. Use the defaults 1, 1 and 0."
        )
    return dose


def _select_choices(
    refs: xr.Dataset, energies: xr.DataArray | Sequence[int] | None, *, slope: bool, peak_od: float
) -> list[Array]:
    """Select the energies [eV] of every row of the prediction."""
    if isinstance(energies, xr.DataArray):
        return [_check_choice(refs, energies)]
    numbers = _N_ENERGIES if energies is None else tuple(energies)
    if any(int(n) != n for n in numbers):
        raise SchemaError(
            f"predict_errors: energies={list(numbers)} are not whole numbers. Give how many energies, or the energies "
            "themselves as an xarray.DataArray."
        )
    # References, a constant, the energy offset and perhaps a slope are to be fitted.
    least = refs.sizes["reference"] + 2 + slope
    # Numbers that the user asked for are refused later with a reason; only the default is shortened silently.
    kept = numbers if energies is not None else tuple(n for n in numbers if n >= least)
    if not kept:
        raise SchemaError(f"predict_errors: {least} energies are the least for these references. Give energies=[...].")
    return [select_energies(refs, int(n), slope=slope, peak_od=peak_od).values for n in sorted(set(kept))]


def _check_choice(refs: xr.Dataset, energies: xr.DataArray) -> Array:
    """Check a given choice of energies: enough of them, all within the references."""
    # Sorted, and each energy once.
    chosen = np.unique(np.asarray(energies, dtype=np.float64))
    low, high = float(refs["energy"].min()), float(refs["energy"].max())
    if chosen.size < 3 or chosen[0] < low or chosen[-1] > high:
        raise SchemaError(
            f"predict_errors: {chosen.size} energies, needs at least 3 within the references' {low:g}..{high:g} eV. "
            "Plan them with select_energies, or use longer references."
        )
    return chosen


def _merge_cases(cases: list[list[PredictedErrors]], choices: list[Array], names: list[str], dose: Array) -> xr.Dataset:
    """Merge the errors of all choices and doses into one dataset."""
    case = ("n_energies", "photons")
    slots = max(choice.size for choice in choices)
    # Choices differ in length, and a dataset needs a rectangular array.
    padded = np.array([np.pad(choice, (0, slots - choice.size), constant_values=np.nan) for choice in choices])

    def merge_field(field: str) -> Array:
        return np.array([[getattr(errors, field) for errors in row] for row in cases])

    return xr.Dataset(
        {
            "error_rate": ((*case, "reference"), merge_field("rate")),
            "pair_error": ((*case, "reference", "other_reference"), merge_field("pair")),
            "amount_error": ((*case, "reference"), merge_field("amount")),
            "share_error": (case, merge_field("share")),
            "energy_choice": (("n_energies", "slot"), padded),
        },
        coords={
            "n_energies": [choice.size for choice in choices],
            "photons": dose,
            "reference": names,
            "other_reference": names,
        },
    )


def _find_amount_unit(refs: xr.Dataset) -> str:
    """Find the unit of an amount: its product with the reference has none."""
    unit = str(refs["reference_spectrum"].attrs.get("units", "1"))
    return unit[2:] if unit.startswith("1/") else "1" if unit == "1" else f"1/({unit})"


def _add_scan_time(out: xr.Dataset, i0_khz: float, n_pixels: int) -> xr.Dataset:
    """Add the dwell time of every dose and the time of the scan."""
    if not i0_khz > 0 or n_pixels < 1:
        raise SchemaError(
            f"predict_errors: i0_khz={i0_khz}, n_scan_pixels={n_pixels}, needs both above 0. "
            "Leave i0_khz out for a prediction without times."
        )
    dwell = out["photons"].drop_vars("photons") / i0_khz
    out = out.assign_coords(dwell_ms=("photons", dwell.values, {"units": "ms", "long_name": "dwell time"}))
    return out.assign(scan_time=out["n_energies"] * out["photons"] / i0_khz * n_pixels / 1000)
