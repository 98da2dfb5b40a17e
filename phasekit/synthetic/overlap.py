"""4D-STEM scans of overlapping grains, for factorisation.

Every pattern is a sum of a known number of component patterns with known loadings.
"""

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ..errors import SchemaError
from ..schema import PATTERNS, describe

_STEP_NM = 2.0
#: Square, hexagonal, rectangular and oblique: the symmetries that zone-axis patterns have.
_NETS = ((1.0, 1.0, 90.0), (1.0, 1.0, 60.0), (1.0, 1.41, 90.0), (1.0, 1.22, 75.0))  # a, b, angle of zone-axis nets


def overlapping_grains(
    *,
    n_components: int = 6,
    shape: tuple[int, int] = (32, 40),
    detector: tuple[int, int] = (64, 64),
    dose: float = 2000.0,
    background: float = 0.3,
    boundary_width: float = 1.5,
    seed: int = 0,
    **nuisances: float,
) -> xr.Dataset:
    r"""Scan of grains whose patterns add up where the grains overlap, with the truth beside it.

    The counts are Poisson distributed about the sum of loading times factor (exactly so with ``bend = 0``):

    .. math:: \lambda(\mathbf r, \mathbf q) = \sum_k w_k(\mathbf r)\, h_k(\mathbf q), \qquad
        \sum_{\mathbf q} h_k(\mathbf q) = 1

    The factor :math:`h_k` of a grain holds disks on a net: square, hexagonal, rectangular or oblique. Rotation, tilt
    and spot intensities differ from grain to grain. Loadings :math:`w_k` blend over ``boundary_width``. One more
    component, present everywhere, holds the direct beam and the isotropic diffuse scattering. The specimen ends inside
    the scan, and beyond its edge only this background is seen. Without such a part the background is nearly
    proportional to the sum of the grains. No factorisation could separate it then.

    Parameters
    ----------
    n_components
        Number of grains; the background is one more component unless ``background`` and ``direct_beam`` are 0.
    shape
        Scan points along y and x (2 nm apart).
    detector
        Detector pixels along qy and qx, at least 16.
    dose
        Expected electrons per pattern, direct beam included. 2000 is a low dose; at 200 a spot holds a few counts.
    background
        Fraction of the dose in the diffuse scattering; what this and ``direct_beam`` leave is in the spots.
    boundary_width
        Width of the transition between grains [scan points]; 0.1 is a sharp boundary, 4 overlaps most of the scan.
    seed
        Seed of everything random: the same seed gives the same scan.
    nuisances
        ``direct_beam`` (0.3): fraction of the dose in the direct beam. ``vacuum`` (0.15): fraction of the scan beyond
        the edge of the specimen. ``bend`` (0): change of tilt across the scan in units of the spot envelope's width.
        Above 0 a grain is no longer one pattern times a weight; 0.3 is strong. ``hot_pixels`` (0): number of detector
        pixels that report random high counts in every pattern.

    Returns
    -------
    xarray.Dataset
        PATTERNS: ``intensity(scan_y, scan_x, qy, qx)`` [counts, uint16]. The truth: ``truth_loading(component, scan_y,
        scan_x)`` [counts], ``truth_factor(component, qy, qx)`` (sum 1), ``truth_hot(qy, qx)``. Attributes:
        ``truth_n_components`` (all components), ``truth_background`` (index of the background, -1 without one).

    Raises
    ------
    SchemaError
        A setting is unknown or out of its range.

    See Also
    --------
    phasekit.nmf.truth_as_factors : Its truth as components.
    phasekit.nmf.match_components : Compares components with the truth.

    Examples
    --------
    >>> scan = overlapping_grains(n_components=3, shape=(6, 8), detector=(24, 24), dose=500)
    >>> dict(scan.intensity.sizes), scan.attrs["truth_n_components"]
    ({'scan_y': 6, 'scan_x': 8, 'qy': 24, 'qx': 24}, 4)
    """
    extra = {**_NUISANCES, **nuisances}
    _check_settings(n_components, shape, detector, dose, background, boundary_width, extra)
    rng = np.random.default_rng(seed)
    thickness = (1 + 0.15 * _draw_smooth_field(shape, 0.4, rng)).clip(0.3)
    inside = _make_specimen(shape, extra["vacuum"], boundary_width, rng)
    abundance = _compute_abundances(n_components, shape, boundary_width, inside, rng)
    factors, tilted = _make_grain_patterns(n_components, detector, extra["bend"], rng)
    # Direct beam and diffuse scattering form one component: both are present wherever the beam is.
    transmitted = background + extra["direct_beam"]
    loading = abundance * thickness * ((1 - transmitted) * dose)
    position = np.linspace(-1, 1, shape[1])[None, None, :]  # the bend runs along x
    expected = np.tensordot(loading * (1 - position) / 2, tilted[0], axes=(0, 0))
    expected += np.tensordot(loading * (1 + position) / 2, tilted[1], axes=(0, 0))
    if transmitted > 0:
        background_factor = _make_direct_beam(detector, background, extra["direct_beam"])
        # The background varies by itself: a constant one would be a trivial component.
        level = (1 + 0.1 * _draw_smooth_field(shape, 0.6, rng)).clip(0.3)
        loading = np.concatenate([loading, (transmitted * dose * level)[None]])
        factors = np.concatenate([factors, background_factor[None]])
        expected += np.multiply.outer(loading[-1], background_factor)
    counts = rng.poisson(expected).clip(0, 65535).astype(np.uint16)
    hot = _add_hot_pixels(counts, int(extra["hot_pixels"]), rng)
    settings = {"n_components": n_components, "dose": dose, "background": background, "boundary_width": boundary_width}
    return _label_scan(counts, loading, factors, hot, n_components, settings | {"seed": seed} | extra)


