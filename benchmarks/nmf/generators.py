"""Two more truth generators beside ``pk.synthetic.overlapping_grains``, so that no rule is tuned to one of them.

``particles``: overlapping ellipsoids of unequal size on an amorphous film, spots as narrow Gaussians.
``precipitates``: small inclusions in a few large matrix grains; the matrix is seen through every inclusion.
Both return PATTERNS with ``truth_factor`` and ``truth_loading`` as ``overlapping_grains`` does.
"""

import numpy as np
import xarray as xr
from numpy.typing import NDArray

Array = NDArray[np.float64]


def simulate_particles(
    *, n_components: int, shape: tuple[int, int], detector: tuple[int, int], seed: int, **settings: float
) -> xr.Dataset:
    """Ellipsoids on a film with an amorphous halo; ``overlap`` is the summed area over the scan's (0.8)."""
    rng = np.random.default_rng(seed)
    n = n_components
    size = rng.lognormal(0, 0.35, n)
    area = settings.get("overlap", 0.8) * np.prod(shape) * size / size.sum()
    y, x = np.indices(shape)
    maps = np.zeros((n, *shape))
    centres = _spread_points(n, shape, rng)
    for i in range(n):
        stretch, turn = rng.uniform(0.7, 1.4), rng.uniform(0, np.pi)
        radius = np.sqrt(area[i] / np.pi)
        u = ((y - centres[i, 0]) * np.cos(turn) + (x - centres[i, 1]) * np.sin(turn)) / (radius * stretch)
        v = ((x - centres[i, 1]) * np.cos(turn) - (y - centres[i, 0]) * np.sin(turn)) / (radius / stretch)
        maps[i] = np.sqrt(np.maximum(1 - u**2 - v**2, 0)) ** 0.5
    haze = _make_halo(detector, settings.get("direct_beam", 0.3))
    level = 1 + 0.08 * _make_smooth_field(shape, 8, rng)
    return _draw_counts(maps, _make_patterns(n, detector, rng, width=1.1, **settings), haze, level, rng, **settings)


def simulate_precipitates(
    *, n_components: int, shape: tuple[int, int], detector: tuple[int, int], seed: int, **settings: float
) -> xr.Dataset:
    """Inclusions of 3 to 8 % of the scan each in one or two matrix grains that shine through them, around a hole."""
    rng = np.random.default_rng(seed)
    n_matrix = 1 if n_components < 4 else 2
    n = n_components - n_matrix
    y, x = np.indices(shape)
    edge = x - shape[1] * 0.5 + 6 * _make_smooth_field(shape, 6, rng)
    right = 1 / (1 + np.exp(-np.clip(edge / 1.0, -30, 30)))
    matrix = np.stack([1 - right, right])[:n_matrix] if n_matrix == 2 else np.ones((1, *shape))
    *centres, middle = _spread_points(n + 1, shape, rng)
    maps = []
    smallest = settings.get("smallest", 0.03)
    for i in range(n):
        radius = np.sqrt(rng.uniform(smallest, max(0.08, 2 * smallest)) * np.prod(shape) / np.pi)
        distance = np.hypot(y - centres[i][0], x - centres[i][1])
        maps.append(1 / (1 + np.exp(np.clip((distance - radius) / 0.7, -30, 30))))
    inclusions = np.array(maps)
    through = 1 - 0.6 * np.minimum(inclusions.sum(axis=0), 1)
    # A hole: where there is always a matrix, a background is as good as proportional to it, and no k is the true one.
    radius = 0.15 * min(shape) * (1 + 0.2 * _make_smooth_field(shape, 5, rng))
    hole = np.hypot(y - middle[0], x - middle[1]) - radius
    solid = 1 / (1 + np.exp(np.clip(-hole / 0.8, -30, 30)))
    everything = np.concatenate([matrix * through, inclusions]) * solid
    haze = _make_halo(detector, settings.get("direct_beam", 0.3), ring=0.0)
    level = 1 + 0.15 * _make_smooth_field(shape, 10, rng)
    return _draw_counts(
        everything, _make_patterns(n_components, detector, rng, width=1.5, **settings), haze, level, rng, **settings
    )


