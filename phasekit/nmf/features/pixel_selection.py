"""Which detector pixels become features: those the mask leaves, and what is left of them when patterns move."""

from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ...errors import SchemaError
from .centring import Beam, Centring, find_valid_pixels
from .masks import DIRECT_BEAM, USED, make_disk, make_mask
from ...detector.scan_images import compute_scan_images
from .settings import FeatureSettings


class PixelSelection(NamedTuple):
    """Detector pixels to be used, and what else the pass over the scan has found."""

    used: NDArray[np.bool_]  # in the detector's own frame
    bad: NDArray[np.bool_] | None  # pixels fixed to the detector, which a shift moves along; None: every pixel is used
    covered: NDArray[np.bool_]  # direct beam, which a shift brings to the common origin
    beam: Beam
    whole: bool | None  # every value is a whole number of electrons; None: not known yet


def select_pixels(patterns: xr.Dataset, intensity: xr.DataArray, settings: FeatureSettings) -> PixelSelection:
    """The pixels that ``mask`` of :func:`to_features` leaves, and the direct beam if it is known or needed."""
    mask, whole = settings.mask, None
    if isinstance(mask, str):
        if mask != "auto":
            raise SchemaError(f"to_features: mask = {mask!r}, needs 'auto', None or an array (qy, qx).")
        mask, whole = _compute_mask(patterns, intensity, settings)
    beam = _read_beam(mask)
    # A mask of the user's own does not say where the beam is; rings and measured centres need it nevertheless.
    if not np.isfinite(beam.centre).all() and _is_beam_needed(settings):
        beam = _read_beam(_compute_mask(patterns, intensity, settings)[0])
    shape = (patterns.sizes["qy"], patterns.sizes["qx"])
    none = np.zeros(shape, dtype=bool)
    if mask is None:
        return PixelSelection(~none, None, none, beam, whole)
    if not isinstance(mask, xr.DataArray) or set(mask.dims) != {"qy", "qx"} or _get_shape(mask) != shape:
        raise SchemaError(
            f"to_features: the mask is {getattr(mask, 'dims', type(mask).__name__)} {np.shape(mask)}, needs an "
            f"xarray.DataArray (qy, qx) of shape {shape}. Start from pk.nmf.find_detector_mask(patterns)."
        )
    flags = mask.transpose("qy", "qx").to_numpy()
    used = flags if flags.dtype == bool else flags == USED
    _check_any_used(used)
    # A boolean mask does not separate beam and bad pixels: all its pixels then move with the detector.
    covered = none if flags.dtype == bool else flags == DIRECT_BEAM
    return PixelSelection(used, ~used & ~covered, covered, beam, whole)


def _compute_mask(
    patterns: xr.Dataset, intensity: xr.DataArray, settings: FeatureSettings
) -> tuple[xr.DataArray, bool]:
    """The mask that one pass over the data gives, and whether the data are whole counts."""
    images = compute_scan_images(intensity, "to_features", missing=settings.keep_missing, gain=float(settings.gain))
    return make_mask(images, patterns, "auto", drawn=settings.peaks is not None), images.whole


def _is_beam_needed(settings: FeatureSettings) -> bool:
    """True when a step after the mask starts from the direct beam of the mean pattern."""
    centre = settings.centre
    return isinstance(centre, str) or (centre is None and settings.layout != "cartesian")


def _read_beam(mask: Any) -> Beam:
    """Direct beam in the attributes of a mask; NaN and 0 without them."""
    attrs = getattr(mask, "attrs", {})
    names = ("beam_qy_px", "beam_qx_px", "beam_radius_px")
    y, x, radius = (float(attrs.get(name, np.nan)) for name in names)
    return Beam((y, x), radius if np.isfinite(radius) else 0.0)


def select_after_shift(
    selection: PixelSelection, centring: Centring, *, keep: bool
) -> tuple[NDArray[np.bool_], NDArray[np.bool_] | None]:
    """Pixels that become features, and those of the detector that are NaN before the shift (``keep``), or None."""
    if centring.shifts is None or (selection.bad is None and not keep):
        return selection.used, None
    # With ``missing="keep"`` a pixel is used as soon as one pattern has it; otherwise every pattern must.
    good = np.ones_like(selection.used) if selection.bad is None else ~selection.bad
    used = find_valid_pixels(good, centring.shifts, always=not keep)
    # The beam itself is masked at the common origin, where the shift has brought it in every pattern.
    covered = selection.covered
    if selection.beam.radius > 0 and covered.any():
        covered = make_disk(used.shape, np.array(centring.target), selection.beam.radius)
    used &= ~covered
    _check_any_used(used)
    return used, selection.bad if keep else None


def _check_any_used(used: NDArray[np.bool_]) -> None:
    """Refuse a mask that leaves no pixel."""
    if not used.any():
        raise SchemaError("to_features: the mask hides every detector pixel. True (or flag 0) must mean 'use'.")


def _get_shape(mask: xr.DataArray) -> tuple[int, int]:
    """Size of a mask along qy and qx, in this order."""
    return mask.sizes["qy"], mask.sizes["qx"]
