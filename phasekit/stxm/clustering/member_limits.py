"""End members in the scale of the references, their standard errors, and how far non-negativity lets them move."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
#: standard errors that a spectrum may lie below zero
_SPARE = 2.0


class ScaledMembers(NamedTuple):
    """Spectra (member, energy) in their final scale, standard errors, limits, and the least purity (member,)."""

    spectra: Array
    error: Array
    limit: Array
    purity: Array


def scale_members(fixed: Array, spectra: Array, without_tile: list[Array], noise: Array) -> ScaledMembers:
    """Bring end members (member, energy) to the contrast and the lowest value of the ``fixed`` references.

    ``without_tile`` are the same end members with one part of the field left out each. ``noise`` (member, energy) is
    the least that the standard error can be.
    """
    norm = np.linalg.norm(_subtract_mean(spectra), axis=1)
    size = float(np.linalg.norm(_subtract_mean(fixed), axis=1).mean()) if len(fixed) else float(np.median(norm))
    lowest = float(fixed.min()) if len(fixed) else 0.0
    shape = _normalise_contrast(spectra, size)
    error = noise * (size / np.maximum(norm, 1e-12))[:, None]
    if len(without_tile) > 1:
        # the jackknife over the parts of the field
        again = np.array([_normalise_contrast(one, size) for one in without_tile])
        spread = ((again - again.mean(axis=0)) ** 2).sum(axis=0) * (len(again) - 1) / len(again)
        error = np.maximum(error, np.sqrt(spread))
    level = shape - shape.min(axis=1, keepdims=True)
    others = np.concatenate([fixed - fixed.min(axis=1, keepdims=True), level])
    purity, limit = np.ones(len(level)), np.full_like(level, np.nan)
    for index in range(len(level)):
        beside = np.delete(others, len(fixed) + index, axis=0)
        purity[index], purest = _find_limit(level[index], error[index], beside)
        purest = _normalise_contrast(purest[None], size)[0]
        limit[index] = purest - purest.min() + lowest
    return ScaledMembers(level + lowest, error, limit, purity)


def _subtract_mean(spectra: Array) -> Array:
    """Spectra (n, energy) of mean 0."""
    return np.asarray(spectra - spectra.mean(axis=1, keepdims=True))


def _normalise_contrast(spectra: Array, size: float) -> Array:
    """Spectra (n, energy) of mean 0 and norm ``size``."""
    centred = _subtract_mean(spectra)
    return np.asarray(centred * size / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-12))


def _find_limit(level: Array, error: Array, others: Array) -> tuple[float, Array]:
    """Least share of the pure phase in ``level`` (energy,), and the purest spectrum that is not negative.

    ``others`` (member, energy) are tried one by one. Without a limit the share is 0 and the spectrum NaN.
    """
    share, limit = 1.0, level
    for other in others:
        # level + m (level - other) stays above zero, two standard errors of the level to spare
        fall = other - level - _SPARE * error
        steps = (level + _SPARE * error)[fall > 0] / fall[fall > 0]
        m = float(steps.min()) if steps.size else np.inf
        if 1 / (1 + m) < share:
            share, limit = 1 / (1 + m), level + m * (level - other) if np.isfinite(m) else np.full_like(level, np.nan)
    return share, limit
