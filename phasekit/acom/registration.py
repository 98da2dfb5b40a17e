"""Registration: peaks in detector pixels become reciprocal vectors from the direct beam, calibration checked."""

from typing import Any, Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ..errors import SchemaError
from ..schema import PATTERNS, PEAKS, describe, require
from ._calibration import Pair, Plan, calibration, phases_of, rings_of, rotation_of

Floats = NDArray[np.float64]

_WEAK = ("weak_qy", "weak_qx")
_FIGURES = {
    "scale": ("1/angstrom per input unit", "scale applied to the positions"),
    "scale_error": ("1/angstrom per input unit", "standard error of the scale, NaN where it was given"),
    "scale_offset": ("1", "relative scale the phase's rings ask for beyond the one applied"),
    "ellipse_ratio": ("1", "major over minor axis of a measured ring, undone"),
    "ellipse_angle": ("degree", "major axis of a measured ring, from +x towards +y, undone"),
    "radial_misfit": ("1", "rms of |q| / |g| - 1 of the peaks on a ring of the phase"),
    "radial_match": ("1", "weight of the peaks on a ring of the phase"),
    "ellipse_ratio_error": ("1", "standard error of the ratio, NaN where it was given"),
    "ellipse_angle_error": ("degree", "standard error of the angle, NaN where it was given"),
    "detector_rotation_deg": ("degree", "rotation into the scan frame that was applied"),
    "detector_rotation_error_deg": ("degree", "standard error of the rotation, NaN where it was given or not told"),
    "origin_scatter": ("1/angstrom", "typical distance of the direct beam from the smooth drift model"),
}


