r"""Patterns to features: detector pixels masked, grouped and scaled, with the way back to the detector.

The steps of :func:`to_features` are: draw from peaks, mask, centre, bin, divide by the gain, average over neighbours,
scale. Each step is one function of this folder.
"""

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ...deprecation import renamed_arguments
from ...detector.beam import make_beam_attributes
from ...detector.scan_images import has_whole_counts
from ...errors import SchemaError
from ...schema import FEATURES, PATTERNS, describe, require
from .centring import Centring, compute_centring
from .peaks_to_patterns import draw_patterns
from .pixel_selection import PixelSelection, select_after_shift, select_pixels
from .polar import Layout, assign_features, compute_feature_positions
from .settings import FeatureSettings, check_settings
from .weighting import GatherSettings, average_neighbours, gather_features, scale_features

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
    r"""Turn each pattern into a row of features for the factorisation.

    The steps are, in this order: redraw from ``peaks``, ``mask``, ``centre``, ``bin`` or ``layout``, ``gain``,
    ``scan_mean``, ``scale``. With counts :math:`v_{ij}` [electrons] of scan point :math:`i` and feature :math:`j`, the
    default scaling (Keenan and Kotula, eq. 10) is

    .. math::

        \tilde v_{ij} = \frac{v_{ij}}{\sqrt{g_i}\,\sqrt{h_j}},\qquad
        g_i = \langle v_{ij}\rangle_j,\qquad h_j = \frac{\langle v_{ij}\rangle_i}{\langle v_{ij}\rangle_{ij}}.

    The variance-stabilising root of Anscombe, moved so that no electron gives 0, is

    .. math::

        \tilde v_{ij} = 2\sqrt{v_{ij} + 3/8} - 2\sqrt{3/8}.

    Parameters
    ----------
    patterns
        PATTERNS: ``intensity(scan_y, scan_x, qy, qx)`` [counts], >= 0.
    mask
        DETECTOR_MASK of :func:`phasekit.detector.find_mask`, whose direct beam is left out too. Or an array
        ``(qy, qx)``: boolean (True = used) or the flags of :func:`find_detector_mask` (0 = used). ``"auto"`` finds the
        direct beam and bad pixels; with ``peaks`` the direct beam alone. ``None`` uses every pixel. With ``"auto"`` or
        DETECTOR_MASK, bad values of single patterns become the mean of their neighbours (rounded, where the data are
        whole counts), or NaN with ``missing="keep"``.
    bin
        Detector pixels summed along each axis. 2 gives a quarter of the features and four times the counts in each.
        Blocks at a mask or an edge hold fewer pixels, which ``feature_pixels`` says. With rings: their width [px].
    scan_mean
        Average each pattern with its 3 x 3 scan neighbours. Noise falls threefold and boundaries blur by one step.
        Neighbours then share noise, so :func:`scan_ranks` can no longer thin the counts.
    scale
        ``"poisson"``: the first equation; every feature carries about the same counting noise, and features stay
        additive. ``"anscombe"``: the second equation; every value has noise of standard deviation 1 above about 4
        electrons. Mixtures of two grains are then no sums and may ask for a component of their own. Use it where spots
        differ by orders of magnitude from point to point and few points overlap. ``None``: counts as they are; bright
        spots then weigh more than faint ones.
    centre
        ``"measured"``: shift each pattern so that its direct beam lies at the median over the scan. The beam's place is
        the centre of mass in its radius, iterated until it moves by less than 0.1 px. Origins of your own are a pair
        (qy, qx) of arrays ``(scan_y, scan_x)`` [px from the first pixel's centre]. They may also be a dataset with
        ``origin_y`` and ``origin_x`` (``pk.acom.calibrate_peaks``). Patterns without an origin (NaN) take the median
        and do not move. The shift is bilinear and conserves counts. Neighbouring pixels then share noise, and values
        are no longer whole counts. Bad pixels and the detector's edge move along; pixels that any pattern lacks are not
        used. With ``missing="keep"`` they are NaN in those patterns; with ``mask=None`` 0 comes in over the edge. A
        pair of two numbers says where the direct beam is and shifts nothing.
    peaks
        PEAKS of ``pk.acom.find_peaks`` on these patterns. Each pattern is replaced by disks at its peaks, without noise
        and background.
    layout
        ``"cartesian"``: pixels or bins. ``"radial"``: sums over rings ``bin`` px wide about the direct beam. They do
        not depend on the in-plane orientation of a grain. ``"polar"``: rings cut into ``n_sectors``. Rings are about
        the origin that ``centre`` gives, else about the direct beam of mask or mean pattern.
    n_sectors
        Angular sectors of ``"polar"``, the first about +qx: 12 are 30 degrees wide.
    missing
        ``"refuse"``: NaN intensities are an error. ``"keep"``: they stay NaN in the features (a moving beam stop, a
        lost frame), and weights come from the rest. A bin or ring that lacks some pixels is scaled up.
    gain
        Counts per electron (:func:`estimate_gain`). Values are divided by it, so that they are electrons.

    Returns
    -------
    xarray.Dataset
        FEATURES: ``feature_value(scan_y, scan_x, feature)`` [electrons, scaled; NaN: not measured].
        ``scan_weight(scan_y, scan_x)`` and ``feature_weight(feature)`` are what was divided out: electrons = value x
        both weights. They are 1 without scaling; for ``"anscombe"`` electrons = (value / 2 + sqrt(3/8))^2 - 3/8.
        ``feature_index(qy, qx)`` is the feature of a detector pixel (-1 where masked), ``feature_pixels(feature)`` its
        number of pixels. Rings have ``feature_radius(feature)`` [px] and, when polar, ``feature_angle(feature)``
        [degree, from +qx towards +qy]. A pattern without any count stays a row of zeros. Attributes: ``counts`` is 1
        when electrons are whole numbers within 0.001, ``missing`` is 1 when NaN may occur. ``scale``, ``layout`` and
        ``gain`` are the settings. ``beam_qy_px``, ``beam_qx_px`` and ``beam_radius_px`` are the direct beam. With
        ``centre``, ``n_not_centred`` counts the patterns that took the median.

    Raises
    ------
    SchemaError
        Not PATTERNS; negative, infinite, NaN or all-zero intensities; a mask of another shape or one that hides
        everything; a direct beam that is needed and not found; peaks of another scan or unit.

    See Also
    --------
    find_detector_mask : Find the mask beforehand, to look at it or edit it.
    estimate_gain : Measure the counts per electron.
    factorise : Factorise the features.
    to_detector : Lay feature values out on the detector again.

    Notes
    -----
    ``mask="auto"`` reads the data once, block by block. ``centre="measured"`` reads them once more, and so does asking
    whether floating numbers are whole counts. Everything else stays lazy, and ``feature_value`` is lazy when
    ``patterns`` is. In memory, some 20 MB (or a scan line) are needed beyond the result.

    References
    ----------
    Keenan and Kotula, Surf. Interface Anal. 36 (2004) 203, eq. 10; Anscombe, Biometrika 35 (1948)
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
    # The steps follow in the order in which they are described above. Each one only needs what the ones before gave.
    settings = FeatureSettings(mask, bin, scan_mean, scale, centre, peaks, layout, n_sectors, missing, gain)
    require(patterns, PATTERNS, step="to_features", argument="patterns")
    check_settings(settings, min(patterns.sizes["qy"], patterns.sizes["qx"]))
    intensity = patterns["intensity"] if peaks is None else draw_patterns(peaks, patterns)
    selection = select_pixels(patterns, intensity, settings)
    intensity = selection.remove_events(intensity, keep=settings.keep_missing, gain=float(gain))
    centring = compute_centring(centre, patterns, intensity, selection.beam)
    used, bad = select_after_shift(selection, centring, keep=settings.keep_missing)
    grouping = _make_layout(settings, centring)
    index, pixels = assign_features(used, grouping)
    gathering = GatherSettings(
        index, pixels, settings.is_single_pixel, float(gain), settings.keep_missing, bad, _label_shifts(centring)
    )
    values = gather_features(intensity, gathering, lazy=_is_lazy(patterns, peaks))
    if scan_mean:
        values = average_neighbours(values)
    out = xr.Dataset(scale_features(values, scale, missing=settings.keep_missing))
    out = out.assign(_make_geometry(index, pixels, grouping))
    out = out.assign_coords({d: patterns[d] for d in (*_SCAN, "qy", "qx") if d in patterns.coords})
    # Asked last, because it may have to read the data once more.
    is_counts = _is_additive(settings, centring) and _has_whole_counts(selection, intensity, float(gain))
    out.attrs = {"scale": scale or "none", "layout": layout, "gain": float(gain), "counts": int(is_counts)}
    out.attrs |= {"missing": int(settings.keep_missing), **_make_beam_attributes(selection, centring, centre)}
    return describe(out, FEATURES, step="to_features", settings=settings._asdict(), source=patterns)


def to_detector(features: xr.Dataset, values: xr.DataArray) -> xr.DataArray:
    """Lay feature values out on the detector.

    Parameters
    ----------
    features
        FEATURES that ``values`` belong to.
    values
        Array with dimension ``feature``, in counts per feature (weights multiplied back in).

    Returns
    -------
    xarray.DataArray
        ``(..., qy, qx)``: counts per detector pixel; NaN where masked. A bin's counts are shared evenly.

    Raises
    ------
    SchemaError
        ``values`` has no dimension ``feature`` of that length.

    See Also
    --------
    to_features : The step that this one undoes, but for masks and bins.
    factorise : Its ``factor`` is laid out on the detector already.

    Examples
    --------
    >>> import phasekit as pk
    >>> scan = pk.synthetic.overlapping_grains(n_components=2, shape=(4, 4), detector=(16, 16))
    >>> features = to_features(scan, mask=None, scale=None)
    >>> bool((to_detector(features, features.feature_value) == scan.intensity).all())
    True
    """
    require(features, FEATURES, step="to_detector", argument="features")
    n = features.sizes["feature"]
    if values.sizes.get("feature") != n:
        raise SchemaError(
            f"to_detector: values have {dict(values.sizes)}, need 'feature' = {n}. Take features and values of the "
            "same to_features call."
        )
    # Masked pixels point at feature 0 for a moment (clip), so that one indexing serves lazy arrays as well.
    density = (values / features["feature_pixels"]).drop_vars("feature", errors="ignore")
    index = features["feature_index"]
    spread = density.isel(feature=index.clip(min=0))
    return spread.where(index >= 0).transpose(..., "qy", "qx")


def _is_lazy(patterns: xr.Dataset, peaks: xr.Dataset | None) -> bool:
    """True when the features are to be computed block by block: patterns or peaks are dask arrays."""
    return patterns["intensity"].chunks is not None or (peaks is not None and peaks["qx"].chunks is not None)


def _label_shifts(centring: Centring) -> xr.DataArray | None:
    """Shifts with the names of their dimensions; None: nothing moves."""
    return None if centring.shifts is None else xr.DataArray(centring.shifts, dims=(*_SCAN, "axis"))


def _make_layout(settings: FeatureSettings, centring: Centring) -> Layout:
    """Grouping of the pixels; rings need an origin."""
    if settings.layout != "cartesian" and not np.isfinite(centring.target).all():
        raise SchemaError(
            f"to_features: layout={settings.layout!r} needs to know where the direct beam is, and none stands out in "
            "the mean pattern. Give centre=(qy, qx) [px]."
        )
    return Layout(settings.layout, int(settings.bin), int(settings.n_sectors), centring.target)


def _is_additive(settings: FeatureSettings, centring: Centring) -> bool:
    """False where a step has mixed or changed counts, so that value x weights are no counted electrons any more."""
    # A bin that lacks pixels is scaled up, and so no longer a count.
    scaled_up = settings.keep_missing and not settings.is_single_pixel
    changed = settings.scan_mean or settings.scale == "anscombe" or centring.shifts is not None or scaled_up
    return not changed and settings.peaks is None


def _has_whole_counts(selection: PixelSelection, intensity: xr.DataArray, gain: float) -> bool:
    """Answer of the pass that made the mask, or of a pass of its own when there was none."""
    return has_whole_counts(intensity, gain) if selection.whole is None else selection.whole


def _make_beam_attributes(selection: PixelSelection, centring: Centring, centre: Any) -> dict[str, float]:
    """Place of the direct beam at the common origin, and with ``centre`` the number of patterns not centred."""
    beam = selection.beam
    if centre is None:
        return make_beam_attributes(np.array(beam.centre), beam.radius) if np.isfinite(beam.centre).all() else {}
    return make_beam_attributes(np.array(centring.target), beam.radius) | {"n_not_centred": int(centring.n_not_found)}


def _make_geometry(index: NDArray[np.int32], pixels: NDArray[np.int32], grouping: Layout) -> dict[str, Any]:
    """Variables that say where the features lie on the detector."""
    out: dict[str, Any] = {
        "feature_index": (("qy", "qx"), index, {"long_name": "feature of the detector pixel", "units": "1"}),
        "feature_pixels": ("feature", pixels, {"long_name": "detector pixels in the feature", "units": "1"}),
    }
    if grouping.kind != "cartesian":
        radius, angle = compute_feature_positions(index, pixels, grouping)
        out["feature_radius"] = ("feature", radius, {"long_name": "distance from the direct beam", "units": "px"})
        if grouping.kind == "polar":
            out["feature_angle"] = ("feature", angle, {"long_name": "direction from +qx", "units": "degree"})
    return out
