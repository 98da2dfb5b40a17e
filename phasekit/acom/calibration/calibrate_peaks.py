"""Calibration: peak positions in detector pixels become reciprocal vectors from the direct beam.

``calibrate_peaks`` finds origin, elliptic distortion, scale and rotation. ``calibrate`` sets a known scale.
"""

from typing import Any, Literal

import numpy as np
import xarray as xr

from ...errors import SchemaError
from ...schema import PATTERNS, PEAKS, describe, require
from .ellipse_and_scale import (
    CalibrationSettings,
    Pair,
    check_pixel_size,
    check_settings,
    list_phases,
)
from .table import SCALARS, CalibratedTable, calibrate_table

_WEAK_POSITIONS = ("weak_qy", "weak_qx")


def calibrate_peaks(
    peaks: xr.Dataset,
    *,
    origin: Literal["fit"] | Pair | None = "fit",
    pixel_size: float | Literal["fit"] | None = None,
    phase: Any = None,
    ellipse: Literal["fit"] | Pair | None = None,
    detector_rotation_deg: float | Literal["fit"] = 0.0,
) -> xr.Dataset:
    r"""Express peaks in 1/angstrom from the direct beam, in the sample frame, and check the calibration.

    A measured position k becomes the scattering vector

    .. math:: q = R(\theta) \, s \, E(\rho, \varphi) \, (k - k_0),

    with the direct beam :math:`k_0`, the scale s and the rotation R from the detector to the scan. E is the symmetric
    matrix of determinant 1 that turns an ellipse of axis ratio :math:`\rho` into a circle.

    The origin is the direct-beam peak of each pattern where it lies near a smooth drift surface. The surface is
    quadratic in the scan position and is fitted with Tukey's weights. Elsewhere the surface itself is the origin.

    Parameters
    ----------
    peaks
        PEAKS in px or 1/angstrom. The whole table is read at once for a global fit: 4 float32 per peak. Lazy stays
        lazy.
    origin
        ``"fit"`` finds the direct beam. ``None`` takes (0, 0) as the direct beam. One (qy, qx), in the peaks' unit,
        holds for all patterns.
    pixel_size
        1/angstrom per px. It is needed for peaks in px unless a phase is given. ``"fit"`` takes the scale from the
        phase's rings: within 6 % of the present scale where there is one, otherwise anywhere. ``None`` keeps the
        scale of calibrated peaks.
    phase
        One orix Phase or a list (``pk.io.open_phase``) that the specimen consists of. Its rings give scale and ellipse.
    ellipse
        ``None`` applies no correction. (ratio, angle_deg) of the measured rings is undone at constant area. The ratio
        is major over minor axis, and the angle that of the major axis from +x towards +y. ``"fit"`` takes both from
        the phase's rings.
    detector_rotation_deg
        Angle from +x towards +y by which vectors on the detector are turned into the scan frame, -360 .. 360.
        ``"fit"`` minimises the curl of the direct beam's deflections from the drift surface. Deflections by a
        specimen's electric potential have no curl (differential phase contrast). This needs ``origin="fit"``. The
        angle is known modulo 180 degrees and lies in (-90, 90]. A mirrored detector is not looked for. Where the
        evidence is weak the angle is 0.

    Returns
    -------
    xarray.Dataset
        PEAKS in 1/angstrom. ``direct(scan_y, scan_x, peak)`` marks the direct beam's peak. ``origin_y, origin_x`` are
        in the unit of the input. ``origin_error(scan_y, scan_x)`` [1/angstrom] is the standard error per axis. For a
        measured beam it is its scatter about the drift surface. Where the surface stands in, the surface's own error
        is added. It is NaN where the origin was given or the scan has too few direct beams.

        Scalars: ``scale``, ``scale_error``, ``scale_offset``, ``ellipse_ratio``, ``ellipse_ratio_error``,
        ``ellipse_angle``, ``ellipse_angle_error`` (at most 52 degrees), ``radial_misfit``, ``radial_match``,
        ``origin_scatter``, ``detector_rotation_deg``, ``detector_rotation_error_deg``. Errors are NaN where the value
        was not fitted. Those that need a phase are NaN without one. ``scale_offset`` is what the rings ask for beyond
        the applied scale. It is NaN where the rings are too dense to tell one scale from another.

    Raises
    ------
    SchemaError
        Not PEAKS; px without a scale; a scale or ellipse to fit without a phase; settings without meaning.

    Warns
    -----
    CalibrationWarning
        The rings of the phase ask for a scale that differs by more than 1 % and 4 standard errors. Or hardly more
        peaks lie on its rings than would by chance. Or the deflections do not tell the rotation to be fitted.

    See Also
    --------
    find_peaks : Step before: finds the peaks in the patterns.
    calibrate : Sets a known scale by hand.
    match_orientations : Step after: compares calibrated peaks with templates.
    reconstruct_patterns : Redraws calibrated peaks as patterns.

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
    given = {"origin": origin, "pixel_size": pixel_size, "phase": phase, "ellipse": ellipse}
    given["detector_rotation_deg"] = detector_rotation_deg
    require(peaks, PEAKS, step="calibrate_peaks", argument="peaks")
    settings = check_settings(peaks, given)
    out = _assemble_peaks(peaks, _apply_to_table(peaks, settings), settings)
    # An orix Phase cannot be stored in the provenance, but its name can.
    given["phase"] = None if phase is None else [str(p.name) for p in list_phases(phase)]
    return describe(out, PEAKS, step="calibrate_peaks", settings=given, source=peaks)


def _apply_to_table(peaks: xr.Dataset, settings: CalibrationSettings) -> tuple[xr.DataArray, ...]:
    """Run the kernel over the whole table as one block; outputs in the order of ``CalibratedTable``."""
    scan = [peaks[d].values if d in peaks.coords else np.arange(peaks.sizes[d]) for d in ("scan_y", "scan_x")]
    # Drift surface, rings and rotation are fitted to the whole scan, so that any chunking gives the same answer.
    whole = peaks.chunk(dict.fromkeys(peaks.dims, -1)) if peaks.qx.chunks else peaks
    radius = whole["disk_radius"] if "disk_radius" in whole else xr.DataArray(np.nan)
    # Weak peaks have a length of their own, so that their table is a separate input.
    core, weak = ["scan_y", "scan_x", "peak"], ["scan_y", "scan_x", "weak_peak"]
    # A table without weak peaks passes one column of NaN: the kernel then has one form only.
    no_weak_peaks = xr.full_like(whole.qy.isel(peak=slice(1)), np.nan).rename(peak="weak_peak")
    arrays: tuple[xr.DataArray, ...] = xr.apply_ufunc(
        calibrate_table,
        whole.qy,
        whole.qx,
        whole.intensity,
        *(whole.get(name, no_weak_peaks) for name in _WEAK_POSITIONS),
        radius,
        kwargs={"scan": (scan[0].astype(float), scan[1].astype(float)), "settings": settings},
        input_core_dims=[core, core, core, weak, weak, []],
        output_core_dims=[core, core, core, weak, weak, *[core[:2]] * 3, ["figure"]],
        dask="parallelized",
        output_dtypes=[np.float32, np.float32, np.bool_, np.float32, np.float32, *[np.float64] * 4],
        dask_gufunc_kwargs={"output_sizes": {"figure": len(SCALARS)}},
    )
    return arrays


def _assemble_peaks(peaks: xr.Dataset, arrays: tuple[xr.DataArray, ...], settings: CalibrationSettings) -> xr.Dataset:
    """Put the kernel's outputs in place of the positions; units and detector attributes follow the new unit."""
    named = dict(zip(CalibratedTable._fields, arrays, strict=True))
    unit = str(peaks.qx.attrs["units"])
    # Weak peaks enter the result only if the input had them; the column of NaN does not.
    moved = ["qy", "qx", *(_WEAK_POSITIONS if "weak_qy" in peaks else ())]
    out = peaks.assign({name: named[name].assign_attrs(units="1/angstrom") for name in moved})
    out["direct"] = named["direct"]
    out["origin_y"] = named["origin_y"].assign_attrs(units=unit, long_name="direct beam along y")
    out["origin_x"] = named["origin_x"].assign_attrs(units=unit, long_name="direct beam along x")
    error = named["origin_error"]
    out["origin_error"] = error.assign_attrs(units="1/angstrom", long_name="standard error of the direct beam")
    for i, (name, (units, meaning)) in enumerate(SCALARS.items()):
        out[name] = named["scalars"].isel(figure=i).assign_attrs(units=units, long_name=meaning)
    if "disk_radius" in out:
        out["disk_radius"] = (out.disk_radius * out.scale).assign_attrs(peaks.disk_radius.attrs, units="1/angstrom")
    out.attrs = {key: value for key, value in peaks.attrs.items() if key != "detector_start"}
    # A fitted scale is not known before the table is computed, so the detector's step cannot be converted then.
    if "detector_step" in out.attrs and isinstance(settings.pixel_size, float):
        out.attrs["detector_step"] = [float(step) * settings.pixel_size for step in peaks.attrs["detector_step"]]
    elif not settings.calibrated:
        out.attrs.pop("detector_step", None)
    return out


def calibrate(data: xr.Dataset, *, pixel_size: float) -> xr.Dataset:
    """Set the scale of patterns or peaks by hand: 1/angstrom per detector pixel.

    Parameters
    ----------
    data
        PATTERNS: ``qy``, ``qx`` become 1/angstrom from the middle of the detector. ``calibrate_peaks`` finds the
        direct beam later. PEAKS in px: the same as ``calibrate_peaks(data, pixel_size=pixel_size)``.
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

    See Also
    --------
    calibrate_peaks : Fits scale, ellipse and rotation to a phase's rings.
    find_peaks : Step after, for patterns.

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
    require(data, PATTERNS, step="calibrate", argument="data")
    # The middle of the detector stands in for the direct beam, which is found later in the peaks.
    axes = {d: (np.arange(data.sizes[d]) - (data.sizes[d] - 1) / 2) * pixel_size for d in ("qy", "qx")}
    out = data.assign_coords({d: (d, values, {"units": "1/angstrom"}) for d, values in axes.items()})
    return describe(out, PATTERNS, step="calibrate", settings={"pixel_size": pixel_size}, source=data)
