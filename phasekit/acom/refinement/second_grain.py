"""Second grain of an overlapped pattern, matched on the peaks that the first one leaves unexplained."""

from typing import Any

import numpy as np
import xarray as xr
from numba import njit
from numpy.typing import NDArray

from ...deprecation import renamed_arguments
from ...errors import SchemaError
from ...schema import ORIENTATIONS, SECOND_GRAIN, describe, require
from ..matching.bank import check_inputs, select_usable_intensity
from ..matching.match import match_orientations
from ..matching.parallel import Output, apply_per_pattern
from .kernels import Crystals, find_excited_reflections, make_rotation_matrix, make_spots
from .refine import collect_crystals, refine_orientations
from .score import compute_intensities

Array = NDArray[np.float64]
_VISIBLE = 0.3  # of the weakest peak: weaker predicted spots explain nothing


@renamed_arguments(found="orientations")
def match_second_grain(
    peaks: xr.Dataset,
    bank: xr.Dataset,
    orientations: xr.Dataset,
    *,
    tolerance: float = 0.04,
    min_peaks: int = 4,
    min_correlation: float = 0.5,
    min_share: float = 0.05,
) -> xr.Dataset:
    """Match the peaks that the best orientation of each pattern does not explain, as an overlapping second grain.

    A peak is explained if the refined orientation predicts a spot near it. The spot must have at least 0.3 of the
    intensity of the pattern's weakest peak. The other peaks are matched and refined like a separate pattern.

    Parameters
    ----------
    peaks, bank, orientations
        PEAKS in 1/angstrom, the TEMPLATES, and the ORIENTATIONS of ``refine_orientations``. Orientations that were not
        refined are off by a bank step and explain too few peaks.
    tolerance
        Farthest a peak may lie from its predicted spot [1/angstrom]; 0.04 is about a disk's radius.
    min_peaks
        Patterns with fewer unexplained peaks have no second grain. Noise leaves about one in ten patterns one peak.
    min_correlation
        Second grains with a lower correlation index Q are discarded. Their peaks are noise or a third crystal.
    min_share
        Smallest fraction of the pattern's intensity, without the direct beam, that the unexplained peaks must hold.

    Returns
    -------
    xarray.Dataset
        ``second_phase(scan_y, scan_x)`` (-1: none), ``second_quaternion(scan_y, scan_x, wxyz)``,
        ``second_correlation`` and ``second_reliability``. ``unexplained`` is the fraction of the intensity in peaks
        that the first grain does not explain. It is NaN where a pattern is not indexed. Join the result to
        ``orientations`` with ``xr.merge``.

    Raises
    ------
    SchemaError
        Data of another kind or unit, or a setting outside its range.

    See Also
    --------
    refine_orientations : Gives the orientations of the first grain.
    match_orientations : Does the matching of the remaining peaks.
    compare_with_truth : Compares the result with a simulated truth.

    Examples
    --------
    >>> from phasekit.acom import build_templates, match_orientations, refine_orientations, simulate_peaks
    >>> from phasekit.diffraction import crystal
    >>> nickel = crystal("Ni", 225, (3.52, 3.52, 3.52, 90, 90, 90), [("Ni", 0, 0, 0)])
    >>> bank = build_templates([nickel], resolution_deg=4, precession_deg=1)
    >>> peaks = simulate_peaks(bank, [7, 11])
    >>> found = refine_orientations(peaks, bank, match_orientations(peaks, bank))
    >>> match_second_grain(peaks, bank, found).second_phase.values
    array([[-1, -1]], dtype=int16)
    """
    check_inputs(peaks, bank, "match_second_grain")
    require(orientations, ORIENTATIONS, step="match_second_grain", argument="orientations")
    if not 0 < tolerance < 0.3 or min_peaks < 1 or not 0 <= min_share < 1:
        raise SchemaError(
            f"match_second_grain: tolerance = {tolerance}, min_peaks = {min_peaks}, min_share = {min_share}; needs "
            "0 < tolerance < 0.3 [1/angstrom], min_peaks >= 1 and 0 <= min_share < 1. Leave them out for the defaults."
        )
    usable = select_usable_intensity(peaks, bank)
    unexplained = _find_unexplained(peaks, bank, orientations, usable, tolerance)
    fraction = unexplained.sum("peak") / usable.sum("peak").where(usable.sum("peak") > 0)
    # Weak peaks are left out: most belong to the first grain or to noise.
    rest = peaks.drop_dims("weak_peak", errors="ignore")
    rest = rest.assign(intensity=unexplained.where(fraction >= min_share, 0.0).assign_attrs(peaks["intensity"].attrs))
    second = match_orientations(rest, bank, min_peaks=min_peaks)
    second = refine_orientations(rest, bank, second)
    # A second grain without a first one would be the first.
    good = (second["correlation"].isel(match=0, drop=True) >= min_correlation) & (orientations["phase"] >= 0)
    out = xr.Dataset(
        {
            "second_phase": second["phase"].where(good, -1).astype(np.int16),
            "second_quaternion": second["quaternion"].isel(match=0, drop=True).where(good),
            "second_correlation": second["correlation"].isel(match=0, drop=True).where(good),
            "second_reliability": second["reliability"].where(good),
            "unexplained": fraction.where(orientations["phase"] >= 0).astype(np.float32),
        },
        attrs={key: orientations.attrs[key] for key in ("phases",) if key in orientations.attrs},
    )
    settings = {"tolerance": tolerance, "min_peaks": min_peaks, "min_correlation": min_correlation}
    return describe(
        out, SECOND_GRAIN, step="match_second_grain", settings=settings | {"min_share": min_share}, source=orientations
    )


