"""Simulated scans: textured polycrystals and amorphous regions, every one exactly linear."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.spatial.transform import Rotation
from scipy.special import expit, softmax

Array = NDArray[np.float64]

_DEFAULTS: dict[str, Any] = {
    "backgrounds": ("beam",),  # components that are no crystals
    "specimen": "wedge",  # thickness map: wedge, dome, stack (particles one over another), everywhere, cores
    "lattice": "fcc",
    "fibre": (1, 1, 1),  # crystal direction along the fibre axis
    "in_plane": False,  # whether the fibre axis lies in the plane of the specimen
    "tilt_deg": 4.0,  # spread of the fibre axis
    "arc_deg": (0.0, 3.0),  # mosaic spread in the plane, drawn for each grain
    "disk_px": 0.0,  # 0: sharp spots
    "scatter": 0.75,  # share of the electrons scattered where the specimen is thickest
    "beam": 1.0,  # transmission of the direct beam through the filter in front of the detector
    "stop_px": 0.0,  # radius of the beam stop
    "particles": 4,
}
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
    shape: tuple[int, int]
    detector: tuple[int, int]
    seed: int
    settings: Mapping[str, Any]

    def __getitem__(self, key: str) -> Any:
        """Setting of that name."""
        return self.settings.get(key, _DEFAULTS[key])


def _draw_field(shape: tuple[int, int], rng: np.random.Generator, length: float) -> Array:
    """Smooth random field of mean 0 and standard deviation 1; `length` over the shorter side."""
    field = gaussian_filter(rng.normal(size=shape), length * min(shape), mode="reflect")
    return np.asarray((field - field.mean()) / field.std())


def _draw_dome(shape: tuple[int, int], rng: np.random.Generator, radius: float) -> Array:
    """Thickness of an ellipsoid with a rough outline; `radius` over the shorter side."""
    y, x = np.indices(shape)
    centre = rng.uniform(0.12, 0.88, 2) * shape
    turn = np.exp(1j * rng.uniform(0, np.pi))
    across = ((y - centre[0]) + 1j * (x - centre[1])) * turn / (radius * min(shape))
    stretch = rng.uniform(0.75, 1.3)
    distance = np.hypot(across.real * stretch, across.imag / stretch) + 0.07 * _draw_field(shape, rng, 0.08)
    return np.sqrt(np.clip(1 - distance**2, 0, None)) * rng.uniform(0.6, 1.0)


def _draw_thickness(kind: str, shape: tuple[int, int], rng: np.random.Generator) -> Array:
    """Thickness of the specimen, 0 in vacuum."""
    rough = _draw_field(shape, rng, 0.1)
    if kind == "everywhere":
        return np.clip(0.65 + 0.17 * _draw_field(shape, rng, 0.3) + 0.06 * rough, 0.15, None)
    if kind == "dome":
        return np.asarray(np.max([_draw_dome(shape, rng, rng.uniform(0.4, 0.6)) for _ in range(2)], axis=0))
    y, x = np.indices(shape) / np.reshape(np.array(shape) - 1.0, (2, 1, 1)) - 0.5
    angle = rng.uniform(0, 2 * np.pi)
    ramp = np.cos(angle) * y + np.sin(angle) * x + 0.05 * rough
    return np.clip((ramp - np.quantile(ramp, rng.uniform(0.08, 0.25))) * rng.uniform(0.9, 1.5), 0, None)


def _tessellate(n: int, thickness: Array, rng: np.random.Generator) -> Array:
    """Share of every grain of one layer: anisotropic power diagram with inclined boundaries."""
    shape = thickness.shape
    inside = np.argwhere(thickness > 0.15 * thickness.max())
    centres = [inside[rng.integers(len(inside))]]
    while len(centres) < n:
        tries = inside[rng.integers(len(inside), size=3)]
        nearest = [min(np.hypot(*(point - centre)) for centre in centres) for point in tries]
        centres.append(tries[int(np.argmax(nearest))])
    size = len(inside) / n
    y, x = np.indices(shape)
    turn, stretch = np.exp(1j * rng.uniform(0, np.pi)), rng.uniform(1.0, 1.5)
    across = [((y - cy) + 1j * (x - cx)) * turn for cy, cx in centres]
    distance = [a.real**2 * stretch + a.imag**2 / stretch - rng.normal(0, 0.08) * size for a in across]
    softness = rng.uniform(0.6, 1.6) * np.sqrt(size)
    return np.asarray(softmax(-np.array(distance) / softness, axis=0))


def _draw_grains(n: int, thickness: Array, rng: np.random.Generator) -> list[Array]:
    """Maps of grains that overlap in projection: layers whose depths differ from place to place."""
    n_layers = 1 if n < 4 else int(rng.integers(2, 4))
    fields = np.array([_draw_field(thickness.shape, rng, 0.2) for _ in range(n_layers)])
    depth = softmax(1.6 * fields, axis=0)
    sizes = [len(part) for part in np.array_split(np.arange(n), n_layers)]
    shares = [_tessellate(size, thickness, rng) for size in sizes]
    return [thickness * depth[i] * grain for i in range(n_layers) for grain in shares[i]]


def _draw_cores(case: Case, n: int, rng: np.random.Generator) -> tuple[list[Array], dict[str, Array]]:
    """Maps of the grains of all cores, and of the thin shells around the cores."""
    names = [name for name in case["backgrounds"] if name.startswith("shell")]
    shells = {name: np.zeros(case.shape) for name in names}
    grains: list[Array] = []
    y, x = np.indices(case.shape)
    side = min(case.shape)
    n_particles = case["particles"]
    for i, part in enumerate(np.array_split(rng.permutation(n), n_particles)):
        radius = side * rng.uniform(0.55, 0.8) / np.sqrt(n_particles) / 2 * (1.25 if len(part) > 1 else 1.0)
        rim = max(1.8, radius * rng.uniform(0.15, 0.3))
        centre = rng.uniform(0.18, 0.82, 2) * case.shape
        distance = np.hypot(y - centre[0], x - centre[1]) * (1 + 0.06 * _draw_field(case.shape, rng, 0.12))
        core = np.sqrt(np.clip(radius**2 - distance**2, 0, None))
        outer = np.sqrt(np.clip((radius + rim) ** 2 - distance**2, 0, None))
        uneven = np.clip(1 + 0.35 * _draw_field(case.shape, rng, 0.15), 0.1, None)
        shells[names[i % len(names)]] += (outer - core) * uneven / side * 4
        if len(part):
            grains += [core * share / side * 4 for share in _tessellate(len(part), core, rng)]
    return grains, shells


def _draw_backgrounds(case: Case, thickness: Array, rng: np.random.Generator) -> dict[str, Array]:
    """Maps of the supporting film, of amorphous regions and of contamination, each with an extent of its own."""
    names, shape = case["backgrounds"], case.shape
    maps: dict[str, Array] = {}
    if "film" in names:  # holes: round ones on a lattice, or lacey ones
        y, x = np.indices(shape)
        pitch, start = rng.uniform(0.55, 0.9) * min(shape), rng.uniform(0, 1, 2)
        away = np.hypot((y / pitch + start[0]) % 1 - 0.5, (x / pitch + start[1]) % 1 - 0.5)
        lacey = 0.33 + 0.12 * _draw_field(shape, rng, 0.09)
        solid = expit((away - (rng.uniform(0.2, 0.33) if rng.random() < 0.6 else lacey)) * 25)
        maps["film"] = solid * np.clip(1 + 0.15 * _draw_field(shape, rng, 0.3), 0.2, None)
    glasses = [name for name in names if name.startswith("glass")]
    fields = np.array([_draw_field(shape, rng, rng.uniform(0.1, 0.22)) for _ in glasses])
    lonely = expit((_draw_field(shape, rng, 0.15) + 0.6) * 3)  # where there is glass, with or without grains
    base = thickness + 0.25 if case["specimen"] in ("everywhere", "stack") else 0.5 + 0.3 * thickness
    for name, share in zip(glasses, softmax(2.2 * fields, axis=0) if glasses else [], strict=True):
        maps[name] = base * (lonely if case["specimen"] != "everywhere" else 1.0) * share
    if len(glasses) == 1 and case.n_components > 1:
        maps[glasses[0]] = maps[glasses[0]] * expit(fields[0] * 2.5)
    if "halo" in names:
        maps["halo"] = np.exp(0.8 * _draw_field(shape, rng, 0.25))
    return maps


def _draw_maps(case: Case, n_crystals: int, rng: np.random.Generator) -> tuple[list[Array], dict[str, Array]]:
    """Maps of the crystals and of the backgrounds, the direct beam last."""
    crystals: list[Array] = []
    shells: dict[str, Array] = {}
    thickness = _draw_thickness(case["specimen"], case.shape, rng)
    if case["specimen"] == "cores":
        crystals, shells = _draw_cores(case, n_crystals, rng)
        thickness = np.zeros(case.shape)
    elif case["specimen"] == "stack":
        radius = 0.75 / np.sqrt(n_crystals + 1)
        crystals = [_draw_dome(case.shape, rng, radius * rng.uniform(0.7, 1.2)) for _ in range(n_crystals)]
        thickness = np.full(case.shape, 0.3)
    elif n_crystals:
        crystals = _draw_grains(n_crystals, thickness, rng)
    backgrounds = {**_draw_backgrounds(case, thickness, rng), **shells}
    crystals = [grain * rng.lognormal(0, 0.2) for grain in crystals]
    backgrounds = {name: _RINGS[name][4] * rng.uniform(0.7, 1.3) * image for name, image in backgrounds.items()}
    scattered = np.sum([np.zeros(case.shape), *crystals, *backgrounds.values()], axis=0)
    gain = case["scatter"] / max(float(np.quantile(scattered, 0.995)), 1e-9) if scattered.any() else 0.0
    flicker = 1 + 0.02 * _draw_field(case.shape, rng, 0.2).mean(1, keepdims=True)  # of the gun, from row to row
    crystals = [gain * grain * flicker for grain in crystals]
    backgrounds = {name: gain * image * flicker for name, image in backgrounds.items()}
    if "beam" in case["backgrounds"]:
        backgrounds["beam"] = case["beam"] * np.clip(1 - gain * scattered, 0.02, None) * flicker
    return crystals, backgrounds


def _build_lattice(name: str, lowest: float) -> tuple[Array, Array]:
    """Reflections (hkl as a vector [px]) and structure factors; `lowest`: length of the shortest [px]."""
    hkl = np.stack(np.meshgrid(*[np.arange(-7, 8)] * 3, indexing="ij"), -1).reshape(-1, 3)
    hkl = hkl[np.any(hkl != 0, axis=1)]
    axes = np.eye(3)
    factor = np.ones(len(hkl))
    if name == "fcc":
        hkl = hkl[np.all(hkl % 2 == hkl[:, :1] % 2, axis=1)]
        factor = np.where(hkl.sum(1) % 4 == 2, 0.55, 1.0)  # rock salt: two kinds of atoms
    elif name == "bcc":
        hkl = hkl[hkl.sum(1) % 2 == 0]
        factor = np.ones(len(hkl))
    else:  # layered, hexagonal, c/a = 2.5
        axes = np.array([[1, 0.577, 0], [0, 1.155, 0], [0, 0, 0.4]])
        factor = 0.6 + 0.4 * np.cos(2 * np.pi * (hkl[:, 0] + 2 * hkl[:, 1]) / 3 + np.pi * hkl[:, 2] * 0.5)
    vectors = hkl @ axes
    return vectors * lowest / np.linalg.norm(vectors, axis=1).min(), factor[: len(hkl)]


def _draw_spots(case: Case, rng: np.random.Generator) -> tuple[Array, Array]:
    """Positions from the centre (spot, yx) [px] and intensities of one grain of the texture."""
    half = min(case.detector) / 2
    lowest = (0.28 if case["lattice"] == "layered" else 0.42) * half + 0.5 * case["disk_px"]
    vectors, factor = _build_lattice(case["lattice"], lowest)
    target = np.array([0.0, 1.0, 0.0]) if case["in_plane"] else np.array([0.0, 0.0, 1.0])
    align, _ = Rotation.align_vectors([target], [case["fibre"]])
    for _ in range(60):
        spin = Rotation.from_rotvec(target * rng.uniform(0, 2 * np.pi))
        wobble = Rotation.from_rotvec(np.radians(case["tilt_deg"]) * rng.normal(size=3))
        x, y, z = (wobble * spin * align).apply(vectors).T
        length = np.hypot(x, y)
        error = (z - 0.0025 * length**2) / lowest  # excitation error: the Ewald sphere is curved
        intensity = factor**2 * np.exp(-0.5 * (error / 0.13) ** 2 - 0.8 * (length / half) ** 2)
        intensity *= rng.lognormal(0, 0.5, len(intensity))  # dynamical scattering unlike for g and -g
        keep = (length < 1.3 * half) & (intensity > 0.003)
        if np.count_nonzero(keep & (length < 0.85 * half) & (intensity > 0.1)) >= 3:
            break
    return np.stack([y[keep], x[keep]], 1), intensity[keep]


def _render_spots(case: Case, q: Array, spots: Array, intensity: Array, rng: np.random.Generator) -> Array:
    """Pattern of sharp spots or arcs, or of disks with fringes inside; q (2, qy, qx) [px] from the centre."""
    pattern = np.zeros(case.detector)
    if not case["disk_px"]:
        blur, mosaic = rng.uniform(0.75, 1.15), np.radians(rng.uniform(*case["arc_deg"]))
        turns = np.exp(1j * mosaic * np.linspace(-2.2, 2.2, 25))
        places = (spots @ np.array([1, 1j]))[:, None] * turns
        weights = intensity[:, None] * np.exp(-0.5 * np.linspace(-2.2, 2.2, 25) ** 2)
        rows = np.exp(-0.5 * ((q[0, :, 0, None] - places.real.ravel()) / blur) ** 2)
        columns = np.exp(-0.5 * ((q[1, 0, :, None] - places.imag.ravel()) / blur) ** 2)
        return np.asarray((rows * weights.ravel()) @ columns.T)
    for place, weight in zip([np.zeros(2), *spots], [1.2 * intensity.max(), *intensity], strict=True):
        away = q - place[:, None, None]
        wave = rng.normal(0, 1.3, 2) / case["disk_px"] + place / (np.hypot(*place) + 1) * 1.5 / case["disk_px"]
        inside = 1 + 0.85 * np.cos(np.tensordot(wave, away, 1) + rng.uniform(0, 2 * np.pi))
        pattern += weight * inside * expit((case["disk_px"] - np.hypot(*away)) * 3)
    return pattern


def _draw_background_pattern(case: Case, name: str, q: Array, rng: np.random.Generator) -> Array:
    """Pattern of the direct beam, or diffuse rings."""
    length, half, disk = np.hypot(*q), min(case.detector) / 2, case["disk_px"]
    if name == "beam":
        core = expit((disk - length) * 3) if disk else np.exp(-0.5 * (length / 1.05) ** 2)
        tails = (1 + (length / (2 + disk)) ** 2) ** -1.6
        return core / core.sum() + (0.15 if case["stop_px"] else 0.06) * tails / tails.sum()
    radius, width, second, diffuse, _ = _RINGS[name]
    radius, width = half * radius * rng.uniform(0.94, 1.06), np.hypot(half * width * rng.uniform(0.85, 1.2), disk / 2)
    rings = np.exp(-0.5 * ((length - radius) / width) ** 2)
    rings += second * np.exp(-0.5 * ((length - 1.72 * radius) / (1.5 * width)) ** 2)
    slope = (1 + (length / (0.16 * half + disk)) ** 2) ** -1.5
    return (1 - diffuse) * rings / rings.sum() + diffuse * slope / slope.sum()


def _draw_patterns(case: Case, n_crystals: int, names: list[str], rng: np.random.Generator) -> Array:
    """Patterns (component, qy, qx) of unit sum, crystals first; what hides behind the beam stop is 0."""
    off = rng.uniform(-1.5, 1.5, 2) + (np.array(case.detector) - 1) / 2
    q = np.indices(case.detector) - off[:, None, None]
    slope = (1 + (np.hypot(*q) / (0.2 * min(case.detector) / 2 + case["disk_px"])) ** 2) ** -1.3
    patterns = []
    for _ in range(n_crystals):
        sharp = _render_spots(case, q, *_draw_spots(case, rng), rng)
        diffuse = rng.uniform(0.1, 0.3)  # inelastic and thermal diffuse scattering of the grain
        patterns.append((1 - diffuse) * sharp / sharp.sum() + diffuse * slope / slope.sum())
    patterns += [_draw_background_pattern(case, name, q, rng) for name in names]
    open_ = np.ones(case.detector)
    if case["stop_px"]:
        open_[(np.hypot(*q) < case["stop_px"]) | ((np.abs(q[1]) < 1.6) & (q[0] > 0))] = 0
    return np.array([pattern / pattern.sum() * open_ for pattern in patterns])


def _is_honest(case: Case, maps: Array, patterns: Array) -> bool:
    """Whether every component exists: extent, electrons, unlike patterns, linear independence."""
    counts = maps.sum(0)
    if min(np.count_nonzero((m > 0) & (m >= 0.1 * counts)) for m in maps) < 25 or maps.sum((1, 2)).min() < 30:
        return False
    for parts, limit in ((patterns, 0.97), (maps, 0.985)):
        unit = parts.reshape(len(parts), -1)
        unit = unit / np.linalg.norm(unit, axis=1, keepdims=True)
        values = np.linalg.svd(unit, compute_uv=False)
        if np.triu(unit @ unit.T, 1).max() >= limit or values[-1] < 1e-3 * values[0]:
            return False
    return True


def _draw_components(case: Case) -> tuple[Array, Array]:
    """Maps [expected counts] and patterns of unit sum, drawn until every component exists."""
    n_crystals = case.n_components - len(case["backgrounds"])
    for attempt in range(300):
        rng = np.random.default_rng([case.seed, attempt])
        crystals, backgrounds = _draw_maps(case, n_crystals, rng)
        maps = np.array([*crystals, *backgrounds.values()])
        patterns = _draw_patterns(case, n_crystals, list(backgrounds), rng)
        seen = patterns.sum((1, 2))[:, None, None]
        maps, patterns = maps * seen, patterns / seen
        maps *= case.electrons / maps.sum(0).mean()
        if _is_honest(case, maps, patterns):
            return maps, patterns
    raise ValueError(f"{case.name}: no draw in which all {case.n_components} components exist; enlarge the scan")


def simulate(case: Case) -> xr.Dataset:
    """PATTERNS of a case [counts]; the truth is in the attributes."""
    maps, patterns = _draw_components(case)
    rng = np.random.default_rng([case.seed, 1000])
    counts = np.empty((*case.shape, *case.detector), np.float32)
    for row in range(case.shape[0]):
        counts[row] = rng.poisson(np.tensordot(maps[:, row], patterns, (0, 0)))
    sizes = zip(("scan_y", "scan_x", "qy", "qx"), counts.shape, ("nm", "nm", "px", "px"), strict=True)
    coords = {dim: (dim, np.arange(n, dtype=float), {"units": unit}) for dim, n, unit in sizes}
    truth = {
        "truth_n_components": case.n_components,
        "truth_n_crystals": case.n_components - len(case["backgrounds"]),
        "exactly_linear": 1,
        "condition": case.condition,
    }
    intensity = (tuple(coords), counts, {"units": "counts", "long_name": "diffracted intensity"})
    return xr.Dataset({"intensity": intensity}, coords, truth)


_FLAT, _LAYERED, _BCC = {"in_plane": True}, {"lattice": "layered", "fibre": (0, 0, 1)}, {"lattice": "bcc"}
_BROAD = {"arc_deg": (0.0, 12.0), "tilt_deg": 9.0}
_CORE, _EVERY, _STACK = {"specimen": "cores"}, {"specimen": "everywhere"}, {"specimen": "stack"}
_DOME = {"specimen": "dome"}
# Condition, backgrounds, number of components, further settings.
_TABLE: list[tuple[str, str, int, dict[str, Any]]] = [
    ("texture", "beam", 5, {"fibre": (1, 0, 0)}),
    ("texture", "beam", 9, _DOME | _LAYERED | {"tilt_deg": 12.0}),
    ("texture", "beam,film", 13, _DOME | _BROAD),
    ("texture", "beam,film", 17, _FLAT | _BCC | {"fibre": (1, 1, 0)}),
    ("texture", "beam", 20, _BROAD | {"beam": 0.2}),
    ("texture", "beam,film", 7, _STACK | _FLAT | {"scatter": 0.9}),
    ("two amorphous", "beam,glass a,glass b", 3, {}),
    ("two amorphous", "beam,film,glass a,glass b", 6, _STACK),
    ("two amorphous", "glass a,glass b", 2, _EVERY | {"beam": 0.0, "stop_px": 4.0}),
    ("two amorphous", "beam,glass a,glass b", 12, _DOME | _BROAD),
    ("core and shell", "beam,shell a", 4, _CORE | {"particles": 2}),
    ("core and shell", "beam,film,shell a", 8, _CORE | {"particles": 3, "fibre": (1, 1, 0)}),
    ("core and shell", "beam,shell a,shell b", 11, _CORE | _LAYERED | {"tilt_deg": 20.0}),
    ("core and shell", "beam,film,shell a,shell b", 16, _CORE | {"particles": 5, "beam": 0.15}),
    ("disks", "beam", 4, {"disk_px": 3.0}),
    ("disks", "beam,film", 7, _STACK | {"disk_px": 4.0}),
    ("disks", "beam,glass a", 10, _DOME | {"disk_px": 5.5, "tilt_deg": 10.0}),
    ("disks", "beam", 15, _FLAT | {"disk_px": 8.0, "scatter": 0.9}),
    ("beam stop", "beam,film", 6, {"stop_px": 5.0}),
    ("beam stop", "beam,halo", 10, _BROAD | {"stop_px": 4.0, "fibre": (1, 1, 0)}),
    ("beam stop", "film,shell a", 14, _CORE | {"stop_px": 6.0}),
    ("no vacuum", "halo", 5, _EVERY | {"stop_px": 3.0, "scatter": 0.9}),
    ("no vacuum", "beam,halo", 8, _EVERY | _BCC),
    ("no vacuum", "beam,glass b", 12, _EVERY | _FLAT),
    ("no vacuum", "beam,halo,glass a", 18, _EVERY | {"arc_deg": (2.0, 8.0), "beam": 0.3}),
    ("background alone", "beam", 1, {"disk_px": 4.0}),
    ("background alone", "film", 1, {"stop_px": 4.0}),
    ("background alone", "glass a", 1, {}),
    ("background alone", "halo", 1, _EVERY),
]


def _list_cases() -> dict[str, Case]:
    """Cases of the table; electrons, shapes and detectors are drawn without regard to each other."""
    rng = np.random.default_rng(2041)
    electrons = rng.permutation(np.geomspace(50, 20_000, len(_TABLE)))
    cases = {}
    for i, (condition, names, k, settings) in enumerate(_TABLE):
        short = int(rng.choice([16, 24, 32, 40, 48, 56, 64, 80, 96], p=[0.1, 0.1, 0.2, 0.15, 0.2, 0.1, 0.1, 0.03, 0.02]))
        short = max(short, 8 * int(np.ceil(np.sqrt(55 * k) / 8)), 16)
        shape = (short, short + 8 * int(rng.integers(0, 3)))
        detector = (int(rng.choice([40, 48, 52, 56, 60, 64, 72])),) * 2
        name = f"{condition.replace(' ', '_')}_{i:02d}_k{k}"
        settings = settings | {"backgrounds": tuple(names.split(","))}
        cases[name] = Case(name, condition, k, float(round(electrons[i])), shape, detector, 100 + i, settings)
    return cases


CASES: dict[str, Case] = _list_cases()

if __name__ == "__main__":
    for each in CASES.values():
        start = time.perf_counter()
        scan = simulate(each)
        row = [each.name, each.condition, each.n_components, each.electrons, each.shape, each.detector]
        print(*row, round(float(scan.intensity.sum((("qy", "qx"))).mean()), 1), f"{time.perf_counter() - start:.1f} s")
