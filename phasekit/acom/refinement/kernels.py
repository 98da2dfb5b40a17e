"""Compiled kernels of refinement: reflections of a crystal, peaks of a pattern, and small rotations."""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[np.float64]
Integers = NDArray[np.int64]
Pairs = NDArray[np.int32]
Real = NDArray[np.float32]

_PAIRS = 2  # peaks near a reflection that memory is first allocated for; more memory costs more than the arithmetic
_TAIL = 10.0  # half-widths of the rocking curve; there a strong reflection still has 1 % of its intensity
_REACH = 6.0  # position tolerances; beyond, the overlap of spot and peak is below 2e-4


class Crystals(NamedTuple):
    """Reflections of all phases, one phase after the other, and the beam.

    Parameters
    ----------
    x, y, z, length
        Reciprocal lattice vectors in the crystal frame, and their lengths (reflection,) [1/angstrom].
    strength
        Squared structure factors (reflection,) [angstrom^2].
    first
        Index of the first reflection of each phase, and the total number (phase + 1,).
    wavelength
        Electron wavelength [angstrom].
    half_width
        Half width of the rocking curve 1 / (pi t) for the thickness t [1/angstrom].
    tilt
        Sine of the precession angle.
    """

    x: Array
    y: Array
    z: Array
    length: Array
    strength: Array
    first: Integers
    wavelength: float
    half_width: float
    tilt: float


class ExcitedReflections(NamedTuple):
    """Reflections that can diffract near one orientation.

    Parameters
    ----------
    x, y, z
        Reciprocal lattice vectors in the crystal frame (reflection,), float32 [1/angstrom].
    strength
        Squared structure factors (reflection,), float32 [angstrom^2].
    pairs
        Indices (pair, 2) of a reflection and a peak that can come near each other.
    scratch
        Working memory (3, reflection), float32.
    wavelength, half_width, tilt
        As in ``Crystals``.
    """

    x: Real
    y: Real
    z: Real
    strength: Real
    pairs: Pairs
    scratch: Real
    wavelength: float
    half_width: float
    tilt: float


class Spots(NamedTuple):
    """Peaks of one pattern, in rising order of x.

    Parameters
    ----------
    y, x
        Positions (peak,) [1/angstrom].
    weight
        Weights |q| I^power, with I the fraction of the summed intensity (peak,).
    order
        Indices of the peaks in the pattern's table (peak,).
    square
        Sum of the squared weights.
    floor
        Weakest over summed intensity.
    position_tolerance
        Standard deviation of the Gaussian spots of the score [1/angstrom].
    power
        Power of the intensity in the weight.
    """

    y: Array
    x: Array
    weight: Array
    order: Integers
    square: float
    floor: float
    position_tolerance: float
    power: float


@njit(cache=True, nogil=True, error_model="numpy")
def make_spots(y: Array, x: Array, intensity: Array, position_tolerance: float, power: float) -> Spots:
    """Spots of the peaks (peak,) with intensity above 0; see ``Spots`` for units."""
    used = np.flatnonzero(intensity > 0)
    # Sorted by x, the peaks near a reflection are found by bisection.
    used = used[np.argsort(x[used])]
    y, x, strength = y[used].astype(np.float64), x[used].astype(np.float64), intensity[used].astype(np.float64)
    total = strength.sum()
    weight = np.sqrt(y**2 + x**2) * (strength / total) ** power
    return Spots(y, x, weight, used, np.sum(weight**2), strength.min() / total, position_tolerance, power)


@njit(cache=True, nogil=True, error_model="numpy")
def rotate_orientation(quaternion: Array, step: Array) -> Array:
    """Orientation (4,) after a small rotation by the vector ``step`` (3,) [radian] in the sample frame: O * R(step)."""
    a = quaternion
    angle = np.sqrt(step[0] ** 2 + step[1] ** 2 + step[2] ** 2)
    # sinc avoids the division by zero at angle 0.
    factor = 0.5 * np.sinc(angle / (2 * np.pi))
    w, x, y, z = np.cos(angle / 2), factor * step[0], factor * step[1], factor * step[2]
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
def make_rotation_matrix(quaternion: Array) -> Array:
    """Rotation matrix R (3, 3) of a unit quaternion (4,). A reflection g lies at R^T g in the sample frame."""
    w, x, y, z = quaternion
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )


