"""Particles made of grains: thickness and composition on a grid of pixels, for simulated STXM stacks."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

Array = NDArray[np.float64]


class Particles(NamedTuple):
    """A specimen per pixel: thickness, composition and grain."""

    thickness: Array  # [nm], 0 where empty
    composition: Array  # blurred between the grains of a particle, NaN where empty
    grain: NDArray[np.int64]  # -1 where empty
    grain_composition: Array  # composition before the blur, NaN where empty


def draw_particles(
    shape: tuple[int, int], compositions: Array, *, n_particles: int, rim_px: float, rng: np.random.Generator
) -> Particles:
    """Draw particles of several grains each at random places of a frame.

    Parameters
    ----------
    shape
        Frame (y, x) [px]; about a twentieth of it stays empty along each border.
    compositions
        Composition of every phase; each grain is one of them, and every phase occurs when there are enough grains.
    n_particles
        Number of particles to place; one that finds no room is left out.
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
    remaining: list[float] = []
    for centre, radius in draw_places(shape, n_particles, rng):
        depth = make_outline(shape, centre, radius, rng)
        inside = (depth > 0) & (particle < 0)
        seeds = _draw_grain_seeds(centre, radius, rng)
        nearest = find_nearest_seed(shape, seeds)
        grain[inside] = len(grains) + nearest[inside]
        particle[inside] = particle.max() + 1
        # Compositions are drawn without replacement, so that every phase occurs as soon as there are enough grains.
        while len(remaining) < len(seeds):
            remaining += list(rng.permutation(compositions))
        grains += [remaining.pop() for _ in seeds]
        # The exponent gives a flat top with steep flanks; 330 nm has an optical density of 1.6 to 2 at V L3.
        thickness[inside] = rng.uniform(120, 330) * depth[inside] ** 0.35
    # A rough surface: thickness varies within a grain, so that the scale of a spectrum says nothing on the phase.
    roughness = gaussian_filter(rng.standard_normal(shape), 4.0)
    thickness *= 1 + 0.12 * roughness / max(float(roughness.std()), 1e-12)
    # Index -1, an empty pixel, takes the last entry: NaN.
    composition = np.where(grain >= 0, np.array([*grains, np.nan])[grain], np.nan)
    return Particles(thickness, _blur_composition(composition, particle, rim_px), grain, composition)


def draw_places(shape: tuple[int, int], n_particles: int, rng: np.random.Generator) -> list[tuple[Array, float]]:
    """Centres and mean radii [px] of particles that do not touch, the largest first."""
    # With this radius the particles together would cover about half of the frame.
    typical = 0.47 * np.sqrt(shape[0] * shape[1] / max(n_particles, 1))
    # Largest first: a large particle finds no room any more between small ones.
    radii = np.sort(typical * rng.uniform(0.65, 1.1, n_particles))[::-1]
    placed: list[tuple[Array, float]] = []
    for radius in radii:
        # The outline rarely reaches more than a quarter beyond the mean radius.
        low = np.minimum(0.05 * np.array(shape) + 1.25 * radius, np.array(shape) / 2)
        for _ in range(200):
            centre = rng.uniform(low, np.array(shape) - low)
            if all(np.hypot(*(centre - other)) > 1.05 * (radius + size) for other, size in placed):
                placed.append((centre, float(radius)))
                break
    return placed


def make_outline(shape: tuple[int, int], centre: Array, radius: float, rng: np.random.Generator) -> Array:
    """Relative depth in an irregular particle: 1 at its centre, 0 on its outline, negative outside."""
    y, x = np.indices(shape, dtype=float)
    angle = np.arctan2(y - centre[0], x - centre[1])
    # Order 1 is left out because it would only move the particle.
    wave = sum(rng.normal(0, 0.10 / order) * np.cos(order * angle + rng.uniform(0, 2 * np.pi)) for order in range(2, 6))
    return np.asarray(1 - np.hypot(y - centre[0], x - centre[1]) / (radius * (1 + wave)))


def _draw_grain_seeds(centre: Array, radius: float, rng: np.random.Generator) -> Array:
    """Voronoi seeds [px], about one per 120 px2."""
    n = max(2, round(np.pi * radius**2 / 120))
    # The square root makes the density uniform over the area instead of the radius.
    distance = radius * np.sqrt(rng.uniform(0, 1, n))
    angle = rng.uniform(0, 2 * np.pi, n)
    return np.asarray(centre + np.stack([distance * np.sin(angle), distance * np.cos(angle)], axis=1))


def find_nearest_seed(shape: tuple[int, int], seeds: Array) -> NDArray[np.int64]:
    """Index of the Voronoi cell of every pixel."""
    from scipy.spatial import cKDTree

    pixels = np.indices(shape).reshape(2, -1).T
    return np.asarray(cKDTree(seeds).query(pixels)[1].reshape(shape))


def _blur_composition(composition: Array, particle: NDArray[np.int64], sigma: float) -> Array:
    """Composition blurred inside each particle, so that it changes gradually from grain to grain."""
    if sigma <= 0:
        return composition.copy()
    blurred = np.full_like(composition, np.nan)
    for index in range(particle.max() + 1):
        inside = particle == index
        # Divided by the blurred mask: what lies outside the particle must not enter its composition.
        weight = gaussian_filter(inside.astype(float), sigma)
        value = gaussian_filter(np.where(inside, composition, 0.0), sigma)
        blurred[inside] = value[inside] / weight[inside]
    return blurred
