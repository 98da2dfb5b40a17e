"""Rotation between scan and detector, from the deflections of the direct beam.

Electric fields in the specimen deflect the beam, and a static electric field has no curl. So the right rotation is the
one that makes the field of deflections (origin minus its smooth drift) free of curl: what differential phase contrast
uses. The sign of the field stays open, so the angle is known modulo 180 degrees.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_BLOCKS = 6  # along each scan axis, for the error: the jackknife leaves out one strip at a time
_CLEAR, _ERROR_DEG = 0.5, 10.0  # curl left over the largest, and error, below which the angle means something


def fit_rotation(deflection: Floats) -> tuple[float, float, float]:
    """Angle [degrees] that turns detector vectors into the scan frame, its standard error, and how much curl is left.

    Parameters
    ----------
    deflection
        Shift of the direct beam (scan_y, scan_x, 2: y, x) from its drift, NaN where it was not seen.

    Returns
    -------
    tuple
        Angle in (-90, 90], standard error (NaN if it cannot be told), and the curl at this angle over the largest one
        (0: a perfect gradient field; 1: noise). NaN, NaN, 1 for fewer than 4 x 4 positions.
    """
    if min(deflection.shape[:2]) < 4:
        return np.nan, np.nan, 1.0
    parts = _curl_parts(deflection)
    angle, left = _flattest(parts.reshape(-1, 2))
    strips = [np.array_split(np.arange(n), min(_BLOCKS, n)) for n in parts.shape[:2]]
    others = [_flattest(np.delete(parts, strip, axis=k).reshape(-1, 2))[0] for k in (0, 1) for strip in strips[k]]
    apart = (np.array(others) - angle + 90) % 180 - 90  # the same modulo 180 degrees
    n = len(others) / 2
    return angle, float(np.sqrt((n - 1) / n * np.nansum(apart**2) / 2)), left


def is_clear(error: float, left: float) -> bool:
    """Whether the deflections tell an angle at all."""
    return bool(left < _CLEAR and error < _ERROR_DEG)


def _curl_parts(deflection: Floats) -> Floats:
    """(y, x, 2): the curl of the field turned by a is part 0 times cos a plus part 1 times sin a.

    Turned from +x towards +y: v_x = u_x cos a - u_y sin a, v_y = u_x sin a + u_y cos a; curl = d v_y / dx - d v_x / dy.
    """
    dy, dx = (_difference(deflection, axis) for axis in (0, 1))
    return np.stack([dx[..., 0] - dy[..., 1], dx[..., 1] + dy[..., 0]], axis=-1)


def _difference(field: Floats, axis: int) -> Floats:
    """Central difference on the inner positions."""
    ahead = np.roll(field, -1, axis=axis) - np.roll(field, 1, axis=axis)
    return np.asarray(ahead[1:-1, 1:-1] / 2)


def _flattest(parts: Floats) -> tuple[float, float]:
    """Angle of the least summed squared curl [degrees], and that curl over the largest: a 2 x 2 eigenvalue problem."""
    known = parts[np.isfinite(parts).all(axis=1)]
    if len(known) < 8:
        return np.nan, 1.0
    size = np.linalg.norm(known, axis=1)
    known = known[size <= 6 * max(np.median(size), 1e-30)]  # positions where another spot was taken for the beam
    values, vectors = np.linalg.eigh(known.T @ known)
    angle = np.degrees(np.arctan2(vectors[1, 0], vectors[0, 0]))
    return float(90 - (90 - angle) % 180), float(values[0] / max(values[1], 1e-300))