_NUISANCES = {"direct_beam": 0.3, "vacuum": 0.15, "bend": 0.0, "hot_pixels": 0}


def _check_settings(
    n_components: int,
    shape: tuple[int, int],
    detector: tuple[int, int],
    dose: float,
    background: float,
    width: float,
    extra: dict[str, float],
) -> None:
    unknown = sorted(set(extra) - set(_NUISANCES))
    beam, vacuum = extra["direct_beam"], extra["vacuum"]
    faults = {
        f"{unknown} is no setting, needs one of {sorted(_NUISANCES)}": bool(unknown),
        f"n_components = {n_components}, needs at least 1": n_components < 1,
        f"shape = {shape} holds fewer points than the {n_components} grains": shape[0] * shape[1] < n_components,
        f"detector = {detector}, needs at least 16 pixels each way": min(detector) < 16,
        f"dose = {dose}, needs a positive number of electrons": not dose > 0,
        f"background = {background} and direct_beam = {beam}, need >= 0 and a sum below 1": (
            min(background, beam) < 0 or background + beam >= 1
        ),
        f"boundary_width = {width}, needs a positive number of scan points": not width > 0,
        f"vacuum = {vacuum}, needs a fraction from 0 to 0.9": not 0 <= vacuum <= 0.9,
    }
    for message, wrong in faults.items():
        if wrong:
            raise SchemaError(f"overlapping_grains: {message}. Leave the argument out for its default.")


