"""Noise from random errors of the pixels' positions, which shows where the specimen is steep."""

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy import ndimage, stats

from ..count_statistics import fill_lost_pixels
from .low_rank import compute_residuals
from .pixel_pairs import Estimate, Field, pair_distant_pixels

Array = NDArray[np.floating]
#: blocks of which the slopes are compared
_MAX_BLOCKS = 400


def compute_squared_gradient(frames: Array, gains: Array) -> NDArray[np.float32]:
    r"""Compute :math:`|\nabla \ln \langle I \rangle|^2` [1/px^2] of frames (.., y, x), on their 3 x 3 means.

    ``gains`` (.., 1, 1) is the least intensity that is taken, since dark pixels have no logarithm. A gradient of less
    than the noise of one pixel is 0.
    """
    out = np.zeros(frames.shape, dtype=np.float32)
    for index in np.ndindex(frames.shape[:-2]):
        mean = ndimage.uniform_filter(fill_lost_pixels(np.asarray(frames[index], np.float64)), 3, mode="nearest")
        gain = gains[(*index, 0, 0)]
        logarithm = np.log(np.maximum(mean, gain))
        for axis in (0, 1):
            if logarithm.shape[axis] > 1:
                out[index] += np.gradient(logarithm, axis=axis) ** 2
        # Noise has gradients too, which would pass for those of the specimen.
        out[index][out[index] * mean < gain] = 0.0
    return out


def estimate_position_noise(frames: Array, field: Field, gains: Array) -> Estimate:
    r"""Estimate the random position error of a pixel [px] from frames (energy, y, x) and their gains (energy,).

    A position that is wrong by :math:`\delta` changes the logarithm of the counts by
    :math:`\delta \cdot \nabla \ln I`. So the mean square of the residual of a low-rank fit rises with the squared
    gradient. The slope is the median of those between any two blocks of the image (Theil and Sen), so that the level of
    the noise has no effect. The result is 0 where the slope is less than 3 standard errors.
    """
    gradient = compute_squared_gradient(frames, gains[:, None, None]).reshape(len(frames), -1).astype(np.float64)
    pairs = pair_distant_pixels(field)
    steepness = np.maximum(field.steepness[pairs.first], field.steepness[pairs.second])
    # Components that only steep places have would be missed among all pairs, and taken for noise.
    steep = steepness > np.quantile(steepness, 0.75)
    found = compute_residuals(field, pairs, steep, gains, gradient * field.weight)
    none = Estimate(np.zeros(1), np.full(1, np.nan))
    n = np.bincount(found.block)
    good = n >= max(4.0, 0.25 * float(np.median(n[n > 0]))) if n.any() else n > 0
    if good.sum() < 3:
        return none
    square, expected, further = (np.bincount(found.block, part)[good] for part in found[:3])
    # A few hundred blocks suffice, and all pairs of them are compared.
    step = -(-int(good.sum()) // _MAX_BLOCKS)
    rise, steep = (square / expected)[::step], (further / expected)[::step]
    if np.ptp(steep) == 0:
        return none
    slope = stats.theilslopes(rise, steep, alpha=float(1 - 2 * stats.norm.sf(3.0)))
    # The interval spans three standard errors to either side.
    error = float(slope.high_slope - slope.low_slope) / 6
    if not slope.low_slope > 0:
        return Estimate(np.zeros(1), np.sqrt(np.array([error])))
    root = np.sqrt(np.array([float(slope.slope)]))
    return Estimate(root, 0.5 * error / root)


def has_position_noise(measured: xr.Dataset) -> bool:
    """Whether a position error was measured."""
    return "position_noise" in measured and float(measured["position_noise"]) > 0


def add_position_noise(out: xr.Dataset, gradient: xr.DataArray | None, measured: xr.Dataset) -> xr.Dataset:
    """Add the position error in ``measured`` to the ``noise`` of an optical density, by the squared gradient.

    Without a gradient nothing is added.
    """
    if gradient is None:
        return out
    variance: Any = out["noise"] ** 2 + measured["position_noise"] ** 2 * gradient
    return out.assign(noise=(variance**0.5).transpose(*out["noise"].dims).astype(np.float32))
