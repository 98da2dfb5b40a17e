"""Peak finding with an adaptive prominence, from diffraction patterns to sub-pixel peaks."""

from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ...deprecation import renamed_arguments
from ...detector.use import prepare_sample, read_used
from ...errors import SchemaError
from ...schema import PATTERNS, PEAKS, describe, require
from .dataset import make_peaks, make_weak_peaks, read_axis

if TYPE_CHECKING:
    from .pattern_loop import PeakArrays

Mode = Literal["adaptive", "published"]

_SAMPLE = 7  # patterns along each scan axis that disk size and noise are measured on
_N_LIMITS = 6  # of spikes, and the smallest count
_MAY_BE_ZERO = ("min_prominence", "weak_peaks", "min_distance_px")
_PER_PEAK = ("qy", "qx", "intensity", "prominence")
_PER_PATTERN = {"noise": np.float32, "min_prominence": np.float32, "count": np.int32, "status": np.int8}


@renamed_arguments(blur="blur_px")
def find_peaks(  # noqa: PLR0913 -- every published parameter is an argument
    patterns: xr.Dataset,
    *,
    min_prominence: float | None = None,
    background_radius: float | None = None,
    blur_px: float | None = None,
    max_peaks: int = 150,
    weak_peaks: int = 48,
    refine_box: float | None = None,
    intensity_radius: float | None = None,
    min_distance_px: float | None = None,
    scan_mean: bool = False,
    mode: Mode = "adaptive",
    mask: xr.Dataset | xr.DataArray | Literal["auto"] | None = "auto",
) -> xr.Dataset:
    r"""Find the diffraction spots of every pattern at sub-pixel positions, with a threshold that follows the noise.

    A spot is a maximum of the blurred pattern with a significant topographic prominence. Prominence is the height
    above the saddle to a higher maximum, or above the local background where that is higher. The blur
    serves only the detection. Positions are refined, and intensities summed, on the background-subtracted pattern.

    Parameters
    ----------
    patterns
        PATTERNS: ``intensity(scan_y, scan_x, qy, qx)`` [counts], lazy or not, on evenly spaced ``qy`` and ``qx``. NaN
        pixels are ignored. A detector split into chunks is joined. At most 7 x 7 patterns are read twice, for the disk
        size and the noise.
    min_prominence
        Smallest prominence [counts per pixel of the blurred pattern]. ``None``: the noise alone decides. A value is a
        lower limit of the adaptive threshold. Half the height of the weakest wanted spot is a good one. In published
        mode it is P_user, and ``None`` is 3 grey levels. A grey level is one count of uint8 data, and otherwise 1/255
        of the pattern's maximum.
    background_radius
        Half width [px] of the window of the local background (``None``: 4 disk radii). Below 2 disk radii it removes
        part of the spots. Published mode: radius of the sliding paraboloid (``None``: a tenth of the pattern's width).
    blur_px
        Standard deviation [px] of the Gaussian (``None``: 0.63 disk radii, the best on disks; published: 2).
    max_peaks
        Length of ``peak``. The brightest are kept.
    weak_peaks
        Length of ``weak_peak``; 0 finds none, and the published mode has none. These are the most prominent maxima
        below the threshold. A single one proves nothing. ``match_orientations`` uses them in patterns whose peaks prove
        a crystal. At 200 electrons per pattern they halve the number of wrong orientations.
    refine_box
        Width [px] of the box of the sub-pixel refinement (``None``: 6 blurs). Published mode: 10, and twice that for
        the direct beam.
    intensity_radius
        Radius [px] of the circle that intensities are summed in (``None``: 1 more than the disk's). Published mode:
        the mean over a circle of 3.
    min_distance_px
        Of two peaks nearer than this [px] only the brighter is kept, in both modes. A weak peak gives way to peaks and
        to stronger weak peaks. ``None`` or 0: all are kept. Maxima within about 2 blurs are one in any case.
    scan_mean
        Average each pattern with its scan neighbours (3 x 3) first. This gives 9 times the dose, and blurs grains by
        one pixel.
    mode
        ``"adaptive"``: the threshold is Bernstein's bound, see Notes, with about one false peak in ten patterns at any
        dose. ``"published"``: the recipe of Folastre et al. as printed.
    mask
        Bad detector pixels, which are left out. ``"auto"`` finds them in the sample patterns. A DETECTOR_MASK of
        :func:`phasekit.detector.find_mask` comes from all patterns, and is surer. An array ``(qy, qx)`` is boolean
        (True: used) or holds flags (0: used). In all cases spikes and marks of single patterns are left out too.
        ``None`` leaves out NaN only.

    Returns
    -------
    xarray.Dataset
        PEAKS with ``qy``, ``qx`` (in the units of the patterns' coordinates), ``intensity`` and ``prominence``
        ``(scan_y, scan_x, peak)``. The brightest come first, and NaN fills the rest. ``noise`` is the standard
        deviation of the corners, and ``min_prominence`` the threshold on the median background. ``status`` is
        ``vacuum`` where the other spots hold less than 2 % of the brightest one, and ``too_few_peaks`` below 4 peaks.
        ``disk_radius`` is in the unit of the coordinates. ``weak_qy``, ``weak_qx`` and ``weak_intensity (scan_y,
        scan_x, weak_peak)`` do not count in ``count`` and ``status``.

    Raises
    ------
    SchemaError
        Not PATTERNS, uneven axes or an unknown unit, a pattern smaller than 16 px, or a setting out of range.

    See Also
    --------
    calibrate_peaks : Puts the peaks on the direct beam and in 1/angstrom.
    match_orientations : Finds phase and orientation from the peaks.
    reconstruct_patterns : Draws the patterns again from the peaks.
    virtual_images : Makes images of the scan from the peaks.

    Notes
    -----
    On a background level m the blurred pattern has the variance :math:`v = q (v_0 + g m)`. The height of one count is
    w. By Bernstein's bound, noise exceeds

    .. math:: t(m) = \sqrt{2 L v(m)} + L w / 3, \qquad L = \ln(N / 6)

    at fewer than 6 of the N independent positions; 0.1 to 0.2 were measured. The gain g, the variance :math:`v_0` at
    level zero and the disk radius are estimated from the sample patterns. The published mode compares with
    :math:`P_{\min} = \max(P_{user}, \sigma)`, where :math:`\sigma` is the standard deviation of the corners.

    The position is the fixed point of a Gaussian-weighted centroid. With N counts in a uniform disk of radius r, its
    standard deviation per axis is :math:`0.84\, r / \sqrt{N}`.

    References
    ----------
    Folastre et al., Sci. Rep. 14, 12385 (2024), doi:10.1038/s41598-024-63060-5.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> y, x = np.mgrid[0:32, 0:32]
    >>> image = 50.0 * (np.hypot(y - 15.5, x - 15.5) < 2.5) + 20.0 * (np.hypot(y - 15.5, x - 25.5) < 2.5)
    >>> axis = {name: (name, np.arange(32.0), {"units": "px"}) for name in ("qy", "qx")}
    >>> scan = {name: (name, [0.0], {"units": "nm"}) for name in ("scan_y", "scan_x")}
    >>> data = xr.Dataset({"intensity": (("scan_y", "scan_x", "qy", "qx"), image[None, None])}, {**scan, **axis})
    >>> peaks = find_peaks(data)
    >>> int(peaks["count"][0, 0]), peaks.qx[0, 0, :2].values.round(1)
    (2, array([15.5, 25.5], dtype=float32))
    """
    settings = {
        "min_prominence": min_prominence,
        "background_radius": background_radius,
        "blur_px": blur_px,
        "max_peaks": max_peaks,
        "weak_peaks": weak_peaks,
        "refine_box": refine_box,
        "intensity_radius": intensity_radius,
        "min_distance_px": min_distance_px,
        "scan_mean": scan_mean,
        "mode": mode,
        "mask": mask,
    }
    require(patterns, PATTERNS, step="find_peaks", argument="patterns")
    axes = {dim: read_axis(patterns, dim) for dim in ("qy", "qx")}
    _check_settings(settings)
    used = None if mask is None or isinstance(mask, str) else read_used(mask, patterns, "find_peaks")
    # A pattern must be whole in memory: the background and the flooding need all of it.
    images = patterns.intensity.chunk(qy=-1, qx=-1) if patterns.intensity.chunks else patterns.intensity
    # The sample is taken before the average over neighbours, which would hide the noise of single patterns.
    sample = images.isel({dim: _select_sample(images.sizes[dim]) for dim in ("scan_y", "scan_x")})
    if scan_mean:
        images = _average_neighbours(images)
    estimate = _estimate_disk_and_noise(sample, scan_mean, "none" if mask is None else used)
    found = _find_in_images(images, estimate, settings)
    # The kernel writes peaks and weak peaks into one array per quantity, weak ones from max_peaks on.
    strong, weak = (
        {name: found[name].isel(peak=part) for name in _PER_PEAK} for part in (slice(max_peaks), slice(max_peaks, None))
    )
    out = make_peaks(found | strong, estimate[0], axes).assign(make_weak_peaks(weak, axes))
    return describe(out, PEAKS, step="find_peaks", settings=settings, source=patterns)


