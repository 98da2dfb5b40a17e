"""Spots and grains of ``bent_and_twinned``: reciprocal lattices, excitation errors, patterns, grains and fields."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.ndimage import distance_transform_edt, gaussian_filter

Array = np.ndarray[Any, Any]
# Cell lengths [angstrom], angle between a and b [degrees], and the rule of allowed reflections.
MATERIALS: dict[str, tuple[float, float, float, float, str]] = {
    "rock salt": (4.1, 4.1, 4.1, 90, "face"),
    "spinel": (8.1, 8.1, 8.1, 90, "face"),
    "metal": (3.5, 3.5, 3.5, 90, "body"),
    "layered": (2.85, 2.85, 14.2, 120, "obverse"),
    "olivine": (10.3, 6.0, 4.7, 90, "primitive"),
    "rutile": (4.6, 4.6, 2.95, 90, "primitive"),
}


@dataclass(frozen=True)
class Optics:
    """Disks, detector and Ewald sphere; lengths of the reciprocal space in 1/angstrom unless they say px."""

    detector: tuple[int, int]
    centre: Array
    scale: float  # px per 1/angstrom
    radius: float  # px
    softness: float  # px
    rocking: float
    wave_number: float
    direct: float
    diffuse: float


def list_reflections(material: str, limit: float, rng: np.random.Generator) -> tuple[Array, Array]:
    """Allowed reciprocal lattice vectors (n, 3) [1/angstrom] up to ``limit`` and their strengths (n,)."""
    a, b, c, angle, rule = MATERIALS[material]
    gamma = np.deg2rad(angle)
    cell = np.array([[a, 0, 0], [b * np.cos(gamma), b * np.sin(gamma), 0], [0, 0, c]])
    most = np.ceil(limit * np.array([a, b, c])).astype(int) + 1
    h, k, l = (np.arange(-m, m + 1) for m in most)  # noqa: E741
    hkl = np.stack(np.meshgrid(h, k, l, indexing="ij"), -1).reshape(-1, 3)
    # Friedel pairs share their structure factor.
    random = rng.normal(size=len(hkl))
    factor = np.exp(0.7 * (random + random[::-1]) / np.sqrt(2))
    allowed = {
        "face": np.ptp(hkl % 2, axis=1) == 0,
        "body": hkl.sum(axis=1) % 2 == 0,
        "obverse": (-hkl[:, 0] + hkl[:, 1] + hkl[:, 2]) % 3 == 0,
        "primitive": np.ones(len(hkl), bool),
    }[rule]
    g = hkl @ np.linalg.inv(cell).T
    length = np.linalg.norm(g, axis=1)
    keep = allowed & (length < limit) & (length > 0)
    return g[keep], (factor * np.exp(-2.2 * length**2))[keep]


def rotate_about(axis: Array, angle: float) -> Array:
    """Rotation matrix (3, 3) about a unit vector by an angle [radian], after Rodrigues."""
    x, y, z = axis
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


def orient_on_row(g: Array, strength: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """Turn a crystal so that a strong row lies in the detector plane, near a zone axis; the row's direction (3,)."""
    rank = np.linalg.norm(g, axis=1) / strength**0.2
    low = g[np.argsort(rank * rng.uniform(0.8, 1.25, len(g)))[:30]]
    row, second = low[rng.integers(0, 12)], low[rng.integers(30)]
    while np.linalg.norm(np.cross(row, second)) < 0.2 * np.linalg.norm(row) * np.linalg.norm(second):
        second = low[rng.integers(30)]
    x, z = row / np.linalg.norm(row), np.cross(row, second)
    z /= np.linalg.norm(z)
    turned = g @ np.stack([x, np.cross(z, x), z]).T
    turned = turned @ rotate_about(np.array([1.0, 0, 0]), rng.normal(0, np.deg2rad(2.5))).T
    turn = rotate_about(np.array([0, 0, 1.0]), rng.uniform(0, 2 * np.pi))
    return turned @ turn.T, turn[:, 0]


def compute_excitation(g: Array, optics: Optics, tilt: Array | None = None) -> Array:
    """Intensity (n,) between 0 and 1 of the reflections by their distance from the Ewald sphere."""
    s = g[:, 2] - (g[:, :2] ** 2).sum(axis=1) / (2 * optics.wave_number)
    s = s if tilt is None else s + g[:, :2] @ tilt
    ratio = (s / optics.rocking) ** 2
    return np.asarray(0.92 * np.exp(-ratio / 2) + 0.08 * np.exp(-ratio / 12))


