"""Simulated scans: textured polycrystals and amorphous regions, every one exactly linear."""

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.spatial.transform import Rotation
from scipy.special import expit, softmax

Array = NDArray[np.float64]
Shape = tuple[int, int]

# specimen: map of thickness (wedge, dome, stack of particles, everywhere, cores of particles); scatter: share of the
# electrons scattered where it is thickest; beam: transmission of a filter in the direct beam; fibre: crystal direction
# along the fibre axis, spread tilt_deg; arc_deg: range of a grain's mosaic in the plane; disk_px 0: sharp spots.
_DEFAULTS = {"specimen": "wedge", "scatter": 0.75, "beam": 1.0, "particles": 4, "disk_px": 0.0, "stop_px": 0.0}
_TEXTURE = {"lattice": "fcc", "fibre": (1, 1, 1), "in_plane": False, "tilt_deg": 4.0, "arc_deg": (0.0, 3.0)}
# Ring radius and width over half the detector, weight of the second ring, of the diffuse part; strength of the map.
_RINGS: dict[str, tuple[float, float, float, float, float]] = {
    "film": (0.40, 0.110, 0.35, 0.55, 0.35),
    "glass a": (0.46, 0.060, 0.25, 0.30, 0.80),
    "glass b": (0.60, 0.075, 0.10, 0.25, 0.80),
    "shell a": (0.50, 0.070, 0.20, 0.35, 1.00),
    "shell b": (0.37, 0.060, 0.40, 0.30, 1.00),
    "halo": (0.20, 0.300, 0.00, 0.70, 0.30),
}


@dataclass(frozen=True)
class Case:
    """One simulated scan: shapes in pixels, electrons per pattern on the detector, settings over the defaults."""

    name: str
    condition: str
    n_components: int
    electrons: float
    shape: Shape
    detector: Shape
    seed: int
    settings: dict[str, Any]


def _draw_field(shape: Shape, rng: Generator, length: float) -> Array:
    """Smooth random field of mean 0 and standard deviation 1; `length` over the shorter side."""
    field = gaussian_filter(rng.normal(size=shape), length * min(shape), mode="reflect")
    return np.asarray((field - field.mean()) / field.std())


def _draw_dome(shape: Shape, rng: Generator, radius: float) -> Array:
    """Thickness of an ellipsoid with a rough outline; `radius` over the shorter side."""
    y, x = np.indices(shape) - (rng.uniform(0.12, 0.88, 2) * shape)[:, None, None]
    across = (y + 1j * x) * np.exp(1j * rng.uniform(0, np.pi)) / (radius * min(shape))
    stretch = rng.uniform(0.75, 1.3)
    distance = np.hypot(across.real * stretch, across.imag / stretch) + 0.07 * _draw_field(shape, rng, 0.08)
    return np.asarray(np.sqrt(np.clip(1 - distance**2, 0, None)) * rng.uniform(0.6, 1.0))


def _draw_thickness(kind: str, shape: Shape, rng: Generator) -> Array:
    """Thickness of the specimen, 0 in vacuum."""
    rough = _draw_field(shape, rng, 0.1)
    if kind == "everywhere":
        return np.asarray(np.clip(0.65 + 0.17 * _draw_field(shape, rng, 0.3) + 0.06 * rough, 0.15, None))
    if kind == "dome":
        return np.asarray(np.max([_draw_dome(shape, rng, rng.uniform(0.4, 0.6)) for _ in range(2)], axis=0))
    (y, x), angle = np.indices(shape) / np.reshape(np.array(shape) - 1.0, (2, 1, 1)), rng.uniform(0, 2 * np.pi)
    ramp = np.cos(angle) * y + np.sin(angle) * x + 0.05 * rough
    return np.asarray(np.clip((ramp - np.quantile(ramp, rng.uniform(0.08, 0.25))) * rng.uniform(0.9, 1.5), 0, None))


def _tessellate(n: int, thickness: Array, rng: Generator) -> Array:
    """Share of every grain of one layer: anisotropic power diagram with inclined boundaries."""
    inside = np.argwhere(thickness > 0.15 * thickness.max())
    centres, size = inside[rng.permutation(len(inside))[:n], :, None, None], len(inside) / n
    away = np.indices(thickness.shape) - centres
    across = (away[:, 0] + 1j * away[:, 1]) * np.exp(1j * rng.uniform(0, np.pi))
    stretch = rng.uniform(1.0, 1.5)
    distance = across.real**2 * stretch + across.imag**2 / stretch + rng.normal(0, 0.08 * size, (n, 1, 1))
    return np.asarray(softmax(-distance / (rng.uniform(0.6, 1.6) * np.sqrt(size)), axis=0))


