"""Kernel of registration: where the direct beam is in every pattern, from a smooth drift model without outliers."""

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
        ``(scan_y, scan_x, 2)``: the direct beam, or the drift model where none was found.
    direct
        Index of the direct beam among the peaks, -1: none found.
    error
        ``(scan_y, scan_x)``: standard error of the origin per axis. A measured beam has its scatter about the drift
        model, which is an upper bound, as the beam's own jitter is in it; a pixel where the model stands in has that
        scatter and the model's uncertainty. NaN where the scan has no more direct beams than the model has terms.
    deflection
        ``(scan_y, scan_x, 2)``: measured beam minus drift model, NaN without a direct beam.
    scatter
        Typical distance of the measured beams from the model.
    """

    origin: Floats
    direct: NDArray[np.intp]
    error: Floats
    deflection: Floats
    scatter: float = np.nan

    @classmethod
    def fixed(cls, origin: Floats, direct: NDArray[np.intp]) -> "Origins":
        """One origin for all patterns, of unknown error."""
        origin = np.broadcast_to(origin, (*direct.shape, 2))
        return cls(origin, direct, np.full(direct.shape, np.nan), np.full(origin.shape, np.nan))


def fit_origins(
    position: Floats, intensity: Floats, scan: tuple[Floats, Floats], radius: float, centre: Floats | None
) -> Origins:
    """Origin of every pattern: its direct beam where that lies near a smooth drift model, elsewhere the model.

    Parameters
    ----------
    position, intensity
        Peaks ``(scan_y, scan_x, peak, 2)`` and ``(scan_y, scan_x, peak)``, NaN-padded.
    scan
        Scan coordinates.
    radius
        Disk radius, in the unit of the positions.
    centre
        Middle of the detector, if known: among bright peaks the central one is the direct beam.
    """
    bright = np.nan_to_num(intensity, nan=-1.0)
    spread = (
        np.nanmax(np.abs(position - np.nanmedian(position, axis=(0, 1, 2)))) if np.isfinite(position).any() else 1.0
    )
    if centre is not None:
        bright = bright * np.exp(-0.5 * np.sum((position - centre) ** 2, axis=-1) / (0.3 * spread) ** 2)
        bright = np.nan_to_num(bright, nan=-1.0)
    chosen = np.where(bright.max(axis=-1) > 0, bright.argmax(axis=-1), -1)
    if not (chosen >= 0).any():
        return Origins.fixed(np.zeros(2) if centre is None else centre, chosen)
    reach, scatter = np.inf, np.nan
    for _ in range(4):
        model, scatter, _ = _fit_drift(_select_positions(position, chosen), scan)
        reach = min(reach, max(2.5 * radius, 5 * scatter))
        off = np.hypot(*np.moveaxis(position - model[:, :, None], -1, 0))
        near = np.where(off < reach, np.nan_to_num(intensity, nan=-1.0), -1.0)
        chosen = np.where(near.max(axis=-1) > 0, near.argmax(axis=-1), -1)
    measured = _select_positions(position, chosen)
    model, scatter, own = _fit_drift(measured, scan)
    found = np.asarray(np.isfinite(measured).all(axis=-1))
    # The scatter is a distance in two dimensions, the error that of one axis.
    error = scatter / np.sqrt(2) * own.spread * np.where(found, 1.0, np.sqrt(1 + own.leverage))
    return Origins(np.where(found[..., None], measured, model), chosen, error, measured - model, scatter)


def find_nearest_peak(position: Floats, origin: Floats, reach: float) -> NDArray[np.intp]:
    """Index of the peak nearest a given origin, -1 where none is within reach."""
    off = np.nan_to_num(np.hypot(*np.moveaxis(position - origin, -1, 0)), nan=np.inf)
    return np.where(off.min(axis=-1) < reach, off.argmin(axis=-1), -1)


def _select_positions(position: Floats, chosen: NDArray[np.intp]) -> Floats:
    picked = np.take_along_axis(position, np.maximum(chosen, 0)[..., None, None], axis=2)[:, :, 0]
    return np.where((chosen >= 0)[..., None], picked, np.nan)


@dataclass(frozen=True)
class _DriftUncertainty:
    """Of the drift model: its variance over that of one beam, and how much the scatter is too small by the fit."""

    leverage: Floats
    spread: float


def _fit_drift(measured: Floats, scan: tuple[Floats, Floats]) -> tuple[Floats, float, _DriftUncertainty]:
    """Robust smooth surface (Tukey's weights) through the measured origins, quadratic where there are enough."""
    y, x = np.meshgrid(*(_normalise_axis(axis) for axis in scan), indexing="ij")
    known = np.isfinite(measured).all(axis=-1)
    terms = [np.ones_like(y)]
    if known.sum() >= 8:
        terms += [axis for axis in (y, x) if np.ptp(axis[known]) > 0]
    if known.sum() >= 30:
        terms += [a * b for a, b in ((y, y), (y, x), (x, x)) if np.ptp((a * b)[known]) > 0]
    columns = np.stack(terms, axis=-1)
    matrix, target = columns[known], measured[known]
    fit = np.median(target, axis=0) * np.eye(len(terms))[0][:, None]
    scatter = 0.0
    for _ in range(30):
        rest = np.hypot(*(target - matrix @ fit).T)
        scatter = max(1.2 * float(np.median(rest)), 1e-9)
        weight = np.clip(1 - (rest / (5 * scatter)) ** 2, 0, None)[:, None]
        new, *_ = np.linalg.lstsq(matrix * weight, target * weight, rcond=None)
        if np.allclose(new, fit, rtol=0, atol=1e-3 * scatter):
            break
        fit = new
    inverse = np.linalg.pinv((matrix * weight).T @ (matrix * weight))
    leverage = np.einsum("...i,ij,...j->...", columns, inverse, columns)
    spare = int(known.sum()) - len(terms)
    spread = float(np.sqrt(known.sum() / spare)) if spare > 0 else np.nan
    return columns @ fit, scatter, _DriftUncertainty(leverage, spread)


def _normalise_axis(axis: Floats) -> Floats:
    return (axis - axis.mean()) / max(float(np.ptp(axis)), 1e-12) * 2