def draw_orientation(g: Array, strength: Array, optics: Optics, rng: np.random.Generator) -> Array:
    """Reflections (n, 3) of a grain: any orientation near or far from a zone axis with at least three strong spots."""
    for _ in range(200):
        turned = orient_on_row(g, strength, rng)[0]
        # Some grains are far from any zone axis: few spots.
        angle = rng.uniform(0.1, 0.6) if rng.random() < 0.25 else abs(rng.normal(0, np.deg2rad(3)))
        direction = rng.uniform(0, 2 * np.pi)
        turned = turned @ rotate_about(np.array([np.cos(direction), np.sin(direction), 0]), angle).T
        intensity = strength * compute_excitation(turned, optics)
        if intensity.sum() ** 2 / (intensity**2).sum() > 3:
            return np.asarray(turned)
    raise RuntimeError("no orientation with three spots")


def render_disks(positions: Array, weights: Array, optics: Optics) -> Array:
    """Image (qy, qx) of disks at positions (n, 2) [px] (y, x), each with its weight as its sum."""
    half = int(np.ceil(optics.radius + 4 * optics.softness))
    steps = np.arange(-half, half + 1)
    nearest = np.round(positions).astype(int)
    y, x = nearest[:, 0, None, None] + steps[:, None], nearest[:, 1, None, None] + steps
    r = np.hypot(y - positions[:, 0, None, None], x - positions[:, 1, None, None])
    values = 0.5 * (1 - np.tanh((r - optics.radius) / optics.softness))
    values *= weights[:, None, None] / values.sum(axis=(1, 2), keepdims=True)
    image = np.zeros(optics.detector)
    y, x = np.broadcast_arrays(y, x)
    seen = (y >= 0) & (x >= 0) & (y < image.shape[0]) & (x < image.shape[1])
    np.add.at(image, (y[seen], x[seen]), values[seen])
    return image


def render_diffuse(shape: Array, optics: Optics, shift: Array) -> Array:
    """Rings (qy, qx) of sum 1: rows (radius, width, weight) [1/angstrom] of Gaussians in the radius."""
    y, x = np.indices(optics.detector)
    r = np.hypot(y - optics.centre[0] - shift[0], x - optics.centre[1] - shift[1]) / optics.scale
    image = sum(weight * np.exp(-(((r - at) / width) ** 2) / 2) for at, width, weight in shape)
    return np.asarray(image / np.sum(image))


def render_crystal(g: Array, strength: Array, optics: Optics, rng: np.random.Generator, changes: list[Any]) -> Array:
    """Patterns (level, qy * qx) of a crystal for each (tilt (2,), strain (2, 2), shift (2,) px); mean sum about 1."""
    tds = np.array([[0.0, 0.3, 1.0], [0.0, 0.7, 0.5]])
    direct = optics.direct * rng.uniform(0.7, 1.2)
    diffuse = optics.diffuse * rng.uniform(0.5, 1.5)
    intensities = [strength * compute_excitation(g, optics, tilt) for tilt, _, _ in changes]
    bragg = (1 - direct - diffuse) / np.mean([one.sum() for one in intensities])
    images = []
    for (_, strain, shift), one in zip(changes, intensities, strict=True):
        seen = one > 1e-3 * one.max()
        spots = (g[seen, :2] @ (np.eye(2) + strain))[:, ::-1] * optics.scale + optics.centre + shift
        image = render_disks(spots, bragg * one[seen], optics)
        image += render_disks((optics.centre + shift)[None], np.array([direct]), optics)
        images.append(image + diffuse * render_diffuse(tds, optics, shift))
    return np.stack(images).reshape(len(images), -1)


