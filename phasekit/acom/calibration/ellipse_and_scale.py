"""Elliptic distortion and scale: fitted to a phase's rings, or given and checked against them."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ...errors import SchemaError
from .rings import Floats, RingFit, find_scale, fit_rings, merge_rings

Pair = tuple[float, float]
#: From this fraction of peaks near some ring at any scale on, the rings cannot check the scale. LiFePO4 has 0.72 ..
#: 0.81 and asked for offsets of -7 .. +4 % on scans with the right scale; nickel has 0.16 .. 0.27.
_DENSE_RINGS = 0.5


class CalibrationWarning(UserWarning):
    """The peaks contradict the calibration they were given."""


class RadialFigures(NamedTuple):
    """Scale [1/angstrom per input unit] and ellipse [1, degrees] applied, and how well the rings fit; NaN: unknown."""

    scale: float
    scale_error: float = np.nan
    scale_offset: float = np.nan
    ellipse_ratio: float = 1.0
    ellipse_ratio_error: float = np.nan
    ellipse_angle: float = 0.0
    ellipse_angle_error: float = np.nan
    radial_misfit: float = np.nan
    radial_match: float = np.nan


@dataclass(frozen=True)
class CalibrationSettings:
    """Settings of the calibration after the checks.

    Attributes
    ----------
    origin, pixel_size, ellipse, rotation_deg
        As given to ``calibrate_peaks``; ``pixel_size`` is ``"fit"`` or a number.
    calibrated
        Whether the peaks are in 1/angstrom already.
    centre
        Middle of the detector (y, x) in the unit of the peaks, if known.
    rings, strength
        Radii ``(ring,)`` [1/angstrom] of the phases and their strengths; empty without a phase.
    """

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


def check_settings(peaks: xr.Dataset, given: dict[str, Any]) -> CalibrationSettings:
    """Check the arguments of ``calibrate_peaks``; every contradiction is refused before anything is read."""
    units = {str(peaks[name].attrs.get("units")) for name in ("qy", "qx")}
    pixel_size, phase, ellipse = given["pixel_size"], given["phase"], given["ellipse"]
    _check_geometry(given["origin"], given["detector_rotation_deg"])
    if units not in ({"px"}, {"1/angstrom"}):
        raise SchemaError(f"calibrate_peaks: 'qy', 'qx' are in {sorted(units)}, need 'px' or '1/angstrom', both alike.")
    calibrated = units == {"1/angstrom"}
    # Without a phase there are no rings, and px without a scale cannot become 1/angstrom.
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
    # Calibrated peaks keep the factor 1; uncalibrated ones without a number are fitted.
    size: float | Literal["fit"] = (
        "fit" if pixel_size == "fit" or (pixel_size is None and not calibrated) else float(pixel_size or 1.0)
    )
    return CalibrationSettings(
        given["origin"],
        size,
        ellipse,
        given["detector_rotation_deg"],
        calibrated,
        _find_detector_centre(peaks),
        *rings,
    )


def _find_detector_centre(peaks: xr.Dataset) -> Floats | None:
    """Middle of the detector (y, x), where ``find_peaks`` wrote its geometry into the attributes."""
    keys = ("detector_start", "detector_step", "detector_shape")
    if any(key not in peaks.attrs for key in keys):
        return None
    start, step, shape = (np.asarray(peaks.attrs[key], dtype=float) for key in keys)
    return start + step * (shape - 1) / 2


def fit_calibration(
    vectors: Floats, intensity: Floats, direct: NDArray[np.bool_], settings: CalibrationSettings
) -> tuple[Floats, RadialFigures]:
    """Fit what was asked for; return the symmetric matrix on (y, x) that undoes ellipse and scale, and the figures.

    Parameters
    ----------
    vectors, intensity
        Peaks ``(scan_y, scan_x, peak, 2)`` from the origin in the input unit, and ``(scan_y, scan_x, peak)``.
    direct
        Which peaks are the direct beam; they lie on no ring.
    settings
        Settings after the checks.
    """
    # A given ellipse is undone before the rings are searched, and a fitted one afterwards.
    given = settings.ellipse if isinstance(settings.ellipse, tuple | list) else (1.0, 0.0)
    matrix = compute_ellipse_correction(*given)
    base = settings.pixel_size if isinstance(settings.pixel_size, float) else np.nan
    known = np.isfinite(intensity) & np.isfinite(vectors).all(axis=-1) & ~direct & (np.nan_to_num(intensity) > 0)
    if settings.rings.size == 0 or known.sum() < 5:
        if not np.isfinite(base):
            warnings.warn("calibrate_peaks: too few peaks to fit a scale.", CalibrationWarning, stacklevel=2)
        return matrix * base, RadialFigures(base, ellipse_ratio=given[0], ellipse_angle=given[1])
    # Square roots of intensities: a few strong reflections would otherwise decide alone.
    spots, weight = vectors[known] @ matrix.T, np.sqrt(intensity[known])
    fit, expected = _fit_scale_and_ellipse(spots, weight, settings, base)
    scale = fit.scale if settings.pixel_size == "fit" else base
    ratio, angle = fit.ellipse if settings.ellipse == "fit" else given
    ratio_error, angle_error = fit.ellipse_error
    _warn_of_contradiction(expected, fit, scale, fitted=settings.pixel_size == "fit")
    figures = RadialFigures(
        scale,
        scale_error=fit.scale_error if settings.pixel_size == "fit" else np.nan,
        scale_offset=expected.scale / scale - 1 if expected.by_chance < _DENSE_RINGS else np.nan,
        ellipse_ratio=ratio,
        ellipse_ratio_error=ratio_error,
        ellipse_angle=angle,
        ellipse_angle_error=angle_error,
        radial_misfit=fit.misfit,
        radial_match=fit.matched,
    )
    if settings.ellipse == "fit":
        matrix = compute_ellipse_correction(ratio, angle)
    return scale * matrix, figures


def _fit_scale_and_ellipse(
    spots: Floats, weight: Floats, settings: CalibrationSettings, base: float
) -> tuple[RingFit, RingFit]:
    """Fit as asked for, and with a free scale, which tells whether the given one is right; spots (peak, 2)."""
    length = np.hypot(*spots.T)
    has_scale = np.isfinite(base) or settings.calibrated
    if has_scale:
        # The first two rings of fcc differ by 15 %: within 6 % neither is taken for the other.
        start = base if np.isfinite(base) else 1.0
        span = (0.94 * start, 1.06 * start)
    else:
        span = (settings.rings[0] / length.max(), settings.rings[-1] / np.percentile(length, 20))
    # Peaks at less than half the first ring's radius belong to no ring. Without any scale they cannot be told.
    used = length > 0.5 * settings.rings[0] / (span[1] if has_scale else np.inf)
    spots, weight = spots[used], weight[used]
    scale = find_scale(length[used], weight, settings.rings, settings.strength, span)
    oval = settings.ellipse == "fit"
    table = (spots[:, 0], spots[:, 1], weight, settings.rings)
    free = fit_rings(*table, scale=scale, with_scale=True, with_ellipse=oval)
    if settings.pixel_size == "fit":
        return free, free
    return fit_rings(*table, scale=base, with_scale=False, with_ellipse=oval), free


def compute_ellipse_correction(ratio: float, angle_deg: float) -> Floats:
    r"""Symmetric matrix (2, 2) on (y, x) of determinant 1 that turns an ellipse into a circle.

    .. math:: E = \rho^{-1/2} \, u u^T + \rho^{1/2} \, v v^T

    with the axis ratio rho and the unit vectors u along the major and v along the minor axis.
    """
    c, s = np.cos(np.deg2rad(angle_deg)), np.sin(np.deg2rad(angle_deg))
    axes = np.array([[s, c], [c, -s]])  # columns: major and minor axis as (y, x)
    return np.asarray(axes @ np.diag([ratio**-0.5, ratio**0.5]) @ axes.T)


def _warn_of_contradiction(expected: RingFit, fit: RingFit, scale: float, *, fitted: bool) -> None:
    """Warn where the rings contradict the scale or the peaks the rings, or where the rings are too dense to tell."""
    offset, error = expected.scale / scale - 1, expected.scale_error / scale
    # Dense rings cannot contradict a given scale, but a fitted one must be doubted.
    if expected.by_chance >= _DENSE_RINGS:
        if fitted:
            text = (
                "calibrate_peaks: the phase's rings are so dense that any scale fits about as well "
                f"({100 * expected.by_chance:.0f} % of the peaks lie near a ring by chance). "
                "Fit the scale with a standard of few rings (gold, nickel), and give it as pixel_size."
            )
            warnings.warn(text, CalibrationWarning, stacklevel=3)
    # Both limits: 1 % matters to matching, and 4 standard errors are no chance.
    elif abs(offset) > max(0.01, 4 * np.nan_to_num(error)):
        text = (
            f"calibrate_peaks: the phase's rings ask for a scale {100 * offset:+.1f} % ({100 * error:.1f} %) from the "
            "one given. Check the calibration or the phase; pixel_size='fit' applies the correction."
        )
        warnings.warn(text, CalibrationWarning, stacklevel=3)
    # A quarter of what chance leaves open is the least that a right phase explains.
    elif fit.by_chance < 0.7 and fit.matched < fit.by_chance + 0.25 * (1 - fit.by_chance):
        text = (
            f"calibrate_peaks: {100 * fit.matched:.0f} % of the peaks lie on rings of the phase, "
            f"{100 * fit.by_chance:.0f} % would by chance. Check the phase and the calibration."
        )
        warnings.warn(text, CalibrationWarning, stacklevel=3)


def list_phases(phase: Any) -> list[Any]:
    """List of phases, from one phase or several."""
    return list(phase) if isinstance(phase, Sequence) else [phase]


def compute_rings(phase: Any, g_max: float = 2.0) -> tuple[Floats, Floats]:
    """Ring radii [1/angstrom] up to ``g_max`` of one or several phases, and their strengths.

    Strength is the sum of |F| over the ring; the strongest reflection of each phase is 1.
    """
    from ...diffraction import reflections

    # Each phase's strongest reflection is 1: a phase of heavy atoms must not outweigh the others.
    length, strength = [], []
    for one in list_phases(phase):
        table = reflections(one, g_max)
        length.append(np.linalg.norm(table.g, axis=1))
        strength.append(table.strength)
        strength[-1] = np.sqrt(strength[-1] / strength[-1].max())
    return merge_rings(np.concatenate(length), np.concatenate(strength))
