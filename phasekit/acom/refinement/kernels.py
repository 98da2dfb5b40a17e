"""Continuous fit of one orientation to the peaks of one pattern: the score, its maximum, and how sharp that is."""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[np.float64]
Integers = NDArray[np.int64]
Pairs = NDArray[np.int32]
Real = NDArray[np.float32]

_SETTLED = 2e-4  # [radian], size of the simplex at which a climb ends
_PAIRS = 2  # peaks near a reflection, to begin with; more memory costs more than the arithmetic
_TAIL = 10.0  # half-widths: there a strong reflection still shows 1 % of its intensity


class Crystals(NamedTuple):
    """Reflections of all phases: g as ``x, y, z, length``, and ``strength``; those of phase k begin at ``first[k]``.

    Beam: wavelength [angstrom], half-width 1 / (pi t) [1/angstrom], sin(precession angle).
    """

    x: Array
    y: Array
    z: Array
    length: Array
    strength: Array
    first: Integers
    wave: float
    half_width: float
    tilt: float


class Near(NamedTuple):
    """Reflections that can diffract near one orientation: columns ``x, y, z, strength`` and scratch, all float32.

    ``pairs (n, 2)`` holds (reflection, peak) that can come near each other.
    """

    x: Real
    y: Real
    z: Real
    strength: Real
    pairs: Pairs
    scratch: Real
    wave: float
    half_width: float
    tilt: float


class Spots(NamedTuple):
    """Peaks ``y, x`` [1/angstrom] by rising x, ``weight`` = |q| I^power; ``order``: where they stood in the table.

    ``square``: sum of the squared weights; ``floor``: weakest over summed intensity; blur, power.
    """

    y: Array
    x: Array
    weight: Array
    order: Integers
    square: float
    floor: float
    blur: float
    power: float


@njit(cache=True, nogil=True, error_model="numpy")
def make_spots(y, x, intensity, blur, power):  # type: ignore[no-untyped-def]
    """Spots of the peaks with intensity above 0."""
    seen = np.flatnonzero(intensity > 0)
    seen = seen[np.argsort(x[seen])]
    y, x, strength = y[seen].astype(np.float64), x[seen].astype(np.float64), intensity[seen].astype(np.float64)
    total = strength.sum()
    weight = np.sqrt(y**2 + x**2) * (strength / total) ** power
    return Spots(y, x, weight, seen, np.sum(weight**2), strength.min() / total, blur, power)


@njit(cache=True, nogil=True, error_model="numpy")
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


@njit(cache=True, nogil=True, error_model="numpy")
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


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def _excitable(x, y, z, length, beam, swing, crystals):  # type: ignore[no-untyped-def]
    """Indices of the reflections whose excitation error a swing (sine of an angle) can bring into the rocking curve."""
    beyond = np.empty(len(x), np.float32)
    for k in range(len(x)):
        s = x[k] * beam[0] + y[k] * beam[1] + z[k] * beam[2] + 0.5 * crystals.wave * length[k] ** 2
        beyond[k] = abs(s) - length[k] * swing
    limit = np.float32(_TAIL * crystals.half_width)
    kept, count = np.empty(len(x), np.int32), 0
    for k in range(len(x)):
        kept[count] = k
        count += beyond[k] < limit
    return kept[:count]


