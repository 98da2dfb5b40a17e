"""The mask of a detector: the kind of every pixel, found once from the whole scan and given to every step."""

import numpy as np
import xarray as xr

from ..errors import SchemaError
from ..schema import DETECTOR_MASK, PATTERNS, describe, require
from .beam import find_beam, make_beam_attributes
from .kinds import PixelKind, PixelKinds, find_pixel_kinds, is_bad, select_sample


def find_mask(patterns: xr.Dataset, *, patterns_per_axis: int | None = None) -> xr.Dataset:
    r"""Find dead, hot, saturated, masked, flickering and constant pixels, lines, gaps and a beam stop.

    Every value is compared with what counting noise and the pixel's neighbours allow. No threshold is in counts, so
    that the same holds for any dose, gain or offset. Offset and readout noise are measured.

    Parameters
    ----------
    patterns
        PATTERNS: ``intensity(scan_y, scan_x, qy, qx)`` [counts], lazy or not. At most 7 x 7 patterns are read first,
        for the noise. Then all are read once, block by block; some twenty images of detector size are kept in memory.
    patterns_per_axis
        Number of patterns along each scan axis, evenly spread, that are looked at. ``None``: all. With 10 (100
        patterns) pixels that are always bad are found; pixels that are bad in few patterns need all.

    Returns
    -------
    xarray.Dataset
        DETECTOR_MASK. ``kind(qy, qx)``, with the words in ``flag_meanings``:

        - ``used``: nothing is wrong.
        - ``dead``: counts hardly anything where its neighbours show that 30 electrons and more arrived.
        - ``hot``: counts far more than its neighbours in every pattern, or varies as no disk does.
        - ``saturated``: at the detector's limit in most patterns, in a disk that is bright around it. The steps use it.
        - ``masked``: holds no count in most patterns: NaN, -1, -2, 65535, 4294967295 and the like.
        - ``line``, ``gap``: a row or column that is bad over four fifths of its length, up to 2 px wide, or wider.
        - ``beam_stop``: a connected shadow.
        - ``flickering``: bad in some patterns only, but more often than the others.
        - ``constant``: holds the same count in all patterns.

        ``bad_share(qy, qx)`` is the share of patterns in which the pixel holds no count or a spike.
        ``pixel_count(pixel_kind)`` counts the pixels of each kind. Attributes: ``beam_qy_px``, ``beam_qx_px`` and
        ``beam_radius_px`` are the direct beam in the mean pattern, NaN and 0 where none stands out. ``least_count``
        and ``spike_limits`` are what :func:`apply_mask` finds bad pixels of single patterns by.

    Raises
    ------
    SchemaError
        Not PATTERNS, no pixel that counts, or nothing but zeros.

    See Also
    --------
    apply_mask : Removes the bad pixels from patterns.
    phasekit.acom.find_peaks : Takes the mask, as ``phasekit.nmf.to_features`` and ``phasekit.virtual`` do.
    phasekit.viz.mask_figure : Shows it.

    Notes
    -----
    Let s be the sum of the six darkest of a pixel's eight neighbours, above the level of the darkest pixels. In a
    single pattern a value v is a *spike* if it exceeds what a disk half as wide as the measured ones could bring there:

    .. math:: v > R \left(s + 7 \sqrt{6 v_0 + g s}\right) + g \frac{\ln p}{\ln(R / (1 + R))} + 7 \sqrt{v_0}

    R is twice the ratio of the brightest pixel of such a disk to its six neighbours. The noise :math:`v_0 + g m` is
    fitted to small dark blocks; p = 5e-11. Spikes are left out of mean, variance and covariance. From these, pixels
    that are bad in all patterns are found, see :func:`phasekit.nmf.find_detector_mask`. A pixel is *flickering* if its
    spikes exceed the rate of the other pixels by 6 standard deviations and 3. It is *constant* if the chance that
    counting repeats itself in all patterns is below :math:`e^{-30}`, and most of its neighbours change.

    Examples
    --------
    >>> import phasekit as pk
    >>> scan = pk.synthetic.overlapping_grains(n_components=2, shape=(8, 8), detector=(32, 32))
    >>> counts = scan.intensity.values.copy()
    >>> counts[..., 5, 7] = 65535
    >>> mask = find_mask(scan.assign(intensity=scan.intensity.copy(data=counts)))
    >>> int(mask.pixel_count.sel(pixel_kind="masked")), int(mask.pixel_count.sel(pixel_kind="used")) == 32 * 32 - 1
    (1, True)
    """
    require(patterns, PATTERNS, step="find_mask", argument="patterns")
    if patterns_per_axis is not None and patterns_per_axis < 2:
        raise SchemaError(
            f"find_mask: patterns_per_axis = {patterns_per_axis}, needs at least 2. Leave it out for all."
        )
    intensity = patterns["intensity"]
    if patterns_per_axis is not None:
        intensity = select_sample(intensity, patterns_per_axis)
    found = find_pixel_kinds(intensity, "find_mask")
    _check_counts(found)
    settings = {"patterns_per_axis": patterns_per_axis}
    return describe(make_mask_dataset(found, patterns), DETECTOR_MASK, step="find_mask", settings=settings)


def make_mask_dataset(found: PixelKinds, patterns: xr.Dataset) -> xr.Dataset:
    """DETECTOR_MASK without provenance, on the detector of ``patterns``."""
    words = [kind.name.lower() for kind in PixelKind]
    flags = {"flag_values": np.arange(len(words), dtype=np.int8), "flag_meanings": " ".join(words)}
    images = found.images
    out = xr.Dataset(
        {
            "kind": (("qy", "qx"), found.kind, flags),
            "bad_share": (("qy", "qx"), (found.bad_patterns / images.n_patterns).astype(np.float32)),
            "pixel_count": ("pixel_kind", np.bincount(found.kind.ravel(), minlength=len(words))),
        },
        coords={"pixel_kind": words, **{d: patterns[d] for d in ("qy", "qx") if d in patterns.coords}},
    )
    beam = find_beam(
        np.maximum(images.mean - found.rules.offset, 0), is_bad(found.kind), found.kind == PixelKind.BEAM_STOP
    )
    rules = {"least_count": float(found.rules.least), "spike_limits": np.array(found.rules.spike_limits)}
    return out.assign_attrs(make_beam_attributes(*beam) | rules)


def _check_counts(found: PixelKinds) -> None:
    """Refuse a scan in which nothing counts."""
    if is_bad(found.kind).all():
        raise SchemaError(
            "find_mask: no detector pixel holds counts. Check that the right dataset of the file was opened."
        )
    if not found.images.variance.any() and not found.images.mean.any():
        raise SchemaError("find_mask: every pattern is zero. Check that the right dataset of the file was opened.")
