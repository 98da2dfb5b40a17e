"""Particles made of grains: thickness, phase and composition on a grid of pixels."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

Array = NDArray[np.float64]


class Particles(NamedTuple):
    """What a specimen is made of, per pixel: thickness [nm] (0: empty), composition (NaN: empty), grain (-1: empty)."""

    thickness: Array
    composition: Array
    grain: NDArray[np.int64]
    grain_composition: Array


def draw_particles(
    shape: tuple[int, int], compositions: Array, *, n_particles: int, rim_px: float, rng: np.random.Generator
) -> Particles:
    """Scatter particles of several grains each over the middle of a canvas.

    Parameters
    ----------
    shape
        Frame (y, x) [px]; about a twentieth of it stays empty along each border.
    compositions
        Composition of every phase; each grain is one of them, and every phase occurs when there are enough grains.
    n_particles
        How many to try; one that finds no place is left out.
    rim_px
        Standard deviation [px] of the composition's blur between grains of one particle.
    rng
        Source of randomness.

    Returns
    -------
    Particles
        Arrays of ``shape``.
    """
    thickness = np.zeros(shape)
    grain = np.full(shape, -1, dtype=np.int64)
    particle = np.full(shape, -1, dtype=np.int64)
    grains: list[float] = []
    deck: list[float] = []
    for centre, radius in _draw_places(shape, n_particles, rng):
        depth = _make_outline(shape, centre, radius, rng)
        inside = (depth > 0) & (particle < 0)
        seeds = _draw_grain_seeds(centre, radius, rng)
        nearest = _find_nearest_seed(shape, seeds)
        grain[inside] = len(grains) + nearest[inside]
        particle[inside] = particle.max() + 1
        while len(deck) < len(seeds):
            deck += list(rng.permutation(compositions))
        grains += [deck.pop() for _ in seeds]
        thickness[inside] = rng.uniform(120, 330) * depth[inside] ** 0.35
    rough = gaussian_filter(rng.standard_normal(shape), 4.0)
    thickness *= 1 + 0.12 * rough / max(float(rough.std()), 1e-12)
    own = np.where(grain >= 0, np.array([*grains, np.nan])[grain], np.nan)
    return Particles(thickness, _mark_rims(own, particle, rim_px), grain, own)


def _draw_places(shape: tuple[int, int], n_particles: int, rng: np.random.Generator) -> list[tuple[Array, float]]:
    """Centres and mean radii [px] of particles that do not touch, the largest first."""
    typical = 0.47 * np.sqrt(shape[0] * shape[1] / max(n_particles, 1))
    radii = np.sort(typical * rng.uniform(0.65, 1.1, n_particles))[::-1]
    placed: list[tuple[Array, float]] = []
    for radius in radii:
        low = np.minimum(0.05 * np.array(shape) + 1.25 * radius, np.array(shape) / 2)
        for _ in range(200):
            centre = rng.uniform(low, np.array(shape) - low)
            if all(np.hypot(*(centre - other)) > 1.05 * (radius + size) for other, size in placed):
                placed.append((centre, float(radius)))
                break
    return placed


def _make_outline(shape: tuple[int, int], centre: Array, radius: float, rng: np.random.Generator) -> Array:
    """1 in the middle of an irregular blob, 0 on its outline, negative outside."""
    y, x = np.indices(shape, dtype=float)
    angle = np.arctan2(y - centre[0], x - centre[1])
    wave = sum(rng.normal(0, 0.10 / order) * np.cos(order * angle + rng.uniform(0, 2 * np.pi)) for order in range(2, 6))
    return np.asarray(1 - np.hypot(y - centre[0], x - centre[1]) / (radius * (1 + wave)))


def _draw_grain_seeds(centre: Array, radius: float, rng: np.random.Generator) -> Array:
    """Voronoi seeds [px], about one per 120 px2."""
    n = max(2, round(np.pi * radius**2 / 120))
    distance = radius * np.sqrt(rng.uniform(0, 1, n))
    angle = rng.uniform(0, 2 * np.pi, n)
    return np.asarray(centre + np.stack([distance * np.sin(angle), distance * np.cos(angle)], axis=1))


def _find_nearest_seed(shape: tuple[int, int], seeds: Array) -> NDArray[np.int64]:
    from scipy.spatial import cKDTree

    pixels = np.indices(shape).reshape(2, -1).T
    return np.asarray(cKDTree(seeds).query(pixels)[1].reshape(shape))


def _mark_rims(composition: Array, particle: NDArray[np.int64], sigma: float) -> Array:
    """Composition blurred inside each particle, so that grains meet in a rim of intermediate composition."""
    if sigma <= 0:
        return composition.copy()
    blurred = np.full_like(composition, np.nan)
    for index in range(particle.max() + 1):
        inside = particle == index
        weight = gaussian_filter(inside.astype(float), sigma)
        value = gaussian_filter(np.where(inside, composition, 0.0), sigma)
        blurred[inside] = value[inside] / weight[inside]
    return blurred