def _draw_cores(case: Case, n: int, rng: Generator) -> tuple[list[Array], dict[str, Array]]:
    """Maps of the grains of all cores, and of the thin shells around the cores."""
    shells = {name: np.zeros(case.shape) for name in case.settings["backgrounds"] if name.startswith("shell")}
    grains: list[Array] = []
    side, n_particles = min(case.shape), case.settings["particles"]
    for i, part in enumerate(np.array_split(rng.permutation(n), n_particles)):
        radius = side * rng.uniform(0.55, 0.8) / np.sqrt(n_particles) / 2 * (1.25 if len(part) > 1 else 1.0)
        rim = max(1.8, radius * rng.uniform(0.15, 0.3))
        y, x = np.indices(case.shape) - (rng.uniform(0.18, 0.82, 2) * case.shape)[:, None, None]
        distance = np.hypot(y, x) * (1 + 0.06 * _draw_field(case.shape, rng, 0.12))
        core, outer = (np.sqrt(np.clip(r**2 - distance**2, 0, None)) / side * 4 for r in (radius, radius + rim))
        uneven = np.clip(1 + 0.35 * _draw_field(case.shape, rng, 0.15), 0.1, None)
        shells[list(shells)[i % len(shells)]] += (outer - core) * uneven
        grains += [core * share for share in (_tessellate(len(part), core, rng) if len(part) else [])]
    return grains, shells


def _draw_backgrounds(case: Case, thickness: Array, rng: Generator) -> dict[str, Array]:
    """Maps of the supporting film, of amorphous regions and of contamination, each with an extent of its own."""
    names, shape, specimen = case.settings["backgrounds"], case.shape, case.settings["specimen"]
    maps: dict[str, Array] = {}
    if "film" in names:  # holes: round ones on a lattice, or lacey ones
        start = np.indices(shape) / (rng.uniform(0.55, 0.9) * min(shape)) + rng.uniform(0, 1, (2, 1, 1))
        lacey = 0.33 + 0.12 * _draw_field(shape, rng, 0.09)
        solid = np.hypot(*(start % 1 - 0.5)) - (rng.uniform(0.2, 0.33) if rng.random() < 0.6 else lacey)
        maps["film"] = expit(25 * solid) * np.clip(1 + 0.15 * _draw_field(shape, rng, 0.3), 0.2, None)
    glasses = [name for name in names if name.startswith("glass")]
    fields = np.array([_draw_field(shape, rng, rng.uniform(0.1, 0.22)) for _ in glasses])
    lonely = expit((_draw_field(shape, rng, 0.15) + 0.6) * 3)  # where there is glass, with or without grains
    base = thickness + 0.25 if specimen == "everywhere" else (0.5 + 0.3 * thickness) * lonely
    for name, share in zip(glasses, softmax(2.2 * fields, axis=0) if glasses else [], strict=True):
        maps[name] = base * (expit(fields[0] * 2.5) if len(glasses) == 1 and case.n_components > 1 else share)
    if "halo" in names:
        maps["halo"] = np.exp(0.8 * _draw_field(shape, rng, 0.25))
    return maps


def _draw_maps(case: Case, n_crystals: int, rng: Generator) -> tuple[list[Array], dict[str, Array]]:
    """Maps of the crystals and of the backgrounds; the direct beam is what is left of the incident electrons."""
    specimen = case.settings["specimen"]
    thickness = _draw_thickness(specimen, case.shape, rng)
    crystals, shells = _draw_cores(case, n_crystals, rng) if specimen == "cores" else ([], {})
    if specimen == "stack":
        radii = 0.75 / np.sqrt(n_crystals + 1) * rng.uniform(0.7, 1.2, n_crystals)
        crystals = [_draw_dome(case.shape, rng, radius) for radius in radii]
    elif n_crystals and specimen != "cores":  # layers whose depths differ from place to place
        n_layers = 1 if n_crystals < 4 else int(rng.integers(2, 4))
        layers = softmax([1.6 * _draw_field(case.shape, rng, 0.2) for _ in range(n_layers)], axis=0) * thickness
        sizes = [len(part) for part in np.array_split(np.arange(n_crystals), n_layers)]
        crystals = [t * share for t, n in zip(layers, sizes, strict=True) for share in _tessellate(n, t, rng)]
    crystals = [grain * rng.lognormal(0, 0.2) for grain in crystals]
    backgrounds = {**_draw_backgrounds(case, thickness, rng), **shells}
    backgrounds = {name: _RINGS[name][4] * rng.uniform(0.7, 1.3) * image for name, image in backgrounds.items()}
    scattered = np.sum([np.zeros(case.shape), *crystals, *backgrounds.values()], axis=0)
    gain = case.settings["scatter"] / max(float(np.quantile(scattered, 0.995)), 1e-9)
    if "beam" in case.settings["backgrounds"]:
        backgrounds["beam"] = case.settings["beam"] * np.clip(1 / gain - scattered, 0.02 / gain, None)
    flicker = 1 + 0.02 * _draw_field(case.shape, rng, 0.2).mean(1, keepdims=True)  # of the gun, from row to row
    return [grain * flicker for grain in crystals], {name: image * flicker for name, image in backgrounds.items()}


