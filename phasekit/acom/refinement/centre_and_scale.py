"""Centre and scale of single patterns, from the spots that their best orientation predicts near a peak."""

from typing import Any

import numpy as np
import xarray as xr
from numba import njit
from numpy.typing import NDArray

from ..matching.bank import per_pattern
from .kernels import Crystals, intensities, make_spots, matrix, near_ewald

Array = NDArray[np.float64]
_FEWEST = 6  # pairs of spot and peak that a fit needs
_REACH = 3.0  # blurs: pairs further apart are no pairs
_FIGURES = {
    "centre_y": ("1/angstrom", "centre of the pattern along y that was undone"),
    "centre_x": ("1/angstrom", "centre of the pattern along x that was undone"),
    "scale_correction": ("1", "factor on the positions"),
}


def corrected(
    spots: list[xr.DataArray],
    orientations: xr.Dataset,
    crystals: Crystals,
    *,
    centre: bool,
    scale: bool,
    position_tolerance: float,
) -> tuple[list[xr.DataArray], dict[Any, xr.DataArray]]:
    """Peaks ``[qy, qx, intensity]`` about their fitted centre and on their fitted scale, and these figures as maps.

    ``orientations``: refined ORIENTATIONS; patterns without one, and those with too few pairs, keep their peaks.
    """

    def kernel(qy: Array, qx: Array, intensity: Array, quaternion: Array, phase: Array) -> Array:
        shape = qy.shape[:-1]
        flat = [np.ascontiguousarray(a, float).reshape(-1, a.shape[-1]) for a in (qy, qx, intensity)]
        owners = np.where(np.isfinite(quaternion).all(axis=-1), phase[..., 0], -1).astype(np.int64).ravel()
        turns = np.ascontiguousarray(quaternion, float).reshape(-1, 4)
        rows = np.zeros((len(owners), 3))
        rows[:, 2] = 1.0
        _fit(flat[0], flat[1], flat[2], turns, owners, crystals, (position_tolerance, centre, scale), rows)
        return rows.reshape(*shape, 3)

    best = orientations["quaternion"].isel(match=0, drop=True)
    rows = per_pattern(kernel, [*spots, best, orientations["phase"].expand_dims("only", -1)], 3)
    maps: dict[Any, xr.DataArray] = {
        name: rows.isel(value=k).assign_attrs(units=units, long_name=meaning)
        for k, (name, (units, meaning)) in enumerate(_FIGURES.items())
    }
    factor = maps["scale_correction"]
    return [(spots[0] - maps["centre_y"]) * factor, (spots[1] - maps["centre_x"]) * factor, spots[2]], maps


@njit(cache=True, nogil=True, error_model="numpy")
def _fit(qy, qx, intensity, quaternions, phases, crystals, setup, rows):  # type: ignore[no-untyped-def]
    """Weighted least squares of peak = c + predicted / f for every pattern: ``rows`` = (c_y, c_x, f)."""
    blur, centre, scale = setup
    for b in range(len(qy)):
        if phases[b] < 0 or not np.any(intensity[b] > 0):
            continue
        spots = make_spots(qy[b], qx[b], intensity[b], blur, 0.5)
        near = near_ewald(crystals, phases[b], quaternions[b], np.radians(0.5), spots)
        x, y, strength = near.scratch[0], near.scratch[1], near.scratch[2]
        total = intensities(near, matrix(quaternions[b]), x, y, strength)
        # Sums of w, w p_y, w p_x, w p^2 over predicted p, and of w q_y, w q_x, w q.p over peaks q.
        moments, seen, pairs = np.zeros(4), np.zeros(3), 0
        for n in range(len(near.pairs)):
            k, p = near.pairs[n, 0], near.pairs[n, 1]
            off = (x[k] - spots.x[p]) ** 2 + (y[k] - spots.y[p]) ** 2
            if off > (_REACH * blur) ** 2 or strength[k] < 0.3 * spots.floor * total:
                continue
            weight, pairs = spots.weight[p], pairs + 1
            moments += weight * np.array([1.0, y[k], x[k], y[k] ** 2 + x[k] ** 2])
            seen += weight * np.array([spots.y[p], spots.x[p], spots.y[p] * y[k] + spots.x[p] * x[k]])
        if pairs >= _FEWEST:
            _solve(moments, seen, centre, scale, rows[b])


@njit(cache=True, nogil=True, error_model="numpy")
def _solve(moments, seen, centre, scale, row):  # type: ignore[no-untyped-def]
    """Centre and inverse scale from the weighted sums; what is not fitted stays 0 and 1."""
    w, y, x, square = moments
    inverse = 1.0
    if scale and centre:
        inverse = (seen[2] - (seen[0] * y + seen[1] * x) / w) / (square - (y * y + x * x) / w)
    elif scale:
        inverse = seen[2] / square
    if centre:
        row[0], row[1] = (seen[0] - inverse * y) / w, (seen[1] - inverse * x) / w
    row[2] = 1.0 / inverse
