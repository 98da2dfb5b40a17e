"""Continuous fit of one orientation to the peaks of one pattern: the score, its maximum, and how sharp that is."""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[np.float64]
Integers = NDArray[np.int64]

_SETTLED = 2e-4  # [radian], size of the simplex at which a climb ends
_TAIL = 10.0  # half-widths: there a strong reflection still shows 1 % of its intensity


class Crystals(NamedTuple):
    """Reflections ``g (n, 3)``, ``strength (n,)`` of all phases; those of phase k begin at ``first[k]``.

    Beam: wavelength [angstrom], half-width 1 / (pi t) [1/angstrom], sin(precession angle).
    """

    g: Array
    strength: Array
    first: Integers
    wave: float
    half_width: float
    tilt: float


class Near(NamedTuple):
    """Reflections that can diffract near one orientation: columns ``x, y, z, strength`` and scratch for the score.

    ``pairs (n, 2)`` holds (reflection, peak) that can come near each other.
    """

    x: Array
    y: Array
    z: Array
    strength: Array
    pairs: Integers
    scratch: Array
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


@njit(cache=True, nogil=True)
def make_spots(y, x, intensity, blur, power):  # type: ignore[no-untyped-def]
    """Spots of the peaks with intensity above 0."""
    seen = np.flatnonzero(intensity > 0)
    y, x, strength = y[seen].astype(np.float64), x[seen].astype(np.float64), intensity[seen].astype(np.float64)
    total = strength.sum()
    weight = np.sqrt(y**2 + x**2) * (strength / total) ** power
    return Spots(y, x, weight, strength.min() / total, blur, power)


@njit(cache=True, nogil=True)
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


@njit(cache=True, nogil=True)
def matrix(quaternion):  # type: ignore[no-untyped-def]
    """R of a quaternion; a reflection g lies at R^T g in the sample frame."""
    w, x, y, z = quaternion
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )


@njit(cache=True, nogil=True)
def near_ewald(crystals, phase, quaternion, reach, spots):  # type: ignore[no-untyped-def]
    """Reflections of a phase that a turn of ``reach`` [radians] can let diffract, and the peaks they may meet."""
    r = matrix(quaternion)
    start, stop = crystals.first[phase], crystals.first[phase + 1]
    kept, count = np.empty(stop - start, np.int64), 0
    swing = np.sin(reach) + crystals.tilt
    for k in range(start, stop):
        a, b, c = crystals.g[k, 0], crystals.g[k, 1], crystals.g[k, 2]
        square = a * a + b * b + c * c
        s = a * r[0, 2] + b * r[1, 2] + c * r[2, 2] + crystals.wave * square / 2
        if abs(s) < np.sqrt(square) * swing + _TAIL * crystals.half_width:
            kept[count] = k
            count += 1
    kept = kept[:count]
    columns = np.empty((4, count))
    pairs, met = np.empty((count * len(spots.y), 2), np.int64), 0
    for i in range(count):
        k = kept[i]
        a, b, c = crystals.g[k, 0], crystals.g[k, 1], crystals.g[k, 2]
        columns[0, i], columns[1, i], columns[2, i], columns[3, i] = a, b, c, crystals.strength[k]
        vx, vy = a * r[0, 0] + b * r[1, 0] + c * r[2, 0], a * r[0, 1] + b * r[1, 1] + c * r[2, 1]
        far = 6 * spots.blur + reach * np.sqrt(a * a + b * b + c * c)
        for p in range(len(spots.y)):
            if (vx - spots.x[p]) ** 2 + (vy - spots.y[p]) ** 2 < far * far:
                pairs[met, 0], pairs[met, 1] = i, p
                met += 1
    return Near(
        columns[0],
        columns[1],
        columns[2],
        columns[3],
        pairs[:met].copy(),
        np.empty((3, count)),
        crystals.wave,
        crystals.half_width,
        crystals.tilt,
    )


@njit(cache=True, nogil=True, fastmath=True)
def intensities(near, r, out_x, out_y, out):  # type: ignore[no-untyped-def]
    """In-plane positions and kinematic intensities averaged over the precession cone; returns their sum.

    With Z = (w + i s)^2 + A^2 (see ``diffraction.precessed_shape``) the mean is w Re(1 / sqrt(Z)), in real numbers
    w sqrt((|Z| + Re Z) / 2) / |Z|.
    """
    total, w = 0.0, near.half_width
    for k in range(len(near.x)):
        a, b, c = near.x[k], near.y[k], near.z[k]
        x = a * r[0, 0] + b * r[1, 0] + c * r[2, 0]
        y = a * r[0, 1] + b * r[1, 1] + c * r[2, 1]
        z = a * r[0, 2] + b * r[1, 2] + c * r[2, 2]
        flat = x * x + y * y
        s = z + near.wave * (flat + z * z) / 2
        real = w * w - s * s + flat * near.tilt * near.tilt
        size = np.sqrt(real * real + 4 * w * w * s * s)
        value = near.strength[k] * w * np.sqrt(0.5 * max(size + real, 0.0)) / size
        out_x[k], out_y[k], out[k] = x, y, value
        total += value
    return total


