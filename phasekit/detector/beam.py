"""The direct beam in the mean pattern of a scan."""

import numpy as np
from numpy.typing import NDArray


def find_beam(
    mean: NDArray[np.floating], bad: NDArray[np.bool_], stop: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], float]:
    """Centre [px] and radius [px] of the direct beam in the mean pattern; NaN and 0 where no spot is bright enough.

    ``bad`` pixels are bridged by the median of their neighbours; a beam under the beam ``stop`` is none.
    """
    from scipy.ndimage import median_filter

    centre, radius = _locate_beam(np.where(bad, median_filter(mean, size=3), mean))
    if radius == 0:
        return centre, radius
    # More than a quarter under the beam stop: what looks like a beam is light that passes the stop's edge.
    covered = stop[make_disk(mean.shape, centre, radius)].mean()
    return (np.full(2, np.nan), 0.0) if covered > 0.25 else (centre, radius)


def make_beam_attributes(centre: NDArray[np.floating], radius: float) -> dict[str, float]:
    """Place and radius of the direct beam, as masks and features carry them."""
    return {"beam_qy_px": float(centre[0]), "beam_qx_px": float(centre[1]), "beam_radius_px": float(radius)}


def make_disk(shape: tuple[int, ...], centre: NDArray[np.floating], radius: float) -> NDArray[np.bool_]:
    """Pixels within ``radius`` [px] of ``centre`` (qy, qx)."""
    y, x = np.indices(shape)
    return np.hypot(y - centre[0], x - centre[1]) <= radius


def _locate_beam(mean: NDArray[np.floating]) -> tuple[NDArray[np.float64], float]:
    """Centre [px] and radius [px] of the brightest spot; NaN and 0 where it is not bright enough for a direct beam.

    The centre is the centre of mass above half the peak. The radius is where the radial median profile falls by less
    than a tenth of its steepest fall.
    """
    from scipy.ndimage import center_of_mass, gaussian_filter

    # Smoothed by one pixel, so that a single bright pixel cannot win over the beam.
    smooth = gaussian_filter(mean, 1.0)
    centre = np.array(np.unravel_index(smooth.argmax(), smooth.shape), dtype=float)
    y, x = np.indices(mean.shape)
    level = smooth.max() / 2
    for _ in range(5):  # centre of mass of what is above half the peak, so that diffuse slopes do not pull
        near = np.hypot(y - centre[0], x - centre[1]) < max(mean.shape) / 8
        centre = np.array(center_of_mass(np.where(near & (smooth > level), smooth, 0)))
    distance = np.hypot(y - centre[0], x - centre[1])
    rings = range(max(min(mean.shape) // 3, 4))  # 0.75: also the innermost ring holds pixels, wherever the centre lies
    profile = [float(np.median(mean[np.abs(distance - r) <= 0.75])) for r in rings]
    fall = -np.diff(profile)
    steep = int(fall.argmax())
    flat = next((r for r in range(steep, len(fall)) if fall[r] < 0.1 * fall[steep]), len(fall))
    radius = flat + 1.0
    # Away from the middle a diffraction spot is likelier than a beam: the demand is twice as high there.
    rest = smooth[distance > radius + 1]
    middle = (np.array(mean.shape) - 1) / 2
    central = bool((np.abs(centre - middle) < np.array(mean.shape) / 8).all())
    if rest.size == 0 or smooth.max() < (1.5 if central else 3.0) * rest.max():
        return np.full(2, np.nan), 0.0
    return np.round(centre, 2), radius
