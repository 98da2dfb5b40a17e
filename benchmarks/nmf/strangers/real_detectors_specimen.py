"""Particles of nano-crystals on a film, before the detector: the specimen of the cases of ``real_detectors``.

The expected counts are exactly sum_k map_k x pattern_k. Maps carry the electrons; patterns have the sum 1.
"""

from dataclasses import dataclass, field

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.spatial.transform import Rotation

Array = np.ndarray


@dataclass(frozen=True)
class Case:
    """One simulated scan.

    ``electrons`` is the mean number per pattern before the detector; ``detector`` its shape in pixels.
    ``settings`` may hold backgrounds, beam ("stop" or "direct"), fill, counter, and numbers of the detector.
    """

    name: str
    condition: str
    n_components: int
    electrons: float
    shape: tuple[int, int]
    detector: tuple[int, int]
    seed: int
    settings: dict[str, float | str] = field(default_factory=dict)

    def number(self, key: str, default: float) -> float:
        """A number of the settings."""
        return float(self.settings.get(key, default))

    @property
    def counter(self) -> str:
        """The kind of detector."""
        return str(self.settings.get("counter", self.condition))

    @property
    def n_backgrounds(self) -> int:
        """Backgrounds that are mixed; each has a pattern and an extent of its own."""
        return int(self.number("backgrounds", 1))


def _field(shape: tuple[int, int], length: float, rng: np.random.Generator) -> Array:
    """A smooth random field between 0 and 1 (scan_y, scan_x)."""
    values = gaussian_filter(rng.standard_normal(shape), length, mode="reflect")
    return np.asarray((values - values.min()) / (np.ptp(values) + 1e-12))


def _thickness(yx: Array, centre: Array, radius: float, rng: np.random.Generator) -> Array:
    """Relative thickness of one crystal: a faceted plate, a rod or a rounded particle."""
    turn = rng.uniform(0, np.pi)
    stretch = rng.choice([1.0, 1.3, 2.0], p=[0.5, 0.35, 0.15])
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    local = np.tensordot(rotation, yx - centre[:, None, None], axes=1) / radius
    local *= np.array([stretch, 1 / stretch])[:, None, None]
    if rng.random() < 0.35:
        return np.asarray(np.sqrt(np.clip(1 - (local**2).sum(0), 0, None)))
    n_facets = rng.integers(4, 9)
    angles = 2 * np.pi * (np.arange(n_facets) + rng.uniform(-0.3, 0.3, n_facets)) / n_facets
    inside = rng.uniform(0.75, 1.1, n_facets)[:, None, None] - np.tensordot(
        np.column_stack([np.sin(angles), np.cos(angles)]), local, axes=1
    )
    return np.asarray(np.clip(inside.min(0) / rng.uniform(0.08, 0.6), 0, 1))


