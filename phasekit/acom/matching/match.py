"""Peaks + bank -> phase and orientation of every pattern, with its second-best answer."""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import xarray as xr
from numba import njit
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from ...errors import SchemaError
from ...schema import ORIENTATIONS, describe
from . import polar as _polar
from . import solutions as _solutions
from .bank import PhaseBank, check_inputs, detection_level, evidence, per_pattern, phase_banks
from .candidates import pick
from .search import fine_curves, shortlist

Array = NDArray[np.float64]
Search = Literal["fast", "full"]

_BATCH = 32  # patterns per matrix product: enough for the product to run at speed, few enough to stay in the cache
_FEWEST = 40  # entries of a phase that are compared exactly in a fast search, and one more for every ``_PER`` entries
_PER = 96
_KEPT = 6  # distinct solutions of each phase that compete for the candidates
_N_TAIL = len(_solutions.TAIL)
N_CANDIDATES = 8


def match_orientations(  # noqa: PLR0913 -- settings are keyword-only with defaults
    peaks: xr.Dataset,
    bank: xr.Dataset,
    *,
    n_matches: int = 2,
    distinct_deg: float | None = None,
    min_peaks: int = 2,
    min_correlation: float = 0.35,
    min_reliability: float = 5.0,
    search: Search = "fast",
    memory_mb: float = 256.0,
    device: str = "auto",
) -> xr.Dataset:
    """Phase and orientation of every pattern: all templates at all in-plane angles, all phases in one call.

    Peaks and templates are compared as polar images with weight |g| I^0.3, by the correlation index
    Q = sum(P T) / sqrt(sum P^2 sum T^2) (Rauch & Dupuy 2005): a predicted spot that is absent and an observed one that
    is not predicted both lower it, the absent one by as much as it should have been seen: a template's spot weighs
    s / (s + f) of that, s being its share of the intensity and f that of the pattern's weakest peak. In the plane
    the curve is known every 1.875 degrees and between by a parabola.

    Parameters
    ----------
    peaks
        PEAKS in 1/angstrom from the direct beam (``calibrate_peaks``). The direct beam and peaks beyond the bank's
        ``g_max`` are not used. Lazy peaks give a lazy result, the same for any chunks.
    bank
        TEMPLATES of ``build_templates``; read into memory.
    n_matches
        Orientations kept per pattern, best first, all of the best phase and distinct from each other.
    distinct_deg
        Two solutions nearer than this, symmetry regarded, are one. None: 5, or 2.5 bank steps if that is more.
    min_peaks
        Patterns with fewer usable peaks (weak ones do not count) are not indexed. Three spots or less fix an
        orientation only up to symmetry and luck; the reliability tells.
    min_correlation
        Below this Q the status is ``poor_fit``; random peaks rarely reach 0.35.
    min_reliability
        Below this reliability the status is ``ambiguous_180`` (second solution = first turned by 180 degrees about the
        beam, or about a zone axis within 15 degrees of it) or ``pseudo_symmetric`` (any other second solution).
    search
        ``"fast"``: every template at every angle is compared at low azimuthal resolution, the most promising ones
        (40 and one in 96 of the entries) at the full one. ``"full"``: all at the full one, 5 to 10 times slower; the
        best entry was the same in more than 99.9 % of patterns (docs/adr/0012).
    memory_mb
        Bound on the arrays a thread works with beside the bank; patterns are worked on in batches that fit.
    device
        Where the dense products run: ``"auto"`` takes a CUDA device if there is one, else the processor (NumPy);
        otherwise ``"cpu"`` or a torch device.

    Returns
    -------
    xarray.Dataset
        ORIENTATIONS: ``quaternion(scan_y, scan_x, match, wxyz)`` (sample to crystal frame), ``correlation`` Q,
        ``phase`` (-1 = not indexed), ``reliability`` = 100 (1 - Q2/Q1), Q2 of the next distinct orientation of the same
        phase, ``phase_reliability`` likewise with the best other phase, ``status``; the best solution of another
        phase in ``other_phase, other_quaternion, other_correlation``; and ``candidate_quaternion, candidate_phase,
        candidate_correlation`` (scan_y, scan_x, candidate): up to 8 distinct solutions of all phases, for
        ``refine_orientations`` to start from. NaN where there is no such solution.

    Raises
    ------
    SchemaError
        Peaks or bank of another kind or unit, a setting outside its range, or a device that is not there.

    Examples
    --------
    >>> from phasekit.acom import build_templates, simulate_peaks
    >>> from phasekit.diffraction import crystal
    >>> nickel = crystal("Ni", 225, (3.52, 3.52, 3.52, 90, 90, 90), [("Ni", 0, 0, 0)])
    >>> bank = build_templates([nickel], resolution_deg=4, precession_deg=1)
    >>> match_orientations(simulate_peaks(bank, [7, 11]), bank).phase.values
    array([[0, 0]], dtype=int16)
    """
    check_inputs(peaks, bank, "match_orientations")
    window = float(distinct_deg or max(5.0, 2.5 * float(bank.attrs["resolution_deg"])))
    _check(n_matches, window, min_peaks, memory_mb, search)
    banks = phase_banks(bank, _device(device))
    symmetries = _solutions.stack_symmetries([one.symmetry for one in banks])
    plan = _Plan(banks, symmetries, n_matches, np.radians(window), min_peaks, memory_mb, search == "full")

    def kernel(qy: Array, qx: Array, intensity: Array) -> Array:
        return _match((qy, qx, intensity), plan)

    arrays = evidence(peaks, bank, min_peaks)
    rows = per_pattern(kernel, arrays, _solutions.width(n_matches, N_CANDIDATES))
    limits = {"min_correlation": min_correlation, "min_reliability": min_reliability}
    out = _solutions.unpack(rows, n_matches, limits, peaks["status"])
    out = out.assign(_solutions.unpack_candidates(rows, n_matches, N_CANDIDATES))
    out.attrs |= {key: bank.attrs[key] for key in ("phases", "voltage_kv", "precession_deg") if key in bank.attrs}
    settings = {"n_matches": n_matches, "distinct_deg": window, "min_peaks": min_peaks, "search": search, **limits}
    return describe(out, ORIENTATIONS, step="match_orientations", settings=settings, source=peaks)