@njit(cache=True, nogil=True, fastmath=True)
def weigh(x, y, intensity, total, floor, power):  # type: ignore[no-untyped-def]
    """Turn intensities into weights of predicted spots; returns the sum of their squares.

    A predicted spot too weak to be seen beside the weakest peak of this pattern counts for little when it is absent.
    """
    own = 0.0
    for k in range(len(x)):
        part = intensity[k] / total
        root = np.sqrt(part) if power == 0.5 else part**power
        weight = np.sqrt(x[k] * x[k] + y[k] * y[k]) * root * part / (part + floor)
        weight = weight if part > 0.1 * floor else 0.0
        intensity[k] = weight
        own += weight * weight
    return own


@njit(cache=True, nogil=True)
def score(near, spots, quaternion, blur, tilt_more):  # type: ignore[no-untyped-def]
    """Correlation index of predicted spots and peaks, both blurred to Gaussians of width ``blur`` in the plane.

    ``tilt_more``: rocking added to the precession (sine of an angle), for the first, wide steps of a climb.
    """
    if tilt_more > 0:
        tilt = np.sqrt(near.tilt**2 + tilt_more**2)
        near = Near(near.x, near.y, near.z, near.strength, near.pairs, near.scratch, near.wave, near.half_width, tilt)
    x, y, weight = near.scratch[0], near.scratch[1], near.scratch[2]
    total = intensities(near, matrix(quaternion), x, y, weight)
    if not total > 0:
        return 0.0
    own = weigh(x, y, weight, total, spots.floor, spots.power)
    shared, reach = 0.0, 36 * blur**2
    for n in range(len(near.pairs)):
        k, p = near.pairs[n, 0], near.pairs[n, 1]
        square = (y[k] - spots.y[p]) ** 2 + (x[k] - spots.x[p]) ** 2
        if square < reach and weight[k] > 0:
            shared += weight[k] * spots.weight[p] * np.exp(-square / (4 * blur**2))
    seen = np.sum(spots.weight**2)
    return shared / np.sqrt(own * seen) if own * seen > 0 else 0.0


@njit(cache=True, nogil=True)
def climb(near, spots, quaternion, first_step, steps, blur, tilt_more):  # type: ignore[no-untyped-def]
    """Maximum of the score near ``quaternion`` by a simplex (Nelder & Mead 1965); orientation and score."""
    points = np.zeros((4, 3))
    for k in range(3):
        points[k + 1, k] = first_step
    values = np.empty(4)
    for k in range(4):
        values[k] = -score(near, spots, turned(quaternion, points[k]), blur, tilt_more)
    for _ in range(steps):
        order = np.argsort(values)
        points, values = points[order], values[order]
        if np.max(np.abs(points[1:] - points[0])) < _SETTLED:
            break
        middle = (points[0] + points[1] + points[2]) / 3
        trial = 2 * middle - points[3]
        value = -score(near, spots, turned(quaternion, trial), blur, tilt_more)
        if values[0] <= value < values[2]:
            points[3], values[3] = trial, value
            continue
        factor = 3.0 if value < values[0] else (1.5 if value < values[3] else 0.5)
        again = factor * middle + (1 - factor) * points[3]
        other = -score(near, spots, turned(quaternion, again), blur, tilt_more)
        if other < min(value, values[3]):
            points[3], values[3] = again, other
        elif value < values[3]:
            points[3], values[3] = trial, value
        else:
            for k in range(1, 4):
                points[k] = (points[k] + points[0]) / 2
                values[k] = -score(near, spots, turned(quaternion, points[k]), blur, tilt_more)
    best = np.argmin(values)
    return turned(quaternion, points[best]), -values[best]


@njit(cache=True, nogil=True)
def sharpness(near, spots, quaternion, step):  # type: ignore[no-untyped-def]
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
                    total += a * b * score(near, spots, turned(quaternion, shift), spots.blur, 0.0)
            hessian[i, j] = hessian[j, i] = -total / (4 * step * step)
    return hessian


@njit(cache=True, nogil=True)
def uncertainty(near, spots, quaternion, best):  # type: ignore[no-untyped-def]
    """Standard deviation of the orientation [degrees]; NaN where some direction is not determined."""
    hessian = sharpness(near, spots, quaternion, np.radians(0.15))
    freedom = len(spots.y) - 1.5
    if freedom <= 0 or np.linalg.eigvalsh(hessian).min() <= 0:
        return np.nan
    covariance = np.linalg.inv(hessian) * ((1 - best) / freedom)
    return np.degrees(np.sqrt(covariance[0, 0] + covariance[1, 1] + covariance[2, 2]))
