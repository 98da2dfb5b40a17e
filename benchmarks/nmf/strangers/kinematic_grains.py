"""Scans of polycrystals whose patterns come from real crystal structures, written without sight of the rule for k.

Grains of fcc Ni, LiFePO4 and LiNiO2 lie in a curved Voronoi map with soft boundaries, holes and a thickness map. Their
spots are kinematic; log-normal factors per grain and reflection imitate dynamical diffraction. Backgrounds (direct
beam, holey amorphous film, contamination) have patterns and extents of their own.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from time import perf_counter
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from phasekit import rotations
from phasekit.crystals import crystal
from phasekit.diffraction import Reflections, reflections, wavelength
from phasekit.synthetic.spot_painting import simulate_spots
from phasekit.synthetic.structures import sample_phases

Array = NDArray[np.float64]

_OXIDE = [("Li", 0.0, 0.0, 0.5, 1.0, 1.0), ("Ni", 0.0, 0.0, 0.0, 1.0, 0.4), ("O", 0.0, 0.0, 0.242, 1.0, 0.6)]
_DEFAULTS: dict[str, Any] = {
    "backgrounds": ("direct", "film"),  # without "direct" a beam stop covers the direct beam
    "phases": ("Ni", "LiFePO4"),  # grains take them in turn
    "holes": 0.15,  # vacuum cells per grain
    "softness": 0.7,  # width of a boundary [scan points]
    "radius": 2.0,  # of the disks [px]
    "half_width": 1.1,  # |g| at the nearer edge of the detector [1/angstrom]
    "precession": 0.6,  # [degrees]
    "scatter": 0.0,  # standard deviation of the logarithm of the factor of a reflection
    "swing": 0.0,  # amplitude of the change of a reflection's intensity with thickness
    "layers": 1,  # grains stacked through the thickness
    "low_angle": False,  # nearest grains of one phase 2 to 6 degrees apart
    "loss": 0.8,  # part of the beam that a foil of mean thickness scatters: 1 - exp(-loss)
}
_CONDITIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "dynamical": {"scatter": 0.9},
    "dynamical with thickness": {"scatter": 0.6, "swing": 0.5},
    "overlap": {"scatter": 0.5, "layers": 2, "holes": 0.3},
    "low angle": {"scatter": 0.3, "low_angle": True},
    "background alone": {},
}
# Condition, components, electrons per pattern, scan, detector, settings.
_ROWS = """
plain | 4 | 460 | 32 32 | 56 56
plain | 9 | 121 | 48 40 | 48 48 | phases=LiNiO2 backgrounds=film
plain | 14 | 4233 | 64 64 | 60 60 | holes=0.3 radius=1.6 precession=0
plain | 2 | 62 | 24 24 | 40 40 | phases=Ni backgrounds=direct
plain | 19 | 1117 | 96 96 | 56 56 | phases=Ni+LiFePO4+LiNiO2 softness=1.5
dynamical | 3 | 8238 | 16 16 | 64 64 | phases=LiFePO4 backgrounds=direct
dynamical | 6 | 189 | 40 40 | 56 56 | scatter=0.6 holes=0.4
dynamical | 11 | 717 | 64 48 | 48 64 | phases=LiNiO2+Ni scatter=1.2
dynamical | 8 | 20000 | 48 48 | 48 48 | phases=LiNiO2 backgrounds=contamination+film radius=1.7
dynamical | 16 | 295 | 72 72 | 52 52 | softness=2 loss=0.5
dynamical | 5 | 50 | 48 48 | 48 48 | phases=LiFePO4+LiNiO2 backgrounds=contamination
dynamical with thickness | 3 | 1395 | 32 32 | 64 64 | phases=Ni backgrounds=direct
dynamical with thickness | 7 | 3390 | 48 48 | 56 56 | swing=0.3
dynamical with thickness | 10 | 12841 | 56 56 | 48 48 | phases=LiFePO4 backgrounds=film
dynamical with thickness | 6 | 368 | 40 48 | 60 60 | phases=LiNiO2 swing=0.8 backgrounds=direct+contamination
dynamical with thickness | 13 | 152 | 64 64 | 48 48 | phases=Ni+LiFePO4+LiNiO2
overlap | 5 | 2175 | 32 40 | 72 72 | phases=Ni+LiNiO2
overlap | 8 | 574 | 48 48 | 56 56 | phases=LiFePO4 backgrounds=film
overlap | 12 | 6598 | 64 56 | 48 48 | scatter=0 backgrounds=direct+film+contamination
overlap | 18 | 16032 | 64 80 | 48 48 | layers=3 radius=1.5 loss=1.2
overlap | 20 | 236 | 128 128 | 48 48 | phases=Ni+LiFePO4+LiNiO2 softness=2
low angle | 4 | 97 | 32 32 | 60 60 | phases=LiFePO4 backgrounds=direct
low angle | 7 | 895 | 48 48 | 56 56 | phases=LiNiO2 radius=1.6
low angle | 9 | 5285 | 40 48 | 64 64 | phases=LiFePO4 precession=0
low angle | 15 | 2715 | 64 64 | 56 56 | phases=Ni+LiFePO4 radius=1.6
background alone | 1 | 78 | 40 40 | 48 48 | backgrounds=film
background alone | 1 | 1742 | 32 48 | 56 56 | backgrounds=film_and_beam
background alone | 1 | 10285 | 48 48 | 52 52 | backgrounds=contamination
"""
_LARGEST_COSINE = 0.97
_SMALLEST_RATIO = 0.01  # of singular values of unit maps and patterns; the rule of the task is 0.001
_FEWEST_POINTS = 25
_FEWEST_ELECTRONS = 30


@dataclass(frozen=True)
class Case:
    """One scan: its truth, its dose (mean electrons per pattern) and its settings."""

    name: str
    condition: str
    n_components: int
    electrons: float
    shape: tuple[int, int]
    detector: tuple[int, int]
    seed: int
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class _Grain:
    """Spots of a grain: disks (reflection, pixel), their mean intensities, and their change with thickness."""

    disks: Array
    intensity: Array
    period: Array
    phase: Array
    diffuse: Array  # (pixel,), what the grain scatters between the spots

    @property
    def pattern(self) -> Array:
        """Pattern (pixel,) at the mean of the change with thickness."""
        return self.intensity @ self.disks + self.diffuse


@dataclass(frozen=True)
class _Truth:
    """Noise-free scan: maps (component, y, x) in electrons, unit patterns (component, pixel); grains first."""

    maps: Array
    patterns: Array
    thickness: Array  # (y, x), about 1
    grains: list[_Grain]


@lru_cache(maxsize=1)
def _crystals() -> dict[str, Reflections]:
    phases = [*sample_phases(), crystal("LiNiO2", 166, (2.878, 2.878, 14.19, 90, 90, 120), _OXIDE)]
    return {phase.name: reflections(phase, 2.2) for phase in phases}


def _draw_smooth(shape: tuple[int, int], rng: np.random.Generator, part: float = 0.16) -> Array:
    """Smooth random field of mean 0 and standard deviation 1; its length is a part of the scan."""
    image = gaussian_filter(rng.normal(size=shape), part * min(shape), mode="reflect")
    return np.asarray((image - image.mean()) / image.std())


def _draw_thickness(shape: tuple[int, int], rng: np.random.Generator) -> Array:
    """Wedge with a smooth waviness, about 1 and at least 0.2."""
    y, x = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
    turn, slope = rng.uniform(0, 2 * np.pi), rng.uniform(0.1, 0.45)
    wedge = slope * (y * np.sin(turn) + x * np.cos(turn))
    return np.maximum(1 + wedge + rng.uniform(0.08, 0.2) * _draw_smooth(shape, rng), 0.2)


def _draw_centres(shape: tuple[int, int], n: int, rng: np.random.Generator) -> Array:
    """Centres (n, 2) of cells, each the farthest of a few candidates from those before it."""
    centres = rng.uniform(size=(1, 2)) * shape
    for _ in range(n - 1):
        candidates = rng.uniform(size=(6, 2)) * shape
        gap = np.linalg.norm(candidates[:, None] - centres, axis=-1).min(axis=1)
        centres = np.vstack([centres, candidates[np.argmax(gap)]])
    return np.asarray(centres)


def _draw_layer(case: Case, n_grains: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """Share (grain, y, x) of each grain in one layer, and the centres (grain, 2); cells of vacuum are left out."""
    holes = case.settings["holes"]
    n_cells = n_grains + (max(1, round(holes * n_grains)) if holes > 0 else 0)
    centres = _draw_centres(case.shape, n_cells, rng)[rng.permutation(n_cells)]
    points = np.stack(np.meshgrid(*(np.arange(n) + 0.5 for n in case.shape), indexing="ij"), axis=-1)
    size = np.sqrt(np.prod(case.shape) / n_cells)
    points = points + 0.12 * size * np.stack([_draw_smooth(case.shape, rng, 0.07) for _ in "yx"], axis=-1)
    distance = np.empty((n_cells, *case.shape))
    for n, centre in enumerate(centres):
        turn, stretch = rng.uniform(0, np.pi), np.exp(rng.uniform(-0.35, 0.35))
        axes = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]]) * [[stretch], [1 / stretch]]
        distance[n] = np.linalg.norm((points - centre) @ axes.T, axis=-1) - 0.12 * size * rng.normal()
    share = np.exp(-(distance - distance.min(axis=0)) / case.settings["softness"])
    share /= share.sum(axis=0)
    return share[:n_grains], centres[:n_grains]


def _paint(case: Case, position: Array, centre: Array, radius: float) -> Array:
    """Unit disks (disk, pixel) with soft edges at positions (disk, 2) relative to the beam [px]."""
    y, x = np.meshgrid(*(np.arange(n) for n in case.detector), indexing="ij")
    middle = position + centre
    distance = np.hypot(y - middle[:, 0, None, None], x - middle[:, 1, None, None])
    disks = 1 / (1 + np.exp(np.clip((distance - radius) / 0.35, -50, 50)))
    return np.asarray(disks.reshape(len(position), -1) / (np.pi * radius**2))


def _measure_q(case: Case, centre: Array) -> Array:
    """Length of the scattering vector of each pixel (pixel,) [1/angstrom]."""
    y, x = np.meshgrid(*(np.arange(n) - c for n, c in zip(case.detector, centre, strict=True)), indexing="ij")
    return np.asarray(np.hypot(y, x).ravel() * _pixel_size(case))


def _pixel_size(case: Case) -> float:
    return float(2 * case.settings["half_width"] / min(case.detector))


def _draw_grain(case: Case, phase: str, quaternion: Array, centre: Array, rng: np.random.Generator) -> _Grain:
    """Spots of one grain, with its own thickness, log-normal factors and diffuse part."""
    g, intensity = simulate_spots(
        _crystals()[phase],
        quaternion,
        wave=wavelength(200.0),
        thickness_nm=rng.uniform(9, 25),
        precession_deg=case.settings["precession"],
    )
    intensity = intensity * np.exp(case.settings["scatter"] * rng.normal(size=len(g)))
    disks = _paint(case, g / _pixel_size(case), centre, case.settings["radius"])
    seen = (disks.sum(axis=1) > 0.3) & (intensity > 2e-3 * intensity.max(initial=0))
    disks, intensity = disks[seen], intensity[seen]
    diffuse = np.exp(-_measure_q(case, centre) / rng.uniform(0.25, 0.5))
    # Stronger reflections have the shorter extinction distance, so they change faster with thickness.
    period = rng.uniform(0.7, 2.5, size=len(intensity)) * (1.3 - 0.5 * np.sqrt(intensity / intensity.max(initial=1e-30)))
    part = rng.uniform(0.1, 0.35)
    return _Grain(
        disks,
        (1 - part) * intensity / max((intensity @ disks).sum(), 1e-30),
        period,
        rng.uniform(0, 2 * np.pi, size=len(intensity)),
        part * diffuse / diffuse.sum(),
    )


def _draw_quaternion(case: Case, near: list[Array], rng: np.random.Generator) -> Array:
    """Any orientation, or one 2 to 6 degrees from that of the nearest grain drawn before."""
    if not near:
        return np.asarray(rotations.random(1, rng)[0])
    return np.asarray(rotations.multiply(near[0], rotations.about_axis(rng.normal(size=3), rng.uniform(2, 6))))


def _draw_grains(case: Case, centres: Array, beam: Array, open_pixels: Array, rng: np.random.Generator) -> list[_Grain]:
    """Grains whose patterns differ pairwise and have a few spots; the beam stop counts."""
    grains: list[_Grain] = []
    quaternions: list[Array] = []
    phases = case.settings["phases"]
    for n in range(len(centres)):
        before = [m for m in range(n) if (n - m) % len(phases) == 0] if case.settings["low_angle"] else []
        before.sort(key=lambda m, n=n: float(np.linalg.norm(centres[m] - centres[n])))  # type: ignore[misc]
        for _ in range(60):
            quaternion = _draw_quaternion(case, [quaternions[m] for m in before], rng)
            grain = _draw_grain(case, phases[n % len(phases)], quaternion, beam, rng)
            spots = grain.intensity[(grain.disks @ open_pixels) > 0.5]
            many = spots.sum() ** 2 > 3 * (spots**2).sum()
            others = [other.pattern * open_pixels for other in grains]
            if many and all(_cosine(grain.pattern * open_pixels, other) < _LARGEST_COSINE for other in others):
                break
        grains.append(grain)
        quaternions.append(quaternion)
    return grains


def _cosine(first: Array, second: Array) -> float:
    return float(first @ second / (np.linalg.norm(first) * np.linalg.norm(second)))


def _draw_background(
    case: Case, kind: str, beam: Array, thickness: Array, rng: np.random.Generator
) -> tuple[Array, Array]:
    """Map (y, x) relative to the incident beam and pattern (pixel,) of one background."""
    q, disk = _measure_q(case, beam), _paint(case, np.zeros((1, 2)), beam, case.settings["radius"])[0]
    if kind == "direct":
        tail = 1 / (q**2 + 0.08**2) ** 1.5
        return np.exp(-case.settings["loss"] * thickness), disk + 0.03 * tail / tail.sum()
    if kind == "film":
        rings = 0.6 * np.exp(-(((q - 0.49) / 0.09) ** 2)) + 0.25 * np.exp(-(((q - 0.85) / 0.11) ** 2))
        return rng.uniform(0.15, 0.4) * _draw_holey_film(case.shape, rng), np.exp(-q / 0.3) + rings
    if kind == "film_and_beam":  # uniform film: one pattern, its halo keeps step with the beam
        halo = np.exp(-q / 0.3) + 0.5 * np.exp(-(((q - 0.49) / 0.09) ** 2))
        return 1 + 0.1 * _draw_smooth(case.shape, rng), disk + 0.8 * halo / halo.sum()
    level = 1 / (1 + np.exp(-2.5 * (_draw_smooth(case.shape, rng, 0.22) - 0.2)))
    return rng.uniform(0.3, 0.5) * level, 1 / (q**2 + 0.12**2) ** 1.6


def _draw_holey_film(shape: tuple[int, int], rng: np.random.Generator) -> Array:
    """Amorphous film of uneven thickness with two or three round holes."""
    y, x = np.meshgrid(*(np.arange(n) for n in shape), indexing="ij")
    film = np.maximum(1 + 0.25 * _draw_smooth(shape, rng, 0.25), 0.2)
    for _ in range(rng.integers(2, 4)):
        middle, radius = rng.uniform(size=2) * shape, rng.uniform(0.12, 0.25) * min(shape)
        film = film * (0.02 + 0.98 / (1 + np.exp(-np.clip(np.hypot(y - middle[0], x - middle[1]) - radius, -40, 40))))
    return np.asarray(film)


def _draw_truth(case: Case, rng: np.random.Generator) -> _Truth:
    """Specimen, patterns and maps of one attempt."""
    kinds, loss = case.settings["backgrounds"], case.settings["loss"]
    n_crystals, n_layers = case.n_components - len(kinds), int(case.settings["layers"])
    beam = (np.array(case.detector) - 1) / 2 + rng.uniform(-1.2, 1.2, size=2)
    stop = 0.0 if {"direct", "film_and_beam"} & set(kinds) else rng.uniform(1.2, 1.7) * case.settings["radius"]
    open_pixels = (_measure_q(case, beam) >= stop * _pixel_size(case)).astype(float)
    layers, centres, total = [], [], np.zeros(case.shape)
    thickness = _draw_thickness(case.shape, rng)
    for n in range(n_layers if n_crystals else 0):
        share, middle = _draw_layer(case, (n_crystals + n_layers - 1 - n) // n_layers, rng)
        depth = (thickness if n == 0 else _draw_thickness(case.shape, rng)) / n_layers
        layers.append(share * (1 - np.exp(-loss * depth)) * np.exp(rng.normal(0, 0.25, size=(len(share), 1, 1))))
        centres.append(middle)
        total += share.sum(axis=0) * depth
    grains = _draw_grains(case, np.vstack(centres), beam, open_pixels, rng) if n_crystals else []
    backgrounds = [_draw_background(case, kind, beam, total, rng) for kind in kinds]
    maps = np.concatenate([*layers, *(image[None] for image, _ in backgrounds)])
    patterns = np.array([*(grain.pattern for grain in grains), *(p / p.sum() for _, p in backgrounds)]) * open_pixels
    maps = maps * patterns.sum(axis=1)[:, None, None] * (1 + 0.02 * rng.normal(size=case.shape))
    # Patterns and disks get the same scale: maps are in electrons and patterns sum to one.
    grains = [
        _Grain(g.disks * open_pixels / s, g.intensity, g.period, g.phase, g.diffuse * open_pixels / s)
        for g, s in zip(grains, patterns.sum(axis=1), strict=False)
    ]
    maps *= case.electrons / maps.sum(axis=0).mean()
    return _Truth(maps, patterns / patterns.sum(axis=1, keepdims=True), thickness, grains)


def _measure_truth(truth: _Truth) -> dict[str, float]:
    """What decides whether every component exists: points, electrons, largest cosine, ratios of singular values."""
    maps = truth.maps.reshape(len(truth.maps), -1)
    share = maps / np.maximum(maps.sum(axis=0), 1e-12)
    units = [rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (maps, truth.patterns)]
    ratios = [float(s[-1] / s[0]) for s in (np.linalg.svd(rows, compute_uv=False) for rows in units)]
    cosines = units[1] @ units[1].T - np.eye(len(maps))
    return {
        "points": float((share >= 0.1).sum(axis=1).min()),
        "electrons": float(maps.sum(axis=1).min()),
        "cosine": float(cosines.max()),
        "maps": ratios[0],
        "patterns": ratios[1],
    }


def _exists(found: dict[str, float]) -> bool:
    enough = found["points"] >= _FEWEST_POINTS and found["electrons"] >= _FEWEST_ELECTRONS
    return enough and found["cosine"] < _LARGEST_COSINE and min(found["maps"], found["patterns"]) > _SMALLEST_RATIO


def _read_value(text: str) -> Any:
    return float(text) if text[0].isdigit() else tuple(text.split("+"))


def _make_cases() -> dict[str, Case]:
    cases: dict[str, Case] = {}
    for seed, row in enumerate(_ROWS.strip().splitlines()):
        condition, k, electrons, shape, detector, *rest = (cell.strip() for cell in row.split("|"))
        words = (word.split("=") for word in " ".join(rest).split())
        settings = _DEFAULTS | _CONDITIONS[condition] | {key: _read_value(value) for key, value in words}
        (ny, nx), (dy, dx) = (tuple(map(int, cell.split())) for cell in (shape, detector))
        name = f"kinematic_grains_{seed:02d}"
        cases[name] = Case(name, condition, int(k), float(electrons), (ny, nx), (dy, dx), seed, settings)
    return cases


CASES: dict[str, Case] = _make_cases()


def draw_truth(case: Case) -> tuple[_Truth, dict[str, float]]:
    """First attempt in which every component exists, and what was measured of it."""
    for attempt in range(300):
        truth = _draw_truth(case, np.random.default_rng([case.seed, attempt, 4]))
        found = _measure_truth(truth)
        if _exists(found):
            return truth, found | {"attempt": float(attempt)}
    raise RuntimeError(f"{case.name}: no attempt in which every component exists. Mend its settings: {found}.")


def _compute_expected_row(case: Case, truth: _Truth, row: int) -> Array:
    """Expected counts (scan_x, pixel) of one row of the scan."""
    expected = truth.maps[:, row].T @ truth.patterns
    swing = case.settings["swing"]
    for n, grain in enumerate(truth.grains if swing > 0 else []):
        cycles = truth.thickness[row][:, None] / grain.period
        change = grain.intensity * swing * np.cos(2 * np.pi * cycles + grain.phase)
        expected += truth.maps[n, row][:, None] * (change @ grain.disks)
    return np.maximum(expected, 0)


def simulate(case: Case) -> xr.Dataset:
    """PATTERNS of one case [counts], with its truth in the attributes; the same case gives the same scan."""
    truth, found = draw_truth(case)
    rng = np.random.default_rng([case.seed, 5])
    counts = np.empty((*case.shape, *case.detector), np.float32)
    for row in range(case.shape[0]):
        expected = _compute_expected_row(case, truth, row)
        counts[row] = rng.poisson(expected).reshape(case.shape[1], *case.detector)
    step = float(rng.choice([2.0, 4.0, 5.0, 10.0]))
    dims, units = ("scan_y", "scan_x", "qy", "qx"), ("nm", "nm", "px", "px")
    coords = {
        dim: (dim, np.arange(n) * (step if unit == "nm" else 1.0), {"units": unit})
        for dim, n, unit in zip(dims, counts.shape, units, strict=True)
    }
    attrs = {
        "name": case.name,
        "condition": case.condition,
        "truth_n_components": case.n_components,
        "truth_n_crystals": len(truth.grains),
        "exactly_linear": int(case.settings["swing"] == 0),
        **{f"truth_{key}": value for key, value in found.items()},
    }
    return xr.Dataset({"intensity": (dims, counts, {"units": "counts"})}, coords, attrs)


def print_table() -> None:
    """Print every case with what was measured of its truth, and the time to simulate it."""
    for case in CASES.values():
        start = perf_counter()
        scan = simulate(case)
        mean = float(scan.intensity.sum(("qy", "qx")).mean())
        found = " ".join(f"{k[6:]}={v:.3g}" for k, v in scan.attrs.items() if k.startswith("truth_"))
        size = "x".join(map(str, scan.intensity.shape))
        print(f"{case.name} | {case.condition} | {mean:.0f} | {size} | {perf_counter() - start:.1f} s | {found}")


if __name__ == "__main__":
    print_table()