def _build_lattice(name: str) -> tuple[Array, Array]:
    """Reflections (hkl, xyz), the shortest of length 1, and their structure factors."""
    hkl = np.stack(np.meshgrid(*[np.arange(-7, 8)] * 3, indexing="ij"), -1).reshape(-1, 3)
    vectors, factor = hkl.astype(float), np.where(hkl.sum(1) % 4 == 2, 0.55, 1.0)  # rock salt: two kinds of atoms
    allowed = np.all(hkl % 2 == hkl[:, :1] % 2, axis=1) if name == "fcc" else hkl.sum(1) % 2 == 0
    if name == "layered":  # hexagonal, c/a = 2.5
        vectors, allowed = hkl @ np.array([[1, 0.577, 0], [0, 1.155, 0], [0, 0, 0.4]]), np.full(len(hkl), True)
        factor = 0.6 + 0.4 * np.cos(2 * np.pi * (hkl[:, 0] + 2 * hkl[:, 1]) / 3 + np.pi * hkl[:, 2] * 0.5)
    allowed &= np.any(hkl != 0, axis=1)
    return vectors[allowed] / np.linalg.norm(vectors[allowed], axis=1).min(), factor[allowed]


def _draw_spots(settings: dict[str, Any], half: float, rng: Generator) -> tuple[Array, Array]:
    """Positions from the centre, y + ix [px], and intensities of one grain of the texture."""
    lowest = (0.28 if settings["lattice"] == "layered" else 0.42) * half + 0.5 * settings["disk_px"]
    vectors, factor = _build_lattice(settings["lattice"])
    target = np.array([0.0, 1.0, 0.0]) if settings["in_plane"] else np.array([0.0, 0.0, 1.0])
    align, _ = Rotation.align_vectors([target], [settings["fibre"]])
    for _ in range(60):
        spin = Rotation.from_rotvec(target * rng.uniform(0, 2 * np.pi))
        wobble = Rotation.from_rotvec(np.radians(settings["tilt_deg"]) * rng.normal(size=3))
        x, y, z = (wobble * spin * align).apply(vectors * lowest).T
        length = np.hypot(x, y)
        error = (z - 0.0025 * length**2) / lowest  # excitation error: the Ewald sphere is curved
        intensity = factor**2 * np.exp(-0.5 * (error / 0.13) ** 2 - 0.8 * (length / half) ** 2)
        intensity *= rng.lognormal(0, 0.5, len(intensity))  # dynamical scattering unlike for g and -g
        keep = (length < 1.3 * half) & (intensity > 0.003)
        if np.count_nonzero(keep & (length < 0.85 * half) & (intensity > 0.1)) >= 3:
            break
    return y[keep] + 1j * x[keep], intensity[keep]


def _draw_crystal(settings: dict[str, Any], q: Array, rng: Generator) -> Array:
    """Pattern of sharp spots or arcs, or of disks with fringes inside; q (yx, qy, qx) [px] from the centre."""
    pattern, disk = np.zeros(q.shape[1:]), settings["disk_px"]
    spots, intensity = _draw_spots(settings, min(q.shape[1:]) / 2, rng)
    if not disk:
        blur, steps = rng.uniform(0.75, 1.15), np.linspace(-2.2, 2.2, 25)
        places = np.outer(spots, np.exp(1j * np.radians(rng.uniform(*settings["arc_deg"])) * steps)).ravel()
        rows = np.exp(-0.5 * ((q[0, :, :1] - places.real) / blur) ** 2)
        columns = np.exp(-0.5 * ((q[1, 0, :, None] - places.imag) / blur) ** 2)
        return np.asarray((rows * np.outer(intensity, np.exp(-0.5 * steps**2)).ravel()) @ columns.T)
    for place, weight in zip([0j, *spots], [1.2 * intensity.max(), *intensity], strict=True):
        away = q[0] + 1j * q[1] - place
        wave = (rng.normal(0, 1.3) + 1j * rng.normal(0, 1.3) + 1.5 * place / (abs(place) + 1)) / disk
        inside = 1 + 0.85 * np.cos((wave.conjugate() * away).real + rng.uniform(0, 2 * np.pi))
        pattern += weight * inside * expit((disk - np.abs(away)) * 3)
    return pattern


