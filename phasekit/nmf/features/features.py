"""Patterns to features: detector pixels masked, grouped and scaled, with the way back to the detector."""

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ...deprecation import renamed_arguments
from ...errors import SchemaError
from ...schema import FEATURES, PATTERNS, describe, require
from .centring import Centring, compute_centring
from .masks import make_beam_attributes
from .peaks_to_patterns import draw_patterns
from .pixel_selection import PixelSelection, select_after_shift, select_pixels
from .polar import LAYOUTS, Layout, assign_features, compute_feature_positions
from .scan_images import has_whole_counts
from .weighting import SCALES, Recipe, compute_features

_SCAN = ("scan_y", "scan_x")


@renamed_arguments(center="centre")
def to_features(  # noqa: PLR0913 -- the published variants of the preprocessing, each an argument
    patterns: xr.Dataset,
    *,
    mask: xr.DataArray | str | None = "auto",
    bin: int = 1,  # noqa: A002 - the field's word
    scan_mean: bool = False,
    scale: str | None = "poisson",
    centre: str | tuple[Any, Any] | xr.Dataset | None = None,
    peaks: xr.Dataset | None = None,
    layout: str = "cartesian",
    n_sectors: int = 12,
    missing: str = "refuse",
    gain: float = 1.0,
) -> xr.Dataset:
    """Turn each pattern into a row of features for the factorisation.

    ``mask="auto"`` reads the data once, block by block, ``centre="measured"`` once more, and so does asking whether
    floating numbers (or a ``gain``) are whole counts; everything else stays lazy, and ``feature_value`` is lazy when
    ``patterns`` is. In memory, some 20 MB (or a scan line) are needed beyond the result.

    Parameters
    ----------
    patterns
        PATTERNS: ``intensity(scan_y, scan_x, qy, qx)`` [counts], >= 0.
    mask
        Detector pixels to use, ``(qy, qx)``: boolean (True = used) or the flags of :func:`find_detector_mask`
        (0 = used). ``"auto"`` finds direct beam, beam stop, dead and hot pixels (the direct beam alone with
        ``peaks``). ``None`` uses every pixel.
    bin
        Detector pixels summed along each axis: 2 means a quarter of the features and four times the counts in each.
        Blocks at a mask or an edge hold fewer pixels, which is remembered. With rings: their width [px].
    scan_mean
        Average each pattern with its 3 x 3 scan neighbours first. Noise falls threefold, boundaries blur by one
        step, and neighbours then share noise: :func:`scan_ranks` cannot thin counts any more.
    scale
        ``"poisson"``: divide by the square roots of the mean over the scan and of the mean over the detector, so that
        every feature carries about the same counting noise (Keenan and Kotula, eq. 10). Features stay additive.
        ``"anscombe"``: 2 sqrt(x + 3/8) - 2 sqrt(3/8) of the electrons x, 0 at 0: every single value carries noise of
        standard deviation 1 above about 4 electrons. Mixtures of two grains are then no sums any more and may ask for a
        component of their own; prefer it where spots differ by orders of magnitude from point to point and few points
        overlap. ``None``: counts as they are; bright spots then outvote faint ones.
    centre
        ``"measured"``: shift each pattern so that its direct beam (centre of mass in the beam's radius, iterated until
        it moves by less than 0.1 px) lies at the median over the scan. Origins of your own: a pair (qy, qx) of arrays
        ``(scan_y, scan_x)`` [px from the first pixel's centre], or a dataset with ``origin_y``, ``origin_x`` (as of
        ``pk.acom.calibrate_peaks``). Where there is none (beam not found, NaN) the median is taken and nothing moves.
        The shift is bilinear and conserves counts, but neighbouring pixels then share noise, and the values are whole
        counts no more. Dead and hot pixels and the detector's edge move along: pixels that any pattern lacks are not
        used (with ``missing="keep"`` they are NaN in those patterns; with ``mask=None`` 0 comes in over the edge). A
        pair of two numbers says where the direct beam is and shifts nothing.
    peaks
        PEAKS of ``pk.acom.find_peaks`` on these patterns: each pattern is replaced by discs at its peaks (registration
        and reconstruction), without noise and background.
    layout
        ``"cartesian"``: pixels or bins. ``"radial"``: sums over rings ``bin`` px wide about the direct beam, blind to
        the in-plane orientation of a grain. ``"polar"``: rings cut into ``n_sectors``. Rings lie about the origin that
        ``centre`` gives, else about the direct beam of the mask or of the mean pattern.
    n_sectors
        Angular sectors of ``"polar"``, the first about +qx: 12 are 30 degrees wide.
    missing
        ``"refuse"``: NaN intensities are an error. ``"keep"``: they stay NaN in the features (a beam stop that moves, a
        frame that was lost), and weights come from what is there. A bin or ring that lacks some pixels is scaled up.
    gain
        Counts per electron (:func:`estimate_gain`); values are divided by it, so that they are electrons.

    Returns
    -------
    xarray.Dataset
        FEATURES: ``feature_value(scan_y, scan_x, feature)`` [electrons, scaled; NaN: not measured]; what was divided
        out, ``scan_weight(scan_y, scan_x)`` and ``feature_weight(feature)`` (electrons = value x both weights; 1
        without scaling; for ``"anscombe"`` electrons = (value / 2 + sqrt(3/8))^2 - 3/8); ``feature_index(qy, qx)``
        (feature of a detector pixel, -1 where masked) and ``feature_pixels(feature)``; for rings ``feature_radius``
        [px] and ``feature_angle(feature)`` [degree, from +qx towards +qy]. A pattern without any count stays a row of
        zeros. Attributes: ``counts`` = 1 when electrons are whole numbers within 0.001, ``missing`` = 1 when NaN
        may occur, ``scale``, ``layout``, ``gain``, ``beam_qy_px``, ``beam_qx_px``, ``beam_radius_px``, and with
        ``centre`` ``n_not_centred`` patterns that took the median.

    Raises
    ------
    SchemaError
        Not PATTERNS; negative, infinite, NaN or all-zero intensities; a mask of another shape or one that hides
        everything; a direct beam that is needed and not found; peaks of another scan or unit.

    References
    ----------
    M. R. Keenan and P. G. Kotula, Surf. Interface Anal. 36 (2004) 203, eq. 10; F. J. Anscombe, Biometrika 35 (1948)
    246, eq. 1.8; W. Cao et al., Digital Discovery (2025), doi 10.1039/D5DD00071H (the variants).

    Examples
    --------
    >>> import phasekit as pk
    >>> scan = pk.synthetic.overlapping_grains(n_components=2, shape=(6, 6), detector=(32, 32))
    >>> features = to_features(scan, bin=2)
    >>> features.sizes["feature"] < 16 * 16, bool((features.feature_index == -1).any())
    (True, True)
    >>> to_features(scan, centre="measured", layout="radial").sizes["feature"] < 24
    True
    """
    settings = {name: value for name, value in locals().items() if name != "patterns"}
    require(patterns, PATTERNS, step="to_features")
    _check_settings(settings, min(patterns.sizes["qy"], patterns.sizes["qx"]))
    intensity = patterns["intensity"] if peaks is None else draw_patterns(peaks, patterns)
    lazy = patterns["intensity"].chunks is not None or (peaks is not None and peaks["qx"].chunks is not None)
    chosen = select_pixels(patterns, intensity, settings)
    centring = compute_centring(centre, patterns, intensity, chosen.beam)
    used, bad = select_after_shift(chosen, centring, keep=missing == "keep")
    plan = _make_layout(layout, int(bin), int(n_sectors), centring)
    index, pixels = assign_features(used, plan)
    shifts = None if centring.shifts is None else xr.DataArray(centring.shifts, dims=(*_SCAN, "axis"))
    single = layout == "cartesian" and bin == 1
    recipe = Recipe(index, pixels, single, float(gain), missing == "keep", bad, shifts)
    out = xr.Dataset(compute_features(intensity, recipe, scan_mean=scan_mean, scale=scale, lazy=lazy))
    out["feature_value"] = out["feature_value"].transpose(*_SCAN, "feature")
    out["feature_value"].attrs["units"] = "sqrt(counts)" if scale == "anscombe" else "counts"
    out = out.assign(_make_geometry(index, pixels, plan))
    out = out.assign_coords({d: patterns[d] for d in (*_SCAN, "qy", "qx") if d in patterns.coords})
    spoilt = scan_mean or scale == "anscombe" or shifts is not None or (recipe.missing and not single)
    whole = not spoilt and peaks is None and _whole(chosen, intensity, float(gain))
    out.attrs = {"scale": scale or "none", "layout": layout, "gain": float(gain), "counts": int(whole)}
    out.attrs |= {"missing": int(recipe.missing), **_beam_attributes(chosen, centring, centre)}
    return describe(out, FEATURES, step="to_features", settings=settings, source=patterns)


