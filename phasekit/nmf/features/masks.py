"""Detector pixels that a factorisation should leave out: direct beam, beam stop, dead and hot pixels."""

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ...detector.beam import find_beam, make_beam_attributes, make_disk
from ...detector.kinds import PixelKind, PixelKinds, find_pixel_kinds
from ...detector.scan_images import check_values
from ...errors import SchemaError
from ...schema import PATTERNS, require

USED, DIRECT_BEAM, DEAD, HOT, BEAM_STOP = range(5)
_MEANINGS = "used direct_beam dead hot beam_stop"
_COUNTED = {"dead": DEAD, "hot": HOT, "beam_stop": BEAM_STOP}
# The flags of this mask are five; the kinds of pixels are more, and each is one of two ways to be of no use.
_FLAG_OF_KIND = np.full(len(PixelKind), HOT, dtype=np.int8)
_FLAG_OF_KIND[[PixelKind.USED, PixelKind.SATURATED]] = USED
_FLAG_OF_KIND[[PixelKind.DEAD, PixelKind.MASKED, PixelKind.GAP]] = DEAD
_FLAG_OF_KIND[PixelKind.BEAM_STOP] = BEAM_STOP


def find_detector_mask(patterns: xr.Dataset, *, direct_beam: float | str = "auto") -> xr.DataArray:
    r"""Find the direct beam, a beam stop, dead and hot pixels of the detector from the whole scan.

    These are the kinds of :func:`phasekit.detector.find_mask` in five flags, and the direct beam. The data are read
    once, block by block; some twenty images of detector size are kept in memory. NaN values (not measured) are left
    out. A pixel that holds no count in most patterns is dead.

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
    phasekit.detector.find_mask : More kinds of pixels; every workflow takes its mask.
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
    found = find_pixel_kinds(patterns["intensity"], "find_detector_mask")
    check_values(float(found.images.lowest.min()), float(found.images.mean.sum()), "find_detector_mask")
    return make_mask(found, patterns, direct_beam)


def make_mask(
    found: PixelKinds, patterns: xr.Dataset, direct_beam: float | str, *, drawn: bool = False
) -> xr.DataArray:
    """Mask of :func:`find_detector_mask` from the kinds of pixels; ``drawn`` patterns have no bad pixel."""
    if isinstance(direct_beam, str) and direct_beam != "auto":
        raise SchemaError(f"find_detector_mask: direct_beam = {direct_beam!r}, needs 'auto' or a radius in px.")
    mean = found.images.mean
    flags = np.zeros(mean.shape, dtype=np.int8) if drawn else _FLAG_OF_KIND[found.kind]
    # Bad pixels first: the beam is then looked for in an image without them.
    centre, radius = find_beam(mean, flags > DIRECT_BEAM, flags == BEAM_STOP)
    if not isinstance(direct_beam, str):
        radius = float(direct_beam)
        centre = centre if np.isfinite(centre).all() else (np.array(flags.shape) - 1) / 2
    return _make_flags(flags, patterns, centre, radius)


def convert_mask(mask: xr.Dataset) -> xr.DataArray:
    """The flags of :func:`find_detector_mask` from a DETECTOR_MASK, with the direct beam that it has found."""
    beam = [float(mask.attrs.get(name, np.nan)) for name in ("beam_qy_px", "beam_qx_px", "beam_radius_px")]
    flags = _FLAG_OF_KIND[mask["kind"].transpose("qy", "qx").to_numpy()]
    return _make_flags(flags, mask, np.array(beam[:2]), beam[2] if np.isfinite(beam[2]) else 0.0)


def _make_flags(
    flags: NDArray[np.int8], detector: xr.Dataset, centre: NDArray[np.float64], radius: float
) -> xr.DataArray:
    """Flags ``(qy, qx)`` with names, counts and the direct beam of ``radius`` [px] around ``centre`` [px]."""
    counted = {f"n_{word}": int((flags == flag).sum()) for word, flag in _COUNTED.items()}
    if radius > 0:  # a stop in front of the beam stays a stop: its edge is not where the beam ends
        flags[make_disk(flags.shape, centre, radius) & (flags != BEAM_STOP)] = DIRECT_BEAM
    out = xr.DataArray(flags, dims=("qy", "qx"), coords={d: detector[d] for d in ("qy", "qx") if d in detector.coords})
    out.attrs = {"long_name": "use of the detector pixel", "units": "1", "flag_meanings": _MEANINGS}
    out.attrs["flag_values"] = np.arange(5, dtype=np.int8)
    out.attrs |= make_beam_attributes(centre, radius)
    return out.assign_attrs(counted)
