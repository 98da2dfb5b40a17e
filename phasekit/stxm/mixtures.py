"""What a pixel may be where phases meet: pure, or a mixture of two of the phases around it, with its probability."""

from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from .library import _Library

Array = NDArray[np.float64]
#: steps of the mixing share: 1/18, 3/18 .. 17/18, so that no step lies on the border of two names
_N_SHARES = 9
#: part of the surroundings given to every phase alike: a phase that no neighbour shows stays possible
_LEAK = 0.02
#: standard deviation of a pixel's own share about the one its blurred spectrum shows, where two grains meet: 0.07..0.11
#: for a probe 1.75 px wide
_SHARE_ERROR = 0.1
_BATCH = 8192


class _States(NamedTuple):
    """Pure references, and mixtures of every two of them: directly (blur), or along the path between them (a rim)."""

    content: Array  # (state, reference), sums to 1
    first: NDArray[np.intp]
    second: NDArray[np.intp]  # the two phases that must be near; the same one for a pure state
    weight: Array  # prior given these two, sums to 1 over the states of a pair
    name: Array  # (state, reference) probability that the pixel's nearest reference in composition is this one
    lesser: Array  # share of the lesser of the two phases


class _Posterior(NamedTuple):
    """Per pixel: probability of each reference's name, of a mixture with a noticeable lesser part, best chi-square."""

    probability: Array
    mixed: Array
    chi_square: Array


def _states(library: _Library) -> _States:
    """All states; without compositions the name is the larger part's, and there is no path."""
    n = len(library.names)
    pure = np.eye(n)
    shares = (np.arange(_N_SHARES) + 0.5) / _N_SHARES
    path = n > 2 and bool(np.isfinite(library.composition).all())
    content, pairs, names = [pure], [(i, i) for i in range(n)], [pure]
    for i, j in combinations(range(n), 2):
        direct = np.outer(1 - shares, pure[i]) + np.outer(shares, pure[j])
        for way in (direct, _along(library.composition, direct)) if path else (direct,):
            content.append(way)
            names.append(_near(shares) @ _names(way, library.composition))
            pairs += [(i, j)] * _N_SHARES
    first, second = np.array(pairs, dtype=np.intp).T
    weight = np.where(first == second, 1.0, 1.0 / (_N_SHARES * (1 + path)))
    lesser = np.concatenate([np.zeros(n), np.tile(np.minimum(shares, 1 - shares), (len(pairs) - n) // _N_SHARES)])
    return _States(np.concatenate(content), first, second, weight, np.concatenate(names), lesser)


def _names(content: Array, composition: Array) -> Array:
    """1 for the reference nearest in composition, or of the largest share where compositions are not known."""
    if np.isfinite(composition).all():
        nearest = np.abs((content @ composition)[:, None] - composition).argmin(axis=1)
    else:
        nearest = content.argmax(axis=1)
    return np.asarray(np.eye(len(composition))[nearest])


def _near(shares: Array) -> Array:
    """Probability (shown, own) of the pixel's own share given the one its blurred spectrum shows."""
    weight = np.exp(-0.5 * ((shares[:, None] - shares) / _SHARE_ERROR) ** 2)
    return np.asarray(weight / weight.sum(axis=1, keepdims=True))


def _along(composition: Array, content: Array) -> Array:
    """Content of the same mean composition, made of the two references that enclose it on the path."""
    order = np.argsort(composition)
    rows = [np.interp(content @ composition, composition[order], row[order]) for row in np.eye(len(order))]
    return np.stack(rows, axis=1)


def _surroundings(probability: Array, *, sigma: float) -> Array:
    """Phases around each pixel (y, x, reference), itself left out, as a Gaussian probe sees them; they sum to 1."""
    reach = max(int(np.ceil(3 * sigma)), 1)
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    kernel = np.exp(-(y**2 + x**2) / (2 * sigma**2))
    kernel[reach, reach] = 0.0
    seen = np.stack(
        [ndimage.convolve(image, kernel, mode="constant") for image in np.moveaxis(np.nan_to_num(probability), -1, 0)],
        axis=-1,
    )
    total = seen.sum(axis=-1, keepdims=True)
    even = 1.0 / probability.shape[-1]
    near = np.where(total > 1e-9, seen / np.maximum(total, 1e-9), even)
    return np.where(np.isnan(probability), np.nan, (1 - _LEAK) * near + _LEAK * even)


def _posterior(
    density: Array, noise: Array, around: Array, states: _States, spectra: Array, *, allowed: float, noticeable: float
) -> _Posterior:
    """Which state each pixel (n, energy) is in, when its parts are two draws from the phases ``around`` (n, reference).

    Two equal draws make it pure, two different ones a mixture of any share. Thickness and a constant are free.
    ``allowed`` is the chi-square above which the pixel's misfit widens its noise.
    """
    parts = []
    for start in range(0, max(len(density), 1), _BATCH):
        part = slice(start, start + _BATCH)
        chi_square = _state_chi_square(density[part], noise[part] ** -2.0, states.content @ spectra)
        best = chi_square.min(axis=1, initial=np.inf)
        pairs = around[part][:, states.first] * around[part][:, states.second] * states.weight
        prior = np.where(states.first == states.second, 1.0, 2.0) * pairs
        widened = (chi_square - best[:, None]) / np.maximum(best / allowed, 1.0)[:, None]
        belief = prior * np.exp(-0.5 * widened)
        belief /= belief.sum(axis=1, keepdims=True)
        parts.append((belief @ states.name, belief @ (states.lesser > noticeable), best))
    return _Posterior(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _state_chi_square(density: Array, weights: Array, templates: Array) -> NDArray[Any]:
    """Chi-square (n, state) of ``thickness * template + constant``, thickness >= 0, constant free."""
    total = weights.sum(axis=1, keepdims=True)
    centred = density - (weights * density).sum(axis=1, keepdims=True) / total
    mean = weights @ templates.T / total
    power = weights @ (templates**2).T - mean**2 * total
    overlap = (weights * centred) @ templates.T
    flat = np.maximum(overlap, 0.0) ** 2 / np.maximum(power, 1e-12)
    return (weights * centred**2).sum(axis=1, keepdims=True) - flat
