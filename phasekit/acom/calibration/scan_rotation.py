"""Rotation between scan and detector: the one at which the direct beam's deflections are free of curl."""

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_SMOOTHING = (0.0, 1.0, 2.0, 4.0)  # widths tried [scan pixels]; noise is white, deflections are not
_BLOCKS = (4, 8, 16)  # sides of the blocks of the error [scan pixels]
_MIN_BLOCKS = 12  # blocks below which their spread says nothing
_MIN_SIDE = 16  # side of a scan [pixels] below which a few patches of correlated noise look like a potential
_MAX_RATIO, _MAX_ERROR_DEG, _MAX_CHANCE = 0.5, 10.0, 1e-3


@dataclass(frozen=True)
class RotationFit:
    """A fitted rotation, and how good the evidence is.

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
    def is_weak(self) -> bool:
        """Whether the curl has no clear minimum."""
        clear = self.ratio <= _MAX_RATIO and self.error_deg <= _MAX_ERROR_DEG and self.chance <= _MAX_CHANCE
        return not clear


_NO_EVIDENCE = RotationFit(0.0, np.nan, np.nan, 1.0)


def find_scan_rotation(deflection: Floats, scan: tuple[Floats, Floats], warning: type[Warning]) -> tuple[float, float]:
    """Angle [deg] that turns detector vectors into the scan frame, and its error; (0, NaN) and a warning if unknown."""
    fit = fit_rotation(deflection, scan)
    if not fit.is_weak:
        return fit.angle_deg, fit.error_deg
    text = (
        "calibrate_peaks: the deflections of the direct beam do not tell the detector's rotation (least over largest "
        f"curl {fit.ratio:.2f}, needs below {_MAX_RATIO}; error {fit.error_deg:.1f} degrees, needs below "
        f"{_MAX_ERROR_DEG:.0f}); 0 is used. Measure the angle once with a MoO3 standard and give it as "
        "detector_rotation_deg."
    )
    warnings.warn(text, warning, stacklevel=3)
    return 0.0, np.nan


def fit_rotation(deflection: Floats, scan: tuple[Floats, Floats]) -> RotationFit:
    r"""Find the rotation that makes the deflections ``(scan_y, scan_x, 2)`` free of curl; NaN: no direct beam.

    An electrostatic potential V deflects the beam by its gradient, and a gradient has no curl:

    .. math:: d \propto \nabla V, \qquad \nabla \times d = 0 .

    Turned by the angle a, the measured curl c and divergence v of the field give the curl

    .. math:: c(a) = c \cos a + v \sin a .

    The smallest weighted power :math:`\sum w \, c(a)^2` is therefore an eigenvalue of a 2 x 2 matrix. Points weigh
    less the larger :math:`c^2 + v^2`. That bounds outliers and favours no angle.

    Medians of rows and columns are subtracted first. Whole lines jitter together for reasons outside the specimen.
    Several smoothing widths are tried. Of those with clear evidence the one of the smallest error is taken.
    """
    if min(deflection.shape[:2]) < _MIN_SIDE:
        return _NO_EVIDENCE
    # A scan of one column has no step; 1 keeps its gradient finite.
    steps = [float(np.median(np.diff(axis))) or 1.0 for axis in scan]
    field = _subtract_line_medians(deflection)
    # A wide kernel on a small scan would leave no independent points.
    widths = [width for width in _SMOOTHING if width <= min(field.shape[:2]) / 16]
    fits = [_minimise_curl(_smooth_field(field, width), steps, 1 + np.pi * width**2) for width in widths]
    return min(fits, key=lambda fit: (fit.is_weak, np.nan_to_num(fit.error_deg, nan=np.inf)))


def _subtract_line_medians(field: Floats) -> Floats:
    """Field (scan_y, scan_x, 2) less the median of every row, then of every column."""
    for axis in (1, 0):
        # Rows without any beam would make nanmedian warn; they stay NaN.
        empty = ~np.isfinite(field).any(axis=axis, keepdims=True)
        field = field - np.nanmedian(np.where(empty, 0.0, field), axis=axis, keepdims=True)
    return field


def _smooth_field(field: Floats, width: float) -> Floats:
    """Gaussian mean of the known neighbours, ``width`` in scan pixels; NaN where they are fewer than half."""
    if width == 0:
        return field
    from scipy.ndimage import gaussian_filter

    known = np.asarray(np.isfinite(field).all(axis=-1))
    # Normalised convolution: known pixels alone make the mean.
    share = gaussian_filter(known.astype(float), width, mode="constant")
    filled = gaussian_filter(np.where(known[..., None], field, 0.0), (width, width, 0), mode="constant")
    return np.where((share >= 0.5)[..., None], filled / np.maximum(share, 0.5)[..., None], np.nan)


def _minimise_curl(field: Floats, steps: list[float], cell: float) -> RotationFit:
    """Angle of least curl of one field (scan_y, scan_x, 2), whose noise is correlated over ``cell`` pixels."""
    (y_by_y, y_by_x), (x_by_y, x_by_x) = (np.gradient(field[..., i], *steps) for i in (0, 1))
    curl, divergence = y_by_x - x_by_y, x_by_x + y_by_y
    power: Floats = np.asarray(curl**2 + divergence**2)
    known = np.isfinite(power)
    # A constant field has no gradient to compare.
    if known.sum() < 25 or not (typical := float(np.median(power[known]))) > 0:
        return _NO_EVIDENCE
    # Cauchy's weight with a scale of 3 typical gradients.
    weight = np.where(known, 1 / (1 + power / (9 * typical)), 0.0)
    curl, divergence = np.nan_to_num(curl), np.nan_to_num(divergence)
    both = np.stack([curl.ravel(), divergence.ravel()])
    # The least eigenvalue is the power of the curl at the best angle; its eigenvector is (cos a, sin a).
    (least, largest), axes = np.linalg.eigh((both * weight.ravel()) @ both.T)
    least = max(least, 1e-12 * largest)
    angle = np.arctan2(axes[1, 0], axes[0, 0])
    cosine, sine = np.cos(angle), np.sin(angle)
    # The derivative of the power of the curl by the angle; its spread over blocks gives the error.
    slope = weight * (cosine * curl + sine * divergence) * (cosine * divergence - sine * curl)
    ratio = min(least / largest, 1 - 1e-9)
    # Few blocks can agree by chance: the error is at least that of independent cells.
    floor = ratio / (known.sum() / cell * (1 - ratio) ** 2)
    variance = max(_estimate_block_variance(slope) / (largest * (1 - ratio)) ** 2, floor)
    # As many independent points as would give this error, then the test of sphericity of two variables (Mauchy 1940).
    points = ratio / (variance * (1 - ratio) ** 2)
    chance = (2 * np.sqrt(ratio) / (1 + ratio)) ** max(points - 1, 0.0)
    # Modulo 180 into (-90, 90].
    folded = 90 - (90 - np.degrees(angle)) % 180
    return RotationFit(float(folded), float(np.degrees(np.sqrt(variance))), float(ratio), float(chance))


def _estimate_block_variance(slope: Floats) -> float:
    """Variance of the sum of a correlated field (scan_y, scan_x) of mean 0: the largest over the sizes of blocks.

    Sums of blocks longer than the correlation are independent, and the sum of their squares is the variance.
    """
    variances = [np.nan]
    for side in _BLOCKS:
        edges = [np.arange(0, max(n - side // 2, 1), side) for n in slope.shape]
        sums = np.add.reduceat(np.add.reduceat(slope, edges[0], axis=0), edges[1], axis=1)
        if sums.size >= _MIN_BLOCKS or side == _BLOCKS[0]:
            variances.append(float(np.sum(sums**2)))
    return float(np.nanmax(variances))