def _estimate_disk_and_noise(
    sample: xr.DataArray, scan_mean: bool, used: NDArray[np.bool_] | str | None
) -> tuple[xr.DataArray, ...]:
    """Disk radius [px], v0 [counts^2] and gain [counts], limits of spikes, and used pixels; lazy where the sample is.

    ``used`` (qy, qx) are the pixels of a mask, ``None`` finds them in the sample, and ``"none"`` uses all.
    """
    radius, v0, gain, limits, good = xr.apply_ufunc(
        _estimate_block,
        sample.chunk(scan_y=-1, scan_x=-1) if sample.chunks else sample,
        kwargs={"used": used},
        input_core_dims=[["scan_y", "scan_x", "qy", "qx"]],
        output_core_dims=[[], [], [], ["limit"], ["qy", "qx"]],
        dask="parallelized",
        output_dtypes=[*[np.float64] * 4, np.bool_],
        dask_gufunc_kwargs={"output_sizes": {"limit": _N_LIMITS}},
    )
    # The mean of nine patterns has a ninth of the variance.
    return (radius, v0 * (1 / 9), gain * (1 / 9), limits, good) if scan_mean else (radius, v0, gain, limits, good)


def _find_in_images(
    images: xr.DataArray, estimate: tuple[xr.DataArray, ...], settings: dict[str, Any]
) -> dict[str, xr.DataArray]:
    """Peaks in pixels of all patterns, by the names of ``PeakArrays``; lazy where the patterns are."""
    arrays = xr.apply_ufunc(
        _find_block,
        images,
        *estimate,
        kwargs={"settings": settings, "integers": np.issubdtype(images.dtype, np.uint8)},
        input_core_dims=[["qy", "qx"], [], [], [], ["limit"], ["qy", "qx"]],
        output_core_dims=[["peak"]] * len(_PER_PEAK) + [[]] * len(_PER_PATTERN),
        dask="parallelized",
        output_dtypes=[np.float32] * len(_PER_PEAK) + list(_PER_PATTERN.values()),
        dask_gufunc_kwargs={"output_sizes": {"peak": _count_slots(settings)}},
    )
    return dict(zip((*_PER_PEAK, *_PER_PATTERN), arrays, strict=True))


