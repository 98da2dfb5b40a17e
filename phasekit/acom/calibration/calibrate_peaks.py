"""Registration: peaks in detector pixels become reciprocal vectors from the direct beam, calibration checked."""

from typing import Any, Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ...errors import SchemaError
from ...schema import PATTERNS, PEAKS, describe, require
from .ellipse_and_scale import (
    CalibrationSettings,
    CalibrationWarning,
    Pair,
    check_pixel_size,
    check_settings,
    fit_calibration,
    list_phases,
)

Floats = NDArray[np.float64]

_WEAK_POSITIONS = ("weak_qy", "weak_qx")
_SCALARS = {
    "scale": ("1/angstrom per input unit", "scale applied to the positions"),
    "scale_error": ("1/angstrom per input unit", "standard error of the scale, NaN where it was given"),
    "scale_offset": ("1", "relative scale the phase's rings ask for beyond the one applied"),
    "ellipse_ratio": ("1", "major over minor axis of a measured ring, undone"),
    "ellipse_ratio_error": ("1", "standard error of the ellipse's ratio, NaN where it was not fitted"),
    "ellipse_angle": ("degree", "major axis of a measured ring, from +x towards +y, undone"),
    "ellipse_angle_error": ("degree", "standard error of the ellipse's angle, NaN where it was not fitted"),
    "radial_misfit": ("1", "rms of |q| / |g| - 1 of the peaks on a ring of the phase"),
    "radial_match": ("1", "weight of the peaks on a ring of the phase"),
    "origin_scatter": ("1/angstrom", "typical distance of the direct beam from the smooth drift model"),
    "detector_rotation_deg": ("degree", "angle by which detector vectors were turned, from +x towards +y"),
    "detector_rotation_error_deg": ("degree", "standard error of the rotation, NaN where it was not fitted"),
}


