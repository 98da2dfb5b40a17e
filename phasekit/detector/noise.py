"""Noise of a detector, from small dark blocks of single patterns: variance against mean."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
_BLOCK = 4  # [px] side of the blocks the noise is measured in
#: Per cent of a pattern's blocks, the darkest, that are taken as free of spots.
QUIET = 60


def fit_noise_model(patterns: NDArray[np.floating]) -> tuple[float, float]:
    r"""Fit :math:`v(m) = v_0 + g m` to variance and mean of small dark blocks of patterns ``(n, qy, qx)``.

    Blocks of 4 x 4 px in the darker part of each pattern are used; a block with a NaN is left out. They are selected by
    their mean alone. For Poisson counts the expected variance given the mean is that mean, so the selection does not
    bias the slope.

    Returns
    -------
    tuple
        v0 [counts^2] and gain g [counts]; 0 and 0 without a usable block.
    """
    mean, variance, quiet = _select_quiet_blocks(patterns)
    if not quiet.any():
        return 0.0, 0.0
    m, v = mean[quiet], variance[quiet]
    # The variance of a sample variance grows with the square of the level: blocks are weighted accordingly.
    lowest = np.percentile(m, 1)
    typical = max(float(np.abs(m - lowest).mean()), 1e-12)
    weight = 1 / ((m - lowest) ** 2 + typical**2)
    centre = np.average(m, weights=weight)
    spread = np.average((m - centre) ** 2, weights=weight)
    level = np.average(v, weights=weight)
    # All blocks on one level cannot give a slope.
    if spread <= 1e-9 * typical**2:
        return float(level), 0.0
    # A negative slope has no meaning; it happens where the levels hardly differ.
    gain = max(float(np.average((m - centre) * (v - level), weights=weight) / spread), 0.0)
    return float(level - gain * centre), gain


def _select_quiet_blocks(patterns: NDArray[np.floating]) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    """Means, variances and selection ``(pattern, block)`` of the blocks."""
    ny, nx = (n // _BLOCK * _BLOCK for n in patterns.shape[-2:])
    blocks = patterns[:, :ny, :nx].reshape(-1, ny // _BLOCK, _BLOCK, nx // _BLOCK, _BLOCK).astype(np.float64)
    mean = blocks.mean(axis=(2, 4)).reshape(len(patterns), -1)
    variance = blocks.var(axis=(2, 4), ddof=1).reshape(len(patterns), -1)
    whole = np.isfinite(mean).all(axis=0)
    # Patterns with a single missing value lose a block in all patterns, so that percentiles stay those of one set.
    mean, variance = mean[:, whole], variance[:, whole]
    if mean.size == 0:
        return mean, variance, np.zeros(mean.shape, dtype=bool)
    above = mean - mean.min()
    one_count = np.min(above, where=above > 0, initial=np.inf)  # at low dose most blocks are empty
    least = mean.min() + 2 * one_count if np.isfinite(one_count) else mean.min()
    # At low dose the darkest blocks are all empty; the limit must admit blocks with one count and with two.
    quiet = mean <= np.maximum(np.percentile(mean, QUIET, axis=1, keepdims=True), least)
    # Saturated or empty outside the beam.
    return mean, variance, quiet & ((variance * quiet).sum(axis=1, keepdims=True) > 0)
