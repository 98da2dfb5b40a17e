"""The kind of every detector pixel, from the images of one pass over a scan."""

from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from .outliers import SURROUNDING, convert_to_electrons, find_outliers, stack_offsets
from .regions import find_dark_bands, find_lines_and_gaps, find_saturated
from .scan_images import ScanImages, compute_scan_images
from .values import CountRules, estimate_rules, find_bright_alone

Image = NDArray[np.float64]
Flags = NDArray[np.bool_]

_SAMPLE = 7  # patterns along each scan axis that the rules for values are estimated from
_NONE = np.zeros((1, 1), dtype=bool)
_STILL = 0.5  # share of pixels without any change from which on nothing is said about those that do not change
_CHANCE = 1e-3  # that one pixel of the detector is called flickering by mistake
_DECISIVE = 30.0  # minus the logarithm of a chance that is never met


class PixelKind(IntEnum):
    """What a detector pixel is."""

    USED = 0
    DEAD = 1
    HOT = 2
    SATURATED = 3
    MASKED = 4
    LINE = 5
    GAP = 6
    BEAM_STOP = 7
    FLICKERING = 8
    CONSTANT = 9


#: Kinds that a pixel's own values prove, whatever lies beside it.
_PERMANENT = {kind: kind in (PixelKind.MASKED, PixelKind.SATURATED) for kind in PixelKind}


class PixelKinds(NamedTuple):
    """Kind of every pixel ``(qy, qx)``, the rules for values, and the images that they come from.

    In ``images`` bad pixels are replaced by the median of their neighbours. ``bad_patterns`` is the number of patterns
    in which a pixel holds no count or a spike.
    """

    kind: NDArray[np.int8]
    rules: CountRules
    images: ScanImages
    bad_patterns: Image


def find_pixel_kinds(intensity: xr.DataArray, step: str, *, gain: float = 1.0) -> PixelKinds:
    """Read the sample patterns, then all patterns, and find the kind of every pixel."""
    rules = estimate_rules(select_sample(intensity, _SAMPLE).to_numpy())
    images = compute_scan_images(intensity, step, rules=rules, gain=gain)
    return classify_pixels(images, rules)


def select_sample(intensity: xr.DataArray, side: int) -> xr.DataArray:
    """At most ``side`` x ``side`` patterns, spread evenly over the scan."""
    spread = {
        dim: np.unique(np.linspace(0, intensity.sizes[dim] - 1, min(intensity.sizes[dim], side)).round().astype(int))
        for dim in ("scan_y", "scan_x")
    }
    return intensity.isel(spread)


def classify_pixels(images: ScanImages, rules: CountRules) -> PixelKinds:
    """Kind of every pixel, by its values and by comparison with its neighbours."""
    found = _find_by_values(images, rules)
    saturated = found[PixelKind.SATURATED]
    cleaned = _replace_bad(images, _join(found) & ~saturated, saturated, rules)
    electrons = convert_to_electrons(cleaned, rules)
    constant = find_constant(images, electrons) & ~_join(found)
    cut = _find_cut_disks(constant, np.maximum(cleaned.mean - rules.offset, 0))
    saturated, constant = saturated | cut, constant & ~cut
    cleaned = _replace_bad(cleaned, constant, _NONE & cut, rules)
    odd = find_outliers(cleaned, rules)
    # Beside a shadow a true pixel has dark neighbours: there only comparison over the scan tells a hot one.
    open_field = ~_grow(odd.beam_stop)
    found = {value: flags & (open_field | _PERMANENT[value]) for value, flags in found.items()}
    hot = odd.hot | (find_bright_alone(cleaned.mean, rules, images.n_patterns) & open_field)
    hot &= ~_is_near_limit(images, rules.electron)
    layers = {
        PixelKind.HOT: hot,
        PixelKind.FLICKERING: hot & _is_dark_at_times(images, electrons, rules.electron),
        PixelKind.DEAD: odd.dead,
        PixelKind.CONSTANT: constant,
        PixelKind.BEAM_STOP: odd.beam_stop,
        PixelKind.GAP: find_dark_bands(electrons.mean, images.n_patterns),
    }
    kind = np.zeros(saturated.shape, dtype=np.int8)
    # The later kind of a pixel is the surer one.
    for value, flags in [*layers.items(), *found.items(), (PixelKind.SATURATED, saturated)]:
        kind[flags] = value
    line, gap = find_lines_and_gaps((kind > 0) & ~saturated & (kind != PixelKind.BEAM_STOP))
    kind[line & ~saturated], kind[gap & ~saturated] = PixelKind.LINE, PixelKind.GAP
    final = _replace_bad(cleaned, is_bad(kind) & (kind != PixelKind.BEAM_STOP), _NONE & cut, rules)
    # A spike at the limit is counted as both.
    alone = np.maximum(images.spikes, images.at_limit * ~saturated)
    return PixelKinds(kind, rules, final, alone + images.missing - images.missing.min() + images.marked)


def _find_cut_disks(constant: Flags, mean: Image) -> Flags:
    """Constant pixels in disks that a detector of fewer bits than its type cuts off: several, and bright around them.

    ``mean`` (qy, qx) [counts] is above the offset.
    """
    from scipy.ndimage import label

    out = np.zeros(constant.shape, dtype=bool)
    regions, count = label(constant, np.ones((3, 3)))
    for number in range(1, count + 1):
        region = regions == number
        # One pixel alone is no plateau, but at the highest count of all. Around a cut disk a third of it is reached.
        if region.sum() > 1 or mean[region].max() >= mean.max():
            out |= find_saturated(region, mean, 3 * float(np.median(mean[region])))
    return out