def _check_settings(settings: dict[str, Any]) -> None:
    """Refuse settings outside their range."""
    if isinstance(settings["mask"], str) and settings["mask"] != "auto":
        raise SchemaError(f"find_peaks: mask = {settings['mask']!r}, needs 'auto', None, DETECTOR_MASK or an array.")
    for name, value in settings.items():
        if name in ("scan_mean", "mode", "mask") or value is None:
            continue
        lowest = 1 if name == "max_peaks" else 0
        if not np.isfinite(value) or value < lowest or (value == 0 and name not in _MAY_BE_ZERO):
            raise SchemaError(f"find_peaks: {name} = {value}, needs a positive number. Leave it out for the default.")
    if settings["mode"] not in get_args(Mode):
        raise SchemaError(f"find_peaks: mode = {settings['mode']!r}, needs one of {get_args(Mode)}.")


def _select_sample(n: int) -> NDArray[np.intp]:
    """At most ``_SAMPLE`` indices spread over 0 .. n - 1."""
    return np.unique(np.linspace(0, n - 1, min(n, _SAMPLE)).round().astype(np.intp))


def _average_neighbours(images: xr.DataArray) -> xr.DataArray:
    """Mean over the 3 x 3 scan neighbours that exist."""
    if not images.chunks:
        return images.copy(data=_compute_mean_3x3(np.asarray(images.data)))
    # Neighbours across chunks are read too, so that any chunking gives the same mean.
    mean = images.data.map_overlap(_compute_mean_3x3, depth={0: 1, 1: 1}, boundary="none", dtype=np.float32)
    return images.copy(data=mean)


