"""Geometry of the detector: the direct beam, the distance of every pixel from it, and the pixels that are used."""

from typing import NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ..errors import SchemaError
from ..schema import PATTERNS, require

Array = NDArray[np.float64]
Centre = tuple[float, float]
DETECTOR = ("qy", "qx")


class DirectBeam(NamedTuple):
    """Direct beam of a scan, in the unit of the detector's axes."""

    centre: Centre
    radius: float


def find_direct_beam(patterns: xr.Dataset) -> DirectBeam:
    r"""Find the direct beam in the mean pattern of a scan.

    The mean pattern is smoothed by a 3 x 3 median, because a hot pixel may exceed the beam. The beam :math:`B` is the
    set of connected pixels around the maximum that exceed half of it. Centre and radius are

    .. math:: \mathbf q_0 = \frac{\sum_B \bar I\, \mathbf q}{\sum_B \bar I}, \qquad r = \sqrt{|B| / \pi}

    Parameters
    ----------
    patterns
        PATTERNS. Lazy data are read once, block by block.

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
    mean = patterns["intensity"].mean(("scan_y", "scan_x")).compute()
    smooth = ndimage.median_filter(np.nan_to_num(mean.values), size=3, mode="nearest")
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


def select_pixels(patterns: xr.Dataset, mask: xr.DataArray | None, step: str) -> NDArray[np.bool_]:
    """Detector pixels ``(qy, qx)`` to use; ``mask`` is boolean (True: used) or holds flags (0: used)."""
    shape = tuple(patterns.sizes[dim] for dim in DETECTOR)
    if mask is None:
        return np.ones(shape, dtype=bool)
    if mask.dims != DETECTOR or mask.shape != shape:
        raise SchemaError(
            f"{step}: mask has {dict(mask.sizes)}, needs {dict(zip(DETECTOR, shape, strict=True))}. "
            "pk.nmf.find_detector_mask(patterns) makes one."
        )
    values = np.asarray(mask)
    # Flags count kinds of bad pixels, so 0 is a good one; a boolean mask is True where it is good.
    return values if values.dtype == bool else values == 0


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