def _make_patterns(
    n: int, detector: tuple[int, int], rng: np.random.Generator, *, width: float, **settings: float
) -> Array:
    """Patterns (2, n, qy, qx) of sum 1 at both ends of a bend; the first two share ``twins`` of the first."""
    middle = (np.array(detector) - 1) / 2
    y, x = np.indices(detector)
    ends = np.zeros((2, n, *detector))
    scale = min(detector) / 64
    for i in range(n):
        a, b = rng.uniform(6.5, 9.0, 2) * scale
        angle = np.radians(rng.choice([60, 75, 90, 90, 105]))
        turn = rng.uniform(0, np.pi)
        basis = np.array([[a * np.sin(turn), a * np.cos(turn)], [b * np.sin(turn + angle), b * np.cos(turn + angle)]])
        hk = np.array([(h, k) for h in range(-5, 6) for k in range(-5, 6) if (h, k) != (0, 0)])
        spots, strength = hk @ basis, rng.lognormal(0, 0.9, len(hk))
        strength = strength * strength[::-1]
        laue, way = rng.normal(0, 6 * scale, 2), rng.uniform(0, 2 * np.pi)
        for end, sign in enumerate((-1, 1)):
            centre = laue + sign * settings.get("bend", 0.0) * 16 * scale * np.array([np.sin(way), np.cos(way)])
            weight = strength * np.exp(-np.sum((spots - centre) ** 2, axis=1) / (2 * (13 * scale) ** 2))
            for (sy, sx), w in zip(spots + middle, weight, strict=True):
                ends[end, i] += w * np.exp(-((y - sy) ** 2 + (x - sx) ** 2) / (2 * (width * scale) ** 2))
    ends /= ends.sum(axis=(2, 3), keepdims=True)
    alike = settings.get("twins", 0.0)
    if alike > 0 and n > 1:
        ends[:, 1] = alike * ends[:, 0] + (1 - alike) * ends[:, 1]
    return ends


def _draw_counts(
    maps: Array, ends: Array, haze: Array, level: Array, rng: np.random.Generator, **settings: float
) -> xr.Dataset:
    """Poisson counts of the mixture, with its truth."""
    dose, transmitted = settings.get("dose", 2000.0), settings.get("background", 0.3) + settings.get("direct_beam", 0.3)
    loading = maps * dose * (1 - transmitted) / max(float(np.quantile(maps.sum(axis=0), 0.9)), 1e-9)
    along = np.linspace(-1, 1, maps.shape[2])
    expected = np.tensordot(loading * (1 - along) / 2, ends[0], axes=(0, 0))
    expected += np.tensordot(loading * (1 + along) / 2, ends[1], axes=(0, 0))
    loading = np.concatenate([loading, (transmitted * dose * level)[None]])
    factors = np.concatenate([ends.mean(axis=0), haze[None]])
    expected += np.multiply.outer(loading[-1], haze)
    counts = rng.poisson(expected).clip(0, 65535).astype(np.uint16)
    hot = np.zeros(counts.shape[2:], dtype=bool)
    chosen = np.unravel_index(rng.choice(hot.size, int(settings.get("hot_pixels", 0)), replace=False), hot.shape)
    hot[chosen] = True
    peak = 5 * max(float(counts.mean()), 1.0) + counts.max() / 4
    counts[:, :, chosen[0], chosen[1]] = rng.exponential(peak, (*counts.shape[:2], len(chosen[0]))).clip(0, 65535)
    scan = xr.Dataset(
        {
            "intensity": (("scan_y", "scan_x", "qy", "qx"), counts, {"units": "counts", "long_name": "intensity"}),
            "truth_loading": (("component", "scan_y", "scan_x"), loading.astype(np.float32), {"units": "counts"}),
            "truth_factor": (("component", "qy", "qx"), factors.astype(np.float32), {"units": "1"}),
        },
        coords={
            "scan_y": ("scan_y", 2.0 * np.arange(counts.shape[0]), {"units": "nm"}),
            "scan_x": ("scan_x", 2.0 * np.arange(counts.shape[1]), {"units": "nm"}),
            "qy": ("qy", np.arange(counts.shape[2], dtype=float), {"units": "px"}),
            "qx": ("qx", np.arange(counts.shape[3], dtype=float), {"units": "px"}),
        },
    )
    return scan.assign_attrs(truth_n_components=len(factors), truth_background=len(factors) - 1)


def _make_halo(detector: tuple[int, int], direct_beam: float, ring: float = 0.5) -> Array:
    """Direct beam, diffuse scattering and the ring of an amorphous film; sum 1."""
    size = min(detector)
    y, x = (np.arange(n) - (n - 1) / 2 for n in detector)
    radius = np.hypot(y[:, None], x)
    diffuse = 1 / (1 + (radius / (0.12 * size)) ** 2) + ring * np.exp(-(((radius - 0.25 * size) / (0.05 * size)) ** 2))
    disk = np.exp(-((radius / (size / 40)) ** 2))
    return (0.3 * diffuse / diffuse.sum() + direct_beam * disk / disk.sum()) / (0.3 + direct_beam)


def _spread_points(n: int, shape: tuple[int, int], rng: np.random.Generator) -> Array:
    """Points apart from each other (best of twelve candidates each), inside the scan."""
    margin = 0.08
    low, high = margin * np.array(shape), (1 - margin) * np.array(shape)
    centres = rng.uniform(low, high, (1, 2))
    while len(centres) < n:
        candidates = rng.uniform(low, high, (12, 2))
        nearest = np.linalg.norm(candidates[:, None] - centres, axis=2).min(axis=1)
        centres = np.concatenate([centres, candidates[[nearest.argmax()]]])
    return centres


def _make_smooth_field(shape: tuple[int, int], scale: float, rng: np.random.Generator) -> Array:
    from scipy.ndimage import gaussian_filter

    field = gaussian_filter(rng.standard_normal(shape), scale, mode="reflect")
    return (field - field.mean()) / field.std()
