"""From correlation curves to distinct orientations of one phase."""

import numpy as np
from numba import njit

_FAINT = 0.5  # maxima below this part of the best are not looked at


@njit(cache=True, nogil=True, error_model="numpy")
def pick(even, odd, entries, base, symmetry, distinct_cosine, quaternions, scores):  # type: ignore[no-untyped-def]
    """Best orientation of every pattern, then the next best ones that are distinct from all before.

    Parameters
    ----------
    even, odd
        Correlation (pattern, chosen, half circle) of ``_search.fine_curves``.
    entries
        What the chosen are (pattern, chosen): templates as they are, then mirrored.
    base
        Orientation of each entry at angle 0, (entry, 4).
    symmetry
        Proper rotations of the crystal (n, 4).
    distinct_cosine
        cos(half the angular window): two orientations whose symmetric |q1 . q2| is larger are the same.
    quaternions, scores
        Written: (pattern, match, 4) and (pattern, match); left as they are (NaN) where there is none.
    """
    count, chosen, half = even.shape
    angles = 2 * (half - 1)
    curve = np.empty(angles, np.float32)
    room = chosen * 24
    value, place, entry = np.empty(room, np.float32), np.empty(room, np.float32), np.empty(room, np.int64)
    for b in range(count):
        floor, found = np.float32(0.0), 0
        for c in range(chosen):
            top = _unroll(even[b, c], odd[b, c], curve)
            floor = max(floor, np.float32(_FAINT) * top)
            if top < floor:
                continue
            for k in range(angles):
                here, left, right = curve[k], curve[k - 1], curve[(k + 1) % angles]
                if here < floor or here <= left or here < right or found == room:
                    continue
                bend = left - 2 * here + right
                shift = 0.5 * (left - right) / bend if bend < 0 else np.float32(0.0)
                value[found], place[found] = here - 0.25 * (left - right) * shift, k + shift
                entry[found] = entries[b, c]
                found += 1
        maxima = (value[:found], np.float32(1 / angles) * place, entry)
        _choose(maxima, base, symmetry, distinct_cosine, quaternions[b], scores[b])


@njit(cache=True, nogil=True, error_model="numpy")
def _unroll(even, odd, curve):  # type: ignore[no-untyped-def]
    """The curve over the whole circle, and its largest value."""
    half, angles = even.shape[0], curve.shape[0]
    top = np.float32(-1.0)
    for k in range(half):
        curve[k] = even[k] - odd[k]
        top = max(top, curve[k])
    for k in range(1, half - 1):
        curve[angles - k] = even[k] + odd[k]
        top = max(top, curve[angles - k])
    return top


@njit(cache=True, nogil=True, error_model="numpy")
def _choose(maxima, base, symmetry, distinct_cosine, quaternions, scores):  # type: ignore[no-untyped-def]
    """Maxima: score, place [turns] and entry of each."""
    value, place, entry = maxima
    chosen = 0
    for c in np.argsort(-value):
        if chosen == len(scores):
            break
        half = -np.pi * place[c]  # O = base * R_z(-phi): half of -phi
        w, z = np.cos(half), np.sin(half)
        a = base[entry[c]]
        q = np.array([a[0] * w - a[3] * z, a[1] * w + a[2] * z, a[2] * w - a[1] * z, a[3] * w + a[0] * z])
        if q[0] < 0:
            q = -q
        if is_new(q, quaternions[:chosen], symmetry, distinct_cosine):
            quaternions[chosen] = q
            scores[chosen] = value[c]
            chosen += 1


@njit(cache=True, nogil=True, error_model="numpy")
def is_new(q, others, symmetry, distinct_cosine):  # type: ignore[no-untyped-def]
    """Whether an orientation is distinct from all others."""
    for other in range(len(others)):  # noqa: SIM110 -- numba knows no generators
        if symmetric_cosine(q, others[other], symmetry) > distinct_cosine:
            return False
    return True


@njit(cache=True, nogil=True, error_model="numpy")
def symmetric_cosine(first, second, symmetry):  # type: ignore[no-untyped-def]
    """Cosine of half the disorientation: the largest |<first second^-1, S>|."""
    a, b = first, second
    w = a[0] * b[0] + a[1] * b[1] + a[2] * b[2] + a[3] * b[3]
    x = -a[0] * b[1] + a[1] * b[0] - a[2] * b[3] + a[3] * b[2]
    y = -a[0] * b[2] + a[2] * b[0] - a[3] * b[1] + a[1] * b[3]
    z = -a[0] * b[3] + a[3] * b[0] - a[1] * b[2] + a[2] * b[1]
    best = 0.0
    for k in range(len(symmetry)):
        best = max(best, abs(w * symmetry[k, 0] + x * symmetry[k, 1] + y * symmetry[k, 2] + z * symmetry[k, 3]))
    return best
