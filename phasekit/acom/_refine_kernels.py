"""Continuous fit of one orientation to the peaks of one pattern: the score, its maximum, and how sharp that is."""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[np.float64]


class Crystal(NamedTuple):
    """Reflections ``g (n, 3)``, ``strength (n,)``; beam: wavelength, half-width 1 / (pi t) [1/angstrom], sin(tilt)."""

    g: Array
    strength: Array
    wave: float
    half_width: float
    tilt: float


class Spots(NamedTuple):
    """Peaks ``y, x`` [1/angstrom], ``weight`` = |q| I^power; ``floor``: weakest over summed intensity; blur, power."""

    y: Array
    x: Array
    weight: Array
    floor: float
    blur: float
    power: float


@njit(cache=True)
def turned(quaternion, step):  # type: ignore[no-untyped-def]
    """O * R(step): the orientation after a small rotation vector [radians] in the sample frame."""
    a = quaternion
    angle = np.sqrt(step[0] ** 2 + step[1] ** 2 + step[2] ** 2)
    part = 0.5 * np.sinc(angle / (2 * np.pi))
    w, x, y, z = np.cos(angle / 2), part * step[0], part * step[1], part * step[2]
    q = np.array(
        [
            a[0] * w - a[1] * x - a[2] * y - a[3] * z,
            a[0] * x + a[1] * w + a[2] * z - a[3] * y,
            a[0] * y - a[1] * z + a[2] * w + a[3] * x,
            a[0] * z + a[1] * y - a[2] * x + a[3] * w,
        ]
    )
    return q if q[0] >= 0 else -q


@njit(cache=True)
def sample_vectors(g, quaternion):  # type: ignore[no-untyped-def]
    """Reflections in the sample frame: R^T g."""
    w, x, y, z = quaternion
    r = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )
    return g @ r


@njit(cache=True)
def near_ewald(crystal, quaternion, reach):  # type: ignore[no-untyped-def]
    """Reflections that a turn of ``reach`` [radians] can bring to diffraction."""
    v = sample_vectors(crystal.g, quaternion)
    keep = np.empty(len(v), np.bool_)
    for k in range(len(v)):
        square = v[k, 0] ** 2 + v[k, 1] ** 2 + v[k, 2] ** 2
        s = -(v[k, 2] + crystal.wave * square / 2)
        keep[k] = abs(s) < np.sqrt(square) * (reach + crystal.tilt) + 3 * crystal.half_width
    return Crystal(crystal.g[keep], crystal.strength[keep], crystal.wave, crystal.half_width, crystal.tilt)


@njit(cache=True)
def intensities(crystal, v):  # type: ignore[no-untyped-def]
    """Kinematic intensity of reflections at sample vectors ``v``, averaged over the precession cone (closed form)."""
    out = np.empty(len(v))
    for k in range(len(v)):
        flat = v[k, 0] ** 2 + v[k, 1] ** 2
        s = -(v[k, 2] + crystal.wave * (flat + v[k, 2] ** 2) / 2)
        swing = np.sqrt(flat) * crystal.tilt
        above, below = complex(crystal.half_width, s + swing), complex(crystal.half_width, s - swing)
        out[k] = crystal.strength[k] * crystal.half_width * (1 / (np.sqrt(above) * np.sqrt(below))).real
    return out


@njit(cache=True)
def score(crystal, spots, quaternion):  # type: ignore[no-untyped-def]
    """Correlation index of predicted spots and peaks, both blurred to Gaussians of width ``blur`` in the plane.

    A predicted spot too weak to be seen beside the weakest peak of this pattern counts for little when it is absent.
    """
    v = sample_vectors(crystal.g, quaternion)
    intensity = intensities(crystal, v)
    total = intensity.sum()
    if not total > 0:
        return 0.0
    reach = 9 * 4 * spots.blur**2
    shared, own = 0.0, 0.0
    for k in range(len(v)):
        part = intensity[k] / total
        if part < 0.1 * spots.floor:
            continue
        radius = np.sqrt(v[k, 0] ** 2 + v[k, 1] ** 2)
        weight = radius * part**spots.power * part / (part + spots.floor)
        own += weight * weight
        for p in range(len(spots.y)):
            square = (v[k, 1] - spots.y[p]) ** 2 + (v[k, 0] - spots.x[p]) ** 2
            if square < reach:
                shared += weight * spots.weight[p] * np.exp(-square / (4 * spots.blur**2))
    seen = np.sum(spots.weight**2)
    return shared / np.sqrt(own * seen) if own * seen > 0 else 0.0


@njit(cache=True)
def climb(crystal, spots, quaternion, first_step, steps):  # type: ignore[no-untyped-def]
    """Maximum of the score near ``quaternion`` by a simplex (Nelder & Mead 1965); orientation and score."""
    points = np.zeros((4, 3))
    for k in range(3):
        points[k + 1, k] = first_step
    values = np.empty(4)
    for k in range(4):
        values[k] = -score(crystal, spots, turned(quaternion, points[k]))
    for _ in range(steps):
        order = np.argsort(values)
        points, values = points[order], values[order]
        if np.max(np.abs(points[1:] - points[0])) < 2e-4:
            break
        middle = (points[0] + points[1] + points[2]) / 3
        trial = 2 * middle - points[3]
        value = -score(crystal, spots, turned(quaternion, trial))
        if values[0] <= value < values[2]:
            points[3], values[3] = trial, value
            continue
        factor = 3.0 if value < values[0] else (1.5 if value < values[3] else 0.5)
        again = factor * middle + (1 - factor) * points[3]
        other = -score(crystal, spots, turned(quaternion, again))
        if other < min(value, values[3]):
            points[3], values[3] = again, other
        elif value < values[3]:
            points[3], values[3] = trial, value
        else:
            for k in range(1, 4):
                points[k] = (points[k] + points[0]) / 2
                values[k] = -score(crystal, spots, turned(quaternion, points[k]))
    best = np.argmin(values)
    return turned(quaternion, points[best]), -values[best]


@njit(cache=True)
def sharpness(crystal, spots, quaternion, step):  # type: ignore[no-untyped-def]
    """Minus the Hessian of the score with respect to a rotation vector (3, 3) [1/radian^2], by differences."""
    hessian = np.zeros((3, 3))
    for i in range(3):
        for j in range(i + 1):
            total = 0.0
            for a in (-1.0, 1.0):
                for b in (-1.0, 1.0):
                    shift = np.zeros(3)
                    shift[i] += a * step
                    shift[j] += b * step
                    total += a * b * score(crystal, spots, turned(quaternion, shift))
            hessian[i, j] = hessian[j, i] = -total / (4 * step * step)
    return hessian


@njit(cache=True)
def refine_one(crystal, spots, quaternion, reach, steps):  # type: ignore[no-untyped-def]
    """Coarse-to-fine climb: first with rocking and blur a little widened, then as the experiment was.

    The simplex starts as large as the bank's step: a smaller one stays in the nearest of several local maxima.
    """
    near = near_ewald(crystal, quaternion, 2 * reach)
    wide = Crystal(near.g, near.strength, near.wave, near.half_width, np.sqrt(near.tilt**2 + (reach / 4) ** 2))
    blurred = Spots(spots.y, spots.x, spots.weight, spots.floor, 2 * spots.blur, spots.power)
    rough, _ = climb(wide, blurred, quaternion, reach, steps)
    return climb(near, spots, rough, reach / 2, steps)
