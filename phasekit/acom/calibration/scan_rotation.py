"""Kernel of registration: the rotation between scan and detector, from the deflection of the direct beam."""

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_SMOOTHING = (0.0, 1.0, 2.0, 4.0)  # widths tried [scan pixels]; noise is white, deflections are not
_BLOCKS = (4, 8, 16)  # sides of the blocks of the error [scan pixels]
_FEWEST = 12  # blocks below which their spread says nothing
_SMALLEST = 16  # side of a scan [pixels] below which a few patches of correlated noise look like a potential
_RATIO, _ERROR_DEG, _CHANCE = 0.5, 10.0, 1e-3


@dataclass(frozen=True)
class RotationFit:
    """A rotation found, and how good the evidence is.

    Attributes
    ----------
    angle_deg, error_deg
        Angle in (-90, 90] (a deflection field and its opposite are equally free of curl) and its standard error.
    ratio
        Power of the curl at this angle over that at a right angle to it: 0 = a pure gradient, 1 = no preference.
    chance
        Probability of a ratio as small from isotropic noise.
    """

    angle_deg: float
    error_deg: float
    ratio: float
    chance: float

    @property
    def weak(self) -> bool:
        """The curl's minimum is not clearly one."""
        return not (self.ratio <= _RATIO and self.error_deg <= _ERROR_DEG and self.chance <= _CHANCE)


_NO_EVIDENCE = RotationFit(0.0, np.nan, np.nan, 1.0)


def find_scan_rotation(deflection: Floats, scan: tuple[Floats, Floats], warning: type[Warning]) -> tuple[float, float]:
    """Angle [deg] that turns detector vectors into the scan frame, and its error; (0, NaN) and a warning if unknown."""
    turn = fit_rotation(deflection, scan)
    if not turn.weak:
        return turn.angle_deg, turn.error_deg
    text = (
        "calibrate_peaks: the deflections of the direct beam do not tell the detector's rotation (least over largest "
        f"curl {turn.ratio:.2f}, needs below {_RATIO}; error {turn.error_deg:.1f} degrees, needs below "
        f"{_ERROR_DEG:.0f}); 0 is used. Measure the angle once with a MoO3 standard and give it as "
        "detector_rotation_deg."
    )
    warnings.warn(text, warning, stacklevel=3)
    return 0.0, np.nan


def fit_rotation(deflection: Floats, scan: tuple[Floats, Floats]) -> RotationFit:
    """Rotation that makes the deflections ``(scan_y, scan_x, 2)`` free of curl, NaN: no direct beam.

    An electrostatic potential deflects by its gradient, which has no curl. Turned by a, the curl is c cos(a) + d
    sin(a), with c and d the curl and divergence as measured: its smallest power is an eigenvalue. Points weigh less
    the larger c^2 + d^2, whatever their direction, so outliers are bounded and no angle is favoured. Medians of rows
    and columns are taken off first, as whole lines jitter together for reasons that are not the specimen's. Of several
    smoothing widths the one of the smallest error is taken, of those whose evidence is not weak.
    """
    if min(deflection.shape[:2]) < _SMALLEST:
        return _NO_EVIDENCE
    steps = [float(np.median(np.diff(axis))) or 1.0 for axis in scan]
    field = _subtract_line_medians(deflection)
    widths = [width for width in _SMOOTHING if width <= min(field.shape[:2]) / 16]
    turns = [_minimise_curl(_smooth_field(field, width), steps, 1 + np.pi * width**2) for width in widths]
    return min(turns, key=lambda turn: (turn.weak, np.nan_to_num(turn.error_deg, nan=np.inf)))


def _subtract_line_medians(field: Floats) -> Floats:
    for axis in (1, 0):
        empty = ~np.isfinite(field).any(axis=axis, keepdims=True)
        field = field - np.nanmedian(np.where(empty, 0.0, field), axis=axis, keepdims=True)
    return field


def _smooth_field(field: Floats, width: float) -> Floats:
    """Gaussian mean of the known neighbours; NaN where they are fewer than half."""
    if width == 0:
        return field
    from scipy.ndimage import gaussian_filter

    known = np.asarray(np.isfinite(field).all(axis=-1))
    share = gaussian_filter(known.astype(float), width, mode="constant")
    filled = gaussian_filter(np.where(known[..., None], field, 0.0), (width, width, 0), mode="constant")
    return np.where((share >= 0.5)[..., None], filled / np.maximum(share, 0.5)[..., None], np.nan)


def _minimise_curl(field: Floats, steps: list[float], cell: float) -> RotationFit:
    """Of a field in which noise is correlated over ``cell`` pixels."""
    (y_by_y, y_by_x), (x_by_y, x_by_x) = (np.gradient(field[..., i], *steps) for i in (0, 1))
    curl, divergence = y_by_x - x_by_y, x_by_x + y_by_y
    power: Floats = np.asarray(curl**2 + divergence**2)
    known = np.isfinite(power)
    if known.sum() < 25 or not (typical := float(np.median(power[known]))) > 0:
        return _NO_EVIDENCE
    weight = np.where(known, 1 / (1 + power / (9 * typical)), 0.0)
    curl, divergence = np.nan_to_num(curl), np.nan_to_num(divergence)
    both = np.stack([curl.ravel(), divergence.ravel()])
    (least, largest), axes = np.linalg.eigh((both * weight.ravel()) @ both.T)
    least = max(least, 1e-12 * largest)
    angle = np.arctan2(axes[1, 0], axes[0, 0])
    cosine, sine = np.cos(angle), np.sin(angle)
    slope = weight * (cosine * curl + sine * divergence) * (cosine * divergence - sine * curl)
    ratio = min(least / largest, 1 - 1e-9)
    # Few blocks can agree by chance: the error is at least that of independent cells.
    floor = ratio / (known.sum() / cell * (1 - ratio) ** 2)
    variance = max(_estimate_block_variance(slope) / (largest * (1 - ratio)) ** 2, floor)
    # As many independent points as would give this error, then the test of sphericity of two variables (Mauchy 1940).
    points = ratio / (variance * (1 - ratio) ** 2)
    chance = (2 * np.sqrt(ratio) / (1 + ratio)) ** max(points - 1, 0.0)
    turned = 90 - (90 - np.degrees(angle)) % 180
    return RotationFit(float(turned), float(np.degrees(np.sqrt(variance))), float(ratio), float(chance))


def _estimate_block_variance(slope: Floats) -> float:
    """Variance of the sum of a correlated field of mean 0, from blocks: the largest over their sizes."""
    found = [np.nan]
    for side in _BLOCKS:
        edges = [np.arange(0, max(n - side // 2, 1), side) for n in slope.shape]
        sums = np.add.reduceat(np.add.reduceat(slope, edges[0], axis=0), edges[1], axis=1)
        if sums.size >= _FEWEST or side == _BLOCKS[0]:
            found.append(float(np.sum(sums**2)))
    return float(np.nanmax(found))