def calibrate_peaks(
    peaks: xr.Dataset,
    *,
    origin: Literal["fit"] | Pair | None = "fit",
    pixel_size: float | Literal["fit"] | None = None,
    phase: Any = None,
    ellipse: Literal["fit"] | Pair | None = None,
    detector_rotation_deg: float | Literal["fit"] = 0.0,
) -> xr.Dataset:
    """Express peaks in 1/angstrom from the direct beam, in the sample frame, and check the calibration.

    Order: origin, ellipse and scale (both about the origin, in the detector frame), rotation. The origin is the
    direct-beam peak of each pattern where it lies near a smooth surface (quadratic in the scan position, fitted with
    Tukey's weights), otherwise, as in patterns without a direct-beam peak, that surface.

    Parameters
    ----------
    peaks
        PEAKS in px or 1/angstrom. The whole table is read at once (a global fit): 4 float32 per peak. Lazy stays lazy.
    origin
        ``"fit"``; ``None``: (0, 0) is the direct beam already; or one (qy, qx) for all patterns, in the peaks' unit.
    pixel_size
        1/angstrom per px; needed for peaks in px unless a phase is given. ``"fit"``: from the phase's rings, within
        6 % of the present scale where there is one, otherwise anywhere. ``None``: calibrated peaks keep their scale.
    phase
        One orix Phase or a list (``pk.io.open_phase``) that the specimen consists of: the rings for scale and ellipse.
    ellipse
        ``None``; (ratio, angle_deg) of the measured rings (major over minor axis; angle of the major axis from +x
        towards +y): undone at constant area; ``"fit"``: from the phase's rings.
    detector_rotation_deg
        Angle from +x towards +y by which vectors on the detector are turned into the scan frame, -360 .. 360.
        ``"fit"``: the one at which the direct beam's deflections from the drift model, as by a specimen's electric
        potential, are free of curl (differential phase contrast; needs ``origin="fit"``). It is known modulo 180
        degrees, the answer lies in (-90, 90]; a mirrored detector is not looked for. Where the evidence is weak: 0.

    Returns
    -------
    xarray.Dataset
        PEAKS in 1/angstrom with ``direct(scan_y, scan_x, peak)`` (the direct beam's peak), ``origin_y, origin_x``
        (in the unit of the input), ``origin_error(scan_y, scan_x)`` [1/angstrom] (standard error per axis: a measured
        beam's scatter about the drift model, where the model stands in that and the model's own; NaN where the origin
        was given or the scan has too few direct beams) and scalars: ``scale``, ``scale_error``, ``scale_offset`` (what
        the rings ask for beyond the applied scale; NaN where they are too dense to tell one scale from another),
        ``ellipse_ratio``, ``ellipse_angle``, ``radial_misfit``, ``radial_match``, ``origin_scatter``,
        ``detector_rotation_deg``, and ``ellipse_ratio_error``, ``ellipse_angle_error`` (at most 52 degrees) and
        ``detector_rotation_error_deg``, which are NaN where the value was not fitted. Those that need a phase are NaN
        without one.

    Raises
    ------
    SchemaError
        Not PEAKS; px without a scale; a scale or ellipse to fit without a phase; settings without meaning.

    Warns
    -----
    CalibrationWarning
        The rings of the phase ask for a scale that differs by more than 1 % and 4 standard errors, hardly more peaks
        lie on its rings than would by chance, or the deflections do not tell the rotation that was to be fitted.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> dims, scan = ("scan_y", "scan_x", "peak"), ("scan_y", "scan_x")
    >>> maps = {n: (scan, [[0.0]]) for n in ("noise", "min_prominence", "count", "status")}
    >>> spots = {"qy": (dims, [[[10.0, 10.0]]], {"units": "px"}), "qx": (dims, [[[12.0, 32.0]]], {"units": "px"})}
    >>> heights = {n: (dims, [[[9.0, 1.0]]]) for n in ("intensity", "prominence")}
    >>> done = calibrate_peaks(xr.Dataset({**spots, **heights, **maps}), pixel_size=0.02)
    >>> done.qx.values.round(3), done.direct.values
    (array([[[0. , 0.4]]], dtype=float32), array([[[ True, False]]]))
    """
    settings = {key: value for key, value in locals().items() if key != "peaks"}
    require(peaks, PEAKS, step="calibrate_peaks")
    plan = check_settings(peaks, settings)
    scan = [peaks[d].values if d in peaks.coords else np.arange(peaks.sizes[d]) for d in ("scan_y", "scan_x")]
    whole = peaks.chunk(dict.fromkeys(peaks.dims, -1)) if peaks.qx.chunks else peaks
    radius = whole["disk_radius"] if "disk_radius" in whole else xr.DataArray(np.nan)
    core, weak = ["scan_y", "scan_x", "peak"], ["scan_y", "scan_x", "weak_peak"]
    none = xr.full_like(whole.qy.isel(peak=slice(1)), np.nan).rename(peak="weak_peak")
    arrays = xr.apply_ufunc(
        _calibrate_table,
        whole.qy,
        whole.qx,
        whole.intensity,
        *(whole.get(name, none) for name in _WEAK_POSITIONS),
        radius,
        kwargs={"scan": (scan[0].astype(float), scan[1].astype(float)), "plan": plan},
        input_core_dims=[core, core, core, weak, weak, []],
        output_core_dims=[core, core, core, weak, weak, *[core[:2]] * 3, ["figure"]],
        dask="parallelized",
        output_dtypes=[np.float32, np.float32, np.bool_, np.float32, np.float32, *[np.float64] * 4],
        dask_gufunc_kwargs={"output_sizes": {"figure": len(_SCALARS)}},
    )
    out = _assemble_peaks(peaks, arrays, plan)
    settings["phase"] = None if phase is None else [str(p.name) for p in list_phases(phase)]
    return describe(out, PEAKS, step="calibrate_peaks", settings=settings, source=peaks)


def _assemble_peaks(peaks: xr.Dataset, arrays: tuple[xr.DataArray, ...], plan: CalibrationSettings) -> xr.Dataset:
    """The peaks with what ``_calibrate_table`` returned in their place, and units and detector attributes that fit it."""
    qy, qx, direct, weak_qy, weak_qx, origin_y, origin_x, origin_error, figures = arrays
    unit = str(peaks.qx.attrs["units"])
    moved = {
        "qy": qy,
        "qx": qx,
        **(dict(zip(_WEAK_POSITIONS, (weak_qy, weak_qx), strict=True)) if "weak_qy" in peaks else {}),
    }
    out = peaks.assign({name: array.assign_attrs(units="1/angstrom") for name, array in moved.items()})
    out["direct"] = direct
    out["origin_y"] = origin_y.assign_attrs(units=unit, long_name="direct beam along y")
    out["origin_x"] = origin_x.assign_attrs(units=unit, long_name="direct beam along x")
    out["origin_error"] = origin_error.assign_attrs(units="1/angstrom", long_name="standard error of the direct beam")
    for i, (name, (units, meaning)) in enumerate(_SCALARS.items()):
        out[name] = figures.isel(figure=i).assign_attrs(units=units, long_name=meaning)
    if "disk_radius" in out:
        out["disk_radius"] = (out.disk_radius * out.scale).assign_attrs(peaks.disk_radius.attrs, units="1/angstrom")
    out.attrs = {key: value for key, value in peaks.attrs.items() if key != "detector_start"}
    if "detector_step" in out.attrs and isinstance(plan.pixel_size, float):
        out.attrs["detector_step"] = [float(step) * plan.pixel_size for step in peaks.attrs["detector_step"]]
    elif not plan.calibrated:
        out.attrs.pop("detector_step", None)
    return out


