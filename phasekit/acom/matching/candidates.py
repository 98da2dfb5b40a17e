"""From correlation curves to distinct orientations of one phase."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[np.float64]
Real = NDArray[np.float32]

_FAINT = 0.5  # maxima below this fraction of the best are ignored
_MAXIMA = 24  # most maxima that one curve can have
#: A half turn about an axis within 15 degrees of the beam leaves the spots of a thin foil in place.
TWIN_AXIS = np.cos(np.radians(15.0))


@njit(cache=True, nogil=True, error_model="numpy")
def select_candidates(
    cos_part: Real,
    sin_part: Real,
    entries: NDArray[np.int64],
    template_quaternions: Array,
    symmetry: Array,
    distinct_cosine: float,
    quaternions: Array,
    scores: Array,
) -> None:
    r"""Select the best orientation of every pattern, then the next best ones distinct from all before.

    A maximum between three neighbouring angles with the values l, h, r is located by a parabola, at

    .. math:: \delta = \frac{l - r}{2\,(l - 2 h + r)}, \qquad h_{\max} = h - \frac{(l - r)\, \delta}{4}

    Parameters
    ----------
    cos_part, sin_part
        Correlation (pattern, entry, half circle) of ``search.compute_curves``.
    entries
        Indices of the entries (pattern, entry): templates, then their Friedel mirrors.
    template_quaternions
        Orientation of each entry at angle 0, (entry, 4).
    symmetry
        Proper rotations of the crystal (n, 4).
    distinct_cosine
        Cosine of half the angular window. Two orientations whose symmetric :math:`|q_1 \cdot q_2|` is larger are one.
    quaternions, scores
        Written: (pattern, match, 4) and (pattern, match). Left unchanged (NaN) where there is none.
    """
    count, n_entries, half = cos_part.shape
    angles = 2 * (half - 1)
    curve = np.empty(angles, np.float32)
    # Memory is allocated once for all patterns.
    room = n_entries * _MAXIMA
    value, angle, entry = np.empty(room, np.float32), np.empty(room, np.float32), np.empty(room, np.int64)
    for b in range(count):
        floor, found = np.float32(0.0), 0
        for c in range(n_entries):
            top = _unfold_circle(cos_part[b, c], sin_part[b, c], curve)
            # The limit rises with the best entry seen so far, so most entries end with this test.
            floor = max(floor, np.float32(_FAINT) * top)
            if top < floor:
                continue
            for k in range(angles):
                here, left, right = curve[k], curve[k - 1], curve[(k + 1) % angles]
                # Strict on one side only: of two equal neighbours exactly one is a maximum.
                if here < floor or here <= left or here < right or found == room:
                    continue
                curvature = left - 2 * here + right
                shift = 0.5 * (left - right) / curvature if curvature < 0 else np.float32(0.0)
                value[found], angle[found] = here - 0.25 * (left - right) * shift, k + shift
                entry[found] = entries[b, c]
                found += 1
        turns = np.float32(1 / angles) * angle
        _select_distinct(
            value[:found], turns, entry, template_quaternions, symmetry, distinct_cosine, quaternions[b], scores[b]
        )


@njit(cache=True, nogil=True, error_model="numpy")
def _unfold_circle(cos_part: Real, sin_part: Real, curve: Real) -> np.float32:
    """Write the curve over the full circle (angle,) from its two parts (half circle,); return its maximum.

    At angle k the correlation is cos_part - sin_part, and at angle -k it is cos_part + sin_part.
    """
    half, angles = cos_part.shape[0], curve.shape[0]
    top = np.float32(-1.0)
    for k in range(half):
        curve[k] = cos_part[k] - sin_part[k]
        top = max(top, curve[k])
    for k in range(1, half - 1):
        curve[angles - k] = cos_part[k] + sin_part[k]
        top = max(top, curve[angles - k])
    return top


@njit(cache=True, nogil=True, error_model="numpy")
def _select_distinct(
    value: Real,
    turns: Real,
    entry: NDArray[np.int64],
    template_quaternions: Array,
    symmetry: Array,
    distinct_cosine: float,
    quaternions: Array,
    scores: Array,
) -> None:
    r"""Write the distinct orientations of one pattern, best first.

    The orientation of a template rotated in the plane by the angle phi is :math:`O = O_T R_z(-\varphi)`.

    Parameters
    ----------
    value, turns, entry
        Score, angle [turns] and entry of every maximum (maximum,); ``turns`` and ``entry`` may be longer.
    template_quaternions, symmetry, distinct_cosine
        As in ``select_candidates``.
    quaternions, scores
        Written: (match, 4) and (match,).
    """
    chosen = 0
    # Best first, so that an orientation is only compared with better ones.
    for c in np.argsort(-value):
        if chosen == len(scores):
            break
        half = -np.pi * turns[c]  # half of the angle -phi
        w, z = np.cos(half), np.sin(half)
        a = template_quaternions[entry[c]]
        q = np.array([a[0] * w - a[3] * z, a[1] * w + a[2] * z, a[2] * w - a[1] * z, a[3] * w + a[0] * z])
        # Of the two quaternions of a rotation the one with w >= 0 is stored.
        if q[0] < 0:
            q = -q
        if is_distinct(q, quaternions[:chosen], symmetry, distinct_cosine):
            quaternions[chosen] = q
            scores[chosen] = value[c]
            chosen += 1


@njit(cache=True, nogil=True, error_model="numpy")
def is_distinct(q: Array, others: Array, symmetry: Array, distinct_cosine: float) -> bool:
    """Whether an orientation (4,) is distinct from all ``others`` (n, 4); see ``select_candidates``."""
    for other in range(len(others)):  # noqa: SIM110 -- numba does not compile generators
        if compute_symmetric_cosine(q, others[other], symmetry) > distinct_cosine:
            return False
    return True


@njit(cache=True, nogil=True, error_model="numpy")
def compute_symmetric_cosine(first: Array, second: Array, symmetry: Array) -> float:
    r"""Cosine of half the disorientation of two unit quaternions (4,) under the rotations ``symmetry`` (n, 4).

    .. math:: \cos(\omega / 2) = \max_S \left| \langle q_1 q_2^{-1}, S \rangle \right|
    """
    a, b = first, second
    # Components of first * second^-1, once for all symmetries.
    w = a[0] * b[0] + a[1] * b[1] + a[2] * b[2] + a[3] * b[3]
    x = -a[0] * b[1] + a[1] * b[0] - a[2] * b[3] + a[3] * b[2]
    y = -a[0] * b[2] + a[2] * b[0] - a[3] * b[1] + a[1] * b[3]
    z = -a[0] * b[3] + a[3] * b[0] - a[1] * b[2] + a[2] * b[1]
    best = 0.0
    for k in range(len(symmetry)):
        best = max(best, abs(w * symmetry[k, 0] + x * symmetry[k, 1] + y * symmetry[k, 2] + z * symmetry[k, 3]))
    return best


@njit(cache=True, nogil=True, error_model="numpy")
def is_half_turn(first: Array, second: Array, symmetry: Array, window: float) -> bool:
    """Whether two orientations (4,) differ by 180 degrees about the beam or about an axis within 15 degrees of it.

    A half turn about the beam leaves the pattern of a flat Ewald sphere unchanged. A half turn about a zone axis near
    the beam leaves every spot of the zero-order zone in place. This holds even on a curved sphere.

    Parameters
    ----------
    first, second
        Unit quaternions (4,).
    symmetry
        Proper rotations of the crystal (n, 4).
    window
        Tolerance of the 180 degrees [radian].
    """
    for k in range(len(symmetry)):
        s = symmetry[k]
        a = np.empty(4)  # s * second
        a[0] = s[0] * second[0] - s[1] * second[1] - s[2] * second[2] - s[3] * second[3]
        a[1] = s[0] * second[1] + s[1] * second[0] + s[2] * second[3] - s[3] * second[2]
        a[2] = s[0] * second[2] - s[1] * second[3] + s[2] * second[0] + s[3] * second[1]
        a[3] = s[0] * second[3] + s[1] * second[2] - s[2] * second[1] + s[3] * second[0]
        f = first  # conj(first) * a: the rotation between them in the sample frame
        w = f[0] * a[0] + f[1] * a[1] + f[2] * a[2] + f[3] * a[3]
        z = f[0] * a[3] - f[1] * a[2] + f[2] * a[1] - f[3] * a[0]
        # A rotation by 180 degrees has w = 0, and z is the cosine between its axis and the beam.
        if abs(w) < np.sin(window / 2) and abs(z) > TWIN_AXIS:
            return True
    return False
