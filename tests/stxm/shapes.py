"""Phase maps of simple shapes, for the tests of what follows from a map."""

import numpy as np
import xarray as xr
from scipy.special import ndtr

from phasekit.errors import StxmStatus, status_attributes

SCAN = ("scan_y", "scan_x")
NAMES = ["Na3", "Na2", "Na1"]
X = np.array([3.0, 2.0, 1.0])


def grid(shape, centre=None):
    y, x = np.mgrid[: shape[0], : shape[1]].astype(float)
    middle = ((shape[0] - 1) / 2, (shape[1] - 1) / 2) if centre is None else centre
    return y - middle[0], x - middle[1]


def disc(shape, radius, centre=None):
    return np.hypot(*grid(shape, centre)) < radius


def sides(shape, pixel=(20.0, 20.0)):
    return {d: (d, np.arange(n) * p, {"units": "nm"}) for d, n, p in zip(SCAN, shape, pixel, strict=True)}


def phases_of(phase, *, status=None, confidence=1.0, composition=None, runner_up=None, pixel=(20.0, 20.0)):
    """PHASES of a map of indices; everything else is what a sure map would hold."""
    phase = np.asarray(phase)
    named = phase >= 0
    status = np.where(named, StxmStatus.OK, StxmStatus.BACKGROUND) if status is None else status
    composition = np.where(named, X[np.maximum(phase, 0)], np.nan) if composition is None else composition
    full = np.where(named, 1.0, np.nan)
    data = {
        "phase": (SCAN, phase.astype(np.int16)),
        "status": (SCAN, status.astype(np.int8), status_attributes(StxmStatus)),
        "margin": (SCAN, 0.01 * full),
        "confidence": (SCAN, confidence * full),
        "composition": (SCAN, composition),
        "pearson": ((*SCAN, "reference"), np.repeat(full[..., None], len(NAMES), axis=-1)),
    }
    if runner_up is not None:
        data["runner_up"] = (SCAN, np.asarray(runner_up).astype(np.int16))
    return xr.Dataset(data, {"reference": NAMES, **sides(phase.shape, pixel)})


def composition_map(values, error=0.02, pixel=(20.0, 20.0)):
    """COMPOSITION with the same error everywhere."""
    data = {"composition": (SCAN, values), "composition_error": (SCAN, np.where(np.isfinite(values), error, np.nan))}
    return xr.Dataset(data, sides(np.shape(values), pixel))


def tilted_edge(shape, radius, sigma_px, angle, *, noise=0.0, offset=0.0, rng=None):
    """A disc of two phases that meet in a blurred straight line: PHASES and the noisy composition (3 to 2)."""
    y, x = grid(shape)
    across = y * np.cos(angle) + x * np.sin(angle) - offset
    inside = np.hypot(y, x) < radius
    exact = np.where(inside, 3.0 - ndtr(across / sigma_px), np.nan)
    seen = exact + (rng.normal(0, noise, shape) if noise else 0.0)
    phase = np.where(inside, (across > 0).astype(int), -1)
    return phases_of(phase, composition=exact), composition_map(seen, max(noise, 0.01))
