"""Peak finding with an adaptive prominence: diffraction patterns in, sub-pixel peaks out."""

from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ...deprecation import renamed_arguments
from ...errors import AcomStatus, SchemaError, status_attributes
from ...schema import PATTERNS, PEAKS, describe, require

if TYPE_CHECKING:
    from .pattern_loop import PeakArrays

Mode = Literal["adaptive", "published"]

_SAMPLE = 7  # patterns along each scan axis that disk size and noise are measured on
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
    scan_mean: bool = False,
    mode: Mode = "adaptive",
) -> xr.Dataset:
    """Find the diffraction spots of every pattern, between pixels, with a threshold that follows the noise.

    A spot is a maximum of the blurred pattern whose topographic prominence (its height over the saddle that leads to
    a higher maximum, found by flooding) is more than noise makes. The blur serves detection only: positions are
    refined on the background-subtracted pattern with a window centred between pixels, intensities are its sums.

    Parameters
    ----------
    patterns
        PATTERNS: ``intensity(scan_y, scan_x, qy, qx)`` [counts], lazy or not; NaN pixels count as not there. ``qy``,
        ``qx`` evenly spaced. A detector split into chunks is joined; 7 x 7 patterns are read twice (disk size, noise).
    min_prominence
        Smallest prominence [counts per pixel of the blurred pattern]. ``None``: the noise alone decides. A value is a
        floor under the adaptive threshold: half the weakest wanted spot's height is a good one. In published mode
        P_user of P_min = max(P_user, sigma); ``None`` is 3 grey levels, of 255 for uint8 data, otherwise 3/255 of the
        pattern's maximum.
    background_radius
        Half width [px] of the window of the local background (``None``: 4 disk radii). Below 2 disk radii it eats
        spots. Published mode: radius of the sliding paraboloid (``None``: a tenth of the pattern's width).
    blur_px
        Standard deviation [px] of the Gaussian (``None``: 0.63 disk radii, the best on disks; published: 2).
    max_peaks
        Length of ``peak``; the brightest are kept.
    weak_peaks
        Length of ``weak_peak``: maxima under the threshold that may be spots, the most prominent kept. One by one they
        prove nothing; ``match_orientations`` uses them where peaks show that there is a crystal (at 200 electrons a
        pattern half as many wrong orientations). 0: none. Published mode has none.
    refine_box
        Width [px] of the box of the sub-pixel refinement (``None``: 6 blurs; published: 10, twice it for the direct
        beam).
    intensity_radius
        Radius [px] of the circle the intensity is summed in (``None``: the disk's plus 1; published: mean over 3).
    scan_mean
        Average each pattern with its scan neighbours (3 x 3) first: 9 times the dose, grains blurred by a pixel.
    mode
        ``"adaptive"``: threshold sqrt(2 L v) + L w / 3 (Bernstein's bound), with v the variance of the blurred
        pattern on the level the peak rises from, w the height of one count, L = ln(independent positions / 6); about
        one false peak in ten patterns at any dose. ``"published"``: Folastre et al. as printed.

    Returns
    -------
    xarray.Dataset
        PEAKS: ``qy, qx`` in the units of the patterns' coordinates, ``intensity``, ``prominence``
        ``(scan_y, scan_x, peak)``, brightest first, NaN behind the last; ``noise`` (standard deviation of the corners),
        ``min_prominence`` (on the median background), ``count``, ``status`` (vacuum: too little
        beside the brightest for a crystal; too_few_peaks: fewer than 4 with it); ``disk_radius`` in the coordinates'
        unit; ``weak_qy, weak_qx, weak_intensity (scan_y, scan_x, weak_peak)``, which ``count`` and ``status`` do not
        regard.

    Raises
    ------
    SchemaError
        Not PATTERNS, uneven or unlike axes, a pattern smaller than 16 px, or a setting out of range.

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
        "scan_mean": scan_mean,
        "mode": mode,
    }
    require(patterns, PATTERNS, step="find_peaks")
    axes = {dim: _read_axis(patterns, dim) for dim in ("qy", "qx")}
    _check_settings(settings)
    images = patterns.intensity.chunk(qy=-1, qx=-1) if patterns.intensity.chunks else patterns.intensity
    sample = images.isel({dim: _select_sample(images.sizes[dim]) for dim in ("scan_y", "scan_x")})
    if scan_mean:
        images = _average_neighbours(images)
    estimate = _estimate_disk_and_noise(sample, scan_mean)
    found = _find_in_images(images, estimate, settings)
    strong, weak = (
        {name: found[name].isel(peak=part) for name in _PER_PEAK} for part in (slice(max_peaks), slice(max_peaks, None))
    )
    out = _make_peaks(found | strong, estimate[0], axes).assign(_make_weak_peaks(weak, axes))
    return describe(out, PEAKS, step="find_peaks", settings=settings, source=patterns)


def _estimate_disk_and_noise(sample: xr.DataArray, scan_mean: bool) -> tuple[xr.DataArray, ...]:
    """Disk radius [px], v0 [counts^2] and gain [counts] of the sample patterns, lazy where they are."""
    radius, v0, gain = xr.apply_ufunc(
        _estimate_block,
        sample.chunk(scan_y=-1, scan_x=-1) if sample.chunks else sample,
        input_core_dims=[["scan_y", "scan_x", "qy", "qx"]],
        output_core_dims=[[], [], []],
        dask="parallelized",
        output_dtypes=[np.float64] * 3,
    )
    # The mean of nine patterns has a ninth of the variance.
    return (radius, v0 * (1 / 9), gain * (1 / 9)) if scan_mean else (radius, v0, gain)


def _find_in_images(
    images: xr.DataArray, estimate: tuple[xr.DataArray, ...], settings: dict[str, Any]
) -> dict[str, xr.DataArray]:
    """Peaks in pixels of all patterns, by the names of ``PeakArrays``; lazy where the patterns are."""
    arrays = xr.apply_ufunc(
        _find_block,
        images,
        *estimate,
        kwargs={"settings": settings, "integers": np.issubdtype(images.dtype, np.uint8)},
        input_core_dims=[["qy", "qx"], [], [], []],
        output_core_dims=[["peak"]] * len(_PER_PEAK) + [[]] * len(_PER_PATTERN),
        dask="parallelized",
        output_dtypes=[np.float32] * len(_PER_PEAK) + list(_PER_PATTERN.values()),
        dask_gufunc_kwargs={"output_sizes": {"peak": _count_slots(settings)}},
    )
    return dict(zip((*_PER_PEAK, *_PER_PATTERN), arrays, strict=True))


def _read_axis(patterns: xr.Dataset, dim: str) -> tuple[float, float, int, str]:
    """First value, step, length and unit of a detector axis; refuses what a peak's position could not refer to."""
    size = patterns.sizes[dim]
    values = patterns[dim].values if dim in patterns.coords else np.arange(float(size))
    unit = str(patterns[dim].attrs.get("units", "")) if dim in patterns.coords else "px"
    if unit not in ("px", "1/angstrom"):
        raise SchemaError(
            f"find_peaks: '{dim}' is in '{unit}', needs 'px' or '1/angstrom'. Set patterns['{dim}'].attrs['units']."
        )
    if size < 16:
        raise SchemaError(f"find_peaks: '{dim}' has {size} pixels, needs at least 16. Do not bin the patterns so far.")
    step = (values[-1] - values[0]) / (size - 1)
    if not np.isfinite(step) or step <= 0 or np.abs(np.diff(values) - step).max() > 0.01 * step:
        raise SchemaError(
            f"find_peaks: '{dim}' is not evenly rising, needs one step. Interpolate with .interp({dim}=...)."
        )
    return float(values[0]), float(step), size, unit


