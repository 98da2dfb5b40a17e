"""Kernels of image registration: features that survive contrast inversion, pair shifts and their reconciliation."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

Array = NDArray[np.float64]


class FrameShifts(NamedTuple):
    """Frame shifts (frame, 2) that fit the pair shifts best, and the residual (pair,) of each pair [px]."""

    shift: Array
    residual: Array


def compute_gradient_features(frame: NDArray[np.floating], sigma: float) -> NDArray[np.float32]:
    """Compute the gradient length of the smoothed log counts; it does not change when the contrast inverts."""
    positive = np.maximum(np.asarray(frame, dtype=np.float64), 0.0)
    # Smoothing comes before the logarithm, because the logarithm of single counts is dominated by noise.
    smooth = ndimage.gaussian_filter(positive, sigma)
    # The logarithm needs positive counts; 0.1 % of the maximum is below any measured transmission.
    floor = max(1e-3 * float(smooth.max(initial=0.0)), 1e-12)
    gradient = np.gradient(np.log(np.maximum(smooth, floor)))
    return np.hypot(*gradient).astype(np.float32)


def compute_spectrum(feature: NDArray[np.floating], shift: Array) -> NDArray[np.complexfloating]:
    """Compute the Fourier transform of a feature image after ``shift`` (y, x) is undone.

    A window suppresses the border of the frame. The image is scaled to unit norm, so that the maximum of a
    cross-correlation is a correlation coefficient.
    """
    moved = ndimage.shift(feature, -shift, order=1, mode="nearest") if np.any(shift) else feature
    window = np.outer(*(_make_taper(n) for n in moved.shape))
    # Without its mean the window itself would correlate with every other window.
    centred = (moved - np.average(moved, weights=window)) * window
    norm = np.sqrt(np.sum(centred**2))
    return fft.fft2(centred / norm if norm > 0 else np.zeros_like(centred))


def _make_taper(n: int) -> Array:
    """Make a flat window with cosine flanks over an eighth of the length at each end."""
    ramp = np.minimum(np.arange(n) + 0.5, n - np.arange(n) - 0.5) / max(n / 8, 1.0)
    return np.sin(0.5 * np.pi * np.minimum(ramp, 1.0)) ** 2


def select_frame_pairs(n: int) -> NDArray[np.intp]:
    """Select the frame pairs to compare.

    A short stack takes all of them. A long one takes near neighbours and a few distant pairs against slow drift.
    """
    # All pairs of n frames grow as n squared, so long stacks are limited to six lags.
    lags = range(1, n) if n <= 16 else (1, 2, 3, 5, 8, 13)
    return np.array([(i, i + lag) for lag in lags for i in range(n - lag)], dtype=np.intp).reshape(-1, 2)


def find_pair_shift(first: NDArray[Any], second: NDArray[Any], max_shift: float) -> tuple[float, float, float]:
    r"""Find the shift of the second frame relative to the first by cross-correlation.

    Parameters
    ----------
    first, second
        Spectra from :func:`compute_spectrum`.
    max_shift
        Largest shift allowed in y and in x [px].

    Returns
    -------
    tuple
        Shift in y and x [px], and height of the correlation there.

    Notes
    -----
    The maximum of :math:`\mathcal{F}^{-1}[F_2 F_1^*]` is found on whole pixels. Two finer grids of 0.1 px and 0.01 px
    follow (Guizar-Sicairos, Thurman, Fienup, Opt. Lett. 33, 156, 2008).
    """
    product = second * np.conj(first)
    correlation = fft.ifft2(product).real
    steps = [fft.fftfreq(n, 1 / n) for n in correlation.shape]
    # Beyond the limit a periodic specimen has maxima as high as the true one.
    allowed = (np.abs(steps[0])[:, None] <= max_shift) & (np.abs(steps[1])[None, :] <= max_shift)
    best = np.unravel_index(np.argmax(np.where(allowed, correlation, -np.inf)), correlation.shape)
    centre = np.array([steps[axis][best[axis]] for axis in (0, 1)])
    # Two small grids cost far less than one up-sampled transform of the whole frame.
    for width, n_points in ((1.0, 21), (0.1, 21)):
        centre, height = _refine_maximum(product, centre, width, n_points)
    return float(centre[0]), float(centre[1]), height


def _refine_maximum(product: NDArray[Any], centre: Array, width: float, n_points: int) -> tuple[Array, float]:
    """Find the maximum of the correlation on a finer grid around ``centre``, by a matrix Fourier transform."""
    grids = [c + np.linspace(-width, width, n_points) for c in centre]
    frequencies = [fft.fftfreq(n) for n in product.shape]
    left, right = (np.exp(2j * np.pi * np.outer(g, f)) for g, f in zip(grids, frequencies, strict=True))
    local = (left @ product @ right.T).real / product.size
    row, column = np.unravel_index(np.argmax(local), local.shape)
    return np.array([grids[0][row], grids[1][column]]), float(local[row, column])


def fit_frame_shifts(pairs: NDArray[np.intp], shifts: Array, weights: Array, n: int, reference: int) -> FrameShifts:
    r"""Fit frame shifts to pair shifts by least squares with Cauchy weights.

    The weight of pair (i, j) with the residual :math:`r_{ij}` is multiplied by

    .. math:: \frac{1}{1 + (r_{ij} / c)^2}, \quad c = \max(1.5 \, \mathrm{median}(r), 0.02).

    Pairs that disagree with most others lose their influence. Shifts are in pixels, relative to frame ``reference``.
    """
    robust = np.ones(len(pairs))
    for _ in range(30):
        solution = _solve_least_squares(pairs, shifts, weights * robust, n, reference)
        residual = np.hypot(*(shifts - (solution[pairs[:, 1]] - solution[pairs[:, 0]])).T)
        # The scale follows the residuals, and 0.02 px keeps a perfect fit from weighting by rounding errors.
        scale = max(1.5 * float(np.median(residual)), 0.02)
        robust = 1.0 / (1.0 + (residual / scale) ** 2)
    return FrameShifts(solution, residual)


def estimate_shift_error(
    features: NDArray[np.floating], shift: Array, pairs: NDArray[np.intp], reference: int
) -> Array:
    """Estimate the standard error (frame,) of the frame shifts [px] from the two halves of the image.

    Upper and lower half see the same shift through different photons and different structure, as do left and right
    half. Their difference contains the noise and the change of contrast with energy. The agreement of frame pairs hides
    both. Two halves tell little about one frame, so its own scatter and the median over the frames have equal weight.
    """
    moved = np.stack([ndimage.shift(f, -s, order=1, mode="nearest") for f, s in zip(features, shift, strict=True)])
    squared = np.zeros(len(features))
    for axis in (1, 2):
        one, other = (
            _estimate_remaining_shifts(half, pairs, reference) for half in np.array_split(moved, 2, axis=axis)
        )
        # The whole image has twice the data of a half, so its error is half the difference of the halves. The mean
        # over two ways to divide the image gives the factor 1/8.
        squared += ((one - other) ** 2).sum(axis=1) / 8
    error = np.sqrt((squared + np.median(squared)) / 2)
    return np.asarray(np.where(np.arange(len(features)) == reference, 0.0, error))


def _estimate_remaining_shifts(features: NDArray[np.floating], pairs: NDArray[np.intp], reference: int) -> Array:
    """Estimate the shift (frame, 2) that aligned frames still seem to have in this part of the image."""
    spectra = [compute_spectrum(feature, np.zeros(2)) for feature in features]
    # Aligned frames differ by little; a wider search would find chance peaks in half an image.
    limit = min(3.0, min(features.shape[1:]) / 4)
    found = np.array([find_pair_shift(spectra[i], spectra[j], limit) for i, j in pairs])
    return fit_frame_shifts(pairs, found[:, :2], compute_pair_weights(found[:, 2]), len(features), reference).shift


def compute_pair_weights(height: Array) -> Array:
    """Compute the weight of a pair from the height h of its correlation, :math:`h^2 / (1 - h^2)`."""
    height = np.clip(height, 0.0, 0.99)
    # The signal-to-noise ratio of a correlation; the small constant keeps the normal matrix invertible.
    return np.asarray(height**2 / (1 - height**2) + 1e-6)


def _solve_least_squares(pairs: NDArray[np.intp], shifts: Array, weights: Array, n: int, reference: int) -> Array:
    """Solve the weighted least squares for frame shifts relative to frame ``reference``."""
    design = np.zeros((len(pairs), n))
    rows = np.arange(len(pairs))
    design[rows, pairs[:, 1]], design[rows, pairs[:, 0]] = 1.0, -1.0
    # The shifts are known up to a common one, which the reference fixes.
    design[:, reference] = 0.0
    normal = design.T @ (weights[:, None] * design)
    solution = np.linalg.pinv(normal) @ (design.T @ (weights[:, None] * shifts))
    return np.asarray(solution - solution[reference])
