"""From correlation curves to distinct orientations of one phase."""

import numpy as np
from numba import njit

_TOP = 24  # templates whose whole curve is searched; the others offer their best angle


@njit(cache=True)
def pick(curves, base, symmetry, distinct_cosine, quaternions, scores):  # type: ignore[no-untyped-def]
    """Best orientation of one pattern, then the next best ones that are distinct from all before.

    Parameters
    ----------
    curves
        Correlation (angle, entry), entries being templates as they are and mirrored.
    base
        Orientation of each entry at angle 0, (entry, 4).
    symmetry
        Proper rotations of the crystal (n, 4).
    distinct_cosine
        cos(half the angular window): two orientations whose symmetric |q1 . q2| is larger are the same.
    quaternions, scores
        Written: (match, 4) and (match,); left as they are (NaN) where there is no further distinct orientation.
    """
    angles, entries = curves.shape
    best = np.empty(entries, np.float32)
    where = np.empty(entries, np.int64)
    for e in range(entries):
        best[e] = -np.inf
    for k in range(angles):
        for e in range(entries):
            if curves[k, e] > best[e]:
                best[e] = curves[k, e]
                where[e] = k
    order = np.argsort(-best)
    room = entries + min(_TOP, entries) * (angles // 2)
    value, place = np.empty(room, np.float32), np.empty((room, 2), np.int64)  # score; entry and angle
    count = 0
    for rank in range(entries):
        e = order[rank]
        if rank >= _TOP:
            value[count], place[count, 0], place[count, 1] = vertex(curves, e, where[e])[0], e, where[e]
            count += 1
            continue
        for k in range(angles):
            here = curves[k, e]
            if here > curves[k - 1, e] and here >= curves[(k + 1) % angles, e]:
                value[count], place[count, 0], place[count, 1] = vertex(curves, e, k)[0], e, k
                count += 1
    _choose(curves, base, symmetry, distinct_cosine, value[:count], place, quaternions, scores)


@njit(cache=True)
def vertex(curves, e, k):  # type: ignore[no-untyped-def]
    """Top of the parabola through a maximum on the angle grid and its neighbours; its place [grid steps] from there."""
    left, here, right = curves[k - 1, e], curves[k, e], curves[(k + 1) % curves.shape[0], e]
    bend = left - 2 * here + right
    shift = 0.5 * (left - right) / bend if bend < 0 else 0.0
    return here - 0.25 * (left - right) * shift, shift


@njit(cache=True)
def _choose(curves, base, symmetry, distinct_cosine, value, place, quaternions, scores):  # type: ignore[no-untyped-def]
    angles = curves.shape[0]
    chosen = 0
    for c in np.argsort(-value):
        if chosen == len(scores):
            break
        e, k = place[c]
        score, shift = vertex(curves, e, k)
        half = -np.pi * (k + shift) / angles  # O = base * R_z(-phi): half of -phi
        w, z = np.cos(half), np.sin(half)
        a = base[e]
        q = np.array([a[0] * w - a[3] * z, a[1] * w + a[2] * z, a[2] * w - a[1] * z, a[3] * w + a[0] * z])
        if q[0] < 0:
            q = -q
        new = True
        for other in range(chosen):
            if symmetric_cosine(q, quaternions[other], symmetry) > distinct_cosine:
                new = False
                break
        if new:
            quaternions[chosen] = q
            scores[chosen] = score
            chosen += 1


@njit(cache=True)
def symmetric_cosine(first, second, symmetry):  # type: ignore[no-untyped-def]
    """Cosine of half the disorientation: the largest |<first second^-1, S>|."""
    a, b = first, second
    w = a[0] * b[0] + a[1] * b[1] + a[2] * b[2] + a[3] * b[3]
    x = -a[0] * b[1] + a[1] * b[0] - a[2] * b[3] + a[3] * b[2]
    y = -a[0] * b[2] + a[2] * b[0] - a[3] * b[1] + a[1] * b[3]
    z = -a[0] * b[3] + a[3] * b[0] - a[1] * b[2] + a[2] * b[1]
    best = 0.0
    for s in symmetry:
        best = max(best, abs(w * s[0] + x * s[1] + y * s[2] + z * s[3]))
    return best
