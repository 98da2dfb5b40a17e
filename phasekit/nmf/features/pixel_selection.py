"""Which detector pixels become features: those the mask leaves, and what is left of them when patterns move."""

from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ...detector.beam import make_disk
from ...detector.kinds import find_pixel_kinds
from ...detector.mask import make_mask_dataset
from ...detector.scan_images import check_values, has_whole_counts
from ...detector.use import has_single_events, remove_bad_values
from ...errors import SchemaError
from ...schema import DETECTOR_MASK, require
from .centring import Beam, Centring, find_valid_pixels
from .masks import DIRECT_BEAM, USED, convert_mask, make_mask
from .settings import FeatureSettings


class PixelSelection(NamedTuple):
    """Detector pixels to be used, and what else the pass over the scan has found."""

    used: NDArray[np.bool_]  # in the detector's own frame
    bad: NDArray[np.bool_] | None  # pixels fixed to the detector, which a shift moves along; None: every pixel is used
    covered: NDArray[np.bool_]  # direct beam, which a shift brings to the common origin
    beam: Beam
    whole: bool | None  # every value is a whole number of electrons; None: not known yet
    events: xr.Dataset | None = None  # DETECTOR_MASK, where single patterns have bad values in pixels that are used

    def remove_events(self, intensity: xr.DataArray, *, keep: bool, gain: float) -> xr.DataArray:
        """Intensities without the bad values of single patterns: NaN (``keep``), or the mean of their neighbours.

        Among whole counts the mean is rounded: one cosmic ray would otherwise make the whole scan no counts.
        """
        if self.events is None:
            return intensity
        out = remove_bad_values(intensity, np.ones_like(self.used), self.events, bridge=not keep)
        return (out / gain).round() * gain if self.whole else out


def select_pixels(patterns: xr.Dataset, intensity: xr.DataArray, settings: FeatureSettings) -> PixelSelection:
    """The pixels that ``mask`` of :func:`to_features` leaves, and the direct beam if it is known or needed."""
    mask, whole, events = settings.mask, None, None
    if isinstance(mask, str):
        if mask != "auto":
            raise SchemaError(f"to_features: mask = {mask!r}, needs 'auto', None or an array (qy, qx).")
        mask, whole, events = _compute_mask(patterns, intensity, settings)
    elif isinstance(mask, xr.Dataset):
        require(mask, DETECTOR_MASK, step="to_features", argument="mask")
        events = mask if has_single_events(mask) else None
        whole = has_whole_counts(intensity, float(settings.gain)) if events is not None else None
        mask = convert_mask(mask)
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
    if events is not None and settings.keep_missing:
        whole = False
    return PixelSelection(used, ~used & ~covered, covered, beam, whole, events)


def _compute_mask(
    patterns: xr.Dataset, intensity: xr.DataArray, settings: FeatureSettings
) -> tuple[xr.DataArray, bool, xr.Dataset | None]:
    """The mask of one pass over the data, whether they are whole counts, and the bad values of single patterns."""
    found = find_pixel_kinds(intensity, "to_features", gain=float(settings.gain))
    images, drawn = found.images, settings.peaks is not None
    holes = not settings.keep_missing and bool(images.missing.any())
    check_values(np.nan if holes else float(images.lowest.min()), float(images.mean.sum()), "to_features")
    events = make_mask_dataset(found, patterns)
    has_events = not drawn and has_single_events(events, missing=images.missing)
    return make_mask(found, patterns, "auto", drawn=drawn), images.whole, events if has_events else None


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