def _label_scan(
    counts: NDArray[np.uint16],
    loading: NDArray[np.floating],
    factors: NDArray[np.floating],
    hot: NDArray[np.bool_],
    n_grains: int,
    settings: dict[str, Any],
) -> xr.Dataset:
    """Dataset of the scan and its truth; q runs from the direct beam in 0.02 1/angstrom per pixel."""
    q = [0.02 * (np.arange(n) - (n - 1) / 2) for n in counts.shape[2:]]
    scan = xr.Dataset(
        {
            "intensity": (("scan_y", "scan_x", "qy", "qx"), counts),
            "truth_loading": (("component", "scan_y", "scan_x"), loading.astype(np.float32), {"units": "counts"}),
            "truth_factor": (("component", "qy", "qx"), factors.astype(np.float32), {"units": "1"}),
            "truth_hot": (("qy", "qx"), hot.astype(np.uint8), {"units": "1"}),
        },
        coords={
            "scan_y": _STEP_NM * np.arange(counts.shape[0]),
            "scan_x": _STEP_NM * np.arange(counts.shape[1]),
            "qy": ("qy", q[0], {"units": "1/angstrom"}),
            "qx": ("qx", q[1], {"units": "1/angstrom"}),
            "component": np.arange(len(factors)),
        },
    )
    scan["truth_loading"].attrs["long_name"] = "true weight of the component"
    scan["truth_factor"].attrs["long_name"] = "true pattern of the component (sum 1)"
    scan["truth_hot"].attrs["long_name"] = "hot detector pixel"
    scan.attrs["truth_n_components"] = len(factors)
    scan.attrs["truth_background"] = n_grains if len(factors) > n_grains else -1
    return describe(scan, PATTERNS, step="overlapping_grains", settings=settings)