def _check(n_matches: int, window: float, min_peaks: int, memory_mb: float, search: str) -> None:
    if n_matches < 1 or min_peaks < 1 or not 0 < window <= 60 or not memory_mb > 0:
        raise SchemaError(
            f"match_orientations: n_matches = {n_matches}, min_peaks = {min_peaks}, distinct_deg = {window}, memory_mb "
            f"= {memory_mb}; needs n_matches and min_peaks >= 1, 0 < distinct_deg <= 60, memory_mb > 0. Correct it."
        )
    if search not in get_args(Search):
        raise SchemaError(f"match_orientations: search = {search!r}, needs one of {get_args(Search)}.")


def _device(device: str) -> str | None:
    """Torch device of the dense products, None for NumPy on the processor."""
    from ctypes.util import find_library

    if device == "cpu" or (device == "auto" and not (find_library("cuda") or find_library("nvcuda"))):
        return None  # without a driver there is no need for the seconds that importing torch takes
    import torch

    if device == "auto":
        return "cuda" if torch.cuda.is_available() else None
    try:
        return str(torch.empty(0, device=device).device)
    except (RuntimeError, AssertionError) as error:
        raise SchemaError(
            f"match_orientations: device = {device!r} is not there ({error}). Leave it out, or give 'cpu'."
        ) from error


