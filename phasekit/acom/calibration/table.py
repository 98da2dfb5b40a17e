"""Kernel of the calibration: origin, ellipse, scale and rotation of a whole table of peaks, and its named outputs."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .ellipse_and_scale import CalibrationSettings, CalibrationWarning, fit_calibration
from .origins import Origins, find_nearest_peak, fit_origins
from .scan_rotation import find_scan_rotation

Floats = NDArray[np.float64]

#: Scalars of the result, in the order of the kernel's last output: unit and meaning.
SCALARS = {
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


class CalibratedTable(NamedTuple):
    """Outputs of the kernel, in the order ``apply_ufunc`` is told; positions [1/angstrom], origin in the input unit."""

    qy: NDArray[Any]
    qx: NDArray[Any]
    direct: NDArray[Any]
    weak_qy: NDArray[Any]
    weak_qx: NDArray[Any]
    origin_y: NDArray[Any]
    origin_x: NDArray[Any]
    origin_error: NDArray[Any]
    scalars: NDArray[Any]


def calibrate_table(
    qy: Floats,
    qx: Floats,
    intensity: Floats,
    weak_qy: Floats,
    weak_qx: Floats,
    radius: NDArray[np.float64],
    *,
    scan: tuple[Floats, Floats],
    settings: CalibrationSettings,
) -> CalibratedTable:
    """Find origin, ellipse, scale and rotation of the whole table (scan_y, scan_x, peak), and apply them.

    The order matters: ellipse and scale are about the origin and in the detector frame, and the rotation comes last.
    """
    # Sums over many float32 positions would lose the precision of the fitted centres.
    position = np.stack([qy, qx], axis=-1).astype(np.float64)
    # Without a disk radius 2 % of the largest coordinate stands in for it.
    reach = float(radius) if np.isfinite(radius) else 0.02 * float(np.nan_to_num(np.nanmax(np.abs(position)), nan=1))
    if settings.origin == "fit":
        beam = fit_origins(position, np.asarray(intensity, float), scan, reach, settings.centre)
    else:
        fixed = np.array(settings.origin or (0.0, 0.0), dtype=float)
        beam = Origins.make_fixed(fixed, find_nearest_peak(position, fixed, 2.5 * reach))
    # Index -1 matches no peak, so that patterns without a direct beam get an empty mask.
    direct = np.arange(qy.shape[-1]) == beam.direct[..., None]
    vectors = position - beam.origin[:, :, None]
    matrix, radial = fit_calibration(vectors, np.asarray(intensity, float), direct, settings)
    # The deflections are made round first: an ellipse alone would give a gradient a curl.
    degrees, error = _find_rotation(beam.deflection @ matrix.T, scan, settings)
    turn = np.deg2rad(degrees)
    rotation = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])  # acts on (y, x)
    total = (rotation @ matrix).T
    # Weak peaks take part in no fit, but they share the frame of the others.
    weak = (np.stack([weak_qy, weak_qx], axis=-1) - beam.origin[:, :, None]) @ total
    # The scatter was measured in the unit of the input and is reported in 1/angstrom.
    scalars = radial._asdict() | {"origin_scatter": beam.scatter * radial.scale}
    scalars |= {"detector_rotation_deg": degrees, "detector_rotation_error_deg": error}
    main_yx, weak_yx, origin_yx = (np.moveaxis(a, -1, 0) for a in (vectors @ total, weak, beam.origin))
    return CalibratedTable(
        qy=main_yx[0].astype(np.float32),
        qx=main_yx[1].astype(np.float32),
        direct=direct,
        weak_qy=weak_yx[0].astype(np.float32),
        weak_qx=weak_yx[1].astype(np.float32),
        origin_y=origin_yx[0],
        origin_x=origin_yx[1],
        origin_error=beam.error * radial.scale,
        scalars=np.array([scalars[name] for name in SCALARS]),
    )


def _find_rotation(
    deflection: Floats, scan: tuple[Floats, Floats], settings: CalibrationSettings
) -> tuple[float, float]:
    """Rotation [degrees] as given, or fitted to the deflections (scan_y, scan_x, 2), and its standard error."""
    if settings.rotation_deg == "fit":
        return find_scan_rotation(deflection, scan, CalibrationWarning)
    return settings.rotation_deg, np.nan