def _find_unexplained(
    peaks: xr.Dataset, bank: xr.Dataset, orientations: xr.Dataset, usable: xr.DataArray, tolerance: float
) -> xr.DataArray:
    """Intensity (scan_y, scan_x, peak) of the peaks far from every spot of the best orientation, else 0."""
    crystals, _ = collect_crystals(bank)
    best = orientations["quaternion"].isel(match=0, drop=True)
    outputs = {"intensity": Output(("peak",), np.float64)}
    inputs = [peaks["qy"], peaks["qx"], usable, best, orientations["phase"]]
    sizes = {"peak": peaks.sizes["peak"]}
    return apply_per_pattern(_explain_block, inputs, outputs, sizes, (crystals, tolerance))["intensity"]


def _explain_block(shared: tuple[Crystals, float], *arrays: NDArray[Any]) -> tuple[Array]:
    """Intensity that is left of a block: qy, qx, intensity (..., peak), quaternion (..., 4), phase (...)."""
    shape = arrays[0].shape
    qy, qx, intensity = (np.ascontiguousarray(a, float).reshape(-1, shape[-1]) for a in arrays[:3])
    left = intensity.copy()
    quaternion, phase = arrays[3:]
    # A pattern without a quaternion counts as not indexed.
    valid = np.isfinite(quaternion).all(axis=-1).ravel()
    phases = np.where(valid, np.ascontiguousarray(phase).ravel().astype(np.int64), -1)
    quaternions = np.ascontiguousarray(quaternion, float).reshape(-1, 4)
    _remove_explained(qy, qx, left, quaternions, phases, *shared)
    return (left.reshape(shape),)


@njit(cache=True, nogil=True, error_model="numpy")
def _remove_explained(
    qy: Array,
    qx: Array,
    intensity: Array,
    quaternions: Array,
    phases: NDArray[np.int64],
    crystals: Crystals,
    tolerance: float,
) -> None:
    """Set the intensity of explained peaks to 0, in place, and that of all peaks of patterns that are not indexed.

    Parameters
    ----------
    qy, qx
        Positions (pattern, peak) [1/angstrom].
    intensity
        Intensities (pattern, peak), overwritten; peaks with 0 are not used.
    quaternions, phases
        Best solution (pattern, 4) and (pattern,), -1 where there is none.
    crystals
        Reflections of all phases.
    tolerance
        Largest distance of a peak from its predicted spot [1/angstrom].
    """
    for b in range(len(qy)):
        if phases[b] < 0:
            intensity[b] = 0.0
            continue
        if not np.any(intensity[b] > 0):
            continue
        # The reach of a pair is six position tolerances, hence the sixth.
        spots = make_spots(qy[b], qx[b], intensity[b], tolerance / 6, 0.5)
        excited = find_excited_reflections(crystals, phases[b], quaternions[b], np.radians(0.5), spots)
        x, y, strength = excited.scratch[0], excited.scratch[1], excited.scratch[2]
        total = compute_intensities(excited, make_rotation_matrix(quaternions[b]), x, y, strength)
        for n in range(len(excited.pairs)):
            k, p = excited.pairs[n, 0], spots.order[excited.pairs[n, 1]]
            square_distance = (x[k] - qx[b, p]) ** 2 + (y[k] - qy[b, p]) ** 2
            if square_distance < tolerance**2 and strength[k] > _VISIBLE * spots.floor * total:
                intensity[b, p] = 0.0