def _check_settings(settings: dict[str, Any]) -> None:
    """Refuse settings that have no meaning."""
    for name, value in settings.items():
        if name in ("scan_mean", "mode") or value is None:
            continue
        lowest = 1 if name == "max_peaks" else 0
        if not np.isfinite(value) or value < lowest or (value == 0 and name not in ("min_prominence", "weak_peaks")):
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
    mean = images.data.map_overlap(_compute_mean_3x3, depth={0: 1, 1: 1}, boundary="none", dtype=np.float32)
    return images.copy(data=mean)


def _compute_mean_3x3(block: NDArray[Any]) -> NDArray[np.float32]:
    """Mean over neighbours along the first two axes, one row at a time (memory: one padded row)."""
    n_y, n_x = block.shape[:2]
    out = np.empty(block.shape, np.float32)
    for y in range(n_y):
        rows = block[max(y - 1, 0) : y + 2].mean(axis=0, dtype=np.float32)
        for x in range(n_x):
            out[y, x] = rows[max(x - 1, 0) : x + 2].mean(axis=0)
    return out


def _estimate_block(sample: NDArray[Any]) -> tuple[NDArray[np.float64], ...]:
    """Disk radius, v0 and gain of sample patterns ``(scan_y, scan_x, qy, qx)``, as arrays without dimensions."""
    from .disk_size import estimate_disk_and_noise  # compiled code is imported when it is needed

    return tuple(np.asarray(value, dtype=np.float64) for value in estimate_disk_and_noise(sample))


