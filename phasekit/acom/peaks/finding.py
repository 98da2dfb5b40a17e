"""Peak finding with an adaptive prominence: diffraction patterns in, sub-pixel peaks out."""

from typing import Any, Literal, get_args

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ...deprecation import renamed_arguments
from ...errors import AcomStatus, SchemaError, status_attributes
from ...schema import PATTERNS, PEAKS, describe, require

Mode = Literal["adaptive", "published"]

_SAMPLE = 7  # patterns along each scan axis that disk size and noise are measured on
_FALSE_PEAKS = 6.0  # bound on the noise maxima per pattern; it is far from tight: 0.1 .. 0.2 measured
_WEAK = 250.0  # the same for weak peaks: of these more than half may be noise, and matching still gains by them
_DISK_TO_BLUR = 0.63  # Gaussian with the best signal-to-noise ratio on a disk: sigma = 0.63 radius
_GREY_LEVELS = 255
_BINNED_BLUR = 1.5  # [bins]; wider blurs are made on a binned pattern, which loses nothing


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
    settings = {key: value for key, value in locals().items() if key != "patterns"}
    require(patterns, PATTERNS, step="find_peaks")
    axes = {dim: _axis(patterns, dim) for dim in ("qy", "qx")}
    _check(settings)
    images = patterns.intensity.chunk(qy=-1, qx=-1) if patterns.intensity.chunks else patterns.intensity
    sample = images.isel({dim: _spread(images.sizes[dim]) for dim in ("scan_y", "scan_x")})
    if scan_mean:
        images = _scan_mean(images)
    disk = xr.apply_ufunc(
        _disk_and_noise,
        sample.chunk(scan_y=-1, scan_x=-1) if patterns.intensity.chunks else sample,
        input_core_dims=[["scan_y", "scan_x", "qy", "qx"]],
        output_core_dims=[["figure"]],
        dask="parallelized",
        output_dtypes=[np.float64],
        dask_gufunc_kwargs={"output_sizes": {"figure": 3}},
    )
    if scan_mean:
        disk = disk * xr.DataArray([1.0, 1 / 9, 1 / 9], dims="figure")
    table, figures = xr.apply_ufunc(
        _find_block,
        images,
        disk,
        kwargs={"settings": settings, "integers": np.issubdtype(images.dtype, np.uint8)},
        input_core_dims=[["qy", "qx"], ["figure"]],
        output_core_dims=[["column", "peak"], ["number"]],
        dask="parallelized",
        output_dtypes=[np.float32, np.float32],
        dask_gufunc_kwargs={"output_sizes": {"column": 4, "peak": _slots(settings), "number": 4}},
    )
    out = _as_peaks(table.isel(peak=slice(max_peaks)), figures, disk.isel(figure=0), axes)
    out = out.assign(_weak(table.isel(peak=slice(max_peaks, None)), axes))
    return describe(out, PEAKS, step="find_peaks", settings=settings, source=patterns)


def _axis(patterns: xr.Dataset, dim: str) -> tuple[float, float, int, str]:
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


def _check(settings: dict[str, Any]) -> None:
    """Refuse settings that have no meaning."""
    for name, value in settings.items():
        if name in ("scan_mean", "mode") or value is None:
            continue
        lowest = 1 if name == "max_peaks" else 0
        if not np.isfinite(value) or value < lowest or (value == 0 and name not in ("min_prominence", "weak_peaks")):
            raise SchemaError(f"find_peaks: {name} = {value}, needs a positive number. Leave it out for the default.")
    if settings["mode"] not in get_args(Mode):
        raise SchemaError(f"find_peaks: mode = {settings['mode']!r}, needs one of {get_args(Mode)}.")


def _spread(n: int) -> NDArray[np.intp]:
    """At most ``_SAMPLE`` indices spread over 0 .. n - 1."""
    return np.unique(np.linspace(0, n - 1, min(n, _SAMPLE)).round().astype(np.intp))


def _scan_mean(images: xr.DataArray) -> xr.DataArray:
    """Mean over the 3 x 3 scan neighbours that exist."""
    if not images.chunks:
        return images.copy(data=_mean_3x3(np.asarray(images.data)))
    mean = images.data.map_overlap(_mean_3x3, depth={0: 1, 1: 1}, boundary="none", dtype=np.float32)
    return images.copy(data=mean)


def _mean_3x3(block: NDArray[Any]) -> NDArray[np.float32]:
    """Mean over neighbours along the first two axes, one row at a time (memory: one padded row)."""
    n_y, n_x = block.shape[:2]
    out = np.empty(block.shape, np.float32)
    for y in range(n_y):
        rows = block[max(y - 1, 0) : y + 2].mean(axis=0, dtype=np.float32)
        for x in range(n_x):
            out[y, x] = rows[max(x - 1, 0) : x + 2].mean(axis=0)
    return out


def _disk_and_noise(sample: NDArray[Any]) -> NDArray[np.float64]:
    from .disk_size import disk_and_noise

    return disk_and_noise(sample)