def _draw_background(settings: dict[str, Any], name: str, q: Array, rng: Generator) -> Array:
    """Pattern of the direct beam, or diffuse rings."""
    length, half, disk = np.hypot(*q), min(q.shape[1:]) / 2, settings["disk_px"]
    if name == "beam":
        core = expit((disk - length) * 3) if disk else np.exp(-0.5 * (length / 1.05) ** 2)
        tails = (1 + (length / (2 + disk)) ** 2) ** -1.6
        return np.asarray(core / core.sum() + (0.15 if settings["stop_px"] else 0.06) * tails / tails.sum())
    radius, width, second, diffuse, _ = _RINGS[name]
    radius, width = half * radius * rng.uniform(0.94, 1.06), np.hypot(half * width * rng.uniform(0.85, 1.2), disk / 2)
    rings = np.exp(-0.5 * ((length - radius) / width) ** 2)
    rings += second * np.exp(-0.5 * ((length - 1.72 * radius) / (1.5 * width)) ** 2)
    slope = (1 + (length / (0.16 * half + disk)) ** 2) ** -1.5
    return np.asarray((1 - diffuse) * rings / rings.sum() + diffuse * slope / slope.sum())


def _draw_patterns(case: Case, n_crystals: int, names: list[str], rng: Generator) -> Array:
    """Patterns (component, qy, qx), crystals first; what hides behind the beam stop is 0."""
    centre, stop = (np.array(case.detector) - 1) / 2 + rng.uniform(-1.5, 1.5, 2), case.settings["stop_px"]
    q = np.indices(case.detector) - centre[:, None, None]
    slope = (1 + (np.hypot(*q) / (0.1 * min(case.detector) + case.settings["disk_px"])) ** 2) ** -1.3
    patterns = [_draw_crystal(case.settings, q, rng) for _ in range(n_crystals)]
    patterns = [p / p.sum() + rng.uniform(0.1, 0.4) * slope / slope.sum() for p in patterns]  # diffuse scattering
    patterns += [_draw_background(case.settings, name, q, rng) for name in names]
    hidden = (stop > 0) & ((np.hypot(*q) < stop) | ((np.abs(q[1]) < 1.6) & (q[0] > 0)))
    return np.array([pattern / pattern.sum() * ~hidden for pattern in patterns])


def _is_honest(maps: Array, patterns: Array) -> bool:
    """Whether every component exists: extent, electrons, unlike patterns and maps, linear independence."""
    extent = np.count_nonzero((maps > 0) & (maps >= 0.1 * maps.sum(0)), axis=(1, 2)).min()
    if extent < 25 or maps.sum((1, 2)).min() < 30:
        return False
    units = [(a / np.linalg.norm(a, axis=(1, 2), keepdims=True)).reshape(len(a), -1) for a in (patterns, maps)]
    cosines = [np.triu(unit @ unit.T, 1).max() for unit in units]
    return cosines[0] < 0.97 and cosines[1] < 0.985 and all(np.linalg.cond(unit) < 1e3 for unit in units)


def simulate(case: Case) -> xr.Dataset:
    """PATTERNS of a case [counts], drawn until every component exists; the truth is in the attributes."""
    n_crystals = case.n_components - len(case.settings["backgrounds"])
    for attempt in range(300):
        rng = np.random.default_rng([case.seed, attempt])
        crystals, backgrounds = _draw_maps(case, n_crystals, rng)
        patterns = _draw_patterns(case, n_crystals, list(backgrounds), rng)
        seen = patterns.sum((1, 2))[:, None, None]
        maps, patterns = np.array([*crystals, *backgrounds.values()]) * seen, patterns / seen
        maps *= case.electrons / maps.sum(0).mean()
        if _is_honest(maps, patterns):
            break
    else:
        raise ValueError(f"{case.name}: no draw in which all {case.n_components} components exist; enlarge the scan")
    counts = np.empty((*case.shape, *case.detector), np.float32)
    for row in range(case.shape[0]):
        counts[row] = rng.poisson(np.tensordot(maps[:, row], patterns, (0, 0)))
    axes = zip(("scan_y", "scan_x", "qy", "qx"), counts.shape, ("nm", "nm", "px", "px"), strict=True)
    coords = {dim: (dim, np.arange(n, dtype=float), {"units": unit}) for dim, n, unit in axes}
    truth = {"truth_n_components": case.n_components, "truth_n_crystals": n_crystals, "exactly_linear": 1}
    intensity = (tuple(coords), counts, {"units": "counts", "long_name": "diffracted intensity"})
    return xr.Dataset({"intensity": intensity}, coords, truth | {"condition": case.condition})