def render_background(kind: str, optics: Optics, rng: np.random.Generator, shifts: list[Array]) -> Array:
    """Patterns (level, qy * qx) of an amorphous film, of a binder or of the vacuum, for each shift (2,) [px]."""
    at = rng.uniform(0.24, 0.34)
    rings = {
        "film": [[0.0, 0.15, rng.uniform(0.3, 2)], [at, 0.06, 1.0], [1.9 * at, 0.12, 0.4], [0, 0.6, 0.3]],
        "binder": [[0.0, 0.08, 1.0], [rng.uniform(0.45, 0.6), 0.035, 0.9], [0.0, 0.5, 0.15]],
        "vacuum": [[0.0, 0.09, 1.0], [0.0, 0.4, 0.05]],
    }[kind]
    direct = optics.direct * rng.uniform(0.3, 0.6) if kind != "vacuum" else rng.uniform(0.8, 0.95)
    disks = [render_disks((optics.centre + d)[None], np.array([direct]), optics) for d in shifts]
    images = [
        disk + (1 - direct) * render_diffuse(np.array(rings), optics, d) for disk, d in zip(disks, shifts, strict=True)
    ]
    return np.stack(images).reshape(len(images), -1)


def draw_field(shape: tuple[int, int], length: float, rng: np.random.Generator) -> Array:
    """Smooth random field (scan_y, scan_x) of mean 0 and standard deviation 1; ``length`` as a share of the scan."""
    values = gaussian_filter(rng.normal(size=shape), length * min(shape), mode="nearest")
    return np.asarray((values - values.mean()) / values.std())


def draw_dense_grains(count: int, shape: tuple[int, int], rng: np.random.Generator) -> Array:
    """Cells (grain, scan_y, scan_x) of a polycrystal, 0 or 1: sizes differ and boundaries are wavy."""
    grid = np.indices(shape).reshape(2, -1).T.astype(float)
    seeds = rng.uniform(0, shape, (count, 2))
    spacing = np.sqrt(np.prod(shape) / count)
    for _ in range(2):
        owner = ((grid[:, None] - seeds) ** 2).sum(axis=2).argmin(axis=1)
        seeds = np.array([grid[owner == i].mean(axis=0) if (owner == i).any() else seeds[i] for i in range(count)])
    seeds += rng.normal(0, 0.2 * spacing, seeds.shape)
    warp = np.stack([draw_field(shape, 0.08, rng).ravel() for _ in range(2)], 1) * 0.12 * spacing
    distance = ((grid + warp - seeds[:, None]) ** 2).sum(axis=2) - rng.uniform(0, 0.5, (count, 1)) * spacing**2
    owner = distance.argmin(axis=0).reshape(shape)
    return (owner == np.arange(count)[:, None, None]).astype(float)


def draw_particles(count: int, shape: tuple[int, int], size: tuple[float, float], rng: np.random.Generator) -> Array:
    """Overlapping ellipses (particle, scan_y, scan_x), thick in the middle; mean radius within ``size`` [points]."""
    grid = np.stack(np.indices(shape), -1).astype(float)
    particles = []
    for _ in range(count):
        radius, stretch, angle = rng.uniform(*size), rng.uniform(1, 1.6), rng.uniform(0, np.pi)
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        offset = (grid - rng.uniform(0.08, 0.92, 2) * shape) @ turn / (radius * np.array([stretch**0.5, stretch**-0.5]))
        particles.append((1 - (offset**2).sum(axis=-1)).clip(0) ** rng.uniform(0.2, 0.6))
    return np.stack(particles)


def draw_change(kind: str, grain: Array, rng: np.random.Generator) -> Array:
    """Field (scan_y, scan_x) from -1 to 1: drift in time, or ramp, bend contour and core-shell within a grain."""
    y, x = np.indices(grain.shape)
    if kind == "beam drift":
        time_ = (y + x / grain.shape[1]) / grain.shape[0]
        descan = rng.uniform(0, 0.4) * x / grain.shape[1]
        values = [time_, 1 - np.exp(-3 * time_), time_ + descan][rng.integers(3)]
        return np.asarray(2 * (values - values.min()) / np.ptp(values) - 1)
    inside = grain > 0.02 * grain.max()
    angle = rng.uniform(0, 2 * np.pi)
    ramp = y * np.cos(angle) + x * np.sin(angle)
    depth = distance_transform_edt(np.pad(inside, 1))[1:-1, 1:-1]
    shape = [ramp, (ramp - ramp[inside].mean()) ** 2, gaussian_filter(depth, 1)][rng.choice(3, p=[0.5, 0.2, 0.3])]
    low, high = shape[inside].min(), shape[inside].max()
    return np.asarray(2 * ((shape - low) / max(high - low, 1e-9)).clip(0, 1) - 1)
