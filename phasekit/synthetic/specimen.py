"""Grains of a simulated foil: their places, boundaries and orientations."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .. import rotations

Array = NDArray[np.float64]
#: Value of the grain and phase maps where there is no specimen.
VACUUM = -1


@dataclass(frozen=True)
class Specimen:
    """A foil of grains that ends inside the scan.

    Attributes
    ----------
    n_grains
        Number of Voronoi grains; they take the phases in turn.
    vacuum_fraction
        Part of the scan without specimen, 0 to 0.9.
    overlap_px
        Half-width of the inclined grain boundaries [scan pixels]: nearer than that both grains diffract, 50:50 on the
        boundary itself. 0 = upright boundaries.
    mosaic_deg
        Spread of the orientation inside a grain, standard deviation per rotation component [degrees].
    thickness_nm
        Foil thickness, drawn per grain between the two values [nm]. Kinematic intensities hold below the extinction
        distances, 20 nm and more for strong reflections at 200 kV. A thicker foil shows fewer spots here.
    """

    n_grains: int = 18
    vacuum_fraction: float = 0.12
    overlap_px: float = 1.0
    mosaic_deg: float = 0.15
    thickness_nm: tuple[float, float] = (8.0, 20.0)


@dataclass(frozen=True)
class Layout:
    """Grain maps (scan_y, scan_x) of a foil."""

    grain: NDArray[np.int64]  # -1: vacuum
    partner: NDArray[np.int64]  # grain that overlaps here, -1: none
    weight: Array  # share of the partner, 0 to 0.5


def make_voronoi_map(shape: tuple[int, int], specimen: Specimen, rng: np.random.Generator) -> Layout:
    r"""Voronoi grains with a wavy edge of the foil at the lower right.

    Let :math:`d_1 < d_2` be the distances of a point from the two nearest seeds, and :math:`s` that between the seeds.
    The point then lies at :math:`(d_2^2 - d_1^2) / 2s` from the boundary. The partner's weight falls linearly with it.
    """
    y, x = np.mgrid[: shape[0], : shape[1]].astype(float)
    seeds = _draw_seeds(shape, specimen.n_grains, rng)
    square = (y[..., None] - seeds[:, 0]) ** 2 + (x[..., None] - seeds[:, 1]) ** 2
    order = np.argsort(square, axis=-1)
    grain, partner = order[..., 0], order[..., min(1, specimen.n_grains - 1)]
    first, second = (np.take_along_axis(square, ids[..., None], axis=-1)[..., 0] for ids in (grain, partner))
    # The guards: a single grain is its own partner (distance 0), and upright boundaries have no width.
    apart = np.maximum(np.hypot(*(seeds[grain] - seeds[partner]).transpose(2, 0, 1)), 1e-9)
    distance = (second - first) / (2 * apart)
    weight = np.clip(0.5 * (1 - distance / max(specimen.overlap_px, 1e-9)), 0.0, 0.5)
    # A quantile of this field as threshold gives the asked share of vacuum whatever the shape of the edge.
    edge = x / shape[1] + 0.35 * y / shape[0] + 0.04 * np.sin(7 * y / shape[0] + rng.uniform(0, 6))
    vacuum = edge > np.quantile(edge, 1 - specimen.vacuum_fraction)
    alone = vacuum | (weight <= 0) | (grain == partner)
    return Layout(
        np.where(vacuum, VACUUM, grain), np.where(alone, VACUUM, partner), np.where(alone, 0.0, weight).astype(float)
    )


def _draw_seeds(shape: tuple[int, int], count: int, rng: np.random.Generator) -> Array:
    """Voronoi seeds (y, x) that keep a distance from each other."""
    # Best of twelve candidates: uniformly random seeds would leave grains of a few pixels.
    seeds = [rng.uniform(0, shape)]
    for _ in range(count - 1):
        candidates = rng.uniform(0, shape, size=(12, 2))
        nearest = np.min([np.hypot(*(candidates - seed).T) for seed in seeds], axis=0)
        seeds.append(candidates[np.argmax(nearest)])
    return np.array(seeds)


def draw_orientations(layout: Layout, specimen: Specimen, rng: np.random.Generator) -> tuple[Array, Array]:
    """Orientation of each grain, uniformly random, and of each pixel, (scan_y, scan_x, 4); NaN in vacuum."""
    grains = rotations.random(specimen.n_grains, rng)
    mosaic = rng.normal(scale=np.radians(specimen.mosaic_deg), size=(*layout.grain.shape, 3))
    # Applied on the right, in the sample frame; isotropic, so the frame does not matter.
    pixels = rotations.multiply(grains[layout.grain], rotations.from_vector(mosaic))
    return grains, np.where((layout.grain == VACUUM)[..., None], np.nan, pixels)
