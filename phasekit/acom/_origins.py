"""Kernel of registration: where the direct beam is in every pattern, from a smooth drift model without outliers."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def fit_origins(
    position: Floats, intensity: Floats, scan: tuple[Floats, Floats], radius: float, centre: Floats | None
) -> tuple[Floats, NDArray[np.intp], float, Floats]:
    """Origin of every pattern, index of its direct beam (-1: none found), scatter about the drift, and the drift.

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
        middle = np.zeros(2) if centre is None else centre
        nowhere = np.broadcast_to(middle, (*chosen.shape, 2)).copy()
        return nowhere, chosen, np.nan, nowhere
    reach, scatter = np.inf, np.nan
    for _ in range(4):
        model, scatter = _drift(_pick(position, chosen), scan)
        reach = min(reach, max(2.5 * radius, 5 * scatter))
        off = np.hypot(*np.moveaxis(position - model[:, :, None], -1, 0))
        near = np.where(off < reach, np.nan_to_num(intensity, nan=-1.0), -1.0)
        chosen = np.where(near.max(axis=-1) > 0, near.argmax(axis=-1), -1)
    model, scatter = _drift(_pick(position, chosen), scan)
    measured = _pick(position, chosen)
    return np.where(np.isfinite(measured), measured, model), chosen, scatter, model


def nearest(position: Floats, origin: Floats, reach: float) -> NDArray[np.intp]:
    """Index of the peak nearest a given origin, -1 where none is within reach."""
    off = np.nan_to_num(np.hypot(*np.moveaxis(position - origin, -1, 0)), nan=np.inf)
    return np.where(off.min(axis=-1) < reach, off.argmin(axis=-1), -1)


def _pick(position: Floats, chosen: NDArray[np.intp]) -> Floats:
    picked = np.take_along_axis(position, np.maximum(chosen, 0)[..., None, None], axis=2)[:, :, 0]
    return np.where((chosen >= 0)[..., None], picked, np.nan)


def _drift(measured: Floats, scan: tuple[Floats, Floats]) -> tuple[Floats, float]:
    """Robust smooth surface (Tukey's weights) through the measured origins, quadratic where there are enough."""
    y, x = np.meshgrid(*(_unit(axis) for axis in scan), indexing="ij")
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
    return columns @ fit, scatter


def _unit(axis: Floats) -> Floats:
    return (axis - axis.mean()) / max(float(np.ptp(axis)), 1e-12) * 2
