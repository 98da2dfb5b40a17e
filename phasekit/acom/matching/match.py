"""Phase and orientation of every pattern, and its second-best solution, from peaks and a bank of templates."""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from ...errors import SchemaError
from ...schema import ORIENTATIONS, describe
from . import polar as _polar
from . import result as _result
from .bank import PhaseBank, check_inputs, find_detection_level, make_phase_banks, select_peaks_for_matching
from .candidates import select_candidates
from .parallel import apply_per_pattern
from .search import compute_curves, select_entries

Array = NDArray[np.float64]
Search = Literal["fast", "full"]

_BATCH = 32  # patterns per matrix product: enough for the product to run at speed, few enough to stay in the cache
_FEWEST = 40  # entries of a phase that are compared exactly in a fast search, and one more for every ``_PER`` entries
_PER = 96
_SOLUTIONS = 6  # distinct solutions of each phase that compete for the candidates
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
    r"""Find the phase and the orientation of every pattern, from all templates at all in-plane angles.

    Peaks and templates are compared as polar images by the correlation index of Rauch and Dupuy (2005),

    .. math:: Q = \frac{\sum P\, T}{\sqrt{\sum P^2 \sum T^2}}

    Spots weigh :math:`|g|\, I^{0.3}`. A predicted spot that is absent lowers Q, and so does a peak that is not
    predicted. An absent spot counts by how certainly it would have been detected: its weight has the factor
    :math:`s / (s + f)`. Here s is its fraction of the template's intensity, and f that of the pattern's weakest peak.
    All phases are compared in one call. In the plane the curve Q is computed every 1.875 degrees, and a parabola
    gives the maximum between.

    Parameters
    ----------
    peaks
        PEAKS in 1/angstrom from the direct beam (``calibrate_peaks``). The direct beam and peaks beyond the bank's
        ``g_max`` are not used. Lazy peaks give a lazy result, the same for any chunks.
    bank
        TEMPLATES of ``build_templates``; read into memory.
    n_matches
        Number of orientations kept per pattern, best first. All are of the best phase and distinct from each other.
    distinct_deg
        Two solutions with a disorientation below this [degree] are one. None: 5, or 2.5 bank steps if that is more.
    min_peaks
        Patterns with fewer usable peaks are not indexed; weak peaks do not count. Three spots or fewer often allow
        several orientations, which lowers the reliability.
    min_correlation
        Below this Q the status is ``poor_fit``. Random peaks rarely reach 0.35.
    min_reliability
        Below this reliability the status is ``ambiguous_180`` or ``pseudo_symmetric``. In the first case the second
        solution is the first, rotated by 180 degrees about an axis within 15 degrees of the beam.
    search
        ``"fast"``: all templates at all angles are compared at low azimuthal resolution. The most promising ones, 40
        and one in 96 of the entries, are then compared at full resolution. ``"full"``: all are compared at full
        resolution, 5 to 10 times slower. The best entry was the same in more than 99.9 % of patterns (docs/adr/0012).
    memory_mb
        Largest size of the working arrays of a thread, beside the bank. It sets the number of patterns per batch.
    device
        Where the matrix products run: ``"cpu"`` (NumPy) or a torch device. ``"auto"`` takes a CUDA device if there is
        one, else the processor.

    Returns
    -------
    xarray.Dataset
        ORIENTATIONS. ``quaternion(scan_y, scan_x, match, wxyz)`` rotates the sample frame to the crystal frame.
        ``correlation`` is Q, and ``phase`` is -1 where a pattern is not indexed.
        ``reliability`` is 100 (1 - Q2/Q1), with Q2 of the next distinct orientation of the same phase.
        ``phase_reliability`` is the same with the best solution of another phase, which is in ``other_phase``,
        ``other_quaternion`` and ``other_correlation``. ``candidate_quaternion``, ``candidate_phase`` and
        ``candidate_correlation`` (scan_y, scan_x, candidate) are up to 8 distinct solutions of all phases, from which
        ``refine_orientations`` starts. NaN means that there is no such solution.

    Raises
    ------
    SchemaError
        Peaks or bank of another kind or unit, a setting outside its range, or a device that is not there.

    See Also
    --------
    build_templates : Simulates the bank of templates.
    calibrate_peaks : Gives peaks in 1/angstrom from the direct beam.
    refine_orientations : Refines the candidates to continuous orientations.
    match_second_grain : Matches the peaks that the best orientation leaves unexplained.

    References
    ----------
    Rauch and Dupuy (2005), Archives of Metallurgy and Materials 50, 87.

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
    # In a coarse bank neighbouring templates are the same solution, so the window grows with its step.
    window = float(distinct_deg or max(5.0, 2.5 * float(bank.attrs["resolution_deg"])))
    _check_settings(n_matches, window, min_peaks, memory_mb, search)
    banks = make_phase_banks(bank, _find_device(device))
    symmetries = _result.stack_symmetries([one.symmetry for one in banks])
    plan = _MatchPlan(banks, symmetries, n_matches, np.radians(window), min_peaks, memory_mb, search == "full")
    arrays = select_peaks_for_matching(peaks, bank, min_peaks)
    outputs = _result.RESULT_OUTPUTS | _result.CANDIDATE_OUTPUTS
    sizes = {"match": n_matches, "wxyz": 4, "candidate": N_CANDIDATES}
    maps = apply_per_pattern(_match_block, arrays, outputs, sizes, plan)
    limits = {"min_correlation": min_correlation, "min_reliability": min_reliability}
    out = _result.make_orientations(maps, limits, peaks["status"])
    out = out.assign(_result.make_candidate_maps(maps))
    # Later steps need the crystals and the beam, but not the bank.
    out.attrs |= {key: bank.attrs[key] for key in ("phases", "voltage_kv", "precession_deg") if key in bank.attrs}
    settings = {"n_matches": n_matches, "distinct_deg": window, "min_peaks": min_peaks, "search": search, **limits}
    return describe(out, ORIENTATIONS, step="match_orientations", settings=settings, source=peaks)


def _check_settings(n_matches: int, window: float, min_peaks: int, memory_mb: float, search: str) -> None:
    """Refuse settings outside their range."""
    if n_matches < 1 or min_peaks < 1 or not 0 < window <= 60 or not memory_mb > 0:
        raise SchemaError(
            f"match_orientations: n_matches = {n_matches}, min_peaks = {min_peaks}, distinct_deg = {window}, memory_mb "
            f"= {memory_mb}; needs n_matches and min_peaks >= 1, 0 < distinct_deg <= 60, memory_mb > 0. "
            "Leave them out for the defaults."
        )
    if search not in get_args(Search):
        raise SchemaError(f"match_orientations: search = {search!r}, needs one of {get_args(Search)}.")


def _find_device(device: str) -> str | None:
    """Torch device of the matrix products, None for NumPy on the processor."""
    from ctypes.util import find_library

    if device == "cpu" or (device == "auto" and not (find_library("cuda") or find_library("nvcuda"))):
        return None  # without a driver, torch need not be imported, which takes seconds
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
    """Simulate PEAKS that are exactly the spots of some templates, as a scan of one row.

    The peaks have no noise and no direct beam. They serve tests and teaching.

    Parameters
    ----------
    bank
        TEMPLATES.
    templates
        Indices along ``template``, one scan position each.

    Returns
    -------
    xarray.Dataset
        PEAKS in 1/angstrom, with ``intensity`` in the bank's unit. Each ``prominence`` is the intensity.

    See Also
    --------
    build_templates : Simulates the bank of templates.
    match_orientations : Finds the template and the rotation again.

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
    # Simulated peaks have no noise, but the kind of dataset has these maps.
    zero = xr.zeros_like(out["qy"].isel(peak=0, drop=True))
    out = out.assign(prominence=out["intensity"], noise=zero, min_prominence=zero, status=zero.astype(np.int8))
    return out.assign(count=out["qy"].notnull().sum("peak"))


