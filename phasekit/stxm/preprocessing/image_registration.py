"""Kernels of frame registration: features that survive contrast inversion, pair shifts, their reconciliation."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

Array = NDArray[np.float64]


class FrameShifts(NamedTuple):
    """Frame shifts (n, 2) that agree best with the pair shifts, and each pair's residual."""

    shift: Array
    residual: Array


def compute_gradient_features(frame: NDArray[np.floating], sigma: float) -> NDArray[np.float32]:
    """Length of the gradient of the smoothed log counts: the same whether a particle is darker or brighter."""
    positive = np.maximum(np.asarray(frame, dtype=np.float64), 0.0)
    smooth = ndimage.gaussian_filter(positive, sigma)
    floor = max(1e-3 * float(smooth.max(initial=0.0)), 1e-12)
    gradient = np.gradient(np.log(np.maximum(smooth, floor)))
    return np.hypot(*gradient).astype(np.float32)


def compute_spectrum(feature: NDArray[np.floating], shift: Array) -> NDArray[np.complexfloating]:
    """Fourier transform of a feature image after undoing ``shift``, windowed so that the frame's border has no say."""
    moved = ndimage.shift(feature, -shift, order=1, mode="nearest") if np.any(shift) else feature
    window = np.outer(*(_make_taper(n) for n in moved.shape))
    centred = (moved - np.average(moved, weights=window)) * window
    norm = np.sqrt(np.sum(centred**2))
    return fft.fft2(centred / norm if norm > 0 else np.zeros_like(centred))


def _make_taper(n: int) -> Array:
    """Flat window with cosine flanks over an eighth of the length at each end."""
    ramp = np.minimum(np.arange(n) + 0.5, n - np.arange(n) - 0.5) / max(n / 8, 1.0)
    return np.sin(0.5 * np.pi * np.minimum(ramp, 1.0)) ** 2


def select_frame_pairs(n: int) -> NDArray[np.intp]:
    """Frame pairs to compare: all of a short stack; else near neighbours, and a few far ones against slow drift."""
    lags = range(1, n) if n <= 16 else (1, 2, 3, 5, 8, 13)
    return np.array([(i, i + lag) for lag in lags for i in range(n - lag)], dtype=np.intp).reshape(-1, 2)


def find_pair_shift(first: NDArray[Any], second: NDArray[Any], max_shift: float) -> tuple[float, float, float]:
    """Where the second frame's content lies relative to the first [px] (y, x), and the correlation's height."""
    product = second * np.conj(first)
    correlation = fft.ifft2(product).real
    steps = [fft.fftfreq(n, 1 / n) for n in correlation.shape]
    allowed = (np.abs(steps[0])[:, None] <= max_shift) & (np.abs(steps[1])[None, :] <= max_shift)
    best = np.unravel_index(np.argmax(np.where(allowed, correlation, -np.inf)), correlation.shape)
    centre = np.array([steps[axis][best[axis]] for axis in (0, 1)])
    for width, n_points in ((1.0, 21), (0.1, 21)):
        centre, height = _refine_maximum(product, centre, width, n_points)
    return float(centre[0]), float(centre[1]), height


def _refine_maximum(product: NDArray[Any], centre: Array, width: float, n_points: int) -> tuple[Array, float]:
    """Maximum of the correlation on a finer grid around ``centre``, by a matrix Fourier transform."""
    grids = [c + np.linspace(-width, width, n_points) for c in centre]
    frequencies = [fft.fftfreq(n) for n in product.shape]
    left, right = (np.exp(2j * np.pi * np.outer(g, f)) for g, f in zip(grids, frequencies, strict=True))
    local = (left @ product @ right.T).real / product.size
    row, column = np.unravel_index(np.argmax(local), local.shape)
    return np.array([grids[0][row], grids[1][column]]), float(local[row, column])


def reconcile_shifts(pairs: NDArray[np.intp], shifts: Array, weights: Array, n: int, reference: int) -> FrameShifts:
    """Frame shifts from pair shifts: least squares with Cauchy weights, so that wrong pairs are outvoted."""
    robust = np.ones(len(pairs))
    for _ in range(30):
        solution = _solve_weighted(pairs, shifts, weights * robust, n, reference)
        residual = np.hypot(*(shifts - (solution[pairs[:, 1]] - solution[pairs[:, 0]])).T)
        scale = max(1.5 * float(np.median(residual)), 0.02)
        robust = 1.0 / (1.0 + (residual / scale) ** 2)
    return FrameShifts(solution, residual)


def estimate_shift_error(
    features: NDArray[np.floating], shift: Array, pairs: NDArray[np.intp], reference: int
) -> Array:
    """Standard error (n,) of the frame shifts: half of what the two halves of the image disagree by.

    Upper and lower half, and left and right, see the same shift through other photons and other structure, so their
    disagreement holds noise and the contrast's change with energy, which the agreement of frame pairs hides. Two halves
    say little about one frame: its own scatter and the median over the frames count alike.
    """
    moved = np.stack([ndimage.shift(f, -s, order=1, mode="nearest") for f, s in zip(features, shift, strict=True)])
    squared = np.zeros(len(features))
    for axis in (1, 2):
        one, other = (
            _estimate_remaining_shifts(half, pairs, reference) for half in np.array_split(moved, 2, axis=axis)
        )
        squared += ((one - other) ** 2).sum(axis=1) / 8
    error = np.sqrt((squared + np.median(squared)) / 2)
    return np.asarray(np.where(np.arange(len(features)) == reference, 0.0, error))


def _estimate_remaining_shifts(features: NDArray[np.floating], pairs: NDArray[np.intp], reference: int) -> Array:
    """Shift (n, 2) that frames aligned already seem to have in this part of the image."""
    spectra = [compute_spectrum(feature, np.zeros(2)) for feature in features]
    limit = min(3.0, min(features.shape[1:]) / 4)
    found = np.array([find_pair_shift(spectra[i], spectra[j], limit) for i, j in pairs])
    return reconcile_shifts(pairs, found[:, :2], weight_by_correlation(found[:, 2]), len(features), reference).shift


def weight_by_correlation(height: Array) -> Array:
    """Weight of a pair by the height of its correlation."""
    height = np.clip(height, 0.0, 0.99)
    return np.asarray(height**2 / (1 - height**2) + 1e-6)


def _solve_weighted(pairs: NDArray[np.intp], shifts: Array, weights: Array, n: int, reference: int) -> Array:
    design = np.zeros((len(pairs), n))
    rows = np.arange(len(pairs))
    design[rows, pairs[:, 1]], design[rows, pairs[:, 0]] = 1.0, -1.0
    design[:, reference] = 0.0
    normal = design.T @ (weights[:, None] * design)
    solution = np.linalg.pinv(normal) @ (design.T @ (weights[:, None] * shifts))
    return np.asarray(solution - solution[reference])