def _draw_smooth_field(shape: tuple[int, int], scale: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Random field of unit standard deviation (0 on one point), smooth over ``scale`` of the scan's shorter side."""
    from scipy.ndimage import gaussian_filter

    # "reflect" keeps the field's statistics at the borders; a constant outside would flatten it there.
    field = gaussian_filter(rng.standard_normal(shape), scale * min(shape), mode="reflect")
    return (field - field.mean()) / max(field.std(), 1e-12)


def _make_specimen(
    shape: tuple[int, int], vacuum: float, width: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Presence of the specimen, 0..1: it ends along a wavy line, ``vacuum`` of the scan stays empty."""
    # Drawn even without vacuum, so that later random numbers do not depend on it.
    turn = rng.uniform(0, 2 * np.pi)
    y, x = np.indices(shape)
    along = np.sin(turn) * y + np.cos(turn) * x + 0.08 * min(shape) * _draw_smooth_field(shape, 0.12, rng)
    if vacuum == 0:
        return np.ones(shape)
    # The quantile gives exactly the asked share of vacuum; the clip keeps the exponential finite.
    return 1 / (1 + np.exp(np.clip(-2 * (along - np.quantile(along, vacuum)) / width, -50, 50)))


def _compute_abundances(
    n: int, shape: tuple[int, int], width: float, inside: NDArray[np.float64], rng: np.random.Generator
) -> NDArray[np.float64]:
    """Soft Voronoi cells, ``(grain, y, x)``, that sum to ``inside``; warped, so that boundaries are not straight."""
    points = np.indices(shape).reshape(2, -1).T.astype(float)
    # Centres lie on the specimen where it has room for all, else a grain would be outside the scan.
    allowed = points[inside.ravel() > 0.5] if (inside > 0.5).sum() >= n else points
    centres = allowed[rng.choice(len(allowed), 1)]
    while len(centres) < n:  # best of ten candidates: grains of similar, not equal, size
        candidates = allowed[rng.integers(len(allowed), size=10)] + rng.uniform(-0.4, 0.4, (10, 2))
        nearest = np.linalg.norm(candidates[:, None] - centres, axis=2).min(axis=1)
        centres = np.concatenate([centres, candidates[[nearest.argmax()]]])
    spacing = np.sqrt(len(points) / n)
    warp = np.stack([_draw_smooth_field(shape, 0.15, rng).ravel() for _ in range(2)], axis=1) * 0.12 * spacing
    distance = np.linalg.norm((points + warp)[:, None] - centres, axis=2)
    # Less the smallest distance: the nearest grain keeps weight 1, so that the sum is never zero.
    weight = np.exp(-(distance - distance.min(axis=1, keepdims=True)) * 2 / width)
    return (weight / weight.sum(axis=1, keepdims=True)).T.reshape(n, *shape) * inside


def _make_grain_patterns(
    n: int, detector: tuple[int, int], bend: float, rng: np.random.Generator
) -> tuple[NDArray[np.float64], tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Mean spot pattern of each grain, ``(grain, qy, qx)`` of sum 1, and those at both ends of the bend."""
    size = min(detector)
    rotations = (np.arange(n) + rng.uniform(0, 1, n)) * (180.0 / n)  # spread, so that no two grains are alike by chance
    rng.shuffle(rotations)
    ends: list[list[NDArray[np.float64]]] = [[], []]
    for grain in range(n):
        spots, strength = _draw_lattice_spots(size, _NETS[rng.integers(len(_NETS))], rotations[grain], rng)
        tilt, turn = rng.normal(0, 0.12 * size, 2), rng.uniform(0, 2 * np.pi)
        for end, sign in zip(ends, (-1, 1), strict=True):
            # Spots are strong near the centre of the Laue circle, which moves with the tilt.
            laue = tilt + sign * bend * 0.25 * size * np.array([np.sin(turn), np.cos(turn)])
            envelope = np.exp(-np.sum((spots - laue) ** 2, axis=1) / (2 * (0.25 * size) ** 2))
            pattern = _draw_disks(spots, strength * envelope, detector, radius=size / 35)
            end.append(pattern / pattern.sum())
    low, high = np.array(ends[0]), np.array(ends[1])
    return (low + high) / 2, (low, high)


def _draw_lattice_spots(
    size: int, net: tuple[float, float, float], rotation_deg: float, rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Positions from the direct beam [px] and Friedel-symmetric strengths of a net's spots, without the direct beam."""
    a, b, angle = net
    turn = np.deg2rad(rotation_deg + np.array([0.0, angle]))
    basis = size / 7 * np.array([a, b])[:, None] * np.stack([np.sin(turn), np.cos(turn)], axis=1)
    hk = np.array([(h, k) for h in range(-4, 5) for k in range(-4, 5) if (h, k) != (0, 0)])
    # Kinematic intensities obey Friedel's law, and vary over more than one decade as structure factors do.
    strength = rng.lognormal(0, 0.8, len(hk))
    return hk @ basis, strength * strength[::-1]  # hk[::-1] = -hk


def _draw_disks(
    spots: NDArray[np.float64], strength: NDArray[np.float64], detector: tuple[int, int], radius: float
) -> NDArray[np.float64]:
    """Sum of disks with soft edges at sub-pixel positions."""
    middle = (np.array(detector) - 1) / 2
    y, x = np.indices(detector)
    image = np.zeros(detector)
    for (sy, sx), weight in zip(spots + middle, strength, strict=True):
        distance = np.hypot(y - sy, x - sx)
        image += weight / (1 + np.exp((distance - radius) / 0.35))
    return image


def _make_direct_beam(detector: tuple[int, int], background: float, direct_beam: float) -> NDArray[np.float64]:
    """Diffuse scattering about the direct beam, and the disk of the beam; sum 1."""
    size = min(detector)
    y, x = (np.arange(n) - (n - 1) / 2 for n in detector)
    radius = np.hypot(y[:, None], x)
    diffuse = np.exp(-radius / (0.22 * size)) + 0.05
    disk = 1 / (1 + np.exp((radius - size / 28) / 0.35))
    return (background * diffuse / diffuse.sum() + direct_beam * disk / disk.sum()) / (background + direct_beam)


def _add_hot_pixels(counts: NDArray[np.uint16], n: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Write random high counts to ``n`` detector pixels, in place; the mask ``(qy, qx)`` of these pixels."""
    hot = np.zeros(counts.shape[2:], dtype=bool)
    rows, columns = np.unravel_index(rng.choice(hot.size, min(n, hot.size), replace=False), hot.shape)
    hot[rows, columns] = True
    # Well above the mean at any dose, but mostly below the direct beam: no threshold on the counts finds them all.
    level = 5 * max(float(counts.mean()), 1.0) + counts.max() / 4
    counts[:, :, rows, columns] = rng.exponential(level, (*counts.shape[:2], len(rows))).clip(0, 65535)
    return hot