def is_bad(kind: NDArray[np.integer[Any]]) -> Flags:
    """Pixels that steps leave out; a saturated pixel shows where the beam is."""
    return (kind != PixelKind.USED) & (kind != PixelKind.SATURATED)


def find_constant(images: ScanImages, electrons: ScanImages) -> Flags:
    r"""Pixels with the same value in all patterns, where counting would have changed it.

    The most likely count of a mean of c electrons has the chance :math:`1 / \sqrt{2 \pi c}` in one pattern. Most pixels
    of the detector must change, because a scan without noise has constant pixels too.
    """
    still = images.lowest == images.highest
    surprise = images.measured * np.log(2 * np.pi * np.maximum(electrons.mean, 0.1)) / 2
    known = np.isfinite(images.highest)
    level = np.where(known, images.highest, 0)
    # The lowest value of all is what a detector writes where nothing arrived.
    darkest = float(images.lowest[known].min()) if known.any() else 0.0
    bright = level > darkest
    changing = bool((still & bright).sum() < _STILL * bright.sum())
    return still & bright & (surprise > _DECISIVE) & (images.measured > images.n_patterns / 2) & changing


def _find_by_values(images: ScanImages, rules: CountRules) -> dict[PixelKind, Flags]:
    """Pixels that are saturated, masked, hot or flickering by the values that the pass has left out."""
    # A lost pattern is missing in all pixels alike, and no pixel is to blame for it.
    lost = images.missing.min()
    half = max(images.n_patterns - lost, 1) / 2
    saturated = find_saturated(images.at_limit > half, images.mean, min(rules.ceilings, default=np.inf))
    masked = (images.missing - lost + images.marked + images.at_limit > half) & ~saturated
    events = images.spikes + images.marked
    hot = (events > half) & ~masked & ~saturated
    flickering = _find_frequent(events, masked | hot | saturated) & ~_is_at_limit_at_times(images)
    return {
        PixelKind.HOT: hot,
        PixelKind.FLICKERING: flickering,
        PixelKind.MASKED: masked,
        PixelKind.SATURATED: saturated,
    }


def _find_frequent(events: Image, known: Flags) -> Flags:
    """Pixels with more events than chance gives to any pixel at the rate of the others; ``known`` ones are left out."""
    from scipy import stats

    others = events[~known]
    if others.size == 0:
        return np.zeros(known.shape, dtype=bool)
    # Flickering pixels must not raise the rate that they are compared with. One event in all is the least rate known.
    rate = max(float(np.minimum(others, np.quantile(others, 0.95)).mean()), 1 / others.size)
    least = stats.poisson.isf(_CHANCE / others.size, rate)
    return (events > least) & ~known


def _is_dark_at_times(images: ScanImages, electrons: ScanImages, electron: float) -> Flags:
    """Pixels that in some pattern hold no more than counting makes of the mean of their neighbours."""
    around = np.sort(stack_offsets(electrons.mean, SURROUNDING), axis=0)[4]
    lowest = images.lowest / max(electron, 1e-12)
    return lowest <= around + 3 * np.sqrt(around) + 1


def _grow(flags: Flags) -> Flags:
    """The pixels and their neighbours."""
    from scipy.ndimage import binary_dilation

    return np.asarray(binary_dilation(flags, np.ones((3, 3))))


def _is_at_limit_at_times(images: ScanImages) -> Flags:
    """Pixels beside one that reaches the detector's limit with its neighbours, as disks do."""
    return _grow(images.at_limit > images.spikes)


def _is_near_limit(images: ScanImages, electron: float) -> Flags:
    """Pixels whose variance is that of a cut-off: they or their neighbours reach the highest count, and others do too.

    That two pixels have the same highest count by chance is unlikely from some hundred electrons on.
    """
    highest = np.where(np.isfinite(images.highest), images.highest, 0)
    at_top = highest == highest.max()
    if at_top.sum() < 2 or not highest.max() > 100 * electron:
        return _is_at_limit_at_times(images)
    return _grow(at_top) | _is_at_limit_at_times(images)


def _join(found: dict[PixelKind, Flags]) -> Flags:
    """Pixels of any of the kinds."""
    return np.any(list(found.values()), axis=0)


def _replace_bad(images: ScanImages, bad: Flags, saturated: Flags, rules: CountRules) -> ScanImages:
    """Images in which bad pixels have the median of their neighbours, and saturated ones the detector's limit."""
    if not (bad.any() or saturated.any()):
        return images
    limit = min(rules.ceilings, default=np.inf)
    mean, variance = fill_with_median(images.mean, bad), fill_with_median(images.variance, bad)
    mean[saturated], variance[saturated] = limit, limit * max(rules.gain, 1e-12)
    bad = bad | saturated
    # A product with a replaced pixel says nothing about its neighbour.
    right, down = (
        np.where(bad | np.roll(bad, -1, 1), 0, images.right),
        np.where(bad | np.roll(bad, -1, 0), 0, images.down),
    )
    measured = np.where(bad, images.n_patterns, images.measured)
    return images._replace(mean=mean, variance=variance, right=right, down=down, measured=measured)


def fill_with_median(image: Image, bad: Flags) -> Image:
    """The image with bad pixels replaced by the median of the good ones within two pixels, from the rim inwards."""
    out = np.where(bad, np.nan, image)
    while np.isnan(out).any():
        left = np.isnan(out)
        y, x = np.nonzero(left)
        padded = np.pad(out, 2, constant_values=np.nan)
        around = np.stack([padded[y + i, x + j] for i in range(5) for j in range(5)])
        known = np.isfinite(around).any(axis=0)
        if not known.any():  # no good pixel at all
            return np.nan_to_num(out)
        out[y[known], x[known]] = np.nanmedian(around[:, known], axis=0)
    return out
