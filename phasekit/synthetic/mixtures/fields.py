"""Specimens on a fine grid: thickness, and the share of every reference in each of its points."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, gaussian_filter

from ..particles import draw_places, find_nearest_seed, make_outline

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
#: Points of the fine grid along each side of a pixel: grains of a third of a pixel can be told apart.
FINE = 3
#: A point counts as pure when one reference has at least this share.
PURE_SHARE = 0.98


class Mixture(NamedTuple):
    """A specimen on the fine grid."""

    thickness: Array  # (y, x) [nm], 0 where empty
    share: Array  # (reference, y, x), sums to 1 in material and is 0 elsewhere
    mixed: Mask  # (y, x), material that is a mixture, or so finely grained that it passes for one
    width: Array  # (y, x) [px], distance over which the share falls from 1 to 0; infinite where it hardly changes


@dataclass(frozen=True)
class MixtureSettings:
    """What the mixtures of a specimen are drawn from.

    Attributes
    ----------
    grain_px
        Size [px] of the grains of a nano-mixture.
    rim_px
        Range [px] of the widths over which gradual rims fall from one phase to the other.
    share
        Range of the mean share of the first phase of a pair in a solution or nano-mixture.
    variation
        Standard deviation of the share's slow changes inside a particle; half of the particles have them.
    """

    grain_px: float = 0.6
    rim_px: tuple[float, float] = (2.0, 15.0)
    share: tuple[float, float] = (0.1, 0.9)
    variation: float = 0.12


class Fill(NamedTuple):
    """The inside of one particle: share of the first of the pair, whether mixed, and over which width it changes."""

    share: Array
    mixed: Mask | bool
    width: Array | float


def draw_mixture(
    shape: tuple[int, int],
    kinds: tuple[str, ...],
    settings: MixtureSettings,
    *,
    pairs: list[tuple[int, int]],
    n_references: int,
    n_particles: int,
    rng: np.random.Generator,
) -> Mixture:
    """Draw particles and fill each with a mixture of one of ``kinds``.

    Parameters
    ----------
    shape
        Frame (y, x) [px]; the fine grid has three points along each side of a pixel.
    kinds
        Kinds of filling, taken in turn in random order, so that each occurs.
    settings
        What the mixtures are drawn from.
    pairs
        References that mix with each other.
    n_references, n_particles
        Number of references; particles to place. One that finds no room is left out.
    rng
        Source of randomness.
    """
    fine = (shape[0] * FINE, shape[1] * FINE)
    thickness, mixed = np.zeros(fine), np.zeros(fine, dtype=bool)
    share, width = np.zeros((n_references, *fine)), np.zeros(fine)
    order: list[str] = []
    for centre, radius in draw_places(fine, n_particles, rng):
        depth = make_outline(fine, centre, radius, rng)
        inside = (depth > 0) & (thickness == 0)
        # Every particle has its own stream: what one kind draws does not move the particles behind it.
        own = np.random.default_rng(rng.integers(2**63))
        order = order or [str(kind) for kind in rng.permutation(kinds)]
        fill = _FILLS[order.pop()](inside, settings, own)
        first, second = pairs[int(own.integers(len(pairs)))]
        if own.random() < 0.5:
            first, second = second, first
        thickness[inside] = own.uniform(120, 330) * depth[inside] ** 0.35
        share[first][inside] += fill.share[inside]
        share[second][inside] += 1 - fill.share[inside]
        mixed |= inside & fill.mixed
        width = np.where(inside, fill.width, width)
    # A rough surface: thickness varies within a particle, so that the scale of a spectrum says nothing on the share.
    thickness *= 1 + 0.12 * _draw_smooth_field(fine, 4.0 * FINE, rng)
    return Mixture(np.maximum(thickness, 0), share, mixed, width)


def list_pairs(compositions: Array) -> list[tuple[int, int]]:
    """Return the references that mix: neighbours in composition.

    A mixture of two others may look like the phase between them, and then has no fractions to be judged by.
    """
    order = [int(index) for index in np.argsort(compositions)]
    return list(pairwise(order)) or [(0, 0)]


def _draw_smooth_field(shape: tuple[int, int], sigma: float, rng: np.random.Generator) -> Array:
    """Random field of zero mean and unit variance, smooth over ``sigma`` points."""
    field = gaussian_filter(rng.standard_normal(shape), sigma, mode="wrap")
    return np.asarray((field - field.mean()) / max(float(field.std()), 1e-12))


def _draw_mean_share(inside: Mask, settings: MixtureSettings, rng: np.random.Generator) -> Array:
    """Share of the first of the pair: constant, or slowly varying over half the particle's radius."""
    mean = rng.uniform(*settings.share)
    radius = max(float(np.sqrt(inside.sum() / np.pi)), 1.0)
    field = _draw_smooth_field((inside.shape[0], inside.shape[1]), 0.5 * radius, rng)
    spread = settings.variation if rng.random() < 0.5 else 0.0
    return np.clip(mean + spread * field, 0, 1)


