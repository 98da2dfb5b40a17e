"""Peaks + bank -> phase and orientation of every pattern, with its second-best answer."""

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from ..errors import SchemaError
from ..schema import ORIENTATIONS, describe
from . import _polar, _solutions
from ._bank import PhaseBank, check_inputs, per_pattern, phase_banks, shells_of, usable_intensity
from ._candidates import pick

Array = NDArray[np.float64]
_BATCH = 8  # patterns per matrix product: enough for the product to run at speed, few enough to stay in the cache


def match_orientations(
    peaks: xr.Dataset,
    bank: xr.Dataset,
    *,
    n_matches: int = 2,
    distinct_deg: float | None = None,
    min_peaks: int = 3,
    min_correlation: float = 0.35,
    min_reliability: float = 5.0,
    memory_mb: float = 256.0,
) -> xr.Dataset:
    """Phase and orientation of every pattern: all templates at all in-plane angles, all phases in one call.

    Peaks and templates are compared as polar images with weight |g| I^0.3, by the correlation index
    Q = sum(P T) / sqrt(sum P^2 sum T^2) (Rauch & Dupuy 2005): a predicted spot that is absent and an observed one that
    is not predicted both lower it. The full grid is searched, in the plane every 1.875 degrees and between by a
    parabola.

    Parameters
    ----------
    peaks
        PEAKS in 1/angstrom from the direct beam (``register_peaks``). The direct beam and peaks beyond the bank's
        ``g_max`` are not used. Lazy peaks give a lazy result, the same for any chunks.
    bank
        TEMPLATES of ``build_templates``; read into memory.
    n_matches
        Orientations kept per pattern, best first, all of the best phase and distinct from each other.
    distinct_deg
        Two solutions nearer than this, symmetry regarded, are one. None: 5, or 2.5 bank steps if that is more.
    min_peaks
        Patterns with fewer usable peaks are not indexed. Three spots fix an orientation only up to symmetry and luck.
    min_correlation
        Below this Q the status is ``poor_fit``; random peaks rarely reach 0.35.
    min_reliability
        Below this reliability the status is ``ambiguous_180`` (second solution = first turned by 180 degrees about the
        beam) or ``pseudo_symmetric`` (any other second solution).
    memory_mb
        Bound on the correlation curves held at once; patterns are worked on in batches that fit.

    Returns
    -------
    xarray.Dataset
        ORIENTATIONS: ``quaternion(scan_y, scan_x, match, wxyz)`` (sample to crystal frame), ``correlation`` Q,
        ``phase`` (-1 = not indexed), ``reliability`` = 100 (1 - Q2/Q1), Q2 of the next distinct orientation of the same
        phase, ``phase_reliability`` likewise with the best other phase, ``status``; and the best solution of another
        phase in ``other_phase, other_quaternion, other_correlation``. NaN where there is no such solution.

    Raises
    ------
    SchemaError
        Peaks or bank of another kind or unit, or a setting outside its range.

    Examples
    --------
    >>> from phasekit.acom import build_templates, template_peaks
    >>> from phasekit.diffraction import crystal
    >>> nickel = crystal("Ni", 225, (3.52, 3.52, 3.52, 90, 90, 90), [("Ni", 0, 0, 0)])
    >>> bank = build_templates([nickel], resolution_deg=4, precession_deg=1)
    >>> match_orientations(template_peaks(bank, [7, 11]), bank).phase.values
    array([[0, 0]], dtype=int16)
    """
    check_inputs(peaks, bank, "match_orientations")
    window = float(distinct_deg or max(5.0, 2.5 * float(bank.attrs["resolution_deg"])))
    _check(n_matches, window, min_peaks, memory_mb)
    shells = shells_of(bank)
    banks = phase_banks(bank, shells)

    def kernel(qy: Array, qx: Array, intensity: Array) -> Array:
        return _match(banks, (qy, qx, intensity), shells, n_matches, (window, min_peaks, memory_mb))

    rows = per_pattern(kernel, [peaks["qy"], peaks["qx"], usable_intensity(peaks, bank)], _solutions.width(n_matches))
    limits = {"min_correlation": min_correlation, "min_reliability": min_reliability}
    out = _solutions.unpack(rows, n_matches, limits, peaks["status"])
    out.attrs |= {key: bank.attrs[key] for key in ("phases", "voltage_kv", "precession_deg") if key in bank.attrs}
    settings = {"n_matches": n_matches, "distinct_deg": window, "min_peaks": min_peaks, **limits}
    return describe(out, ORIENTATIONS, step="match_orientations", settings=settings, source=peaks)