def _crystal_maps(case: Case, n_crystals: int, rng: np.random.Generator) -> Array:
    """Shares of the crystals (n, scan_y, scan_x): agglomerates of particles, some twinned, some seen twice."""
    shape = np.array(case.shape)
    yx = np.indices(case.shape).astype(float)
    clusters = rng.uniform(0.12, 0.88, (rng.integers(n_crystals // 4, n_crystals + 1) + 1, 2)) * shape
    typical = np.sqrt(case.number("fill", 0.55) * shape.prod() / max(n_crystals, 1) / np.pi)
    maps: list[Array] = []
    while len(maps) < n_crystals:
        radius = max(3.2, typical * rng.lognormal(-0.08, 0.32))
        spread = rng.normal(0, 1, 2) * typical * 1.3
        centre = np.clip(clusters[rng.integers(len(clusters))] + spread, 0.05 * shape, 0.95 * shape)
        thick = _thickness(yx, centre, radius, rng)
        if rng.random() < 0.12:  # a second particle of the same orientation
            thick = np.maximum(thick, _thickness(yx, rng.uniform(0.1, 0.9, 2) * shape, 0.6 * radius, rng))
        thick = thick * (0.75 + 0.25 * _field(case.shape, radius, rng)) * np.exp(rng.uniform(np.log(0.2), np.log(0.95)))
        angle, offset = rng.uniform(0, 2 * np.pi), rng.normal(0, 0.15) * radius
        side = (yx[0] - centre[0]) * np.sin(angle) + (yx[1] - centre[1]) * np.cos(angle) > offset
        twinned = rng.random() < 0.25 and radius > 5.5 and len(maps) + 1 < n_crystals
        maps += [thick * side, thick * ~side] if twinned else [thick]
    probe = rng.uniform(0.4, 0.9)
    return np.array([gaussian_filter(m, probe) for m in maps]).reshape(n_crystals, *case.shape)


def _holes(case: Case, rng: np.random.Generator) -> Array:
    """Where the film is: 1; in the holes a little stray signal of its pattern (scan_y, scan_x)."""
    film = np.ones(case.shape)
    for _ in range(rng.integers(1, 4)):
        centre = rng.uniform(0, 1, 2) * case.shape
        radius = rng.uniform(0.12, 0.24) * min(case.shape)
        distance = np.linalg.norm(np.indices(case.shape) - centre[:, None, None], axis=0)
        film *= 1 / (1 + np.exp(np.clip(radius - distance, -30, 30) / rng.uniform(0.4, 1.2)))
    return 0.03 + 0.97 * film


def _background_maps(case: Case, crystals: Array, rng: np.random.Generator) -> Array:
    """Shares of the backgrounds (n, scan_y, scan_x): film with holes, then vacuum, deposit or a second halo."""
    covered = 1 - 0.6 * np.clip(crystals.sum(0), 0, 1)
    length = 0.15 * min(case.shape)
    thickness = 0.55 + 0.6 * _field(case.shape, length, rng)
    stopped = case.settings.get("beam", "stop") == "stop"
    holes = _holes(case, rng) if stopped or case.n_backgrounds == 2 else np.ones(case.shape)
    if case.condition == "breathing background":
        lines = gaussian_filter(rng.standard_normal((case.shape[0], 1)), (3, 0))
        breath = np.clip(0.35 + 0.9 * (_field(case.shape, length, rng) - 0.5) + 0.4 * lines, 0.02, None)
        return np.asarray(
            np.array([thickness * np.clip(1 - 0.7 * breath, 0.1, None), case.number("breath", 0.8) * breath]) * covered
        )
    film = thickness * holes * covered
    if case.n_backgrounds == 1:
        return np.asarray(film[None])
    if not stopped:
        return np.array([film, (1 - holes) * covered + 0.03])
    deposit = np.clip(_field(case.shape, 0.8 * length, rng) - rng.uniform(0.3, 0.5), 0, None) * rng.uniform(1.2, 2.5)
    return np.array([film, deposit * holes])


def _radius(case: Case, centre: Array, ellipse: float = 0.0) -> Array:
    """Distance to the direct beam in pixels (qy, qx)."""
    y, x = np.indices(case.detector) - centre[:, None, None]
    return np.asarray(np.hypot(y * (1 + ellipse), x))


def _disc(distance: Array, radius: float) -> Array:
    """A disc with a soft edge."""
    return 1 / (1 + np.exp(np.clip((distance - radius) / 0.35, -40, 40)))


def _unit(pattern: Array) -> Array:
    return np.asarray(pattern / pattern.sum())


def _phase(case: Case, rng: np.random.Generator) -> Array:
    """Reciprocal vectors in pixels and strengths (n, 4) of a random cubic, tetragonal or hexagonal phase."""
    scale = rng.uniform(0.11, 0.2) * min(case.detector)
    basis = np.diag([1.0, 1.0, rng.choice([1.0, 0.7, 1.35])])
    kind = rng.choice(["P", "F", "I", "H"])
    if kind == "H":
        basis[1] = [0.5, np.sqrt(0.75), 0]
    hkl = np.stack(np.meshgrid(*[np.arange(-6, 7)] * 3, indexing="ij"), -1).reshape(-1, 3)
    hkl = hkl[(hkl != 0).any(1)]
    if kind == "F":
        hkl, scale = hkl[(hkl % 2 == (hkl[:, :1] % 2)).all(1)], 0.6 * scale
    if kind == "I":
        hkl, scale = hkl[hkl.sum(1) % 2 == 0], 0.75 * scale
    vectors = hkl @ basis * scale
    lengths = np.linalg.norm(vectors, axis=1)
    _, family = np.unique(np.round(lengths, 3), return_inverse=True)
    factors = rng.lognormal(0, 0.6, family.max() + 1)[family]
    return np.column_stack([vectors, factors * np.exp(-((lengths / (0.33 * min(case.detector))) ** 2))])


def _crystal_pattern(case: Case, phase: Array, beam: tuple[Array, float], rng: np.random.Generator) -> Array:
    """Discs of one crystal, kinematic with an excitation error (qy, qx), with some direct beam and diffuse scatter."""
    centre, disc = beam
    sphere, width = 30 * min(case.detector), rng.uniform(0.02, 0.045) * min(case.detector)
    for _ in range(60):
        tilt = rng.normal(0, 0.08) if rng.random() < 0.3 else np.arccos(rng.uniform(-1, 1))
        turn = Rotation.from_euler("zxz", [rng.uniform(0, 2 * np.pi), tilt, rng.uniform(0, 2 * np.pi)])
        g = turn.apply(phase[:, :3])
        height = phase[:, 3] * np.exp(-(((g[:, 2] + (g[:, :2] ** 2).sum(1) / (2 * sphere)) / width) ** 2))
        seen = (height > 0.02 * height.max()) & (np.abs(g[:, :2]) < 0.5 * np.array(case.detector)).all(1)
        if seen.sum() >= 5:
            break
    spots = np.zeros(case.detector)
    for place, strength in zip(g[seen, :2], height[seen], strict=True):
        spots += strength * _disc(_radius(case, centre + place), disc)
    distance = _radius(case, centre)
    diffuse = np.exp(-distance / (0.15 * min(case.detector)))
    mixed = _unit(spots) + rng.uniform(0.05, 0.35) * _unit(diffuse)
    if case.settings.get("beam", "stop") == "direct":
        return _unit(_unit(mixed) + rng.uniform(0.1, 0.45) * _unit(_disc(distance, disc)))
    return _unit(mixed * (distance > 1.8 * disc))


def _background_pattern(case: Case, number: int, beam: tuple[Array, float], rng: np.random.Generator) -> Array:
    """Amorphous film (0) or the second background (1): vacuum, deposit or breathing halo (qy, qx)."""
    centre, disc = beam
    size = min(case.detector)
    q = _radius(case, centre, rng.uniform(-0.04, 0.04)) / size
    stopped = case.settings.get("beam", "stop") == "stop"
    direct = _unit(_disc(_radius(case, centre), disc))
    if number == 0:
        ring = np.exp(-(((q - rng.uniform(0.2, 0.26)) / rng.uniform(0.045, 0.08)) ** 2))
        ring += 0.4 * np.exp(-(((q - rng.uniform(0.36, 0.44)) / 0.06) ** 2))
        halo = ring + rng.uniform(1.0, 2.5) / (1 + (q / 0.09) ** 2)
    elif case.condition == "breathing background":
        halo = np.exp(-(((q - rng.uniform(0.08, 0.16)) / rng.uniform(0.06, 0.1)) ** 2)) + 0.05
    else:
        halo = np.exp(-q / 0.045) if not stopped else np.exp(-((q / rng.uniform(0.13, 0.19)) ** 2)) + 0.02
    if stopped:
        return _unit(halo * (_radius(case, centre) > 1.8 * disc))
    share = 0.85 if number == 1 and case.condition != "breathing background" else rng.uniform(0.05, 0.22)
    return share * direct + (1 - share) * _unit(halo)


def _beam_current(case: Case, rng: np.random.Generator) -> Array:
    """Relative current of every scan line (scan_y, 1): steps from line to line, a drift and dips."""
    n = case.shape[0]
    drift = np.linspace(-0.5, 0.5, n) * rng.choice([-1, 1]) * case.number("drift", 0.3)
    jitter = rng.normal(0, case.number("jitter", 0.1), n)
    dips = np.where(rng.random(n) < case.number("dips", 0.0), rng.uniform(0.2, 0.6, n), 1.0)
    return np.asarray((np.exp(drift + jitter) * dips)[:, None])


def _draw(case: Case, rng: np.random.Generator) -> tuple[Array, Array]:
    n_crystals = case.n_components - case.n_backgrounds
    crystals = _crystal_maps(case, n_crystals, rng)
    maps = np.concatenate([crystals, _background_maps(case, crystals, rng)])
    beam = (np.array(case.detector) / 2 - 0.5 + rng.uniform(-1.5, 1.5, 2), rng.uniform(1.1, 0.045 * min(case.detector)))
    phases = [_phase(case, rng) for _ in range(rng.integers(1, 4))]
    patterns = [_crystal_pattern(case, phases[rng.integers(len(phases))], beam, rng) for _ in range(n_crystals)]
    patterns += [_background_pattern(case, number, beam, rng) for number in range(case.n_backgrounds)]
    if case.counter == "flicker":
        maps = maps * _beam_current(case, rng)
    return maps * case.electrons / maps.sum(0).mean(), np.array(patterns)


def _exists(maps: Array, patterns: Array) -> bool:
    """Whether every component can be told from the others and reaches enough scan points and electrons."""
    maps, patterns = maps.reshape(len(maps), -1), patterns.reshape(len(patterns), -1)
    total = maps.sum(0)
    points = ((maps >= 0.1 * total) & (total >= 0.05 * total.mean())).sum(1)
    unit = patterns / np.linalg.norm(patterns, axis=1, keepdims=True)
    cosines = unit @ unit.T - np.eye(len(unit))
    spreads = [np.linalg.svd(m, compute_uv=False) for m in (maps, patterns)]
    independent = all(s[-1] > 1e-3 * s[0] for s in spreads)
    return bool(points.min() >= 25 and maps.sum(1).min() >= 30 and cosines.max() < 0.97 and independent)


def specimen(case: Case) -> tuple[Array, Array]:
    """Noise-free maps (k, scan_y, scan_x) in electrons and patterns (k, qy, qx) of sum 1, before the detector.

    Drawn again with the next seed where a component would not exist.
    """
    for attempt in range(200):
        maps, patterns = _draw(case, np.random.default_rng([case.seed, attempt]))
        if _exists(maps, patterns):
            return maps, patterns
    raise ValueError(f"{case.name}: no specimen in 200 draws; lower n_components or raise fill")