def _find_block(
    block: NDArray[Any], *estimate: NDArray[np.float64], settings: dict[str, Any], integers: bool
) -> "PeakArrays":
    """Peaks in pixels of a block of patterns ``(..., qy, qx)``; ``estimate``: disk radius, v0 and gain."""
    from . import pattern_loop
    from . import settings as _settings
    from .disk_size import DiskAndNoise, make_gaussian_kernel

    ny, nx = block.shape[-2:]
    out = pattern_loop.make_peak_arrays(block.shape[:-2], _count_slots(settings))
    find: Any
    chosen: Any
    if settings["mode"] == "published":
        find, chosen = pattern_loop.find_peaks_published, _settings.make_published_settings(settings, nx, integers)
        kernel = make_gaussian_kernel(chosen.sigma)
    else:
        measured = DiskAndNoise(*(float(value) for value in estimate))
        find, chosen = pattern_loop.find_peaks_adaptive, _settings.make_adaptive_settings(settings, measured, ny * nx)
        kernel = make_gaussian_kernel(chosen.sigma / chosen.bin_size)
    for row in np.ndindex(block.shape[:-3]):  # a row at a time bounds the float32 copy
        patterns = np.ascontiguousarray(block[row], dtype=np.float32)
        find(patterns, kernel, chosen, settings["max_peaks"], pattern_loop.PeakArrays(*(array[row] for array in out)))
    return out


def _count_slots(settings: dict[str, Any]) -> int:
    """Columns of the kernel's table: peaks, then weak ones."""
    return int(settings["max_peaks"] + (0 if settings["mode"] == "published" else settings["weak_peaks"]))


def _make_weak_peaks(
    found: dict[str, xr.DataArray], axes: dict[str, tuple[float, float, int, str]]
) -> dict[str, xr.DataArray]:
    """The weak peaks in the coordinates' units; empty where none were asked for."""
    if found["intensity"].sizes["peak"] == 0:
        return {}
    weak = {name: array.rename(peak="weak_peak") for name, array in found.items()}
    out = {"weak_intensity": weak["intensity"]}
    for name in ("qy", "qx"):
        start, step, _, unit = axes[name]
        out[f"weak_{name}"] = (weak[name] * step + start).astype(np.float32).assign_attrs(units=unit)
    return out


def _make_peaks(
    found: dict[str, xr.DataArray], radius: xr.DataArray, axes: dict[str, tuple[float, float, int, str]]
) -> xr.Dataset:
    """PEAKS in the coordinates' units from the kernel's arrays in pixels."""
    out = xr.Dataset()
    for name in ("qy", "qx"):
        start, step, _, unit = axes[name]
        out[name] = (found[name] * step + start).astype(np.float32).assign_attrs(units=unit)
    for name in ("intensity", "prominence", "noise", "min_prominence", "count"):
        out[name] = found[name]
    out["status"] = found["status"].assign_attrs(status_attributes(AcomStatus))
    unit = axes["qx"][3]
    out["disk_radius"] = (radius * axes["qx"][1]).assign_attrs(units=unit, long_name="radius of a diffraction disk")
    out = out.drop_vars(["qy", "qx"], errors="ignore").assign({n: out[n] for n in ("qy", "qx")})
    out.attrs["detector_shape"] = [axes["qy"][2], axes["qx"][2]]
    out.attrs["detector_start"] = [axes["qy"][0], axes["qx"][0]]
    out.attrs["detector_step"] = [axes["qy"][1], axes["qx"][1]]
    return out
