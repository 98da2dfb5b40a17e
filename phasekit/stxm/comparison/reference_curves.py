"""Best fit of single references to one spectrum, fast enough to follow a cursor."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def fit_reference_curves(density: Array, noise: Array, templates: Array) -> Array:
    r"""Fit each template with an amount and a constant to a spectrum; the curves (template, energy).

    As :func:`phasekit.stxm.match_single_phase`, with weights :math:`w = 1/\sigma^2` and weighted means:

    .. math:: t = \max\Big(0, \frac{\sum_e w (x - \bar x)(T - \bar T)}{\sum_e w (T - \bar T)^2}\Big), \quad
              c = \bar x - t \bar T.

    ``density`` and ``noise`` (energy,) may be NaN at energies that were not measured; ``templates`` (template, energy)
    are NaN where the reference ends. Curves are NaN there, and everywhere with fewer than 3 common energies.
    """
    usable = np.isfinite(templates) & np.isfinite(density) & np.isfinite(noise)
    weight = np.where(usable, np.maximum(np.nan_to_num(noise), 1e-6) ** -2.0, 0.0)
    total = np.maximum(weight.sum(axis=1, keepdims=True), 1e-300)
    spectrum, shape = np.nan_to_num(density) * np.ones_like(weight), np.nan_to_num(templates)
    mean_spectrum = (weight * spectrum).sum(axis=1, keepdims=True) / total
    mean_shape = (weight * shape).sum(axis=1, keepdims=True) / total
    centred = shape - mean_shape
    product = (weight * centred * (spectrum - mean_spectrum)).sum(axis=1, keepdims=True)
    amount = np.maximum(product / np.maximum((weight * centred**2).sum(axis=1, keepdims=True), 1e-300), 0.0)
    curves = np.where(np.isfinite(templates), mean_spectrum + amount * centred, np.nan)
    return np.where(usable.sum(axis=1, keepdims=True) >= 3, curves, np.nan)
