"""The second grain of an overlapped pattern: what the first leaves unexplained is matched again."""

import numpy as np
import xarray as xr
from numba import njit
from numpy.typing import NDArray

from ...deprecation import renamed_arguments
from ...errors import SchemaError
from ...schema import ORIENTATIONS, SECOND_GRAIN, describe, require
from ..matching.bank import check_inputs, per_pattern, usable_intensity
from ..matching.match import match_orientations
from .kernels import intensities, make_spots, matrix, near_ewald
from .refine import collect_crystals, refine_orientations

Array = NDArray[np.float64]


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
    """Match the peaks that the best orientation of each pattern does not explain: an overlapping second grain.

    A peak is explained where the refined orientation predicts a spot near it that is bright enough to be seen beside
    the pattern's weakest peak. What is left is matched and refined as a pattern of its own.

    Parameters
    ----------
    peaks, bank, orientations
        PEAKS in 1/angstrom, the TEMPLATES, and the ORIENTATIONS of ``refine_orientations`` (matches off by a bank
        step explain too few peaks).
    tolerance
        Farthest a peak may lie from its predicted spot [1/angstrom]; 0.04 is about a disk's radius.
    min_peaks
        Patterns with fewer unexplained peaks have no second grain. Noise leaves about one in ten patterns one peak.
    min_correlation
        Second grains with a lower correlation index Q are dropped: their peaks are noise or a third crystal.
    min_share
        Least share of the pattern's intensity (without the direct beam) that the unexplained peaks must hold.

    Returns
    -------
    xarray.Dataset
        ``second_phase(scan_y, scan_x)`` (-1: none), ``second_quaternion(scan_y, scan_x, wxyz)``,
        ``second_correlation``, ``second_reliability`` and ``unexplained``, the share of the intensity in peaks that the
        first grain does not explain (NaN where nothing was indexed). Join it to ``orientations`` with ``xr.merge``.

    Raises
    ------
    SchemaError
        Data of another kind or unit, or a setting outside its range.

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
    require(orientations, ORIENTATIONS, step="match_second_grain")
    if not 0 < tolerance < 0.3 or min_peaks < 1 or not 0 <= min_share < 1:
        raise SchemaError(
            f"match_second_grain: tolerance = {tolerance}, min_peaks = {min_peaks}, min_share = {min_share}; needs "
            "0 < tolerance < 0.3 [1/angstrom], min_peaks >= 1 and 0 <= min_share < 1. Correct it."
        )
    usable = usable_intensity(peaks, bank)
    left = _unexplained(peaks, bank, orientations, usable, tolerance)
    share = left.sum("peak") / usable.sum("peak").where(usable.sum("peak") > 0)
    rest = peaks.drop_dims("weak_peak", errors="ignore")
    rest = rest.assign(intensity=left.where(share >= min_share, 0.0).assign_attrs(peaks["intensity"].attrs))
    second = match_orientations(rest, bank, min_peaks=min_peaks)
    second = refine_orientations(rest, bank, second)
    good = (second["correlation"].isel(match=0, drop=True) >= min_correlation) & (orientations["phase"] >= 0)
    out = xr.Dataset(
        {
            "second_phase": second["phase"].where(good, -1).astype(np.int16),
            "second_quaternion": second["quaternion"].isel(match=0, drop=True).where(good),
            "second_correlation": second["correlation"].isel(match=0, drop=True).where(good),
            "second_reliability": second["reliability"].where(good),
            "unexplained": share.where(orientations["phase"] >= 0).astype(np.float32),
        },
        attrs={key: orientations.attrs[key] for key in ("phases",) if key in orientations.attrs},
    )
    settings = {"tolerance": tolerance, "min_peaks": min_peaks, "min_correlation": min_correlation}
    return describe(
        out, SECOND_GRAIN, step="match_second_grain", settings=settings | {"min_share": min_share}, source=orientations
    )


def _unexplained(
    peaks: xr.Dataset, bank: xr.Dataset, orientations: xr.Dataset, usable: xr.DataArray, tolerance: float
) -> xr.DataArray:
    """Intensity (scan_y, scan_x, peak) of the peaks far from every spot of the best orientation, else 0."""
    crystals, _ = collect_crystals(bank)

    def kernel(qy: Array, qx: Array, intensity: Array, quaternion: Array, phase: Array) -> Array:
        shape = qy.shape
        flat = [np.ascontiguousarray(a, float).reshape(-1, shape[-1]) for a in (qy, qx, intensity)]
        out = flat[2].copy()
        owners = np.ascontiguousarray(phase).ravel().astype(np.int64)
        known = np.isfinite(quaternion).all(axis=-1).ravel()
        orientation = np.ascontiguousarray(quaternion, float).reshape(-1, 4)
        _explain(flat[0], flat[1], out, orientation, np.where(known, owners, -1), crystals, tolerance)
        return out.reshape(shape)

    best = orientations["quaternion"].isel(match=0, drop=True)
    phase = orientations["phase"].expand_dims("only", -1)
    rows = per_pattern(kernel, [peaks["qy"], peaks["qx"], usable, best, phase], peaks.sizes["peak"])
    return rows.rename(value="peak")


@njit(cache=True, nogil=True, error_model="numpy")
def _explain(qy, qx, intensity, quaternions, phases, crystals, tolerance):  # type: ignore[no-untyped-def]
    """Set the intensity of explained peaks to 0, in place; nothing is known of unindexed patterns (all 0)."""
    for b in range(len(qy)):
        if phases[b] < 0:
            intensity[b] = 0.0
            continue
        if not np.any(intensity[b] > 0):
            continue
        spots = make_spots(qy[b], qx[b], intensity[b], tolerance / 6, 0.5)
        near = near_ewald(crystals, phases[b], quaternions[b], np.radians(0.5), spots)
        x, y, strength = near.scratch[0], near.scratch[1], near.scratch[2]
        total = intensities(near, matrix(quaternions[b]), x, y, strength)
        for n in range(len(near.pairs)):
            k, p = near.pairs[n, 0], spots.order[near.pairs[n, 1]]
            off = (x[k] - qx[b, p]) ** 2 + (y[k] - qy[b, p]) ** 2
            if off < tolerance**2 and strength[k] > 0.3 * spots.floor * total:
                intensity[b, p] = 0.0
