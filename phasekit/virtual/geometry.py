"""Geometry of the detector: the direct beam, the distance of every pixel from it, and the pixels that are used."""

from typing import NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ..detector.kinds import fill_with_median
from ..detector.use import has_single_events, read_used, remove_bad_values
from ..errors import SchemaError
from ..schema import PATTERNS, require

Array = NDArray[np.float64]
Centre = tuple[float, float]
#: DETECTOR_MASK, flags (0: used) or booleans (True: used) ``(qy, qx)``.
Mask = xr.Dataset | xr.DataArray | None
DETECTOR = ("qy", "qx")


class DirectBeam(NamedTuple):
    """Direct beam of a scan, in the unit of the detector's axes."""

    centre: Centre
    radius: float


def find_direct_beam(patterns: xr.Dataset, *, mask: Mask = None) -> DirectBeam:
    r"""Find the direct beam in the mean pattern of a scan.

    The mean pattern is smoothed by a 3 x 3 median, because a hot pixel may exceed the beam. The beam :math:`B` is the
    set of connected pixels around the maximum that exceed half of it. Centre and radius are

    .. math:: \mathbf q_0 = \frac{\sum_B \bar I\, \mathbf q}{\sum_B \bar I}, \qquad r = \sqrt{|B| / \pi}

    Parameters
    ----------
    patterns
        PATTERNS. Lazy data are read once, block by block.
    mask
        As in :func:`apply_detectors`. Pixels that are not used get the median of their neighbours.

    Returns
    -------
    DirectBeam
        ``centre`` ``(qy, qx)`` and ``radius``, both in the unit of the detector's axes (1/angstrom or px). The disk of
        this radius has the same area as the pixels above half of the maximum.

    Raises
    ------
    SchemaError
        Not PATTERNS, or no counts at all.

    See Also
    --------
    apply_detectors : Images of ring-shaped detectors about this centre.
    phasekit.acom.calibrate_peaks : The direct beam of every single pattern, from its peaks.

    Notes
    -----
    A beam stop hides the beam: give the centre by hand then.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> counts = np.zeros((1, 1, 9, 9))
    >>> counts[..., 3:6, 4:7] = 100
    >>> axis = np.arange(9.0)
    >>> scan = xr.Dataset({"intensity": (("scan_y", "scan_x", "qy", "qx"), counts)}, {"qy": axis, "qx": axis})
    >>> find_direct_beam(scan).centre
    (4.0, 5.0)
    """
    from scipy import ndimage

    require(patterns, PATTERNS, step="find_direct_beam", argument="patterns")
    # The mean of the scan: single patterns may hold few counts, and the drift of the beam averages out.
    used, intensity, _ = select_pixels(patterns, mask, "find_direct_beam")
    mean = intensity.mean(("scan_y", "scan_x")).compute()
    smooth = ndimage.median_filter(np.nan_to_num(fill_with_median(mean.values, ~used)), size=3, mode="nearest")
    if not smooth.max() > 0:
        raise SchemaError(
            "find_direct_beam: the mean pattern holds no counts. Check the scan, or give the centre by hand."
        )
    # Connected to the maximum only: a strong reflection above half of it would move the centroid.
    regions, _ = ndimage.label(smooth > smooth.max() / 2)
    inside = regions == regions[np.unravel_index(smooth.argmax(), smooth.shape)]
    beam = inside * smooth
    y, x = (mean[dim].values.astype(float) for dim in DETECTOR)
    centre = float((beam.sum(1) * y).sum() / beam.sum()), float((beam.sum(0) * x).sum() / beam.sum())
    return DirectBeam(centre, float(np.sqrt(inside.sum() / np.pi)) * pixel_distances(patterns, centre)[1])


def pixel_distances(patterns: xr.Dataset, centre: Centre) -> tuple[Array, float]:
    """Distance ``(qy, qx)`` of every pixel from the centre, and the width of a pixel, in the detector's unit."""
    y, x = (patterns[dim].values.astype(float) for dim in DETECTOR)
    distance = np.hypot((y - centre[0])[:, None], (x - centre[1])[None, :])
    # The mean step: axes read from a file may carry rounding errors.
    steps = [abs(float(np.diff(axis).mean())) for axis in (y, x) if axis.size > 1]
    return distance, min(steps, default=1.0)


def select_pixels(patterns: xr.Dataset, mask: Mask, step: str) -> tuple[NDArray[np.bool_], xr.DataArray, bool]:
    """Detector pixels ``(qy, qx)`` to use, the intensities, and whether NaN in them is left out.

    It is where a DETECTOR_MASK tells of bad values of single patterns, which become NaN.
    """
    used = read_used(mask, patterns, step)
    if not (isinstance(mask, xr.Dataset) and has_single_events(mask)):
        return used, patterns["intensity"], False
    return used, remove_bad_values(patterns["intensity"], used, mask), True


def ring_weights(distance: Array, inner: float, outer: float, pixel: float) -> Array:
    r"""Share of every pixel inside a ring, for the distance :math:`d` and the width :math:`p` of a pixel.

    .. math:: w = c(r_\mathrm{outer}) - c(r_\mathrm{inner}), \qquad
        c(r) = \min(\max((r - d) / p + 1/2,\, 0),\, 1)

    Rings that share a radius add up to the ring that covers both.
    """
    # A disk has no inner border: there the pixel of the beam itself would lose half of its weight.
    inside = np.clip((outer - distance) / pixel + 0.5, 0.0, 1.0)
    hole = np.clip((inner - distance) / pixel + 0.5, 0.0, 1.0) if inner > 0 else 0.0
    return inside - hole