def register_peaks(
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
        Angle from +x towards +y by which vectors on the detector are turned into the scan frame. ``"fit"``: the angle
        that frees the deflections of the direct beam (origin minus drift) of their curl, modulo 180 degrees, in
        (-90, 90]; where they tell none it warns and turns nothing.

    Returns
    -------
    xarray.Dataset
        PEAKS in 1/angstrom with ``direct(scan_y, scan_x, peak)`` (the direct beam's peak), ``origin_y, origin_x``
        (in the unit of the input) and scalars: ``scale``, ``scale_error``, ``scale_offset`` (what the rings ask for
        beyond the applied scale; NaN where they are too dense to tell one scale from another), ``ellipse_ratio``,
        ``ellipse_angle`` and their errors, ``radial_misfit``, ``radial_match``, ``detector_rotation_deg`` and its
        error, ``origin_scatter`` (the error of one origin). Those that need a phase are NaN without one.

    Raises
    ------
    SchemaError
        Not PEAKS; px without a scale; a scale or ellipse to fit without a phase; settings without meaning.

    Warns
    -----
    CalibrationWarning
        The rings of the phase ask for a scale that differs by more than 1 % and 4 standard errors, or hardly more peaks
        lie on its rings than would by chance.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> dims, scan = ("scan_y", "scan_x", "peak"), ("scan_y", "scan_x")
    >>> maps = {n: (scan, [[0.0]]) for n in ("noise", "min_prominence", "count", "status")}
    >>> spots = {"qy": (dims, [[[10.0, 10.0]]], {"units": "px"}), "qx": (dims, [[[12.0, 32.0]]], {"units": "px"})}
    >>> heights = {n: (dims, [[[9.0, 1.0]]]) for n in ("intensity", "prominence")}
    >>> done = register_peaks(xr.Dataset({**spots, **heights, **maps}), pixel_size=0.02)
    >>> done.qx.values.round(3), done.direct.values
    (array([[[0. , 0.4]]], dtype=float32), array([[[ True, False]]]))
    """
    settings = {key: value for key, value in locals().items() if key != "peaks"}
    require(peaks, PEAKS, step="register_peaks")
    plan = _plan(peaks, settings)
    scan = [peaks[d].values if d in peaks.coords else np.arange(peaks.sizes[d]) for d in ("scan_y", "scan_x")]
    whole = peaks.chunk(dict.fromkeys(peaks.dims, -1)) if peaks.qx.chunks else peaks
    radius = whole["disk_radius"] if "disk_radius" in whole else xr.DataArray(np.nan)
    core, weak = ["scan_y", "scan_x", "peak"], ["scan_y", "scan_x", "weak_peak"]
    none = xr.full_like(whole.qy.isel(peak=slice(1)), np.nan).rename(peak="weak_peak")
    qy, qx, direct, weak_qy, weak_qx, origin_y, origin_x, figures = xr.apply_ufunc(
        _register,
        whole.qy,
        whole.qx,
        whole.intensity,
        *(whole.get(name, none) for name in _WEAK),
        radius,
        kwargs={"scan": (scan[0].astype(float), scan[1].astype(float)), "plan": plan},
        input_core_dims=[core, core, core, weak, weak, []],
        output_core_dims=[core, core, core, weak, weak, core[:2], core[:2], ["figure"]],
        dask="parallelized",
        output_dtypes=[np.float32, np.float32, np.bool_, np.float32, np.float32, *[np.float64] * 3],
        dask_gufunc_kwargs={"output_sizes": {"figure": len(_FIGURES)}},
    )
    placed = {"qy": qy, "qx": qx, "weak_qy": weak_qy, "weak_qx": weak_qx}
    out = _labelled(peaks, placed, figures, plan).assign(direct=direct)
    for name, origin_of in (("y", origin_y), ("x", origin_x)):
        attributes = {"units": str(peaks.qx.attrs["units"]), "long_name": f"direct beam along {name}"}
        out[f"origin_{name}"] = origin_of.assign_attrs(attributes)
    settings["phase"] = None if phase is None else [str(p.name) for p in phases_of(phase)]
    return describe(out, PEAKS, step="register_peaks", settings=settings, source=peaks)


def _labelled(peaks: xr.Dataset, placed: dict[str, xr.DataArray], figures: xr.DataArray, plan: Plan) -> xr.Dataset:
    """The peaks at their new places, with the figures and the attributes that are still true."""
    out = peaks.assign({n: a.assign_attrs(units="1/angstrom") for n, a in placed.items() if n in peaks})
    for i, (name, (units, meaning)) in enumerate(_FIGURES.items()):
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
        ``register_peaks``). PEAKS in px: the same as ``register_peaks(data, pixel_size=pixel_size)``.
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
    _positive("calibrate", pixel_size)
    if "prominence" in data:
        if data.qx.attrs.get("units") == "1/angstrom":
            raise SchemaError("calibrate: 'qx' is in '1/angstrom' already. Calibrate the patterns before find_peaks.")
        return register_peaks(data, pixel_size=pixel_size)
    require(data, PATTERNS, step="calibrate")
    axes = {d: (np.arange(data.sizes[d]) - (data.sizes[d] - 1) / 2) * pixel_size for d in ("qy", "qx")}
    out = data.assign_coords({d: (d, values, {"units": "1/angstrom"}) for d, values in axes.items()})
    return describe(out, PATTERNS, step="calibrate", settings={"pixel_size": pixel_size}, source=data)


def _positive(step: str, pixel_size: float) -> None:
    if not np.isfinite(pixel_size) or pixel_size <= 0:
        raise SchemaError(f"{step}: pixel_size = {pixel_size}, needs a positive number of 1/angstrom per pixel.")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.number) and bool(np.isfinite(value))


def _check_geometry(origin: Any, rotation_deg: Any) -> None:
    pair = isinstance(origin, tuple | list) and len(origin) == 2 and all(map(_is_number, origin))
    named = origin is None or (isinstance(origin, str) and origin == "fit")
    if not (named or pair):
        raise SchemaError(f"register_peaks: origin = {origin!r}, needs 'fit', None or a pair of numbers (qy, qx).")
    fitted = isinstance(rotation_deg, str) and rotation_deg == "fit"
    if not (fitted or _is_number(rotation_deg)):
        raise SchemaError(
            f"register_peaks: detector_rotation_deg = {rotation_deg!r}, needs a number of degrees or 'fit'."
        )
    if fitted and not (isinstance(origin, str) and origin == "fit"):
        raise SchemaError(
            "register_peaks: detector_rotation_deg = 'fit' needs the direct beam's deflections. Leave origin='fit'."
        )


def _plan(peaks: xr.Dataset, settings: dict[str, Any]) -> Plan:
    """Checked settings; every contradiction is refused here, before anything is read."""
    units = {str(peaks[name].attrs.get("units")) for name in ("qy", "qx")}
    pixel_size, phase, ellipse = settings["pixel_size"], settings["phase"], settings["ellipse"]
    _check_geometry(settings["origin"], settings["detector_rotation_deg"])
    if units not in ({"px"}, {"1/angstrom"}):
        raise SchemaError(f"register_peaks: 'qy', 'qx' are in {sorted(units)}, need 'px' or '1/angstrom', both alike.")
    calibrated = units == {"1/angstrom"}
    if phase is None and ("fit" in (pixel_size, ellipse) or (pixel_size is None and not calibrated)):
        raise SchemaError(
            "register_peaks: no scale can be found without a phase. Give pixel_size=<1/angstrom per px>, or "
            "phase=pk.io.open_phase(<CIF>) to fit it (and the ellipse) from the phase's rings."
        )
    if isinstance(pixel_size, int | float):
        _positive("register_peaks", pixel_size)
        if calibrated:
            raise SchemaError(
                "register_peaks: 'qx' is in '1/angstrom' already, a pixel_size has no meaning. Leave it out, or use "
                "pixel_size='fit' to correct the scale with a phase."
            )
    if isinstance(ellipse, tuple | list) and not (len(ellipse) == 2 and 0.5 < ellipse[0] < 2):
        raise SchemaError(
            f"register_peaks: ellipse = {ellipse}, needs (ratio near 1, angle in degrees), None or 'fit'."
        )
    rings = rings_of(phase) if phase is not None else (np.empty(0), np.empty(0))
    size: float | Literal["fit"] = (
        "fit" if pixel_size == "fit" or (pixel_size is None and not calibrated) else float(pixel_size or 1.0)
    )
    return Plan(
        settings["origin"], size, ellipse, settings["detector_rotation_deg"], calibrated, _middle(peaks), *rings
    )


def _middle(peaks: xr.Dataset) -> Floats | None:
    """Middle of the detector, where find_peaks wrote it down."""
    keys = ("detector_start", "detector_step", "detector_shape")
    if any(key not in peaks.attrs for key in keys):
        return None
    start, step, shape = (np.asarray(peaks.attrs[key], dtype=float) for key in keys)
    return start + step * (shape - 1) / 2


def _register(
    qy: Floats,
    qx: Floats,
    intensity: Floats,
    weak_qy: Floats,
    weak_qx: Floats,
    radius: NDArray[np.float64],
    *,
    scan: tuple[Floats, Floats],
    plan: Plan,
) -> tuple[NDArray[Any], ...]:
    """Origin, ellipse, scale and rotation of the whole table; ends with the figures in the order of ``_FIGURES``."""
    from ._origins import fit_origins, nearest

    position = np.stack([qy, qx], axis=-1).astype(np.float64)
    reach = float(radius) if np.isfinite(radius) else 0.02 * float(np.nan_to_num(np.nanmax(np.abs(position)), nan=1))
    if plan.origin == "fit":
        origin, direct, scatter, drift = fit_origins(position, np.asarray(intensity, float), scan, reach, plan.centre)
    else:
        fixed = np.array(plan.origin or (0.0, 0.0), dtype=float)
        origin, scatter, drift = np.broadcast_to(fixed, (*qy.shape[:2], 2)), np.nan, fixed
        direct = nearest(position, fixed, 2.5 * reach)
    mask = np.arange(qy.shape[-1]) == direct[..., None]
    vectors = position - origin[:, :, None]
    matrix, figures = calibration(vectors, np.asarray(intensity, float), mask, plan)
    deflection = np.where((direct >= 0)[..., None], origin - drift, np.nan)
    angle, error = rotation_of(deflection @ matrix.T, plan.rotation_deg)
    turn = np.deg2rad(angle)
    rotation = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])  # acts on (y, x)
    total = (rotation @ matrix).T
    weak = (np.stack([weak_qy, weak_qx], axis=-1) - origin[:, :, None]) @ total
    numbers = np.array([*figures, angle, error, scatter * figures[0]])
    placed = [np.moveaxis(a, -1, 0).astype(np.float32) for a in (vectors @ total, weak)]
    return (*placed[0], mask, *placed[1], *np.moveaxis(origin, -1, 0), numbers)
