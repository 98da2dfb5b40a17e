"""Which values of a scan are counts: marks of masked pixels, the detector's ceiling, and spikes of single patterns."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .disk_radius import estimate_disk_radius
from .noise import fit_noise_model
from .spikes import NARROWEST_RADIUS, SpikeLimits, make_spike_limits

Floats = NDArray[np.float64]
#: Values that detectors write into pixels that did not count: the largest numbers of 16 and 32 bits, and those before.
_MARKS = (2.0**16 - 1, 2.0**16 - 2, 2.0**32 - 1, 2.0**32 - 2, 2.0**31 - 1)
_NEGATIVE_MARKS = (-1.0, -2.0)
_RARE = 1e-3  # share of negative values beyond which they are noise about an offset, and no marks
_GROUPS = 10
_FEW_PATTERNS = 8  # with fewer the noise comes from the blocks of single patterns
_DARK = 5.0  # per cent of the detector's pixels, the darkest, whose level is the offset


class CountRules(NamedTuple):
    """What a value may be, for all patterns of a scan.

    Parameters
    ----------
    ceilings
        Values that are the detector's limit or a mark [counts].
    least
        Smaller values are marks [counts]; -inf where negative values are counts with noise.
    offset, dark_variance, gain
        Level [counts] and variance [counts^2] of the darkest pixels, and counts per electron.
    radius
        Radius of the narrowest disk that is kept [px]: half of the disks' own, at least 0.6.
    """

    ceilings: tuple[float, ...]
    least: float
    offset: float
    dark_variance: float
    gain: float
    radius: float = NARROWEST_RADIUS

    @property
    def electron(self) -> float:
        """Counts per electron, or the noise of the darkest pixels where the data do not tell [counts]."""
        return self.gain if self.gain > 0 else float(np.sqrt(self.dark_variance))

    @property
    def spike_limits(self) -> SpikeLimits:
        """Limits of the spike test; without noise nothing is a spike."""
        if self.electron <= 0:
            return SpikeLimits(np.inf, 0.0, 0.0, 0.0, 0.0)
        return make_spike_limits(self.offset, self.dark_variance, self.electron, self.radius)

    @property
    def has_pedestal(self) -> bool:
        """True where noise without electrons, or a constant level, dominates what the darkest pixels hold."""
        unexplained = abs(self.dark_variance - self.gain * self.offset)
        # Where the data do not tell the gain, only negative levels show that there is a pedestal.
        if self.gain <= 0 < self.offset:
            return False
        return unexplained > max(0.5 * self.dark_variance, 0.1 * self.electron**2)


def estimate_rules(sample: NDArray[Any]) -> CountRules:
    """Rules of a scan from a sample of its patterns ``(..., qy, qx)``."""
    ceilings = list_ceilings(sample.dtype)
    frames = sample.reshape(-1, *sample.shape[-2:])
    least = _find_least_count(frames)
    # Only what is a count serves the estimates.
    values = mark_no_counts(frames, ceilings, least)
    mean = _compute_mean(values)
    rules = CountRules(ceilings, least, *_fit_noise(values, mean))
    values[:, find_bright_alone(mean, rules, len(values))] = np.nan
    # Spikes may hide the disks, and the disks say what is a spike: from the narrowest disk on, in rounds.
    for _ in range(3):
        remove_spikes(values, rules.spike_limits)
        rules = rules._replace(radius=max(_estimate_radius(values) / 2, NARROWEST_RADIUS))
    return rules


def _compute_mean(values: Floats) -> Floats:
    """Mean (qy, qx) over the patterns in which a pixel was measured; NaN where it never was."""
    measured = np.isfinite(values).sum(axis=0)
    return np.where(measured > 0, np.nansum(values, axis=0) / np.maximum(measured, 1), np.nan)


def _fit_noise(values: Floats, mean: Floats) -> tuple[float, float, float]:
    """Level and variance of the darkest pixels, and counts per electron, of patterns (pattern, qy, qx) [counts].

    Pixels are sorted by their mean into ten groups. Real changes over the scan only add variance, so that in each group
    the quartile of the variances is nearest to counting, and of the slopes between groups the second smallest.
    """
    known = np.isfinite(mean)
    offset = float(np.percentile(mean[known], _DARK)) if known.any() else 0.0
    v0, gain = fit_noise_model(values)
    # A level that would have no noise at all is no pedestal that the blocks could tell.
    dark = v0 + gain * offset
    in_blocks = (offset, dark, gain) if dark > 0 else (min(offset, 0.0), 0.0, gain)
    if len(values) < _FEW_PATTERNS or not known.any():
        return in_blocks
    squares = np.nansum((values[:, known] - mean[known]) ** 2, axis=0)
    variance = squares / np.maximum(np.isfinite(values[:, known]).sum(axis=0) - 1, 1)
    # Dead pixels and those under a beam stop do not count; at low dose most pixels have not counted yet.
    alive = variance > 0
    if alive.mean() > 0.5:
        known[known] = alive
        variance = variance[alive]
    order = np.argsort(mean[known], kind="stable")
    levels = np.array([np.median(part) for part in np.array_split(mean[known][order], _GROUPS)])
    noise = np.array([np.percentile(part, 25) for part in np.array_split(variance[order], _GROUPS)])
    rise = levels - levels[0]
    slopes = np.sort((noise[1:] - noise[0])[rise[1:] > 0] / rise[1:][rise[1:] > 0])
    gain = float(slopes[min(1, slopes.size - 1)]) if slopes.size else 0.0
    # At low dose most pixels have counted nothing, and only blocks of pixels show a variance.
    return (float(levels[0]), float(noise[0]), gain) if gain > 0 else in_blocks


def remove_spikes(patterns: Floats, limits: SpikeLimits) -> None:
    """Set the spikes of patterns (pattern, qy, qx) to NaN, in place."""
    from .spikes import list_spikes

    found = np.empty(patterns[0].size, np.int64)
    for image in patterns:
        image.ravel()[found[: list_spikes(image, limits, found)]] = np.nan


def find_bright_alone(mean: Floats, rules: CountRules, n: int) -> NDArray[np.bool_]:
    """Pixels whose sum over ``n`` patterns of this mean (qy, qx) [counts] is a spike beside its neighbours."""
    alone = mean[None] * n
    summed = rules._replace(offset=rules.offset * n, dark_variance=rules.dark_variance * n)
    remove_spikes(alone, summed.spike_limits)
    return np.isnan(alone[0])


def _estimate_radius(values: Floats) -> float:
    """Radius [px] of the disks in patterns with NaN.

    It is measured on the brightest spot near that of the mean pattern, where a spike of a single pattern counts little.
    """
    from scipy.ndimage import gaussian_filter

    smooth = gaussian_filter(np.nan_to_num(_compute_mean(values)), 1.0)
    place = np.unravel_index(smooth.argmax(), smooth.shape)
    y, x = np.indices(smooth.shape)
    near = np.maximum(np.abs(y - place[0]), np.abs(x - place[1])) <= max(min(smooth.shape) // 8, 4)
    return estimate_disk_radius(values, gaussian_filter, near)


def list_ceilings(dtype: np.dtype[Any]) -> tuple[float, ...]:
    """Values of a type that say "no count" or "more than this"."""
    if dtype.kind == "f":
        return tuple(sorted({float(dtype.type(mark)) for mark in _MARKS}))
    if dtype.kind not in "iu":
        return ()
    highest = np.iinfo(dtype).max
    own = {float(highest)} | ({float(highest) - 1} if highest > 255 else set())
    return tuple(sorted(own | {mark for mark in _MARKS if mark <= highest}))


def mark_no_counts(frames: NDArray[Any], ceilings: tuple[float, ...], least: float) -> Floats:
    """The frames in double precision, NaN where a value is infinite, a mark, or the detector's limit."""
    values = frames.astype(np.float64)
    with np.errstate(invalid="ignore"):
        bad = ~np.isfinite(values) | (values < least)
        # Nearly all blocks hold no ceiling, so that one comparison is enough.
        if ceilings and (values >= ceilings[0]).any():
            bad |= np.isin(values, ceilings)
    values[bad] = np.nan
    return values


def _find_least_count(frames: NDArray[Any]) -> float:
    """0 where negative values can only be marks, otherwise -inf.

    Marks are whole numbers: -1, -2, or the smallest number of the type. They are rare, but for pixels that always hold
    one. Noise about an offset makes negative values of any size in many pixels.
    """
    if frames.dtype.kind in "ub":
        return -np.inf
    negative = frames < 0
    if not negative.any():
        return 0.0
    lowest = float(np.iinfo(frames.dtype).min) if frames.dtype.kind == "i" else -(2.0**31)
    always = (negative | ~np.isfinite(frames)).all(axis=0)
    elsewhere = negative & ~always
    marks = np.isin(frames[negative], (*_NEGATIVE_MARKS, lowest)).all()
    crowded = elsewhere.mean() > _RARE or always.mean() > 0.5
    return 0.0 if marks and not crowded else -np.inf
