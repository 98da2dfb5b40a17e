r"""Noise from frames that are displaced against each other, which shows where the specimen is steep.

A frame that is displaced by :math:`d_e` holds :math:`d_e \cdot \nabla \ln I_e` beside the spectra of the specimen. A
low-rank fit takes this for further components. They are told from spectra by their images, which are those of the
gradient.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from .low_rank import find_significant_components
from .pixel_pairs import Estimate, Field, select_steep_pairs

Array = NDArray[np.floating]
#: width of the smoothing before gradients are taken [px]; noise has gradients too
_SMOOTHED_PX = 1.0
#: share of the square of a gradient that components explain, from which they are taken for a displacement
_EXPLAINED = 0.5
#: after the fourth the displacement changes by less than 3 %
_ROUNDS = 4


def estimate_displacement(frames: Array, field: Field, gains: Array) -> Estimate:
    r"""Estimate the root mean square displacement [px] along an axis, of frames (energy, y, x) with gains (energy,).

    The gradients along y and x of the mean image are compared with the images of the significant components. A
    displacement is stated where the components explain more than half of the square of a gradient. Simulated stacks
    have at most 0.2 without a displacement and at least 0.8 with one. As many components are the displacement's, and
    the strongest others are the spectra's. Every frame is regressed on these and on its own gradients, whose
    coefficients are its displacements. The frames are moved back to first order, and all is repeated. The displacements
    are averaged by their precision.

    The result is 0 where there is none. The error is that by the number of displacements.
    """
    none = Estimate(np.zeros(1), np.full(1, np.nan))
    pairs = select_steep_pairs(field)
    if min(field.shape) < 3 or len(frames) < 3 or pairs.first.size == 0:
        return none
    images = _smooth_logarithm(frames)
    slopes = np.stack([np.gradient(images, axis=axis) for axis in (1, 2)])
    shift: Array = np.zeros((len(frames), 2))
    precision: Array = np.zeros((len(frames), 2))
    for step in range(_ROUNDS):
        moved_back = (shift.T[..., None, None] * slopes).sum(axis=0)
        logarithm, mean_slopes = _select_pixels(images - moved_back, field), slopes.mean(axis=1)
        back = moved_back.reshape(len(frames), -1) * np.sqrt(field.weight)
        basis, scale = find_significant_components(field._replace(log_counts=field.log_counts - back), pairs, gains)
        components = basis.T @ (logarithm / np.sqrt(scale)[:, None])
        n_explained = _count_gradients(components, _select_pixels(mean_slopes, field))
        if not step and not n_explained:
            return none
        rest = np.linalg.qr(components[: len(components) - n_explained].T)[0]
        own = np.stack([_select_pixels(slope, field) for slope in slopes])
        change, precision = _regress_on_gradients(logarithm, own, rest)
        precision = precision / scale[:, None]
        shift += change
        shift -= (precision * shift).sum(axis=0) / precision.sum(axis=0)
    value = np.sqrt((precision * shift**2).sum() / precision.sum())
    n_shifts = precision.sum() ** 2 / (precision**2).sum()
    return Estimate(np.array([value]), np.array([value / np.sqrt(2 * n_shifts)]))


def _smooth_logarithm(frames: Array) -> Array:
    """Compute the logarithm of smoothed frames (energy, y, x)."""
    mean = np.nanmean(frames, axis=(1, 2), keepdims=True)
    full = np.where(np.isfinite(frames), frames, mean)
    smooth = np.stack([ndimage.gaussian_filter(frame, _SMOOTHED_PX) for frame in full])
    return np.asarray(np.log(np.maximum(smooth, 1e-3 * mean)))


def _select_pixels(images: Array, field: Field) -> Array:
    """Select the measured pixels of images (energy, y, x), weighted as in ``field`` and without their means."""
    values = images.reshape(len(images), -1)[:, field.measured]
    values = values * np.sqrt(field.weight[field.measured])
    return np.asarray(values - values.mean(axis=1, keepdims=True))


def _count_gradients(components: Array, gradients: Array) -> int:
    """Count the directions of gradients (axis, pixel) that lie in the space of components (component, pixel)."""
    if len(components) == 0:
        return 0
    space, along = np.linalg.qr(components.T)[0], np.linalg.qr(gradients.T)[0]
    return int((np.linalg.svd(along.T @ space, compute_uv=False) ** 2 > _EXPLAINED).sum())


def _regress_on_gradients(logarithm: Array, slopes: Array, rest: Array) -> tuple[Array, Array]:
    """Displacement (energy, axis) [px] of each frame and its precision for unit noise.

    Frames ``logarithm`` (energy, pixel) are regressed on their own ``slopes`` (axis, energy, pixel) and on ``rest``.
    """
    shift, precision = np.zeros((2, len(logarithm), len(slopes)))
    for index, frame in enumerate(logarithm):
        own = slopes[:, index] - (slopes[:, index] @ rest) @ rest.T
        covariance = np.linalg.pinv(own @ own.T)
        shift[index] = covariance @ (own @ frame)
        precision[index] = 1 / np.maximum(np.diag(covariance), 1e-300)
    return shift, precision