def simulate_peaks(bank: xr.Dataset, templates: list[int]) -> xr.Dataset:
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
    >>> simulate_peaks(build_templates([nickel], resolution_deg=8), [3]).qx.dims
    ('scan_y', 'scan_x', 'peak')
    """
    chosen = bank.isel(template=templates).rename(template="scan_x", spot="peak").expand_dims("scan_y")
    names = {"spot_qy": "qy", "spot_qx": "qx", "spot_intensity": "intensity"}
    out = chosen[list(names)].rename(names).transpose("scan_y", "scan_x", "peak")
    zero = xr.zeros_like(out["qy"].isel(peak=0, drop=True))
    out = out.assign(prominence=out["intensity"], noise=zero, min_prominence=zero, status=zero.astype(np.int8))
    return out.assign(count=out["qy"].notnull().sum("peak"))


@dataclass(frozen=True)
class _Plan:
    """What is the same for every pattern; ``window`` in radians."""

    banks: list[PhaseBank]
    symmetries: tuple[Array, NDArray[np.int64]]
    n_matches: int
    window: float
    min_peaks: int
    memory_mb: float
    full: bool

    def shortlisted(self, bank: PhaseBank) -> int:
        entries = len(bank.base)
        return entries if self.full else min(entries, _FEWEST + entries // _PER)

    @property
    def batch(self) -> int:
        """Patterns per batch: per pattern the coarse best of each entry, and spectra and curves of the chosen ones."""
        kept = max(self.shortlisted(bank) for bank in self.banks)
        most = max(len(bank.base) for bank in self.banks)
        each = 4 * (2 * most + kept * (2 * _polar.FREQUENCIES + _polar.ANGLES + 2))
        return int(np.clip(self.memory_mb * 1e6 // each, 1, _BATCH))


def _match(spots: tuple[Array, Array, Array], plan: _Plan) -> Array:
    """Packed rows (..., value) of patterns (..., peak)."""
    shape = spots[0].shape[:-1]
    qy, qx, intensity = (np.ascontiguousarray(a, dtype=float).reshape(-1, a.shape[-1]) for a in spots)
    rows = _solutions.empty(len(qy), plan.n_matches, N_CANDIDATES)
    n_peaks = (intensity > 0).sum(axis=1)
    rows[:, 5 * (plan.n_matches + 1) + 2] = n_peaks
    enough = np.flatnonzero(n_peaks >= plan.min_peaks)
    level = detection_level(intensity[enough])
    # These products are small: a second BLAS thread only waits, patterns are the unit.
    with threadpool_limits(1, "blas"):
        for which in np.unique(level):
            same = enough[level == which]
            for start in range(0, len(same), plan.batch):
                batch = same[start : start + plan.batch]
                rows[batch] = _match_batch(qy[batch], qx[batch], intensity[batch], rows[batch], (int(which), plan))
    return rows.reshape(*shape, -1)


def _match_batch(qy: Array, qx: Array, intensity: Array, rows: Array, setup: tuple[int, _Plan]) -> Array:
    """Rows of some patterns that share a detection level."""
    level, plan = setup
    weight = (intensity / intensity.sum(axis=1, keepdims=True)) ** _polar.INTENSITY_POWER
    terms = _polar.unit_terms(qy, qx, weight, plan.banks[0].shells)
    kept = max(_KEPT, plan.n_matches)
    quaternions = np.full((len(rows), len(plan.banks), kept, 4), np.nan)
    scores = np.full((len(rows), len(plan.banks), kept), np.nan)
    for k, bank in enumerate(plan.banks):
        layout = bank.layout(level)
        entries = shortlist(terms, layout, plan.shortlisted(bank), bank.device)
        even, odd = fine_curves(terms, layout, entries)
        cosine = np.cos(plan.window / 2)
        pick(even, odd, entries, bank.base, bank.symmetry, cosine, quaternions[:, k], scores[:, k])
    _fill(rows, quaternions, scores, *plan.symmetries, plan.n_matches, plan.window)
    return rows


@njit(cache=True, nogil=True, error_model="numpy")
def _fill(rows, quaternions, scores, symmetries, n_symmetries, n_matches, window):  # type: ignore[no-untyped-def]
    tail = 5 * (n_matches + 1)
    for b in range(len(rows)):
        n_peaks = rows[b, tail + 2]
        _solutions.fill_row(rows[b], quaternions[b], scores[b], symmetries, n_symmetries, n_matches, n_peaks, window)
        _solutions.fill_candidates(rows[b], quaternions[b], scores[b], tail + _N_TAIL)
