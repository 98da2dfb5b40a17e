"""Centre and scale of single patterns, from the spots that their best orientation predicts near a peak."""

from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from numba import njit
from numpy.typing import NDArray

from ..matching.parallel import Output, apply_per_pattern
from .kernels import Crystals, Spots, find_excited_reflections, make_rotation_matrix, make_spots
from .score import compute_intensities

Array = NDArray[np.float64]
_FEWEST = 6  # pairs of spot and peak that a fit needs
_REACH = 3.0  # position tolerances: a spot and a peak further apart are no pair
_VISIBLE = 0.3  # of the weakest peak: weaker predicted spots are not paired
_OUTPUTS = {name: Output((), np.float64) for name in ("centre_y", "centre_x", "scale_correction")}
_ATTRIBUTES = {
    "centre_y": ("1/angstrom", "centre of the pattern along y that was undone"),
    "centre_x": ("1/angstrom", "centre of the pattern along x that was undone"),
    "scale_correction": ("1", "factor on the positions"),
}


class CentreSettings(NamedTuple):
    """What is fitted, and the tolerance of a spot's position [1/angstrom]."""

    fit_centre: bool
    fit_scale: bool
    position_tolerance: float


class CentreAndScale(NamedTuple):
    """Fitted centre (pattern,) [1/angstrom] and factor on the positions (pattern,)."""

    centre_y: Array
    centre_x: Array
    scale_correction: Array


def correct_centre_and_scale(
    spots: list[xr.DataArray], orientations: xr.Dataset, crystals: Crystals, settings: CentreSettings
) -> tuple[list[xr.DataArray], dict[Any, xr.DataArray]]:
    """Peaks ``[qy, qx, intensity]`` about their fitted centre and on their fitted scale, and maps of both.

    ``orientations`` are refined ORIENTATIONS. Patterns that are not indexed, or that have too few pairs of spot and
    peak, are unchanged.
    """
    best = orientations["quaternion"].isel(match=0, drop=True)
    inputs = [*spots, best, orientations["phase"]]
    maps: dict[Any, xr.DataArray] = {
        name: one.assign_attrs(units=_ATTRIBUTES[name][0], long_name=_ATTRIBUTES[name][1])
        for name, one in apply_per_pattern(_fit_block, inputs, _OUTPUTS, {}, (crystals, settings)).items()
    }
    factor = maps["scale_correction"]
    return [(spots[0] - maps["centre_y"]) * factor, (spots[1] - maps["centre_x"]) * factor, spots[2]], maps


def _fit_block(shared: tuple[Crystals, CentreSettings], *arrays: NDArray[Any]) -> tuple[Array, ...]:
    """Centre and scale of a block: qy, qx, intensity (..., peak), quaternion (..., 4), phase (...)."""
    shape = arrays[0].shape[:-1]
    qy, qx, intensity = (np.ascontiguousarray(a, float).reshape(-1, a.shape[-1]) for a in arrays[:3])
    quaternion, phase = arrays[3:]
    # A pattern without a quaternion counts as not indexed.
    phases = np.where(np.isfinite(quaternion).all(axis=-1), phase, -1).astype(np.int64).ravel()
    quaternions = np.ascontiguousarray(quaternion, float).reshape(-1, 4)
    out = CentreAndScale(np.zeros(len(phases)), np.zeros(len(phases)), np.ones(len(phases)))
    _fit_patterns(qy, qx, intensity, quaternions, phases, *shared, out)
    return tuple(array.reshape(shape) for array in out)


@njit(cache=True, nogil=True, error_model="numpy")
def _fit_patterns(
    qy: Array,
    qx: Array,
    intensity: Array,
    quaternions: Array,
    phases: NDArray[np.int64],
    crystals: Crystals,
    settings: CentreSettings,
    out: CentreAndScale,
) -> None:
    """Fit centre and scale of every pattern, and write them into ``out``.

    Parameters
    ----------
    qy, qx
        Positions (pattern, peak) [1/angstrom].
    intensity
        Intensities (pattern, peak); peaks with 0 are not used.
    quaternions, phases
        Best solution (pattern, 4) and (pattern,), -1 where there is none.
    crystals
        Reflections of all phases.
    settings
        What is fitted.
    out
        Written where there are enough pairs.
    """
    for b in range(len(qy)):
        if phases[b] < 0 or not np.any(intensity[b] > 0):
            continue
        # The fit weighs peaks by the root of their intensity, whatever the score uses.
        spots = make_spots(qy[b], qx[b], intensity[b], settings.position_tolerance, 0.5)
        n_pairs, predicted, measured = _sum_pairs(spots, quaternions[b], phases[b], crystals)
        if n_pairs >= _FEWEST:
            out.centre_y[b], out.centre_x[b], out.scale_correction[b] = _solve_pattern(predicted, measured, settings)


@njit(cache=True, nogil=True, error_model="numpy")
def _sum_pairs(spots: Spots, quaternion: Array, phase: int, crystals: Crystals) -> tuple[int, Array, Array]:
    """Number of pairs of predicted spot p and peak q, and their weighted sums over the orientation ``quaternion`` (4,).

    The sums are of (w, w p_y, w p_x, w p^2) and of (w q_y, w q_x, w q.p). The weight of the peak is w.
    """
    # The orientation is refined already, so a small reach suffices.
    excited = find_excited_reflections(crystals, phase, quaternion, np.radians(0.5), spots)
    x, y, strength = excited.scratch[0], excited.scratch[1], excited.scratch[2]
    total = compute_intensities(excited, make_rotation_matrix(quaternion), x, y, strength)
    predicted, measured, n_pairs = np.zeros(4), np.zeros(3), 0
    for n in range(len(excited.pairs)):
        k, p = excited.pairs[n, 0], excited.pairs[n, 1]
        square_distance = (x[k] - spots.x[p]) ** 2 + (y[k] - spots.y[p]) ** 2
        # Distant pairs belong to other reflections, and faint spots cannot have made the peak.
        far = square_distance > (_REACH * spots.position_tolerance) ** 2
        if far or strength[k] < _VISIBLE * spots.floor * total:
            continue
        weight, n_pairs = spots.weight[p], n_pairs + 1
        predicted += weight * np.array([1.0, y[k], x[k], y[k] ** 2 + x[k] ** 2])
        measured += weight * np.array([spots.y[p], spots.x[p], spots.y[p] * y[k] + spots.x[p] * x[k]])
    return n_pairs, predicted, measured


@njit(cache=True, nogil=True, error_model="numpy")
def _solve_pattern(predicted: Array, measured: Array, settings: CentreSettings) -> tuple[float, float, float]:
    r"""Centre (y, x) [1/angstrom] and scale correction f by weighted least squares; not fitted: 0 and 1.

    The model of a peak q and its predicted spot p is

    .. math:: q = c + p / f

    ``predicted`` (4,) and ``measured`` (3,) are the sums of ``_sum_pairs``.
    """
    w, y, x, square = predicted
    inverse, centre_y, centre_x = 1.0, 0.0, 0.0
    # With a centre the moments are taken about their weighted means.
    if settings.fit_scale and settings.fit_centre:
        inverse = (measured[2] - (measured[0] * y + measured[1] * x) / w) / (square - (y * y + x * x) / w)
    elif settings.fit_scale:
        inverse = measured[2] / square
    if settings.fit_centre:
        centre_y, centre_x = (measured[0] - inverse * y) / w, (measured[1] - inverse * x) / w
    return centre_y, centre_x, 1.0 / inverse
