"""Scans of polycrystals whose patterns come from real crystal structures, written without sight of the rule for k.

Grains of Ni, LiFePO4 and LiNiO2 in a curved Voronoi map with soft boundaries, holes and a thickness map. Spots are
kinematic times log-normal factors. Direct beam, holey film and contamination have patterns and extents of their own.
"""

from dataclasses import dataclass
from functools import lru_cache
from time import perf_counter
from typing import Any, NamedTuple

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
# Without "direct" a beam stop covers the direct beam. Units: holes: vacuum cells per grain; softness (of a boundary):
# scan points; radius (of a disk): px; half_width (|g| at the edge): 1/angstrom; precession: degrees; scatter: standard
# deviation of the logarithm of a reflection's factor; swing: amplitude of its change with thickness; low_angle 1:
# neighbours 2 to 6 degrees apart; loss: a foil of mean thickness scatters 1 - exp(-loss) of the beam.
_DEFAULTS = """backgrounds=direct+film phases=Ni+LiFePO4 holes=0.15 softness=1 radius=2 half_width=1.1 precession=0.6
scatter=0 swing=0 layers=1 low_angle=0 loss=0.8 """
_CONDITIONS = {
    "dynamical": "scatter=0.9 ",
    "dynamical with thickness": "scatter=0.6 swing=0.5 ",
    "overlap": "scatter=0.5 layers=2 holes=0.3 ",
    "low angle": "scatter=0.3 low_angle=1 precession=1.5 ",
}
_ROWS = """condition | components | electrons per pattern | scan | detector | settings
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
    settings: dict[str, Any]


class _Frame(NamedTuple):
    """Detector: pixels (pixel,) relative to the beam [px], |q| (pixel,), pixel size [1/angstrom], beam stop (0, 1)."""

    y: Array
    x: Array
    q: Array
    pixel: float
    clear: Array

    def paint(self, position: Array, radius: float) -> Array:
        """Unit disks (disk, pixel) with soft edges at positions (disk, 2) relative to the beam [px]."""
        distance = np.hypot(self.y - position[:, :1], self.x - position[:, 1:])
        return np.asarray(1 / (1 + np.exp(np.clip((distance - radius) / 0.35, -50, 50))) / (np.pi * radius**2))


class _Grain(NamedTuple):
    """Disks (reflection, pixel), their mean intensities, their change with thickness, and the whole mean pattern."""

    disks: Array
    intensity: Array
    period: Array  # of the change [mean thickness]
    phase: Array
    pattern: Array


class _Truth(NamedTuple):
    """Noise-free scan: maps (component, y, x) in electrons, unit patterns (component, pixel); grains first."""

    maps: Array
    patterns: Array
    thickness: Array  # (y, x), about 1
    grains: list[_Grain]


@lru_cache(maxsize=1)
def _crystals() -> dict[str, Reflections]:
    phases = [*sample_phases(), crystal("LiNiO2", 166, (2.878, 2.878, 14.19, 90, 90, 120), _OXIDE)]
    return {phase.name: reflections(phase, 2.2) for phase in phases}


def _draw_frame(case: Case, rng: np.random.Generator) -> _Frame:
    beam = (np.array(case.detector) - 1) / 2 + rng.uniform(-1.2, 1.2, size=2)
    pixel = 2 * case.settings["half_width"] / min(case.detector)
    y, x = (np.indices(case.detector) - beam[:, None, None]).reshape(2, -1)
    hidden = {"direct", "film_and_beam"}.isdisjoint(case.settings["backgrounds"])
    stop = rng.uniform(1.2, 1.7) * case.settings["radius"] * hidden
    return _Frame(y, x, np.hypot(y, x) * pixel, pixel, (np.hypot(y, x) >= stop).astype(float))


def _draw_smooth(shape: tuple[int, int], rng: np.random.Generator, part: float = 0.16) -> Array:
    """Smooth random field of mean 0 and standard deviation 1; its length is a part of the scan."""
    image = gaussian_filter(rng.normal(size=shape), part * min(shape), mode="reflect")
    return np.asarray((image - image.mean()) / image.std())


def _draw_thickness(shape: tuple[int, int], rng: np.random.Generator) -> Array:
    """Wedge with a smooth waviness, about 1 and at least 0.2."""
    (y, x), turn = np.indices(shape) / max(shape) - 0.5, rng.uniform(0, 2 * np.pi)
    wedge = rng.uniform(0.2, 0.9) * (y * np.sin(turn) + x * np.cos(turn))
    return np.asarray(np.maximum(1 + wedge + rng.uniform(0.08, 0.2) * _draw_smooth(shape, rng), 0.2))


def _draw_layer(case: Case, n_grains: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """Share (grain, y, x) of each grain in one layer, and the centres (grain, 2); cells of vacuum are left out."""
    n_cells = n_grains + max(1, round(case.settings["holes"] * n_grains))
    centres, size = rng.uniform(size=(n_cells, 2)) * case.shape, np.sqrt(np.prod(case.shape) / n_cells)
    bend = np.stack([_draw_smooth(case.shape, rng, 0.07) for _ in "yx"], axis=-1)
    points = np.moveaxis(np.indices(case.shape), 0, -1) + 0.5 + 0.12 * size * bend
    distance = np.empty((n_cells, *case.shape))
    for n, centre in enumerate(centres):
        turn, stretch = rng.uniform(0, np.pi), np.exp(rng.uniform(-0.35, 0.35))
        axes = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]]) * [[stretch], [1 / stretch]]
        distance[n] = np.linalg.norm((points - centre) @ axes.T, axis=-1) - 0.15 * size * rng.normal()
    share = np.exp(-(distance - distance.min(axis=0)) / case.settings["softness"])
    return (share / share.sum(axis=0))[:n_grains], centres[:n_grains]


def _draw_grain(case: Case, phase: str, quaternion: Array, frame: _Frame, rng: np.random.Generator) -> _Grain:
    """Spots of one grain, with its own thickness, log-normal factors and diffuse part."""
    tilt, depth, wave = case.settings["precession"], rng.uniform(9, 25), wavelength(200.0)
    g, strength = simulate_spots(_crystals()[phase], quaternion, wave=wave, thickness_nm=depth, precession_deg=tilt)
    strength = strength * np.exp(case.settings["scatter"] * rng.normal(size=len(g)))
    disks = frame.paint(g / frame.pixel, case.settings["radius"])
    seen = (disks.sum(axis=1) > 0.3) & (strength > 2e-3 * strength.max(initial=0))
    disks, strength = disks[seen] * frame.clear, strength[seen] / max(strength[seen].max(initial=0), 1e-30)
    diffuse, part = np.exp(-frame.q / rng.uniform(0.25, 0.5)) * frame.clear, rng.uniform(0.1, 0.35)
    # Stronger reflections have the shorter extinction distance, so they change faster with thickness.
    period = rng.uniform(0.7, 2.5, size=len(strength)) * (1.3 - 0.5 * np.sqrt(strength))
    strength *= (1 - part) / max((strength @ disks).sum(), 1e-30)
    pattern = strength @ disks + part * diffuse / diffuse.sum()
    return _Grain(disks, strength, period, rng.uniform(0, 2 * np.pi, size=len(strength)), pattern)


def _draw_grains(case: Case, centres: Array, frame: _Frame, rng: np.random.Generator) -> list[_Grain]:
    """Grains whose patterns differ pairwise and have a few spots; attempts are limited, the scan is checked later."""
    phases, near = case.settings["phases"], bool(case.settings["low_angle"])
    grains, quaternions, units = [], np.zeros((len(centres), 4)), np.zeros((len(centres), frame.q.size))
    for n in range(len(centres)):
        before = np.arange(n % len(phases), n if near else 0, len(phases))
        for _ in range(60):
            quaternions[n] = rotations.random(1, rng)[0]
            if before.size:  # 2 to 6 degrees from the nearest grain of its phase drawn before
                nearest = before[np.linalg.norm(centres[before] - centres[n], axis=1).argmin()]
                turn = rotations.about_axis(rng.normal(size=3) * (1, 1, 2), rng.uniform(2, 6))
                quaternions[n] = rotations.multiply(quaternions[nearest], turn)
            grain = _draw_grain(case, phases[n % len(phases)], quaternions[n], frame, rng)
            spots = grain.intensity * grain.disks.sum(axis=1)
            units[n] = grain.pattern / np.linalg.norm(grain.pattern)
            if (units[:n] @ units[n]).max(initial=0) < 0.97 and spots.sum() ** 2 > 3 * (spots**2).sum():
                break
        grains.append(grain)
    return grains


def _draw_background(case: Case, kind: str, frame: _Frame, depth: Array, rng: np.random.Generator) -> list[Array]:
    """Map (y, x) relative to the incident beam and pattern (pixel,) of one background."""
    q, disk = frame.q, frame.paint(np.zeros((1, 2)), case.settings["radius"])[0]
    if kind == "direct":
        tail = 1 / (q**2 + 0.08**2) ** 1.5
        return [np.exp(-case.settings["loss"] * depth), disk + 0.03 * tail / tail.sum()]
    rings = 0.35 * np.exp(-(((q - 0.49) / 0.09) ** 2)) + 0.12 * np.exp(-(((q - 0.85) / 0.11) ** 2))
    halo = np.exp(-q / 0.3) + rings
    if kind == "film_and_beam":  # a uniform film has one pattern: its halo keeps step with the beam
        return [1 + 0.1 * _draw_smooth(case.shape, rng), disk + 0.8 * halo / halo.sum()]
    if kind == "film":
        film = rng.uniform(0.15, 0.4) * np.maximum(1 + 0.25 * _draw_smooth(case.shape, rng, 0.25), 0.2)
        for _ in range(rng.integers(2, 4)):  # round holes
            y, x = np.indices(case.shape) - (rng.uniform(size=2) * case.shape)[:, None, None]
            film *= 0.51 + 0.49 * np.tanh((np.hypot(y, x) - rng.uniform(0.12, 0.25) * min(case.shape)) / 2)
        return [film, halo]
    level = rng.uniform(0.3, 0.5) / (1 + np.exp(-2.5 * (_draw_smooth(case.shape, rng, 0.22) - 0.2)))
    return [level, 1 / (q**2 + 0.12**2) ** 1.6]


def _draw_truth(case: Case, rng: np.random.Generator) -> _Truth:
    """Specimen, patterns and maps of one attempt."""
    kinds, loss, n_layers = case.settings["backgrounds"], case.settings["loss"], int(case.settings["layers"])
    n_crystals, frame = case.n_components - len(kinds), _draw_frame(case, rng)
    layers, centres, total = [], np.empty((0, 2)), np.zeros(case.shape)
    thickness = _draw_thickness(case.shape, rng)
    for n in range(n_layers if n_crystals else 0):
        share, middle = _draw_layer(case, (n_crystals + n_layers - 1 - n) // n_layers, rng)
        depth = (thickness if n == 0 else _draw_thickness(case.shape, rng)) / n_layers
        layers.append(share * (1 - np.exp(-loss * depth)) * np.exp(rng.normal(0, 0.25, size=(len(share), 1, 1))))
        centres = np.vstack([centres, middle])
        total += share.sum(axis=0) * depth
    grains = _draw_grains(case, centres, frame, rng)
    backgrounds = [_draw_background(case, kind, frame, total, rng) for kind in kinds]
    patterns = [grain.pattern for grain in grains] + [p / p.sum() * frame.clear for _, p in backgrounds]
    levels = np.array([pattern.sum() for pattern in patterns])  # a beam stop takes a part of a background
    maps = np.concatenate([*layers, *(image[None] for image, _ in backgrounds)]) * levels[:, None, None]
    maps *= 1 + 0.02 * rng.normal(size=case.shape)  # the beam current fluctuates
    maps *= case.electrons / maps.sum(axis=0).mean()
    return _Truth(maps, np.array(patterns) / levels[:, None], thickness, grains)


def _measure_truth(truth: _Truth) -> dict[str, float]:
    """Points and electrons of the least component, points of vacuum, largest cosine, ratios of singular values."""
    maps = truth.maps.reshape(len(truth.maps), -1)
    tenth, crystals = 0.1 * np.maximum(maps.sum(axis=0), 1e-12), maps[: len(truth.grains)].sum(axis=0)
    units = [rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (maps, truth.patterns)]
    values = [np.linalg.svd(rows, compute_uv=False) for rows in units]
    found = [(maps >= tenth).sum(axis=1).min(), maps.sum(axis=1).min(), (crystals < tenth).sum()]
    found += [(units[1] @ units[1].T - 2 * np.eye(len(maps))).max(), *(s[-1] / s[0] for s in values)]
    return dict(zip(("points", "electrons", "vacuum", "cosine", "maps", "patterns"), map(float, found), strict=True))


def draw_truth(case: Case) -> tuple[_Truth, dict[str, float]]:
    """First attempt in which every component exists, and what was measured of it."""
    for attempt in range(200):
        truth = _draw_truth(case, np.random.default_rng([case.seed, attempt, 4]))
        found = _measure_truth(truth)
        enough = found["points"] >= 25 and found["electrons"] >= 30 and found["cosine"] < 0.97
        enough &= found["vacuum"] >= 15  # where backgrounds stand alone
        if enough and min(found["maps"], found["patterns"]) > 0.01:
            return truth, found
    raise RuntimeError(f"{case.name}: no attempt in which every component exists: {found}. Mend its settings.")


def simulate(case: Case) -> xr.Dataset:
    """PATTERNS of one case [counts], with its truth in the attributes; the same case gives the same scan."""
    truth, found = draw_truth(case)
    rng, counts = np.random.default_rng([case.seed, 5]), np.empty((*case.shape, *case.detector), np.float32)
    for row, maps in enumerate(np.moveaxis(truth.maps, 1, 0)):
        expected = maps.T @ truth.patterns
        for weight, grain in zip(maps, truth.grains if case.settings["swing"] > 0 else [], strict=False):
            inside = weight > 1e-4 * case.electrons
            wave = np.cos(2 * np.pi * truth.thickness[row][inside, None] / grain.period + grain.phase)
            expected[inside] += weight[inside, None] * (case.settings["swing"] * grain.intensity * wave @ grain.disks)
        counts[row] = rng.poisson(np.maximum(expected, 0)).reshape(counts.shape[1:])
    step, dims = float(rng.choice([2.0, 4.0, 5.0, 10.0])), ("scan_y", "scan_x", "qy", "qx")
    axes = zip(dims, counts.shape, (step, step, 1.0, 1.0), ("nm", "nm", "px", "px"), strict=True)
    coords = {dim: (dim, np.arange(n) * scale, {"units": unit}) for dim, n, scale, unit in axes}
    attrs = {"condition": case.condition, "exactly_linear": int(case.settings["swing"] == 0)}
    attrs |= {f"truth_{key}": value for key, value in found.items()}
    attrs |= {"truth_n_components": case.n_components, "truth_n_crystals": len(truth.grains)}
    return xr.Dataset({"intensity": (dims, counts, {"units": "counts"})}, coords, attrs)


def _make_cases() -> dict[str, Case]:
    cases: dict[str, Case] = {}  # in settings later words win: the row's own come last
    for seed, row in enumerate(_ROWS.splitlines()[1:]):
        condition, k, electrons, shape, detector, *rest = (cell.strip() for cell in row.split("|"))
        words = (word.split("=") for word in (_DEFAULTS + _CONDITIONS.get(condition, "") + "".join(rest)).split())
        settings = {key: float(v) if v[0].isdigit() else tuple(v.split("+")) for key, v in words}
        (ny, nx), (dy, dx) = ([int(n) for n in cell.split()] for cell in (shape, detector))
        name = f"kinematic_grains_{seed:02d}"
        cases[name] = Case(name, condition, int(k), float(electrons), (ny, nx), (dy, dx), seed, settings)
    return cases


CASES = _make_cases()

if __name__ == "__main__":
    for each in CASES.values():
        start, scan = perf_counter(), simulate(each)
        mean, values = float(scan.intensity.sum(("qy", "qx")).mean()), {k: v for k, v in scan.attrs.items() if "_" in k}
        print(each.name, each.condition, f"{mean:.0f}", scan.intensity.shape, f"{perf_counter() - start:.1f} s", values)
