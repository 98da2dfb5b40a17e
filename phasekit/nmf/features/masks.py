"""Detector pixels that a factorisation should leave out: direct beam, beam stop, dead and hot pixels."""

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ...errors import SchemaError
from ...schema import PATTERNS, require
from .outliers import Outliers, find_outliers
from .scan_images import ScanImages, compute_scan_images

USED, DIRECT_BEAM, DEAD, HOT, BEAM_STOP = range(5)
_MEANINGS = "used direct_beam dead hot beam_stop"


def find_detector_mask(patterns: xr.Dataset, *, direct_beam: float | str = "auto") -> xr.DataArray:
    r"""Find the direct beam, a beam stop, dead and hot pixels of the detector from the whole scan.

    The data are read once, block by block; some ten images of detector size are kept in memory. NaN values (not
    measured) are left out. A pixel that is NaN in every pattern is dead.

    Parameters
    ----------
    patterns
        PATTERNS: ``intensity(scan_y, scan_x, qy, qx)`` [counts].
    direct_beam
        Radius [px] to mask around the direct beam; 0 masks none. ``"auto"`` takes the brightest spot of the mean
        pattern, out to where its profile has levelled off. The spot must be 1.5 times brighter than everything beyond
        it near the detector's middle, three times elsewhere.

    Returns
    -------
    xarray.DataArray
        ``(qy, qx)``, int8 with ``flag_meanings`` "used direct_beam dead hot beam_stop" (0 = used). It may be edited and
        given to :func:`to_features`. Attributes: ``n_dead``, ``n_hot``, ``n_beam_stop`` pixels; ``beam_qy_px``,
        ``beam_qx_px``, ``beam_radius_px``, the place of the direct beam. These are NaN when none was found, or when the
        brightest place is only the edge of the beam stop.

    Raises
    ------
    SchemaError
        ``patterns`` is no PATTERNS dataset, its intensities are negative, infinite, or zero everywhere.

    See Also
    --------
    to_features : Takes the mask; ``mask="auto"`` calls this function.
    estimate_gain : Measures counts per electron of the same detector.
    phasekit.acom.calibrate_peaks : Finds the direct beam in every pattern.

    Notes
    -----
    Counts are taken as electrons times a gain, which is estimated from the pixels that vary least for their mean. A
    pixel has a mean m, a variance :math:`s^2` and covariances :math:`c_k` with the four pixels beside it. It is *hot*
    in one of three cases.

    - It is 5 times its third-brightest neighbour, and the four pixels beside it each hold below 1.2 % of its height.
    - Its variance is 5 times what its neighbours and counting explain, or 3 times where that is measured well. Its
      neighbours must not follow: :math:`\sum_k c_k / s^2 < 0.05`. A spot's neighbours do, even if its grain is seen in
      1 % of the patterns only.
    - It is above its neighbours and hardly fluctuates at all.

    A disk 1.2 px wide is kept. A hot pixel inside a spot is found when it is about 5 times brighter. A *dead* pixel is
    below a fifth of its third-darkest neighbour where 30 electrons were expected. Rows and columns, single or in pairs,
    are judged over four fifths of their length. A *beam stop* is a connected shadow of at least 3 x 3 pixels, below a
    tenth of the median around it. It lies near the centre of mass of all patterns or away from the detector's edge.

    Examples
    --------
    >>> import phasekit as pk
    >>> scan = pk.synthetic.overlapping_grains(n_components=2, shape=(6, 6), detector=(32, 32), hot_pixels=3)
    >>> mask = find_detector_mask(scan)
    >>> int((mask == 3).sum()), mask.attrs["beam_qy_px"]
    (3, 15.5)
    """
    require(patterns, PATTERNS, step="find_detector_mask", argument="patterns")
    images = compute_scan_images(patterns["intensity"], "find_detector_mask", missing=True)
    return make_mask(images, patterns, direct_beam)


def make_mask(
    images: ScanImages, patterns: xr.Dataset, direct_beam: float | str, *, drawn: bool = False
) -> xr.DataArray:
    """Mask of :func:`find_detector_mask` from the images of one pass; ``drawn`` patterns have no bad pixel."""
    if isinstance(direct_beam, str) and direct_beam != "auto":
        raise SchemaError(f"find_detector_mask: direct_beam = {direct_beam!r}, needs 'auto' or a radius in px.")
    bad = Outliers(*np.zeros((3, *images.mean.shape), dtype=bool)) if drawn else find_outliers(images)
    flags = np.full(images.mean.shape, USED, dtype=np.int8)
    flags[bad.dead], flags[bad.hot], flags[bad.beam_stop] = DEAD, HOT, BEAM_STOP
    # Bad pixels first: the beam is then looked for in an image without them.
    centre, radius = find_beam(images.mean, flags)
    if not isinstance(direct_beam, str):
        radius = float(direct_beam)
        centre = centre if np.isfinite(centre).all() else (np.array(flags.shape) - 1) / 2
    if radius > 0:  # a stop in front of the beam stays a stop: its edge is not where the beam ends
        flags[make_disk(flags.shape, centre, radius) & (flags != BEAM_STOP)] = DIRECT_BEAM
    out = xr.DataArray(flags, dims=("qy", "qx"), coords={d: patterns[d] for d in ("qy", "qx") if d in patterns.coords})
    out.attrs = {"long_name": "use of the detector pixel", "units": "1", "flag_meanings": _MEANINGS}
    out.attrs["flag_values"] = np.arange(5, dtype=np.int8)
    out.attrs |= make_beam_attributes(centre, radius)
    counted = {"n_dead": bad.dead, "n_hot": bad.hot, "n_beam_stop": bad.beam_stop}
    return out.assign_attrs({name: int(found.sum()) for name, found in counted.items()})


def find_beam(mean: NDArray[np.floating], flags: NDArray[np.int8]) -> tuple[NDArray[np.float64], float]:
    """Centre [px] and radius [px] of the direct beam in the mean pattern; NaN and 0 where no spot is bright enough."""
    from scipy.ndimage import median_filter

    centre, radius = _locate_beam(np.where(flags > DIRECT_BEAM, median_filter(mean, size=3), mean))
    if radius == 0:
        return centre, radius
    # More than a quarter under the beam stop: what looks like a beam is light that passes the stop's edge.
    covered = (flags == BEAM_STOP)[make_disk(flags.shape, centre, radius)].mean()
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