# Condition, backgrounds, (components, scan shape) of each case, settings that differ from the defaults.
_TABLE: list[tuple[str, str, tuple[tuple[int, int, int], ...], dict[str, Any]]] = [
    ("texture", "beam", ((4, 16, 24), (12, 48, 48)), {"fibre": (1, 0, 0)}),
    ("texture", "beam", ((9, 32, 40),), {"specimen": "dome", "lattice": "layered", "fibre": (0, 0, 1), "tilt_deg": 9}),
    ("texture", "beam,film", ((7, 40, 40), (17, 64, 56)), {"arc_deg": (0, 12), "tilt_deg": 9, "specimen": "dome"}),
    ("texture", "beam", ((20, 64, 64),), {"arc_deg": (0.0, 8.0), "beam": 0.2, "lattice": "bcc", "fibre": (1, 1, 0)}),
    ("texture", "beam,film", ((6, 48, 32),), {"specimen": "stack", "in_plane": True, "scatter": 0.9}),
    ("two amorphous", "beam,glass a,glass b", ((3, 32, 32), (8, 40, 48)), {"arc_deg": (0.0, 12.0)}),
    ("two amorphous", "beam,film,glass a,glass b", ((6, 40, 48), (14, 56, 56)), {"specimen": "stack", "tilt_deg": 9.0}),
    ("two amorphous", "glass a,glass b", ((2, 24, 24),), {"specimen": "everywhere", "stop_px": 4.0}),
    ("core and shell", "beam,shell a", ((4, 32, 32), (8, 48, 56)), {"specimen": "cores", "particles": 3}),
    ("core and shell", "beam,film,shell a,shell b", ((11, 64, 64), (16, 80, 72)), {"specimen": "cores", "beam": 0.3}),
    ("disks", "beam,film", ((5, 32, 48), (7, 56, 48)), {"specimen": "stack", "disk_px": 4.0}),
    ("disks", "beam,glass a", ((10, 48, 48),), {"specimen": "dome", "disk_px": 5.5, "tilt_deg": 10.0}),
    ("disks", "beam", ((3, 24, 32), (15, 64, 64)), {"in_plane": True, "disk_px": 8.0, "scatter": 0.9}),
    ("beam stop", "beam,halo", ((5, 32, 32), (10, 48, 40)), {"stop_px": 4.0, "fibre": (1, 1, 0), "arc_deg": (0, 9)}),
    ("beam stop", "film,shell a", ((13, 56, 64),), {"specimen": "cores", "stop_px": 6.0, "particles": 5}),
    ("no vacuum", "halo", ((5, 40, 32), (11, 128, 96)), {"specimen": "everywhere", "stop_px": 3.0, "scatter": 0.9}),
    ("no vacuum", "beam,halo,glass b", ((8, 40, 40), (18, 72, 72)), {"specimen": "everywhere", "arc_deg": (1.0, 8.0)}),
    ("background alone", "beam", ((1, 40, 40),), {"disk_px": 3.0}),
    ("background alone", "film", ((1, 48, 64),), {"stop_px": 4.0}),
    ("background alone", "glass a", ((1, 32, 40), (1, 16, 16)), {"specimen": "everywhere"}),
]


def _list_cases() -> dict[str, Case]:
    """Cases of the table; the dose is drawn without regard to anything else."""
    cases = [(row, *case) for row in _TABLE for case in row[2]]
    electrons = np.random.default_rng(2041).permutation(np.geomspace(50, 20_000, len(cases)).round())
    listed = []
    for i, ((condition, names, _, changes), k, *shape) in enumerate(cases):
        settings = {**_DEFAULTS, **_TEXTURE, **changes, "backgrounds": names.split(",")}
        name, detector = f"{condition.replace(' ', '_')}_{i:02d}_k{k}", ((48, 56, 64, 40, 60, 52, 72)[i % 7],) * 2
        listed.append(Case(name, condition, k, float(electrons[i]), (shape[0], shape[1]), detector, 100 + i, settings))
    return {case.name: case for case in listed}


CASES: dict[str, Case] = _list_cases()

if __name__ == "__main__":
    for each in CASES.values():
        start, shape = time.perf_counter(), simulate(each).intensity.shape
        print(each.name, each.n_components, each.electrons, shape, f"{time.perf_counter() - start:.1f} s", flush=True)
