"""Calibration of registered peaks: ellipse and scale from a phase's rings, and whether what was given fits them."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ...errors import SchemaError
from .rings import Floats, RingFit, find_scale, fit_rings, merge_rings

Pair = tuple[float, float]
#: Share of peaks that lie near some ring at any scale, from which on the rings cannot check the scale: LiFePO4's do
#: 0.72 .. 0.81 and asked for offsets of -7 .. +4 % on rightly calibrated scans, nickel's 0.16 .. 0.27.
_DENSE_RINGS = 0.5


class CalibrationWarning(UserWarning):
    """The peaks contradict the calibration they were registered with."""


@dataclass(frozen=True)
class CalibrationSettings:
    """Settings of registration, after the checks."""

    origin: Literal["fit"] | Pair | None
    pixel_size: float | Literal["fit"]
    ellipse: Literal["fit"] | Pair | None
    rotation_deg: float | Literal["fit"]
    calibrated: bool
    centre: Floats | None
    rings: Floats = field(default_factory=lambda: np.empty(0))
    strength: Floats = field(default_factory=lambda: np.empty(0))


def check_pixel_size(step: str, pixel_size: float) -> None:
    """Refuse a pixel size that is not a positive number."""
    if not np.isfinite(pixel_size) or pixel_size <= 0:
        raise SchemaError(f"{step}: pixel_size = {pixel_size}, needs a positive number of 1/angstrom per pixel.")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.number) and not isinstance(value, bool) and bool(np.isfinite(value))


def _check_geometry(origin: Any, rotation_deg: Any) -> None:
    pair = isinstance(origin, tuple | list) and len(origin) == 2 and all(map(_is_number, origin))
    named = origin is None or (isinstance(origin, str) and origin == "fit")
    if not (named or pair):
        raise SchemaError(f"calibrate_peaks: origin = {origin!r}, needs 'fit', None or a pair of numbers (qy, qx).")
    if isinstance(rotation_deg, str) and rotation_deg == "fit":
        if origin is None or pair:
            raise SchemaError(
                "calibrate_peaks: detector_rotation_deg = 'fit' needs origin='fit', as it comes from the direct beam's "
                "moves between patterns. Leave the origin out, or give the angle in degrees."
            )
    elif not (_is_number(rotation_deg) and abs(rotation_deg) <= 360):
        raise SchemaError(
            f"calibrate_peaks: detector_rotation_deg = {rotation_deg!r}, needs a number of degrees, -360 .. 360, or "
            "'fit' to find it from the deflections of the direct beam."
        )


def check_settings(peaks: xr.Dataset, settings: dict[str, Any]) -> CalibrationSettings:
    """Checked settings; every contradiction is refused here, before anything is read."""
    units = {str(peaks[name].attrs.get("units")) for name in ("qy", "qx")}
    pixel_size, phase, ellipse = settings["pixel_size"], settings["phase"], settings["ellipse"]
    _check_geometry(settings["origin"], settings["detector_rotation_deg"])
    if units not in ({"px"}, {"1/angstrom"}):
        raise SchemaError(f"calibrate_peaks: 'qy', 'qx' are in {sorted(units)}, need 'px' or '1/angstrom', both alike.")
    calibrated = units == {"1/angstrom"}
    if phase is None and ("fit" in (pixel_size, ellipse) or (pixel_size is None and not calibrated)):
        raise SchemaError(
            "calibrate_peaks: no scale can be found without a phase. Give pixel_size=<1/angstrom per px>, or "
            "phase=pk.io.open_phase(<CIF>) to fit it (and the ellipse) from the phase's rings."
        )
    if isinstance(pixel_size, int | float):
        check_pixel_size("calibrate_peaks", pixel_size)
        if calibrated:
            raise SchemaError(
                "calibrate_peaks: 'qx' is in '1/angstrom' already, a pixel_size has no meaning. Leave it out, or use "
                "pixel_size='fit' to correct the scale with a phase."
            )
    if isinstance(ellipse, tuple | list) and not (len(ellipse) == 2 and 0.5 < ellipse[0] < 2):
        raise SchemaError(
            f"calibrate_peaks: ellipse = {ellipse}, needs (ratio near 1, angle in degrees), None or 'fit'."
        )
    rings = compute_rings(phase) if phase is not None else (np.empty(0), np.empty(0))
    size: float | Literal["fit"] = (
        "fit" if pixel_size == "fit" or (pixel_size is None and not calibrated) else float(pixel_size or 1.0)
    )
    return CalibrationSettings(
        settings["origin"],
        size,
        ellipse,
        settings["detector_rotation_deg"],
        calibrated,
        _find_detector_centre(peaks),
        *rings,
    )


def _find_detector_centre(peaks: xr.Dataset) -> Floats | None:
    """Middle of the detector, where find_peaks wrote it down."""
    keys = ("detector_start", "detector_step", "detector_shape")
    if any(key not in peaks.attrs for key in keys):
        return None
    start, step, shape = (np.asarray(peaks.attrs[key], dtype=float) for key in keys)
    return start + step * (shape - 1) / 2


def fit_calibration(
    vectors: Floats, intensity: Floats, mask: NDArray[np.bool_], plan: CalibrationSettings
) -> tuple[Floats, list[float]]:
    """Symmetric matrix on (y, x) that undoes ellipse and scale, and the figures up to ``radial_match``."""
    given = plan.ellipse if isinstance(plan.ellipse, tuple | list) else (1.0, 0.0)
    matrix = compute_ellipse_correction(*given)
    base = plan.pixel_size if isinstance(plan.pixel_size, float) else np.nan
    known = np.isfinite(intensity) & np.isfinite(vectors).all(axis=-1) & ~mask & (np.nan_to_num(intensity) > 0)
    if plan.rings.size == 0 or known.sum() < 5:
        if not np.isfinite(base):
            warnings.warn("calibrate_peaks: too few peaks to fit a scale.", CalibrationWarning, stacklevel=2)
        return matrix * base, [base, np.nan, np.nan, given[0], np.nan, given[1], *[np.nan] * 3]
    spots, weight = vectors[known] @ matrix.T, np.sqrt(intensity[known])
    fit, expected = _fit_scale_and_ellipse(spots, weight, plan, base)
    scale = fit.scale if plan.pixel_size == "fit" else base
    ratio, angle = fit.ellipse if plan.ellipse == "fit" else given
    ratio_error, angle_error = fit.ellipse_error
    _warn_of_contradiction(expected, fit, scale, fitted=plan.pixel_size == "fit")
    error = fit.scale_error if plan.pixel_size == "fit" else np.nan
    offset = expected.scale / scale - 1 if expected.by_chance < _DENSE_RINGS else np.nan
    figures = [scale, error, offset, ratio, ratio_error, angle, angle_error, fit.misfit, fit.matched]
    return scale * (compute_ellipse_correction(ratio, angle) if plan.ellipse == "fit" else matrix), figures


def _fit_scale_and_ellipse(
    spots: Floats, weight: Floats, plan: CalibrationSettings, base: float
) -> tuple[RingFit, RingFit]:
    """Fit as asked for, and the fit with a free scale that tells whether the given one is right."""
    length = np.hypot(*spots.T)
    if np.isfinite(base) or plan.calibrated:
        start = base if np.isfinite(base) else 1.0
        span = (0.94 * start, 1.06 * start)
    else:
        span = (plan.rings[0] / length.max(), plan.rings[-1] / np.percentile(length, 20))
    used = length > 0.5 * plan.rings[0] / (span[1] if np.isfinite(base) or plan.calibrated else np.inf)
    spots, weight = spots[used], weight[used]
    scale = find_scale(length[used], weight, plan.rings, plan.strength, span)
    oval = plan.ellipse == "fit"
    free = fit_rings(spots[:, 0], spots[:, 1], weight, plan.rings, scale=scale, with_scale=True, with_ellipse=oval)
    if plan.pixel_size == "fit":
        return free, free
    return fit_rings(
        spots[:, 0], spots[:, 1], weight, plan.rings, scale=base, with_scale=False, with_ellipse=oval
    ), free


def compute_ellipse_correction(ratio: float, angle_deg: float) -> Floats:
    """Symmetric matrix on (y, x) of determinant 1 that makes an ellipse a circle."""
    c, s = np.cos(np.deg2rad(angle_deg)), np.sin(np.deg2rad(angle_deg))
    axes = np.array([[s, c], [c, -s]])  # columns: major and minor axis as (y, x)
    return np.asarray(axes @ np.diag([ratio**-0.5, ratio**0.5]) @ axes.T)


def _warn_of_contradiction(expected: RingFit, fit: RingFit, scale: float, *, fitted: bool) -> None:
    """Say so where the rings contradict the scale, the peaks the rings, or dense rings were asked for a scale."""
    offset, error = expected.scale / scale - 1, expected.scale_error / scale
    if expected.by_chance >= _DENSE_RINGS:
        if fitted:
            text = (
                "calibrate_peaks: the phase's rings are so dense that any scale fits about as well "
                f"({100 * expected.by_chance:.0f} % of the peaks lie near a ring by chance). "
                "Fit the scale with a standard of few rings (gold, nickel), and give it as pixel_size."
            )
            warnings.warn(text, CalibrationWarning, stacklevel=3)
    elif abs(offset) > max(0.01, 4 * np.nan_to_num(error)):
        text = (
            f"calibrate_peaks: the phase's rings ask for a scale {100 * offset:+.1f} % ({100 * error:.1f} %) from the "
            "one given. Check the calibration or the phase; pixel_size='fit' applies the correction."
        )
        warnings.warn(text, CalibrationWarning, stacklevel=3)
    elif fit.by_chance < 0.7 and fit.matched < fit.by_chance + 0.25 * (1 - fit.by_chance):
        text = (
            f"calibrate_peaks: {100 * fit.matched:.0f} % of the peaks lie on rings of the phase, "
            f"{100 * fit.by_chance:.0f} % would by chance. Check the phase and the calibration."
        )
        warnings.warn(text, CalibrationWarning, stacklevel=3)


def list_phases(phase: Any) -> list[Any]:
    """One phase or several, as a list."""
    return list(phase) if isinstance(phase, Sequence) else [phase]


def compute_rings(phase: Any, g_max: float = 2.0) -> tuple[Floats, Floats]:
    """Ring radii [1/angstrom] of one or several phases and their strength (each phase's strongest is 1)."""
    from ...diffraction import reflections

    length, strength = [], []
    for one in list_phases(phase):
        table = reflections(one, g_max)
        length.append(np.linalg.norm(table.g, axis=1))
        strength.append(table.strength)
        strength[-1] = np.sqrt(strength[-1] / strength[-1].max())
    return merge_rings(np.concatenate(length), np.concatenate(strength))