def _find_block(
    block: NDArray[Any], disk: NDArray[np.float64], settings: dict[str, Any], integers: bool
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Tables ``(..., column, peak)`` in pixels and figures ``(..., number)`` of a block of patterns."""
    from .disk_size import gaussian
    from .pattern_loop import find_in_patterns

    ny, nx = block.shape[-2:]
    published = settings["mode"] == "published"
    numbers = _published(settings, nx, integers) if published else _adaptive(settings, disk, ny * nx)
    limit = settings["max_peaks"]
    bin_size = 1.0 if published else float(numbers[0][5])
    kernel = gaussian(float(numbers[0][0]) / bin_size)
    tables = np.empty((*block.shape[:-2], 4, _slots(settings)), np.float32)
    figures = np.empty((*block.shape[:-2], 4), np.float32)
    for row in np.ndindex(block.shape[:-3]):  # a row at a time bounds the float32 copy
        patterns = np.ascontiguousarray(block[row], dtype=np.float32)
        find_in_patterns(patterns, kernel, numbers[1], numbers[0], published, limit, tables[row], figures[row])
    return tables, figures


def _adaptive(
    settings: dict[str, Any], disk: NDArray[np.float64], n_pixels: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Kernel settings; coefficients of the thresholds sqrt(a + b level) + c, at least d, of peaks and of weak ones."""
    from .disk_size import gaussian

    radius, v0, gain = disk.ravel()
    sigma = settings["blur_px"] or max(_DISK_TO_BLUR * radius, 0.8)
    bin_size = max(int(sigma / _BINNED_BLUR), 1)
    cell = 2 ** max(round(np.log2(1.3 * radius / bin_size)), 0)  # divides most detectors: no cell is cut
    kernel = gaussian(sigma / bin_size).astype(np.float64)
    squares = (float(np.sum(kernel**2)) / bin_size) ** 2  # of binning and blur together: variance left of a pixel's
    bounds = (_FALSE_PEAKS, _WEAK if settings["weak_peaks"] else _FALSE_PEAKS)
    odds = 2 * np.log(np.maximum(n_pixels * squares / np.array(bounds), [1.5, 1.2]))
    one_count = odds / 6 * gain * (kernel.max() / bin_size) ** 2
    least = np.full(2, settings["min_prominence"] or 0.0)
    noise = np.stack([odds * squares * v0, odds * squares * gain, one_count, least], axis=1)
    window = settings["background_radius"] or 4 * radius
    half_box = np.ceil(settings["refine_box"] / 2 if settings["refine_box"] else 3 * sigma)
    circle = settings["intensity_radius"] or radius + 1
    numbers = [sigma, max(round(window), 2), half_box, circle, 20 * gain, bin_size, cell, settings["weak_peaks"]]
    return np.array(numbers, dtype=np.float64), noise


def _published(settings: dict[str, Any], width: int, integers: bool) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Kernel settings of the published recipe; the curvature of the paraboloid is 1/(2 radius) grey levels."""
    user = settings["min_prominence"]
    curvature = 0.5 / (settings["background_radius"] or width / 10)
    numbers = [
        settings["blur_px"] or 2.0,
        0,
        settings["refine_box"] or 10.0,
        settings["intensity_radius"] or 3.0,
        0,
        curvature,
    ]
    return np.array([*numbers, 3.0 if user is None else user, 0.0 if integers else 1 / _GREY_LEVELS]), np.zeros((2, 4))


def _slots(settings: dict[str, Any]) -> int:
    """Columns of the kernel's table: peaks, then weak ones."""
    return int(settings["max_peaks"] + (0 if settings["mode"] == "published" else settings["weak_peaks"]))


def _weak(table: xr.DataArray, axes: dict[str, tuple[float, float, int, str]]) -> dict[str, xr.DataArray]:
    """The weak peaks in the coordinates' units; nothing where none are asked for."""
    if table.sizes["peak"] == 0:
        return {}
    table = table.rename(peak="weak_peak")
    out = {"weak_intensity": table.isel(column=2)}
    for i, name in enumerate(("qy", "qx")):
        start, step, _, unit = axes[name]
        out[f"weak_{name}"] = (table.isel(column=i) * step + start).astype(np.float32).assign_attrs(units=unit)
    return out


def _as_peaks(
    table: xr.DataArray, figures: xr.DataArray, radius: xr.DataArray, axes: dict[str, tuple[float, float, int, str]]
) -> xr.Dataset:
    """PEAKS in the coordinates' units from the kernel's tables in pixels."""
    out = xr.Dataset()
    for i, name in enumerate(("qy", "qx")):
        start, step, _, unit = axes[name]
        out[name] = (table.isel(column=i) * step + start).astype(np.float32).assign_attrs(units=unit)
    out["intensity"], out["prominence"] = table.isel(column=2), table.isel(column=3)
    out["noise"], out["min_prominence"] = figures.isel(number=0), figures.isel(number=1)
    out["count"] = figures.isel(number=2).astype(np.int32)
    out["status"] = figures.isel(number=3).astype(np.int8).assign_attrs(status_attributes(AcomStatus))
    unit = axes["qx"][3]
    out["disk_radius"] = (radius * axes["qx"][1]).assign_attrs(units=unit, long_name="radius of a diffraction disk")
    out = out.drop_vars(["qy", "qx"], errors="ignore").assign({n: out[n] for n in ("qy", "qx")})
    out.attrs["detector_shape"] = [axes["qy"][2], axes["qx"][2]]
    out.attrs["detector_start"] = [axes["qy"][0], axes["qx"][0]]
    out.attrs["detector_step"] = [axes["qy"][1], axes["qx"][1]]
    return out