def calibrate(data: xr.Dataset, *, pixel_size: float) -> xr.Dataset:
    """Set the scale of patterns or peaks by hand: 1/angstrom per detector pixel.

    Parameters
    ----------
    data
        PATTERNS: ``qy``, ``qx`` become 1/angstrom from the middle of the detector (the direct beam's place is found by
        ``calibrate_peaks``). PEAKS in px: the same as ``calibrate_peaks(data, pixel_size=pixel_size)``.
    pixel_size
        Size of a pixel [1/angstrom], above 0. An error of 1 % moves a spot at 1.5 1/angstrom by more than a pixel.

    Returns
    -------
    xarray.Dataset
        The data, calibrated; lazy intensities are not touched.

    Raises
    ------
    SchemaError
        Neither PATTERNS nor PEAKS, peaks that are calibrated already, or a pixel size that is not positive.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> patterns = xr.Dataset({"intensity": (("scan_y", "scan_x", "qy", "qx"), np.ones((1, 1, 4, 5)))})
    >>> calibrate(patterns, pixel_size=0.02).qx.values
    array([-0.04, -0.02,  0.  ,  0.02,  0.04])
    """
    check_pixel_size("calibrate", pixel_size)
    if "prominence" in data:
        if data.qx.attrs.get("units") == "1/angstrom":
            raise SchemaError("calibrate: 'qx' is in '1/angstrom' already. Calibrate the patterns before find_peaks.")
        return calibrate_peaks(data, pixel_size=pixel_size)
    require(data, PATTERNS, step="calibrate")
    axes = {d: (np.arange(data.sizes[d]) - (data.sizes[d] - 1) / 2) * pixel_size for d in ("qy", "qx")}
    out = data.assign_coords({d: (d, values, {"units": "1/angstrom"}) for d, values in axes.items()})
    return describe(out, PATTERNS, step="calibrate", settings={"pixel_size": pixel_size}, source=data)


def _calibrate_table(
    qy: Floats,
    qx: Floats,
    intensity: Floats,
    weak_qy: Floats,
    weak_qx: Floats,
    radius: NDArray[np.float64],
    *,
    scan: tuple[Floats, Floats],
    plan: CalibrationSettings,
) -> tuple[NDArray[Any], ...]:
    """Origin, ellipse, scale and rotation of the whole table; ends with the figures in the order of ``_SCALARS``."""
    from .origins import Origins, find_nearest_peak, fit_origins

    position = np.stack([qy, qx], axis=-1).astype(np.float64)
    reach = float(radius) if np.isfinite(radius) else 0.02 * float(np.nan_to_num(np.nanmax(np.abs(position)), nan=1))
    if plan.origin == "fit":
        beam = fit_origins(position, np.asarray(intensity, float), scan, reach, plan.centre)
    else:
        fixed = np.array(plan.origin or (0.0, 0.0), dtype=float)
        beam = Origins.fixed(fixed, find_nearest_peak(position, fixed, 2.5 * reach))
    mask = np.arange(qy.shape[-1]) == beam.direct[..., None]
    vectors = position - beam.origin[:, :, None]
    matrix, figures = fit_calibration(vectors, np.asarray(intensity, float), mask, plan)
    degrees, error = _find_rotation(beam.deflection @ matrix.T, scan, plan)
    turn = np.deg2rad(degrees)
    rotation = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])  # acts on (y, x)
    total = (rotation @ matrix).T
    weak = (np.stack([weak_qy, weak_qx], axis=-1) - beam.origin[:, :, None]) @ total
    numbers = np.array([*figures, beam.scatter * figures[0], degrees, error])
    placed = [np.moveaxis(a, -1, 0).astype(np.float32) for a in (vectors @ total, weak)]
    return (*placed[0], mask, *placed[1], *np.moveaxis(beam.origin, -1, 0), beam.error * figures[0], numbers)


def _find_rotation(deflection: Floats, scan: tuple[Floats, Floats], plan: CalibrationSettings) -> tuple[float, float]:
    from .scan_rotation import find_scan_rotation

    if plan.rotation_deg == "fit":
        return find_scan_rotation(deflection, scan, CalibrationWarning)
    return plan.rotation_deg, np.nan