@njit(cache=True, nogil=True, error_model="numpy")
def near_ewald(crystals, phase, quaternion, reach, spots):  # type: ignore[no-untyped-def]
    """Reflections of a phase that a turn of ``reach`` [radians] can let diffract, and the peaks they may meet."""
    r = matrix(quaternion)
    start, stop = crystals.first[phase], crystals.first[phase + 1]
    x, y, z = crystals.x[start:stop], crystals.y[start:stop], crystals.z[start:stop]
    length = crystals.length[start:stop]
    kept = _excitable(x, y, z, length, r[:, 2].copy(), np.sin(reach) + crystals.tilt, crystals)
    count = len(kept)
    columns = np.empty((4, count), np.float32)
    pairs, met = np.empty((_PAIRS * count + 64, 2), np.int32), 0
    for i in range(count):
        k = kept[i]
        a, b, c = x[k], y[k], z[k]
        columns[0, i], columns[1, i], columns[2, i], columns[3, i] = a, b, c, crystals.strength[start + k]
        vx, vy = a * r[0, 0] + b * r[1, 0] + c * r[2, 0], a * r[0, 1] + b * r[1, 1] + c * r[2, 1]
        far = 6 * spots.blur + reach * length[k]
        for p in range(np.searchsorted(spots.x, vx - far), len(spots.x)):
            if spots.x[p] > vx + far:
                break
            if (vx - spots.x[p]) ** 2 + (vy - spots.y[p]) ** 2 < far * far:
                if met == len(pairs):
                    pairs = np.concatenate((pairs, np.empty_like(pairs)))
                pairs[met, 0], pairs[met, 1] = i, p
                met += 1
    return Near(
        columns[0],
        columns[1],
        columns[2],
        columns[3],
        pairs[:met].copy(),
        np.empty((3, count), np.float32),
        crystals.wave,
        crystals.half_width,
        crystals.tilt,
    )


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def intensities(near, r, out_x, out_y, out):  # type: ignore[no-untyped-def]
    """In-plane positions and kinematic intensities averaged over the precession cone; returns their sum.

    With Z = (w + i s)^2 + A^2 (see ``diffraction.precessed_shape``) the mean is w Re(1 / sqrt(Z)), in real numbers
    w sqrt((|Z| + Re Z) / 2) / |Z|.
    """
    m = r.astype(np.float32)
    xx, xy, xz, yx, yy, yz, zx, zy, zz = m[0, 0], m[0, 1], m[0, 2], m[1, 0], m[1, 1], m[1, 2], m[2, 0], m[2, 1], m[2, 2]
    square, half_wave = np.float32(near.half_width**2), np.float32(near.wave / 2)
    swing, half, root = np.float32(near.tilt**2), np.float32(0.5), np.float32(near.half_width)
    four, none, total = np.float32(4.0), np.float32(0.0), np.float32(0.0)
    a, b, c, strength = near.x, near.y, near.z, near.strength
    # One array is written per loop: with more the compiler gives up on vector instructions (aliasing).
    for k in range(len(a)):
        out_x[k] = a[k] * xx + b[k] * yx + c[k] * zx
    for k in range(len(a)):
        out_y[k] = a[k] * xy + b[k] * yy + c[k] * zy
    for k in range(len(a)):
        z = a[k] * xz + b[k] * yz + c[k] * zz
        flat = out_x[k] * out_x[k] + out_y[k] * out_y[k]
        s = z + half_wave * (flat + z * z)
        s = s * s
        real = square - s + flat * swing
        size = np.sqrt(real * real + four * square * s)
        value = strength[k] * root * np.sqrt(half * max(size + real, none)) / size
        out[k] = value
        total += value
    return total


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def weigh(x, y, intensity, total, floor, power):  # type: ignore[no-untyped-def]
    """Turn intensities into weights of predicted spots; returns the sum of their squares.

    A predicted spot too weak to be seen beside the weakest peak of this pattern counts for little when it is absent.
    """
    n, per_total, least = len(x), np.float32(1.0 / total), np.float32(0.1 * floor)
    floor, none = np.float32(floor), np.float32(0.0)
    if power == 0.5:  # a loop without a general power is compiled to vector instructions
        for k in range(n):
            part = intensity[k] * per_total
            weight = np.sqrt((x[k] * x[k] + y[k] * y[k]) * part) * part / (part + floor)
            intensity[k] = weight if part > least else none
    else:
        for k in range(n):
            part = intensity[k] * per_total
            weight = np.sqrt(x[k] * x[k] + y[k] * y[k]) * part**power * part / (part + floor)
            intensity[k] = weight if part > least else none
    own = none
    for k in range(n):
        own += intensity[k] * intensity[k]
    return own


@njit(cache=True, nogil=True, error_model="numpy")
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
    shared, reach, narrow = 0.0, 36 * blur**2, -1 / (4 * blur**2)
    pairs, spot_y, spot_x, spot_weight = near.pairs, spots.y, spots.x, spots.weight
    for n in range(len(pairs)):
        k, p = pairs[n, 0], pairs[n, 1]
        if weight[k] > 0:
            square = (y[k] - spot_y[p]) ** 2 + (x[k] - spot_x[p]) ** 2
            if square < reach:
                shared += weight[k] * spot_weight[p] * np.exp(square * narrow)
    return shared / np.sqrt(own * spots.square) if own * spots.square > 0 else 0.0


@njit(cache=True, nogil=True, error_model="numpy")
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