def _fill_pure(inside: Mask, settings: MixtureSettings, rng: np.random.Generator) -> Fill:
    del settings, rng
    return Fill(np.ones(inside.shape), False, 0.0)


def _fill_grains(inside: Mask, settings: MixtureSettings, rng: np.random.Generator) -> Fill:
    """Voronoi grains of the two pure phases with sharp boundaries, about one per 120 px2."""
    del settings
    points = np.argwhere(inside)
    count = max(2, round(len(points) / (120 * FINE**2)))
    seeds = points[rng.choice(len(points), count)].astype(float)
    phase = rng.permutation(np.arange(count) % 2)
    return Fill(phase[find_nearest_seed((inside.shape[0], inside.shape[1]), seeds)].astype(float), False, 0.0)


def _fill_solid(inside: Mask, settings: MixtureSettings, rng: np.random.Generator) -> Fill:
    """Solid solution."""
    return Fill(_draw_mean_share(inside, settings, rng), True, np.inf)


def _fill_nano(inside: Mask, settings: MixtureSettings, rng: np.random.Generator) -> Fill:
    """Grains of the two pure phases, a random field cut at the quantile of the mean share."""
    from scipy.special import ndtri

    mean = _draw_mean_share(inside, settings, rng)
    # A Gaussian field of this width crosses its mean about once per grain.
    field = _draw_smooth_field((inside.shape[0], inside.shape[1]), settings.grain_px * FINE / np.pi, rng)
    return Fill((field < ndtri(mean)).astype(float), True, np.inf)


def _fill_rims(inside: Mask, settings: MixtureSettings, rng: np.random.Generator) -> Fill:
    """Shell of the one phase, core of the other, and a linear fall of the share between them."""
    depth = distance_transform_edt(inside) / FINE
    low, high = settings.rim_px
    width = rng.uniform(low, max(low, min(high, float(depth.max()))))
    share = np.clip(1 - (depth - rng.uniform(0, 2)) / width, 0, 1)
    return Fill(share, (share > 1 - PURE_SHARE) & (share < PURE_SHARE), width)


def _fill_halves(inside: Mask, settings: MixtureSettings, rng: np.random.Generator) -> Fill:
    """One half pure, the other a solid solution: they meet in a sharp straight line."""
    y, x = np.indices(inside.shape)
    angle = rng.uniform(0, 2 * np.pi)
    across = y * np.cos(angle) + x * np.sin(angle)
    first = across > np.median(across[inside])
    share = np.where(first, 1.0, _draw_mean_share(inside, settings, rng))
    return Fill(share, ~first, np.where(first, 0.0, np.inf))


_FILLS: dict[str, Callable[[Mask, MixtureSettings, np.random.Generator], Fill]] = {
    "pure": _fill_pure,
    "grains": _fill_grains,
    "solid": _fill_solid,
    "nano": _fill_nano,
    "rims": _fill_rims,
    "halves": _fill_halves,
}