def to_detector(features: xr.Dataset, values: xr.DataArray) -> xr.DataArray:
    """Lay feature values out on the detector.

    Parameters
    ----------
    features
        FEATURES that ``values`` belong to.
    values
        Array with dimension ``feature``, in counts (weights multiplied back in) per feature.

    Returns
    -------
    xarray.DataArray
        ``(..., qy, qx)``: counts per detector pixel (a bin's counts are shared evenly); NaN where masked.

    Raises
    ------
    SchemaError
        ``values`` has no dimension ``feature`` of that length.

    Examples
    --------
    >>> import phasekit as pk
    >>> scan = pk.synthetic.overlapping_grains(n_components=2, shape=(4, 4), detector=(16, 16))
    >>> features = to_features(scan, mask=None, scale=None)
    >>> bool((to_detector(features, features.feature_value) == scan.intensity).all())
    True
    """
    require(features, FEATURES, step="to_detector")
    n = features.sizes["feature"]
    if values.sizes.get("feature") != n:
        raise SchemaError(
            f"to_detector: values have {dict(values.sizes)}, need 'feature' = {n}. Use the same features."
        )
    density = (values / features["feature_pixels"]).drop_vars("feature", errors="ignore")
    index = features["feature_index"]
    spread = density.isel(feature=index.clip(min=0))
    return spread.where(index >= 0).transpose(..., "qy", "qx")