def _check(n_matches: int, window: float, min_peaks: int, memory_mb: float) -> None:
    if n_matches < 1 or min_peaks < 1 or not 0 < window <= 60 or not memory_mb > 0:
        raise SchemaError(
            f"match_orientations: n_matches = {n_matches}, min_peaks = {min_peaks}, distinct_deg = {window}, memory_mb "
            f"= {memory_mb}; needs n_matches and min_peaks >= 1, 0 < distinct_deg <= 60, memory_mb > 0. Correct it."
        )


def template_peaks(bank: xr.Dataset, templates: list[int]) -> xr.Dataset:
    """PEAKS that are exactly the spots of some templates, as a scan of one row: for tests and teaching.

    Parameters
    ----------
    bank
        TEMPLATES.
    templates
        Indices along ``template``, one scan position each.

    Examples
    --------
    >>> from phasekit.acom import build_templates
    >>> from phasekit.diffraction import crystal
    >>> nickel = crystal("Ni", 225, (3.52, 3.52, 3.52, 90, 90, 90), [("Ni", 0, 0, 0)])
    >>> template_peaks(build_templates([nickel], resolution_deg=8), [3]).qx.dims
    ('scan_y', 'scan_x', 'peak')
    """
    chosen = bank.isel(template=templates).rename(template="scan_x", spot="peak").expand_dims("scan_y")
    names = {"spot_qy": "qy", "spot_qx": "qx", "spot_intensity": "intensity"}
    out = chosen[list(names)].rename(names).transpose("scan_y", "scan_x", "peak")
    zero = xr.zeros_like(out["qy"].isel(peak=0, drop=True))
    out = out.assign(prominence=out["intensity"], noise=zero, min_prominence=zero, status=zero.astype(np.int8))
    return out.assign(count=out["qy"].notnull().sum("peak"))


def _match(
    banks: list[PhaseBank],
    spots: tuple[Array, Array, Array],
    shells: int,
    n_matches: int,
    settings: tuple[float, int, float],
) -> Array:
    """Packed rows (..., value) of patterns (..., peak)."""
    shape = spots[0].shape[:-1]
    qy, qx, intensity = (np.ascontiguousarray(a).reshape(-1, a.shape[-1]) for a in spots)
    rows = _solutions.empty(len(qy), n_matches)
    n_peaks = (intensity > 0).sum(axis=1)
    rows[:, -len(_solutions.TAIL) + 2] = n_peaks
    enough = np.flatnonzero(n_peaks >= settings[1])
    with threadpool_limits(
        1, "blas"
    ):  # these products are small: a second BLAS thread only waits, patterns are the unit
        _match_batches(banks, (qy, qx, intensity), shells, rows, enough, (n_peaks, *settings))
    return rows.reshape(*shape, -1)


def _match_batches(
    banks: list[PhaseBank],
    spots: tuple[Array, Array, Array],
    shells: int,
    rows: Array,
    enough: NDArray[np.intp],
    settings: tuple[Any, float, int, float],
) -> None:
    """Fill the rows of the patterns ``enough``, a few at a time."""
    n_peaks, window, _, memory_mb = settings
    qy, qx, intensity = spots
    n_matches = _solutions.matches_in(rows)
    entries = max(len(bank.base) for bank in banks)
    # Per pattern: spectrum and products (complex and 2 x real per frequency), and the curves.
    size = int(max(1, min(_BATCH, memory_mb * 1e6 // (entries * 4 * (_polar.ANGLES + 6 * _polar.FREQUENCIES)))))
    for start in range(0, len(enough), size):
        batch = enough[start : start + size]
        terms, norm = _polar.coefficients(qy[batch], qx[batch], intensity[batch], shells)
        terms /= np.maximum(norm, 1e-12)[:, None, None]
        solved = [_best_of_phase(terms, bank, n_matches, window) for bank in banks]
        for place, pixel in enumerate(batch):
            mine = [(quaternions[place], scores[place]) for quaternions, scores in solved]
            _solutions.fill_row(rows[pixel], mine, [bank.symmetry for bank in banks], int(n_peaks[pixel]), window)


def _best_of_phase(terms: Any, bank: PhaseBank, n_matches: int, window: float) -> tuple[Array, Array]:
    """Quaternions (pattern, match, 4) and scores (pattern, match) of one phase."""
    curves = _polar.correlate(terms, bank.terms)
    quaternions = np.full((len(terms), n_matches, 4), np.nan)
    scores = np.full((len(terms), n_matches), np.nan)
    for place in range(len(terms)):
        mine = np.ascontiguousarray(curves[:, place])
        pick(mine, bank.base, bank.symmetry, np.cos(np.radians(window) / 2), quaternions[place], scores[place])
    return quaternions, scores