@njit(cache=True, nogil=True, forceinline=True, fastmath=True, error_model="numpy")
def _select_excitable(
    x: Array, y: Array, z: Array, length: Array, beam: Array, swing: float, crystals: Crystals
) -> Pairs:
    r"""Indices of the reflections that a tilt of the crystal can bring into the rocking curve.

    The excitation error of a reflection g, with the beam along the unit vector b, is

    .. math:: s = g \cdot b + \lambda |g|^2 / 2

    Parameters
    ----------
    x, y, z, length
        Reciprocal lattice vectors in the crystal frame, and their lengths (reflection,) [1/angstrom].
    beam
        Direction of the beam in the crystal frame (3,).
    swing
        Sine of the largest tilt; it changes s by at most |g| times this.
    crystals
        Wavelength and half width.
    """
    # A tilt changes s by at most |g| times its sine; precession adds to it.
    beyond = np.empty(len(x), np.float32)
    for k in range(len(x)):
        s = x[k] * beam[0] + y[k] * beam[1] + z[k] * beam[2] + 0.5 * crystals.wavelength * length[k] ** 2
        beyond[k] = abs(s) - length[k] * swing
    limit = np.float32(_TAIL * crystals.half_width)
    # Every index is written and the count decides whether it stays: without a branch the loop is faster.
    kept, count = np.empty(len(x), np.int32), 0
    for k in range(len(x)):
        kept[count] = k
        count += beyond[k] < limit
    return kept[:count]


@njit(cache=True, nogil=True, error_model="numpy")
def find_excited_reflections(
    crystals: Crystals, phase: int, quaternion: Array, reach: float, spots: Spots
) -> ExcitedReflections:
    """Reflections of a phase that can diffract after a small rotation, with the peaks that they can come near.

    Parameters
    ----------
    crystals
        Reflections of all phases.
    phase
        Index of the phase.
    quaternion
        Orientation (4,).
    reach
        Largest rotation from it [radian].
    spots
        Peaks of the pattern.
    """
    r = make_rotation_matrix(quaternion)
    # The reflections of one phase lie together.
    start, stop = crystals.first[phase], crystals.first[phase + 1]
    x, y, z = crystals.x[start:stop], crystals.y[start:stop], crystals.z[start:stop]
    length = crystals.length[start:stop]
    kept = _select_excitable(x, y, z, length, r[:, 2].copy(), np.sin(reach) + crystals.tilt, crystals)
    count = len(kept)
    # Single precision lets a vector instruction treat twice as many reflections.
    columns = np.empty((4, count), np.float32)
    pairs, n_pairs = np.empty((_PAIRS * count + 64, 2), np.int32), 0
    for i in range(count):
        k = kept[i]
        a, b, c = x[k], y[k], z[k]
        columns[0, i], columns[1, i], columns[2, i], columns[3, i] = a, b, c, crystals.strength[start + k]
        # In-plane position of the reflection, R^T g.
        vx, vy = a * r[0, 0] + b * r[1, 0] + c * r[2, 0], a * r[0, 1] + b * r[1, 1] + c * r[2, 1]
        # A rotation moves the spot by at most its length times the angle.
        far = _REACH * spots.position_tolerance + reach * length[k]
        # Peaks are sorted by x, so those within reach are neighbours in the list.
        for p in range(np.searchsorted(spots.x, vx - far), len(spots.x)):
            if spots.x[p] > vx + far:
                break
            if (vx - spots.x[p]) ** 2 + (vy - spots.y[p]) ** 2 < far * far:
                # Rare: patterns with many peaks near one another.
                if n_pairs == len(pairs):
                    pairs = np.concatenate((pairs, np.empty_like(pairs)))
                pairs[n_pairs, 0], pairs[n_pairs, 1] = i, p
                n_pairs += 1
    return ExcitedReflections(
        columns[0],
        columns[1],
        columns[2],
        columns[3],
        pairs[:n_pairs].copy(),
        np.empty((3, count), np.float32),
        crystals.wavelength,
        crystals.half_width,
        crystals.tilt,
    )