@dataclass(frozen=True)
class _MatchPlan:
    """Templates and settings that are the same for every pattern; ``window`` in radians."""

    banks: list[PhaseBank]
    symmetries: _result.SymmetryStack
    n_matches: int
    window: float
    min_peaks: int
    memory_mb: float
    full: bool

    def count_entries(self, bank: PhaseBank) -> int:
        """Number of entries of a phase that are compared at full resolution."""
        entries = len(bank.template_quaternions)
        return entries if self.full else min(entries, _FEWEST + entries // _PER)

    @property
    def batch_size(self) -> int:
        """Patterns per batch: each needs a coarse maximum per entry, and spectra and curves of the chosen entries."""
        kept = max(self.count_entries(bank) for bank in self.banks)
        most = max(len(bank.template_quaternions) for bank in self.banks)
        each = 4 * (2 * most + kept * (2 * _polar.FREQUENCIES + _polar.ANGLES + 2))
        return int(np.clip(self.memory_mb * 1e6 // each, 1, _BATCH))


def _match_block(plan: _MatchPlan, qy: Array, qx: Array, intensity: Array) -> tuple[NDArray[np.generic], ...]:
    """Results and candidates (..., output) of patterns (..., peak), in the order of the outputs."""
    shape = qy.shape[:-1]
    qy, qx, intensity = (np.ascontiguousarray(a, dtype=float).reshape(-1, a.shape[-1]) for a in (qy, qx, intensity))
    results = _result.make_empty_results(len(qy), plan.n_matches)
    candidates = _result.make_empty_candidates(len(qy), N_CANDIDATES)
    results.n_peaks[:] = (intensity > 0).sum(axis=1)
    # Patterns with too few peaks keep the empty results.
    enough = np.flatnonzero(results.n_peaks >= plan.min_peaks)
    levels = find_detection_level(intensity[enough])
    # These products are small: a second BLAS thread only waits, patterns are the unit.
    with threadpool_limits(1, "blas"):
        # Patterns with the same detection limit share the weights of the templates, and so one layout.
        for level in np.unique(levels):
            same = enough[levels == level]
            for start in range(0, len(same), plan.batch_size):
                batch = same[start : start + plan.batch_size]
                quaternions, scores = _match_batch(qy[batch], qx[batch], intensity[batch], int(level), plan)
                _result.write_batch(results, candidates, batch, quaternions, scores, plan.symmetries, plan.window)
    return tuple(array.reshape(*shape, *array.shape[1:]) for array in (*results, *candidates))


def _match_batch(qy: Array, qx: Array, intensity: Array, level: int, plan: _MatchPlan) -> tuple[Array, Array]:
    """Solutions (pattern, phase, solution, 4) and scores (pattern, phase, solution) of patterns (pattern, peak).

    All patterns have the detection limit ``LEVELS[level]``.
    """
    # Fractions make the weights independent of the dose.
    weight = (intensity / intensity.sum(axis=1, keepdims=True)) ** _polar.INTENSITY_POWER
    terms = _polar.compute_unit_terms(qy, qx, weight, plan.banks[0].shells)
    # More solutions than matches are kept, because refinement may change their order.
    n_solutions = max(_SOLUTIONS, plan.n_matches)
    quaternions = np.full((len(qy), len(plan.banks), n_solutions, 4), np.nan)
    scores = np.full((len(qy), len(plan.banks), n_solutions), np.nan)
    distinct_cosine = np.cos(plan.window / 2)
    for k, bank in enumerate(plan.banks):
        layout = bank.get_layout(level)
        entries = select_entries(terms, layout, plan.count_entries(bank), bank.device)
        cos_part, sin_part = compute_curves(terms, layout, entries)
        select_candidates(
            cos_part,
            sin_part,
            entries,
            bank.template_quaternions,
            bank.symmetry,
            distinct_cosine,
            quaternions[:, k],
            scores[:, k],
        )
    return quaternions, scores