def _make_layout(kind: str, width: int, n_sectors: int, centring: Centring) -> Layout:
    if kind != "cartesian" and not np.isfinite(centring.target).all():
        raise SchemaError(
            f"to_features: layout={kind!r} needs to know where the direct beam is, and none stands out in the mean "
            "pattern. Give centre=(qy, qx) [px]."
        )
    return Layout(kind, width, n_sectors, centring.target)


def _whole(chosen: PixelSelection, intensity: xr.DataArray, gain: float) -> bool:
    return has_whole_counts(intensity, gain) if chosen.whole is None else chosen.whole


def _beam_attributes(chosen: PixelSelection, centring: Centring, centre: Any) -> dict[str, float]:
    beam = chosen.beam
    if centre is None:
        return make_beam_attributes(np.array(beam.centre), beam.radius) if np.isfinite(beam.centre).all() else {}
    return make_beam_attributes(np.array(centring.target), beam.radius) | {"n_not_centred": int(centring.n_unfound)}


def _make_geometry(index: NDArray[np.int32], pixels: NDArray[np.int32], plan: Layout) -> dict[str, Any]:
    """Where the features lie on the detector."""
    out: dict[str, Any] = {
        "feature_index": (("qy", "qx"), index, {"long_name": "feature of the detector pixel", "units": "1"}),
        "feature_pixels": ("feature", pixels, {"long_name": "detector pixels in the feature", "units": "1"}),
    }
    if plan.kind != "cartesian":
        radius, angle = compute_feature_positions(index, pixels, plan)
        out["feature_radius"] = ("feature", radius, {"long_name": "distance from the direct beam", "units": "px"})
        if plan.kind == "polar":
            out["feature_angle"] = ("feature", angle, {"long_name": "direction from +qx", "units": "degree"})
    return out


def _check_settings(settings: dict[str, Any], width: int) -> None:
    """Refuse settings that have no meaning."""
    if settings["scale"] not in SCALES:
        raise SchemaError(f"to_features: scale = {settings['scale']!r}, needs 'poisson', 'anscombe' or None.")
    if settings["layout"] not in LAYOUTS:
        raise SchemaError(f"to_features: layout = {settings['layout']!r}, needs one of {', '.join(LAYOUTS)}.")
    if settings["missing"] not in ("refuse", "keep"):
        raise SchemaError(f"to_features: missing = {settings['missing']!r}, needs 'refuse' or 'keep'.")
    for name, most, reason in (("bin", width, "the detector's width"), ("n_sectors", 360, "360")):
        value = settings[name]
        if not isinstance(value, int | np.integer) or isinstance(value, bool) or not 1 <= value <= most:
            raise SchemaError(f"to_features: {name} = {value!r}, needs a whole number from 1 to {reason}.")
    gain = settings["gain"]
    if not isinstance(gain, int | float | np.number) or not 0 < float(gain) < np.inf:
        raise SchemaError(
            f"to_features: gain = {gain!r}, needs a positive number of counts per electron. "
            "pk.nmf.estimate_gain(patterns) measures it."
        )
