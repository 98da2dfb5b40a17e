"""Origin of every pattern: the direct beam, from a smooth drift surface fitted without outliers."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Origins:
    """The direct beam of every pattern, in the unit of the positions.

    Attributes
    ----------
    origin
        ``(scan_y, scan_x, 2)``: the direct beam, or the drift surface where none was found.
    direct
        ``(scan_y, scan_x)``: index of the direct beam among the peaks, -1 where none was found.
    error
        ``(scan_y, scan_x)``: standard error of the origin per axis. For a measured beam it is the scatter about the
        drift surface. This is an upper bound, because it contains the beam's own jitter. Where the surface stands in,
        its own uncertainty is added. NaN where the scan has no more direct beams than the surface has terms.
    deflection
        ``(scan_y, scan_x, 2)``: measured beam minus drift surface, NaN without a direct beam.
    scatter
        Typical distance of the measured beams from the surface.
    """

    origin: Floats
    direct: NDArray[np.intp]
    error: Floats
    deflection: Floats
    scatter: float = np.nan

    @classmethod
    def make_fixed(cls, origin: Floats, direct: NDArray[np.intp]) -> "Origins":
        """One origin (2,) for all patterns, of unknown error."""
        origin = np.broadcast_to(origin, (*direct.shape, 2))
        return cls(origin, direct, np.full(direct.shape, np.nan), np.full(origin.shape, np.nan))


def fit_origins(
    position: Floats, intensity: Floats, scan: tuple[Floats, Floats], radius: float, centre: Floats | None
) -> Origins:
    r"""Find the origin of every pattern: its direct beam near the drift surface, elsewhere the surface itself.

    The surface is

    .. math:: k_0(y, x) = a_0 + a_1 y + a_2 x + a_3 y^2 + a_4 y x + a_5 x^2 .

    Parameters
    ----------
    position, intensity
        Peaks ``(scan_y, scan_x, peak, 2)`` and ``(scan_y, scan_x, peak)``, padded with NaN.
    scan
        Scan coordinates.
    radius
        Disk radius, in the unit of the positions.
    centre
        Middle of the detector, if known: among bright peaks the central one is the direct beam.
    """
    # Padding counts as darker than any peak, so that argmax never chooses it.
    bright = np.nan_to_num(intensity, nan=-1.0)
    spread = (
        np.nanmax(np.abs(position - np.nanmedian(position, axis=(0, 1, 2)))) if np.isfinite(position).any() else 1.0
    )
    if centre is not None:
        # Near a zone axis a diffracted disk may outshine the direct one, but it lies further from the middle.
        bright = bright * np.exp(-0.5 * np.sum((position - centre) ** 2, axis=-1) / (0.3 * spread) ** 2)
        bright = np.nan_to_num(bright, nan=-1.0)
    chosen = np.where(bright.max(axis=-1) > 0, bright.argmax(axis=-1), -1)
    if not (chosen >= 0).any():
        return Origins.make_fixed(np.zeros(2) if centre is None else centre, chosen)
    # Surface and choice of the direct beam depend on each other: four rounds, in which the reach can only shrink.
    reach, scatter = np.inf, np.nan
    for _ in range(4):
        surface, scatter, _ = _fit_drift(_select_positions(position, chosen), scan)
        reach = min(reach, max(2.5 * radius, 5 * scatter))
        off = np.hypot(*np.moveaxis(position - surface[:, :, None], -1, 0))
        # Within reach the brightest peak is taken, not the nearest: noise peaks may lie closer to the surface.
        near = np.where(off < reach, np.nan_to_num(intensity, nan=-1.0), -1.0)
        chosen = np.where(near.max(axis=-1) > 0, near.argmax(axis=-1), -1)
    measured = _select_positions(position, chosen)
    surface, scatter, own = _fit_drift(measured, scan)
    has_beam = np.asarray(np.isfinite(measured).all(axis=-1))
    # The scatter is a distance in two dimensions, the error that of one axis.
    error = scatter / np.sqrt(2) * own.spread * np.where(has_beam, 1.0, np.sqrt(1 + own.leverage))
    return Origins(np.where(has_beam[..., None], measured, surface), chosen, error, measured - surface, scatter)


def find_nearest_peak(position: Floats, origin: Floats, reach: float) -> NDArray[np.intp]:
    """Index of the peak ``(..., peak, 2)`` nearest to a given origin (2,), -1 where none is within reach."""
    off = np.nan_to_num(np.hypot(*np.moveaxis(position - origin, -1, 0)), nan=np.inf)
    return np.where(off.min(axis=-1) < reach, off.argmin(axis=-1), -1)


def _select_positions(position: Floats, chosen: NDArray[np.intp]) -> Floats:
    """Position (scan_y, scan_x, 2) of the chosen peak of every pattern, NaN where none was chosen."""
    picked = np.take_along_axis(position, np.maximum(chosen, 0)[..., None, None], axis=2)[:, :, 0]
    return np.where((chosen >= 0)[..., None], picked, np.nan)


@dataclass(frozen=True)
class _DriftUncertainty:
    """Uncertainty of the drift surface.

    Attributes
    ----------
    leverage
        ``(scan_y, scan_x)``: variance of the surface over the variance of one beam.
    spread
        Factor for the degrees of freedom that the fit took from the scatter.
    """

    leverage: Floats
    spread: float


def _fit_drift(measured: Floats, scan: tuple[Floats, Floats]) -> tuple[Floats, float, _DriftUncertainty]:
    r"""Fit the drift surface to measured beams (scan_y, scan_x, 2) by iterated least squares with Tukey's weights.

    A beam at the distance r from the surface has the weight

    .. math:: w(r) = \left(1 - \left(\frac{r}{5 \sigma}\right)^2\right)^2 \text{ for } r < 5 \sigma, \text{ else } 0,

    where sigma is 1.2 times the median distance.
    """
    y, x = np.meshgrid(*(_normalise_axis(axis) for axis in scan), indexing="ij")
    known = np.isfinite(measured).all(axis=-1)
    # Few beams cannot hold a surface: below 8 it is a constant, below 30 a plane. Terms that do not vary are left out.
    terms = [np.ones_like(y)]
    if known.sum() >= 8:
        terms += [axis for axis in (y, x) if np.ptp(axis[known]) > 0]
    if known.sum() >= 30:
        terms += [a * b for a, b in ((y, y), (y, x), (x, x)) if np.ptp((a * b)[known]) > 0]
    columns = np.stack(terms, axis=-1)
    matrix, target = columns[known], measured[known]
    # The median is a start that a minority of wrong beams cannot move.
    fit = np.median(target, axis=0) * np.eye(len(terms))[0][:, None]
    scatter = 0.0
    for _ in range(30):
        distance = np.hypot(*(target - matrix @ fit).T)
        # 1.2 times the median is the rms distance in two dimensions; the floor keeps exact data from dividing by 0.
        scatter = max(1.2 * float(np.median(distance)), 1e-9)
        root_weight = np.clip(1 - (distance / (5 * scatter)) ** 2, 0, None)[:, None]
        new, *_ = np.linalg.lstsq(matrix * root_weight, target * root_weight, rcond=None)
        # A change of a thousandth of the scatter moves no weight any more.
        if np.allclose(new, fit, rtol=0, atol=1e-3 * scatter):
            break
        fit = new
    inverse = np.linalg.pinv((matrix * root_weight).T @ (matrix * root_weight))
    # Variance of the surface at every scan position, in units of the variance of one beam.
    leverage = np.einsum("...i,ij,...j->...", columns, inverse, columns)
    degrees_of_freedom = int(known.sum()) - len(terms)
    spread = float(np.sqrt(known.sum() / degrees_of_freedom)) if degrees_of_freedom > 0 else np.nan
    return columns @ fit, scatter, _DriftUncertainty(leverage, spread)


def _normalise_axis(axis: Floats) -> Floats:
    """Scan coordinate with mean 0 and range 2: the terms of the surface stay of one size."""
    return (axis - axis.mean()) / max(float(np.ptp(axis)), 1e-12) * 2