def _compute_mean_3x3(block: NDArray[Any]) -> NDArray[np.float32]:
    """Mean over neighbours along the first two axes, one row at a time (memory: one padded row)."""
    n_y, n_x = block.shape[:2]
    out = np.empty(block.shape, np.float32)
    for y in range(n_y):
        rows = block[max(y - 1, 0) : y + 2].mean(axis=0, dtype=np.float32)
        # The three rows are averaged once, and then three neighbours of that average.
        for x in range(n_x):
            out[y, x] = rows[max(x - 1, 0) : x + 2].mean(axis=0)
    return out


def _estimate_block(sample: NDArray[Any], used: NDArray[np.bool_] | str | None) -> tuple[NDArray[Any], ...]:
    """Disk radius, v0, gain, spike limits and used pixels of sample patterns ``(scan_y, scan_x, qy, qx)``."""
    from .settings import estimate_disk_and_noise  # compiled code is imported when it is needed

    limits, good, clean = prepare_sample(sample, used)
    values = (np.asarray(value, dtype=np.float64) for value in (*estimate_disk_and_noise(clean), limits))
    return *values, good


def _find_block(block: NDArray[Any], *estimate: NDArray[Any], settings: dict[str, Any], integers: bool) -> "PeakArrays":
    """Peaks in pixels of a block of patterns ``(..., qy, qx)``; ``estimate`` is that of ``_estimate_block``."""
    from . import pattern_loop
    from . import settings as _settings
    from .masking import make_bad_pixels

    ny, nx = block.shape[-2:]
    out = pattern_loop.make_peak_arrays(block.shape[:-2], _count_slots(settings))
    find: Any
    chosen: Any
    bin_size = 1
    if settings["mode"] == "published":
        find, chosen = pattern_loop.find_peaks_published, _settings.make_published_settings(settings, nx, integers)
    else:
        measured = _settings.DiskAndNoise(*(float(value) for value in estimate[:3]))
        find, chosen = pattern_loop.find_peaks_adaptive, _settings.make_adaptive_settings(settings, measured, ny * nx)
        bin_size = chosen.bin_size
    # The adaptive mode blurs the binned pattern, where the same blur spans fewer pixels.
    kernel = _settings.make_gaussian_kernel(chosen.sigma / bin_size)
    bad = make_bad_pixels(estimate[4], estimate[3], kernel, bin_size)
    for row in np.ndindex(block.shape[:-3]):  # a row at a time bounds the float32 copy
        patterns = np.ascontiguousarray(block[row], dtype=np.float32)
        views: list[Any] = [array[row] for array in out]
        find(patterns, kernel, chosen, settings["max_peaks"], bad, pattern_loop.PeakArrays(*views))
    return out


def _count_slots(settings: dict[str, Any]) -> int:
    """Columns of the kernel's table: peaks, then weak ones."""
    return int(settings["max_peaks"] + (0 if settings["mode"] == "published" else settings["weak_peaks"]))
